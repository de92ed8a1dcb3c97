"""Pure train steps: state and batch in, state and cost out.

Both steps minimise the same loss with the same optimizer. `dense_step`
differentiates through the whole tables and costs V * D a step. `rows_step`
touches only the rows that its batch names.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from glove_jax.model import Batch, Params


class TrainState(NamedTuple):
  """All that training carries from step to step."""

  params: Params
  opt_state: Any


Loss = Callable[[Params, Batch], jax.Array]


def init_state(params: Params, tx: optax.GradientTransformation) -> TrainState:
  return TrainState(params, tx.init(params))


def dense_step(
  state: TrainState,
  batch: Batch,
  *,
  loss: Loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over whole tables: the reference.

  Args:
    state: parameters and optimizer state.
    batch: [B] counts.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    The new state, and the cost of the batch before the step.
  """
  cost, grads = jax.value_and_grad(loss)(state.params, batch)
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  return TrainState(params, opt_state), cost


class Slots(NamedTuple):
  """Scratch of `rows_step`: where in the batch a word was last seen."""

  row: jax.Array  # [V] int32
  col: jax.Array  # [V] int32


def init_slots(vocab_size: int) -> Slots:
  return Slots(*(jnp.zeros(vocab_size, jnp.int32) for _ in range(2)))


def rows_step(
  state: TrainState,
  slots: Slots,
  batch: Batch,
  *,
  loss: Loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, Slots, jax.Array]:
  """One step over the rows that the batch touches.

  The rows of the batch become small tables of B rows each. A word that occurs
  several times in the batch is given one of its places: all its occurrences
  point there, so jax.grad sums them before the optimizer squares them, as in
  `dense_step`. An optimizer that moves a parameter whose gradient is 0
  (momentum, weight decay) moves here only the words in the batch.

  Args:
    state: parameters and optimizer state.
    slots: scratch, of any content.
    batch: [B] counts.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    The new state, the scratch, and the cost of the batch before the step.
  """
  place = jnp.arange(batch.row.size, dtype=jnp.int32)
  slots = Slots(
    slots.row.at[batch.row].set(place), slots.col.at[batch.col].set(place)
  )
  local = batch._replace(row=slots.row[batch.row], col=slots.col[batch.col])
  ids = Params(batch.row, batch.col, batch.row, batch.col)
  # A place that is not its word's writes outside the table: it is dropped.
  size = slots.row.size
  row = jnp.where(local.row == place, batch.row, size)
  col = jnp.where(local.col == place, batch.col, size)
  targets = Params(row, col, row, col)

  params = jax.tree.map(_take, state.params, ids)
  opt_rows = _map_tables(
    lambda table: jax.tree.map(_take, table, ids), state.opt_state
  )
  cost, grads = jax.value_and_grad(loss)(params, local)
  updates, opt_rows = tx.update(grads, opt_rows, params)
  params = optax.apply_updates(params, updates)

  def put(table, rows):
    return jax.tree.map(_put, table, rows, targets)

  new = TrainState(
    put(state.params, params),
    _map_tables(
      lambda rows, table: put(table, rows), opt_rows, state.opt_state
    ),
  )
  return new, slots, cost


def _take(table, ids):
  return table[ids]


def _put(table, rows, ids):
  return table.at[ids].set(rows, mode="drop")


def _map_tables(function, opt_state, *rest):
  """Applies a function to every Params inside optimizer states.

  Whatever else is there, such as a count of steps, is taken from the first.
  """
  is_params = lambda node: isinstance(node, Params)  # noqa: E731
  return jax.tree.map(
    lambda node, *others: function(node, *others) if is_params(node) else node,
    opt_state,
    *rest,
    is_leaf=is_params,
  )
