"""Ways to train on the same counts: dense, rows, blocked."""

import functools
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import biases, blocks, model, optimizers, steps
from glove_jax.batches import batches, plan_batches
from glove_jax.config import TrainConfig
from glove_jax.triplets import Triplets


class Epoch(NamedTuple):
  """How much there is to an epoch."""

  num_calls: int  # stacks of batches
  num_steps: int  # batches
  num_triplets: int  # counts


class Engine(NamedTuple):
  """A way to train: what it starts from, and how it does an epoch."""

  init: Callable[[model.Params], Any]  # parameters -> state
  start_epoch: Callable[[Any], Any]  # state -> state
  stacks: Callable[[int], Iterator[Any]]  # epoch, from 1 -> stacks of batches
  run_steps: Callable[[Any, Any], Any]  # state, stack -> state, costs [K]
  params: Callable[[Any], model.Params]  # state -> parameters
  epochs: list[Epoch]  # of the whole run


def initial_params(triplets: Triplets, config: TrainConfig) -> model.Params:
  """Random vectors, and biases by `config.bias_init`; all of config.dtype."""
  params = random_params(triplets.vocab_size, config)
  if config.bias_init == "random":
    return params
  word_bias, context_bias = biases.fit_biases(
    triplets, x_max=config.x_max, alpha=config.alpha
  )
  return params._replace(
    word_bias=jnp.asarray(word_bias, config.dtype),
    context_bias=jnp.asarray(context_bias, config.dtype),
  )


def random_params(vocab_size: int, config: TrainConfig) -> model.Params:
  return model.init_params(
    jax.random.key(config.seed),
    vocab_size,
    config.dim,
    jnp.dtype(config.dtype),
  )


def make_optimizer(
  config: TrainConfig, num_steps: int
) -> optax.GradientTransformation:
  """The optimizer that the config names, its schedule over num_steps."""
  return optimizers.make_optimizer(
    config.optimizer,
    learning_rate=config.learning_rate,
    schedule=config.schedule,
    num_steps=num_steps,
    initial_accumulator=config.initial_accumulator,
    clip=config.clip,
  )


def make_run_steps(
  engine: str, loss: steps.Loss, tx: optax.GradientTransformation
) -> Callable[[steps.TrainState, model.Batch], Any]:
  """Compiles many steps into one program.

  Args:
    engine: 'dense' or 'rows'.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    (state, batches of shape [K, B]) -> (state, costs [K]). The state that
    goes in is given up to the one that comes out.
  """

  def dense(state, stack):
    step = functools.partial(steps.dense_step, loss=loss, tx=tx)
    return jax.lax.scan(step, state, stack)

  def rows(state, stack):
    def step(carry, batch):
      state, slots, cost = steps.rows_step(*carry, batch, loss=loss, tx=tx)
      return (state, slots), cost

    slots = steps.init_slots(state.params.word_bias.size)
    (state, _), costs = jax.lax.scan(step, (state, slots), stack)
    return state, costs

  return jax.jit({"dense": dense, "rows": rows}[engine], donate_argnums=0)


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  *,
  loss: steps.Loss | None = None,
  folder: str | os.PathLike | None = None,
) -> Engine:
  """Makes the engine that the config names.

  Args:
    triplets: the counts.
    config: dimension, weighting, optimizer, epochs and so on.
    loss: (params, batch) -> summed cost, instead of `model.loss` with the x_max
      and alpha of the config; not for 'blocked'.
    folder: where 'blocked' keeps its tiles; None is a temporary folder.

  Raises:
    ValueError: a loss of one's own with 'blocked', or settings that it lacks.
  """
  if config.engine == "blocked":
    if loss is not None:
      raise ValueError(
        "The blocked engine has the loss of GloVe built in: use "
        "--engine=rows for a loss of your own."
      )
    if config.dtype != "float32":
      raise ValueError(
        f"The blocked engine trains in float32, not {config.dtype}: use "
        "--engine=rows."
      )
    return _blocked_engine(triplets, config, folder)
  loss = loss or functools.partial(
    model.loss, x_max=config.x_max, alpha=config.alpha
  )
  return _batch_engine(triplets, config, loss)


