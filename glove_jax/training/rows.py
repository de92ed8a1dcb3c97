"""The reference engines: dense and rows. Read `loop` first, then this file.

Both visit the counts in random order, a batch of B at a time, and minimise the
same loss with the same optimizers. A dense step differentiates through the
whole tables, which costs V * D. A rows step reads and updates only the rows
that its batch uses, which costs B * D, and gives the same result.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Batch, Params
from glove_jax.training import (
  batches,
  optimizers,
  retrofit,
  sharding,
  uncounted,
)
from glove_jax.training.drawing import random_params
from glove_jax.training.engine import (
  NOTHING,
  ONE_DEVICE,
  Epoch,
  Loss,
  Placement,
  Supplied,
  TrainState,
  apply_gradients,
  each,
  slice_step,
)
from glove_jax.training.starts import AS_USUAL, Given, Start


def dense_step(
  state: TrainState,
  batch: Batch,
  multiplier=1.0,
  *,
  loss: Loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over whole tables.

  Args:
    state: parameters and optimizer state.
    batch: [B] counts.
    multiplier: multiplies the update.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    The new state, and the cost of the batch before the step.
  """
  cost, grads = jax.value_and_grad(loss)(state.params, batch)
  params, opt_state = apply_gradients(
    tx, grads, state.opt_state, state.params, multiplier
  )
  return TrainState(params, opt_state), cost


class Slots(NamedTuple):
  """Scratch of `rows_step`: the position in the batch that stands for a word.

  Its content before a step does not matter.
  """

  row: jax.Array  # [V] int32
  col: jax.Array  # [V] int32


def init_slots(vocab_size: int) -> Slots:
  return Slots(*(jnp.zeros(vocab_size, jnp.int32) for _ in range(2)))


def rows_step(
  state: TrainState,
  slots: Slots,
  batch: Batch,
  multiplier=1.0,
  *,
  loss: Loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, Slots, jax.Array]:
  """One step over the rows that the batch uses.

  The rows of the batch become small tables of B rows each. All occurrences of
  a word must share one of these rows, so that `jax.grad` sums their gradients
  before the optimizer squares the sum, as in `dense_step`. `slots` picks one
  occurrence per word, and its row is used:

    batch.row    7 3 7 9    the words
    positions    0 1 2 3
    slots.row    slots[7] = 2, slots[3] = 1, slots[9] = 3    (last write wins)
    local.row    2 1 2 3    the row of the small table for each occurrence
    written to   V 3 7 9    position 0 is unused; row V does not exist, so its
                            write is dropped

  An optimizer that moves a parameter whose gradient is 0 (momentum, weight
  decay) moves only the words of the batch here.

  Args:
    state: parameters and optimizer state.
    slots: scratch.
    batch: [B] counts.
    multiplier: multiplies the update.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    The new state, the scratch, and the cost of the batch before the step.
  """
  position = jnp.arange(batch.row.size, dtype=jnp.int32)
  slots = Slots(
    slots.row.at[batch.row].set(position), slots.col.at[batch.col].set(position)
  )
  local = batch._replace(row=slots.row[batch.row], col=slots.col[batch.col])
  vocab_size = slots.row.size
  row = jnp.where(local.row == position, batch.row, vocab_size)
  col = jnp.where(local.col == position, batch.col, vocab_size)
  sources = Params(batch.row, batch.col, batch.row, batch.col)
  targets = Params(row, col, row, col)

  def take(tables: Params) -> Params:
    pairs = zip(sources, tables, strict=True)
    return Params(*(each(lambda x, ids=ids: x[ids], x) for ids, x in pairs))

  def put(tables: Params, new: Params) -> Params:
    def write(ids, table, rows):
      return table.at[ids].set(rows, mode="drop")

    triples = zip(targets, tables, new, strict=True)
    return Params(
      *(each(functools.partial(write, ids), *pair) for ids, *pair in triples)
    )

  state, cost = slice_step(
    state, multiplier, take, put, lambda params: loss(params, local), tx
  )
  return state, slots, cost


