"""The compiled programs that train on a stack, one for each type and shape."""

import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import memory, model
from glove_jax.config import TrainConfig
from glove_jax.threads import default_threads
from glove_jax.training import optimizers
from glove_jax.training.engine import NOTHING, Supplied
from glove_jax.training.tiles import cells, fitting, steps
from glove_jax.training.tiles.layout import (
  OUTSIDE,
  Groups,
  LineBatches,
  Tiles,
)
from glove_jax.training.tiles.pulls import Pull
from glove_jax.training.tiles.resident import StripTiles, read_piece
from glove_jax.training.tiles.strips import Strip


class Hyper(NamedTuple):
  """Hyperparameters that are data of a program, so points of a sweep share it.

  Each is a scalar, or [P] for P points.
  """

  x_max: jax.Array | np.ndarray
  alpha: jax.Array | np.ndarray
  learning_rate: jax.Array | np.ndarray
  missing: jax.Array | np.ndarray
  missing_count: jax.Array | np.ndarray


def make_hyper(config, together):
  """The hyperparameters, in NumPy, and what maps a function over points."""
  values = [
    np.array([getattr(c, name) for c in together or [config]], np.float32)
    for name in Hyper._fields
  ]
  if together:
    return Hyper(*values), jax.vmap
  return Hyper(*(value[0] for value in values)), lambda function, _: function


def make_programs(
  config: TrainConfig,
  compiled: Callable[[Callable], Callable],
  supplied: Supplied = NOTHING,
) -> dict[type, Callable]:
  """Makes the programs that train on a stack, by type of stack.

  Args:
    config: the training settings.
    compiled: compiles a function, such as `jax.jit`.
    supplied: instead of what the config names.

  Returns:
    Functions (state, hyper, codes, stack, multipliers) -> (state, costs [K]).
    `codes` holds the codes of all tiles, [M, T, T], or is None.
  """
  runs = _Runs(config.resolved, supplied)
  tiles, strips = compiled(runs.train_tiles), compiled(runs.fit_strips)
  return {
    Groups: tiles,
    Tiles: tiles,
    LineBatches: compiled(runs.train_lines),
    Strip: strips,
    StripTiles: strips,
    Pull: compiled(runs.pull),
  }


class _Runs:
  """What the programs do, each a method of the same arguments."""

  def __init__(self, config: TrainConfig, supplied: Supplied):
    self._config, self._supplied = config, supplied
    self._predict = steps.make_predict(jnp.dtype(config.products))

  def train_tiles(self, state, hyper, codes, stack, multipliers):
    tx, loss_of = self._make_tx(hyper), self._tiles_loss(hyper)

    def step(state, xs):
      code, pair, multiplier = xs
      if isinstance(stack, Groups):
        code = codes.at[code].get(mode="fill", fill_value=0)
      loss = loss_of(pair[:, 0] < OUTSIDE)
      return steps.tiles_step(state, code, pair, multiplier, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  def train_lines(self, state, hyper, codes, stack, multipliers):
    del codes
    tx = self._make_tx(hyper)
    loss = functools.partial(
      steps.lines_loss,
      x_max=hyper.x_max,
      alpha=hyper.alpha,
      cell_loss=self._supplied.cell_loss,
    )

    def step(state, xs):
      return steps.lines_step(state, *xs, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  def fit_strips(self, state, hyper, codes, stack, multipliers):
    del multipliers  # strips have multipliers of their own
    strip = jax.tree.map(lambda array: array[0], stack)
    if isinstance(strip, StripTiles):
      is_words = strip.block[0] < len(state.params.biases) // 2
      read = functools.partial(read_piece, codes, strip.tile, is_words)
      piece_shape = strip.tile.shape[0], strip.tile.shape[-1] * codes.shape[-1]
    else:
      read = strip.code.__getitem__
      piece_shape = strip.code.shape[0], strip.code.shape[-1]
    state, cost = fitting.fit_blocks(
      state,
      strip.block,
      read,
      piece_shape,
      strip.plan,
      loss=self._tiles_loss(hyper)(strip.block < OUTSIDE),
      tx=self._make_tx(hyper),
      pull_loss=strip.pull and self._pull_loss(strip.pull),
    )
    return state, cost[None]

  def pull(self, state, hyper, codes, stack, multipliers):
    del codes
    half = len(state.params.biases) // 2

    def loss(params, pull):
      return self._pull_loss(pull)(params.word[0], params.context[0])

    def step(state, xs):
      pull, multiplier = xs
      pair = jnp.stack([pull.block, pull.block + half])[None]
      return steps.tiles_step(
        state, pull, pair, multiplier, loss=loss, tx=self._make_tx(hyper)
      )

    return jax.lax.scan(step, state, (stack, multipliers))

  def _make_tx(self, hyper: Hyper):
    return optimizers.from_config(
      self._config, hyper.learning_rate, self._supplied.tx
    )

  def _tiles_loss(self, hyper: Hyper):
    """real -> (params, code) -> the cost of tiles.

    `real` [K] says which tiles are not padding; J needs no such hint, because
    padding has no counts.
    """
    names = {"x_max", "alpha"}
    names |= {"missing", "missing_count"} if self._config.missing else set()
    settings = {name: getattr(hyper, name) for name in names}
    settings |= {
      "predict": self._predict,
      "cell_loss": self._supplied.cell_loss,
    }
    if not self._config.missing:
      return lambda real: functools.partial(steps.tiles_loss, **settings)
    return lambda real: functools.partial(
      cells.cells_loss, real=real, **settings
    )

  def _pull_loss(self, pull: Pull):
    """(word, context) -> Mittens' term of a block, or of K blocks."""
    return functools.partial(
      model.retrofit_loss,
      target=pull.target,
      mask=pull.known * pull.share[..., None],
      retrofit=self._config.retrofit,
    )


def compile_ahead(programs, inputs, stacks) -> dict[tuple, futures.Future]:
  """Compiles a program for each shape of stack, in the background."""

  def build(stack):
    size = jax.tree.leaves(stack)[-1].shape[:1]
    multipliers = jax.ShapeDtypeStruct(size, jnp.float32)
    with jax.enable_x64(False):
      lowered = programs[type(stack)].lower(*inputs, stack, multipliers)
      program = lowered.compile()
    programs[type(stack)].clear_cache()  # it would keep what was lowered
    memory.trim()
    return program

  by_shape = {shape_of(stack): stack for stack in stacks}
  # Half of the cores: compilation needs memory, and other work continues.
  pool = futures.ThreadPoolExecutor(max(1, default_threads() // 2))
  compiled = {shape: pool.submit(build, s) for shape, s in by_shape.items()}
  pool.shutdown(wait=False)
  return compiled


def compile_first(function, *inputs) -> None:
  """Compiles in the background what the first call of a function needs.

  Args:
    function: from `jax.jit`.
    inputs: arrays, or their shapes.
  """

  def build():
    # An error of compilation is that of the call.
    with contextlib.suppress(Exception), jax.enable_x64(False):
      function.lower(*inputs).compile()
    memory.trim()

  threading.Thread(target=build, name="compile").start()


def shape_of(stack) -> tuple:
  return type(stack), *(array.shape for array in jax.tree.leaves(stack))