def _batch_engine(triplets, config, loss) -> Engine:
  plan = plan_batches(len(triplets.row), config.batch_size)
  epoch = Epoch(plan.calls, plan.num_batches, len(triplets.row))
  tx = make_optimizer(config, config.epochs * plan.num_batches)

  def stacks(epoch):
    return batches(
      triplets,
      batch_size=config.batch_size,
      rng=np.random.default_rng([config.seed, epoch]),
      dtype=np.float64 if config.dtype == "float64" else np.float32,
    )

  return Engine(
    init=functools.partial(steps.init_state, tx=tx),
    start_epoch=functools.partial(forget, keep=config.keep),
    stacks=stacks,
    run_steps=make_run_steps(config.engine, loss, tx),
    params=lambda state: state.params,
    epochs=[epoch] * config.epochs,
  )


def _blocked_engine(triplets, config, folder) -> Engine:
  made, keeper = _blocks(triplets, config, folder)
  passes = [
    blocks.plan_pass(made, words)
    for words, number in [*growth(config), (None, config.epochs)]
    for _ in range(number)
  ]
  tx = make_optimizer(config, sum(plan.num_steps for plan in passes))
  constants = {"x_max": config.x_max, "alpha": config.alpha}
  outer = steps.make_outer(jnp.dtype(config.products))
  tile_loss = functools.partial(steps.tile_loss, outer=outer, **constants)
  lines_loss = functools.partial(steps.lines_loss, **constants)

  def tiles(state, stack):
    def step(state, tile):
      return steps.tile_step(state, *tile, loss=tile_loss, tx=tx)

    return jax.lax.scan(step, state, stack)

  def lines(state, stack):
    def step(state, batch):
      return steps.lines_step(state, *batch, loss=lines_loss, tx=tx)

    return jax.lax.scan(step, state, stack)

  programs = {
    blocks.Tiles: jax.jit(tiles, donate_argnums=0),
    blocks.Lines: jax.jit(lines, donate_argnums=0),
  }
  return Engine(
    init=lambda params: steps.init_table(params, made, tx),
    start_epoch=functools.partial(forget, keep=config.keep),
    stacks=lambda epoch: blocks.stacks(
      made, passes[epoch - 1], np.random.default_rng([config.seed, epoch])
    ),
    run_steps=lambda state, stack: programs[type(stack)](state, stack),
    params=lambda state, _=keeper: steps.table_params(state.params, made),
    epochs=[
      Epoch(plan.num_stacks, plan.num_steps, plan.num_triplets)
      for plan in passes
    ],
  )


def _blocks(triplets, config, folder):
  """The tiles and lines, and what keeps a temporary folder of them."""
  keeper = None
  if folder is None:
    keeper = tempfile.TemporaryDirectory(prefix="glove_jax_")
    folder = keeper.name
  if pathlib.Path(folder, "manifest.json").exists():
    return blocks.read(folder), keeper
  return blocks.build(
    triplets,
    folder,
    tile_size=config.tile_size,
    min_fill=config.min_fill,
    seed=config.seed,
  ), keeper


def growth(config: TrainConfig) -> list[tuple[int, int]]:
  """Reads --growth: (words, passes) of each stage before all words train.

  Raises:
    ValueError: anything but words:passes.
  """
  stages = []
  for stage in config.growth:
    words, _, passes = stage.partition(":")
    if not (words.isdecimal() and passes.isdecimal()):
      raise ValueError(
        f"--growth takes words:passes, such as 8192:6, got {stage!r}."
      )
    stages.append((int(words), int(passes)))
  return stages


def num_epochs(config: TrainConfig) -> int:
  """The passes of a whole run, those of --growth included."""
  grown = growth(config) if config.engine == "blocked" else []
  return sum(passes for _, passes in grown) + config.epochs


def forget(state: steps.TrainState, keep: float) -> steps.TrainState:
  """Keeps a share of Adagrad's sums of squares, of other optimizers all.

  The early gradients are large and all of one mind; remembered for ever they
  hold back the later steps.
  """
  if keep == 1:
    return state

  def fade(node):
    if not isinstance(node, optax.ScaleByRssState):
      return node
    sums = jax.tree.map(lambda table: table * keep, node.sum_of_squares)
    return node._replace(sum_of_squares=sums)

  opt_state = jax.tree.map(
    fade,
    state.opt_state,
    is_leaf=lambda node: isinstance(node, optax.ScaleByRssState),
  )
  return state._replace(opt_state=opt_state)
