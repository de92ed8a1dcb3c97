"""Pure train steps: state and batch in, state and cost out.

All steps minimise the same loss with the same optimizers. `dense_step`
differentiates through the whole tables and costs V * D a step. `rows_step`
touches only the rows that its batch names. `tiles_step` and `lines_step` work
on blocks of words, see `blocks`: a tile is three products of matrices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from glove_jax.model import Batch, Params, weighted_squares
from glove_jax.training.tiles import layout


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
  rate=1.0,
  *,
  loss: Loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over whole tables: the reference.

  Args:
    state: parameters and optimizer state.
    batch: [B] counts.
    rate: the share of the optimizer's step that is taken.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    The new state, and the cost of the batch before the step.
  """
  cost, grads = jax.value_and_grad(loss)(state.params, batch)
  params, opt_state = _update(tx, grads, state.opt_state, state.params, rate)
  return TrainState(params, opt_state), cost


def _update(tx, grads, opt_state, params, rate):
  """The optimizer's step, as far as `rate` says: 1 is the whole of it."""
  updates, opt_state = tx.update(grads, opt_state, params)
  updates = jax.tree.map(lambda u: (rate * u).astype(u.dtype), updates)
  return optax.apply_updates(params, updates), opt_state


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
  rate=1.0,
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
    rate: the share of the optimizer's step that is taken.
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
  params, opt_rows = _update(tx, grads, opt_rows, params, rate)

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
  """Applies a function to every Params or Table inside optimizer states.

  Whatever else is there, such as a count of steps, is taken from the first.
  """

  def is_table(node):
    return isinstance(node, (Params, Table))

  return jax.tree.map(
    lambda node, *others: function(node, *others) if is_table(node) else node,
    opt_state,
    *rest,
    is_leaf=is_table,
  )


class Table(NamedTuple):
  """The parameters in blocks: B of T words, then B of T contexts.

  One table, and not one for words and one for contexts, because a scan that
  slices and updates two tables copies both at every step.
  """

  vectors: jax.Array  # [2 * B, T, D]
  biases: jax.Array  # [2 * B, T]


def init_table(
  params: Params, made: layout.Blocks, tx: optax.GradientTransformation
) -> TrainState:
  """Puts parameters, and the optimizer's state of them, into a table."""

  def stack(params: Params) -> Table:
    def place(word, context):
      size = made.num_blocks * made.tile_size
      empty = jnp.zeros((2, size, *word.shape[1:]), word.dtype)
      full = empty.at[0, made.place].set(word).at[1, made.place].set(context)
      return full.reshape(2 * made.num_blocks, made.tile_size, *word.shape[1:])

    return Table(
      place(params.word, params.context),
      place(params.word_bias, params.context_bias),
    )

  return TrainState(stack(params), _map_tables(stack, tx.init(params)))


def table_params(table: Table, made: layout.Blocks) -> Params:
  """The parameters in a table, in the order of the vocabulary."""

  def of(array):
    halves = array.reshape(2, -1, *array.shape[2:])
    return halves[0, made.place], halves[1, made.place]

  (word, context), (word_bias, context_bias) = map(of, table)
  return Params(word, context, word_bias, context_bias)


def decode(code: jax.Array, *, x_max: float, alpha: float):
  """Log counts and weights from 2-byte codes; the weight of code 0 is 0.

  The weight is `model.weight` of the count, without a power of it.
  """
  steps = code.astype(jnp.float32)
  log_count = steps * layout.LOG_STEP + (layout.LOG_MIN - layout.LOG_STEP)
  weight = jnp.minimum(1.0, jnp.exp(alpha * (log_count - jnp.log(x_max))))
  return log_count, jnp.where(code > 0, weight, 0.0)


def make_outer(dtype) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """a [K, T, D], b [K, S, D] -> a b^T, products in `dtype`, sums in float32.

  The gradient of b is computed as a^T g and transposed behind a barrier: XLA's
  CPU otherwise folds the transpose into the product, three times as slow.
  """

  def dot(x, y, i, j):
    return jax.lax.dot_general(
      x, y, (((i,), (j,)), ((0,), (0,))), preferred_element_type=jnp.float32
    )

  @jax.custom_vjp
  def outer(a, b):
    return dot(a.astype(dtype), b.astype(dtype), 2, 2)

  def forward(a, b):
    return outer(a, b), (a.astype(dtype), b.astype(dtype))

  def backward(saved, grad):
    a, b = saved
    grad = grad.astype(dtype)
    barrier = jax.lax.optimization_barrier
    turned = barrier(dot(barrier(a.mT), grad, 2, 1))
    return dot(grad, b, 2, 1), turned.mT

  outer.defvjp(forward, backward)
  return outer


