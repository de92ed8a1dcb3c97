"""The compiled programs that train on a stack, one for each type and shape."""

import functools
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from glove_jax.config import TrainConfig
from glove_jax.threads import default_threads
from glove_jax.training import optimizers
from glove_jax.training.tiles import cells, fitting, steps
from glove_jax.training.tiles.layout import OUTSIDE, Groups, Lines, Tiles
from glove_jax.training.tiles.strips import Strip


class Hyper(NamedTuple):
  """Hyperparameters that are data of a program, so points of a sweep share it.

  Each is a scalar, or [P] for P points.
  """

  x_max: jax.Array
  alpha: jax.Array
  learning_rate: jax.Array
  missing: jax.Array
  missing_count: jax.Array


def make_hyper(config, together):
  """The hyperparameters, and what maps a function over points."""
  values = Hyper(
    *(
      jnp.array([getattr(c, name) for c in together or [config]], jnp.float32)
      for name in Hyper._fields
    )
  )
  if not together:
    return Hyper(*(value[0] for value in values)), lambda function, _: function
  return values, lambda function, axes: jax.vmap(function, axes)


def make_programs(
  config: TrainConfig,
  compiled: Callable[[Callable], Callable],
  tx: optax.GradientTransformation | None = None,
) -> dict[type, Callable]:
  """Makes the programs that train on a stack, by type of stack.

  Args:
    config: the training settings.
    compiled: compiles a function, such as `jax.jit`.
    tx: used instead of the optimizer of the config.

  Returns:
    Functions (state, hyper, codes, stack, multipliers) -> (state, costs [K]).
    `codes` holds the codes of all tiles, [M, T, T], or is None.
  """
  outer = steps.make_outer(jnp.dtype(config.products))

  def make_tx(hyper):
    return optimizers.from_config(config, hyper.learning_rate, tx)

  def train_tiles(state, hyper, codes, stack, multipliers):
    tx = make_tx(hyper)
    loss_of = _tiles_loss(config, hyper, outer)

    def step(state, xs):
      code, pair, multiplier = xs
      if codes is not None:
        code = codes.at[code].get(mode="fill", fill_value=0)
      loss = loss_of(pair[:, 0] < OUTSIDE)
      return steps.tiles_step(state, code, pair, multiplier, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  def train_lines(state, hyper, codes, stack, multipliers):
    del codes
    tx = make_tx(hyper)
    loss = functools.partial(
      steps.lines_loss, x_max=hyper.x_max, alpha=hyper.alpha
    )

    def step(state, xs):
      return steps.lines_step(state, *xs, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  def fit_strip(state, hyper, codes, stack, multipliers):
    del codes, multipliers  # a strip has multipliers of its own
    strip = jax.tree.map(lambda array: array[0], stack)
    state, cost = fitting.fit_strip(
      state,
      strip.block,
      strip.code,
      strip.plan,
      loss=_tiles_loss(config, hyper, outer)(True),
      tx=make_tx(hyper),
    )
    return state, cost[None]

  tiles = compiled(train_tiles)
  return {
    Groups: tiles,
    Tiles: tiles,
    Lines: compiled(train_lines),
    Strip: compiled(fit_strip),
  }


def _tiles_loss(config: TrainConfig, hyper: Hyper, outer):
  """real -> (params, code) -> the cost of tiles.

  `real` [K] says which tiles are not padding; J needs no such hint, because
  padding has no counts.
  """
  constants = {"x_max": hyper.x_max, "alpha": hyper.alpha}
  if not config.missing:
    loss = functools.partial(steps.tiles_loss, outer=outer, **constants)
    return lambda real: loss
  constants |= {"missing": hyper.missing, "missing_count": hyper.missing_count}
  return lambda real: functools.partial(
    cells.cells_loss, real=real, outer=outer, **constants
  )


def compile_ahead(programs, inputs, stacks) -> dict[tuple, futures.Future]:
  """Compiles a program for each shape of stack, in the background."""

  def build(stack):
    size = jax.tree.leaves(stack)[-1].shape[:1]
    multipliers = jax.ShapeDtypeStruct(size, jnp.float32)
    with jax.enable_x64(False):
      program = programs[type(stack)].lower(*inputs, stack, multipliers)
      return program.compile()

  by_shape = {shape_of(stack): stack for stack in stacks}
  # Half of the cores: compilation needs memory, and other work continues.
  pool = futures.ThreadPoolExecutor(max(1, default_threads() // 2))
  compiled = {shape: pool.submit(build, s) for shape, s in by_shape.items()}
  pool.shutdown(wait=False)
  return compiled


def shape_of(stack) -> tuple:
  return type(stack), *(array.shape for array in jax.tree.leaves(stack))