def make_run_steps(
  engine: str,
  loss: Loss,
  tx: optax.GradientTransformation,
  placement: Placement = ONE_DEVICE,
) -> Callable:
  """Compiles K steps into one program.

  Args:
    engine: 'dense' or 'rows'.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.
    placement: the devices; the state must already be placed on them.

  Returns:
    (state, batches [K, B], multipliers [K]) -> (state, costs [K]). The input
    state is donated.
  """
  loss = sharding.split_loss(placement, loss)

  def dense(state, stack, multipliers):
    def step(state, xs):
      return dense_step(state, *xs, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (stack, multipliers))

  def rows(state, stack, multipliers):
    def step(carry, xs):
      state, slots, cost = rows_step(*carry, *xs, loss=loss, tx=tx)
      return (state, slots), cost

    slots = init_slots(state.params.word_bias.size)
    (state, _), costs = jax.lax.scan(step, (state, slots), (stack, multipliers))
    return state, costs

  run = {"dense": dense, "rows": rows}[engine]
  return sharding.compile_steps(placement, run)


class RowsEngine:
  """The engines 'dense' and 'rows'. It implements `Engine`."""

  def __init__(
    self,
    triplets: Triplets,
    config: TrainConfig,
    supplied: Supplied = NOTHING,
  ):
    """Plans the batches and compiles nothing yet.

    Args:
      triplets: the counts.
      config: the training settings.
      supplied: instead of what the config names.
    """
    self.placement = sharding.make_placement(config)
    self._triplets, self._config = triplets, config.resolved
    self._tx = optimizers.from_config(config, tx=supplied.tx)
    self._plan = batches.plan_batches(len(triplets.row), config.batch_size)
    self.epochs = [
      Epoch(self._plan.num_batches, len(triplets.row))
    ] * config.resolved.epochs
    self._samplers = []  # each adds a sample to a stack
    loss = supplied.loss or self._make_loss(supplied.cell_loss)
    if config.retrofit:
      loss = self._add_retrofit(loss, supplied.start)
    self.run_steps = make_run_steps(
      config.engine, loss, self._tx, self.placement
    )

  def _make_loss(self, cell_loss: model.CellLoss | None) -> Loss:
    """The loss of the config: J, and with `missing` the uncounted pairs."""
    config = self._config
    loss = functools.partial(
      model.loss, x_max=config.x_max, alpha=config.alpha, cell_loss=cell_loss
    )
    if not config.missing:
      return loss
    if config.engine == "dense":
      return uncounted.dense_loss(loss, self._triplets, config)
    self._samplers.append(uncounted.Sampler(self._triplets, self._plan.size))
    return uncounted.sampled_loss(loss, len(self._triplets.row), config)

  def _add_retrofit(self, loss: Loss, start: Start) -> Loss:
    num_counts, config = len(self._triplets.row), self._config
    if config.engine == "dense":
      return retrofit.dense_loss(loss, start, num_counts, config)
    sampler = retrofit.Sampler(start, self._plan.size, jnp.dtype(config.dtype))
    self._samplers.append(sampler)
    return retrofit.sampled_loss(loss, len(sampler.words), num_counts, config)

  @property
  def state_shape(self) -> TrainState:
    size = self._triplets.vocab_size
    return jax.eval_shape(lambda: self.init(random_params(size, self._config)))

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    return TrainState(
      params, optimizers.init_opt_state(self._tx, params, given)
    )

  def stacks(self, epoch: int) -> Iterator[tuple[Batch, np.ndarray]]:
    rng = np.random.default_rng([self._config.seed, epoch])
    dtype = np.float64 if self._config.dtype == "float64" else np.float32
    read = functools.partial(batches.read, self._triplets, dtype=dtype)
    num_triplets = len(self._triplets.row)
    for picks in batches.draw(num_triplets, self._config.batch_size, rng):
      stack = sharding.read_batches(self.placement, picks, read)
      for sampler in self._samplers:
        stack = sampler.add(stack, rng)
      yield stack, np.ones(self._plan.steps, int)

  def params(self, state: TrainState) -> Params:
    return sharding.fetch(state.params)