def tiles_loss(params: Params, code: jax.Array, *, outer, x_max, alpha):
  """J over tiles: params of K times T words and contexts, code [K, T, T]."""
  prediction = (
    outer(params.word, params.context)
    + params.word_bias[:, :, None]
    + params.context_bias[:, None, :]
  )
  return weighted_squares(
    *(
      array.reshape(-1, code.shape[-1])
      for array in (prediction, *decode(code, x_max=x_max, alpha=alpha))
    )
  )


def tiles_step(
  state: TrainState,
  code,
  pair,
  rate=1.0,
  *,
  loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over K tiles that share no block: as if one after another.

  Args:
    state: its params are a Table.
    code: [K, T, T] uint16, the tiles.
    pair: [K, 2] int32, each tile's block of words and block of contexts; those
      out of range are padding.
    rate: the share of the optimizer's step that is taken.
    loss: (params, code) -> the cost of the tiles, such as `tiles_loss`.
    tx: the optimizer.
  """

  def take(table: Table) -> Params:
    vectors = table.vectors.at[pair].get(mode="clip")
    biases = table.biases.at[pair].get(mode="clip")
    return Params(vectors[:, 0], vectors[:, 1], biases[:, 0], biases[:, 1])

  def put(table: Table, params: Params) -> Table:
    vectors = jnp.stack([params.word, params.context], axis=1)
    biases = jnp.stack([params.word_bias, params.context_bias], axis=1)
    options = {"mode": "drop", "unique_indices": True}
    return Table(
      table.vectors.at[pair].set(vectors, **options),
      table.biases.at[pair].set(biases, **options),
    )

  return _slice_step(state, rate, take, put, lambda p: loss(p, code), tx)


def lines_loss(own: Params, other: Params, code, *, x_max, alpha):
  """J over rows of the remainder: own of R words, other of [R, N] contexts.

  Each count of the remainder is in a row's line and in a column's, and each of
  the two is charged half of its cost's sum, but trains only its own side.
  """
  prediction = (
    jnp.einsum("rd,rnd->rn", own.word, other.context)
    + own.word_bias[:, None]
    + other.context_bias
  )
  return weighted_squares(prediction, *decode(code, x_max=x_max, alpha=alpha))


def lines_step(
  state: TrainState,
  own,
  other,
  code,
  rate=1.0,
  *,
  loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over lines of the remainder; the others are held fixed.

  Args:
    state: its params are a Table.
    own: [R] int32, the rows of the table to train; those out of range are
      padding.
    other: [R, N] int32, the rows that each of them was counted with.
    code: [R, N] uint16.
    rate: the share of the optimizer's step that is taken.
    loss: (own, other, code) -> cost, such as `lines_loss`.
    tx: the optimizer.
  """

  def rows(table: Table) -> Table:
    width = table.vectors.shape[-1]
    return Table(table.vectors.reshape(-1, width), table.biases.reshape(-1))

  def take(table: Table) -> Params:
    flat = rows(table)
    vectors = flat.vectors.at[own].get(mode="clip")
    biases = flat.biases.at[own].get(mode="clip")
    return Params(vectors, vectors[:0], biases, biases[:0])

  def put(table: Table, params: Params) -> Table:
    flat = rows(table)
    options = {"mode": "drop", "unique_indices": True}
    vectors = flat.vectors.at[own].set(params.word, **options)
    biases = flat.biases.at[own].set(params.word_bias, **options)
    return Table(
      vectors.reshape(table.vectors.shape), biases.reshape(table.biases.shape)
    )

  flat = rows(state.params)
  # The barrier keeps XLA from gathering row by row inside the product.
  vectors, biases = jax.lax.optimization_barrier(
    (flat.vectors[other], flat.biases[other])
  )
  fixed = Params(vectors, vectors, biases, biases)
  state, cost = _slice_step(
    state, rate, take, put, lambda params: loss(params, fixed, code), tx
  )
  return state, cost / 2


def _slice_step(state, rate, take, put, loss, tx):
  """A step on the part of a table that `take` takes and `put` puts back."""
  params = take(state.params)
  part = _map_tables(take, state.opt_state)
  cost, grads = jax.value_and_grad(loss)(params)
  new, part = _update(tx, grads, part, params, rate)
  opt_state = _map_tables(
    lambda rows, table: put(table, rows), part, state.opt_state
  )
  return TrainState(put(state.params, new), opt_state), cost
