"""Ways to train on the same counts: dense, rows, blocked."""

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training import batches, biases, optimizers, sharding, steps
from glove_jax.training.engine import Engine, Epoch, forget, make_optimizer
from glove_jax.training.tiles import engine as tile_engine
from glove_jax.training.tiles import ring


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
    placement = sharding.make_placement(config)
    if placement.mesh is not None:
      return ring.make_engine(triplets, config, placement, folder=folder)
    return tile_engine.make_engine(triplets, config, folder=folder)
  loss = loss or functools.partial(
    model.loss, x_max=config.x_max, alpha=config.alpha
  )
  return _batch_engine(triplets, config, loss)


def check(config: TrainConfig) -> None:
  """Raises a ValueError for settings that cannot train, before any work."""
  if config.engine == "blocked":
    tile_engine.check(config)
  sharding.make_placement(config)
  make_optimizer(config, config.learning_rate)


def _batch_engine(triplets, config, loss) -> Engine:
  plan = batches.plan_batches(len(triplets.row), config.batch_size)
  tx = make_optimizer(config, config.learning_rate)
  placement = sharding.make_placement(config)
  dtype = np.float64 if config.dtype == "float64" else np.float32
  read = functools.partial(batches.read, triplets, dtype=dtype)

  def stacks(epoch):
    rng = np.random.default_rng([config.seed, epoch])
    for picks in batches.draw(len(triplets.row), config.batch_size, rng):
      stack = sharding.read_batches(placement, picks, read)
      yield stack, np.ones(plan.steps, int)

  return Engine(
    init=functools.partial(steps.init_state, tx=tx),
    put=functools.partial(sharding.put_state, placement),
    start_epoch=functools.partial(forget, keep=config.resolved.keep),
    stacks=stacks,
    run_steps=make_run_steps(config.engine, loss, tx, placement),
    params=lambda state: sharding.whole(state.params),
    schedule=optimizers.make_schedule(config.resolved.schedule),
    epochs=[Epoch(plan.num_batches, len(triplets.row))]
    * config.resolved.epochs,
  )


def make_run_steps(
  engine: str,
  loss: steps.Loss,
  tx: optax.GradientTransformation,
  placement: sharding.Placement = sharding.ONE_DEVICE,
) -> Callable[[steps.TrainState, model.Batch, jax.Array], Any]:
  """Compiles many steps into one program.

  Args:
    engine: 'dense' or 'rows'.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.
    placement: the devices; the state must be there already.

  Returns:
    (state, batches of shape [K, B], rates [K]) -> (state, costs [K]). The state
    that goes in is given up to the one that comes out.
  """
  loss = sharding.split_loss(placement, loss)

  def dense(state, stack, rates):
    def step(state, work):
      return steps.dense_step(state, *work, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (stack, rates))

  def rows(state, stack, rates):
    def step(carry, work):
      state, slots, cost = steps.rows_step(*carry, *work, loss=loss, tx=tx)
      return (state, slots), cost

    slots = steps.init_slots(state.params.word_bias.size)
    (state, _), costs = jax.lax.scan(step, (state, slots), (stack, rates))
    return state, costs

  run = {"dense": dense, "rows": rows}[engine]
  return sharding.compile_steps(placement, run)


def initial_params(
  triplets: Triplets, config: TrainConfig, fit_biases=biases.fit_biases
) -> model.Params:
  """Random vectors, and biases by `config.bias_init`; all of config.dtype.

  Args:
    triplets: the counts.
    config: the model.
    fit_biases: instead of `biases.fit_biases`, one that remembers, say.
  """
  with jax.enable_x64(config.dtype == "float64"):  # in whatever thread
    params = random_params(triplets.vocab_size, config)
    if config.bias_init == "random":
      return params
    word_bias, context_bias = fit_biases(
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


def num_epochs(config: TrainConfig) -> int:
  """The passes of a whole run, those of --growth included."""
  grown = tile_engine.growth(config) if config.engine == "blocked" else []
  return sum(passes for _, passes in grown) + config.resolved.epochs
