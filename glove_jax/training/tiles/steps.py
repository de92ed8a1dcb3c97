"""The losses and steps of tiles and lines.

Both are steps on the loss J of `model.loss`. A tile is three products of
matrices: the prediction, and the gradients of words and of contexts.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from glove_jax.model import CellLoss, Params, sum_cells
from glove_jax.training import optimizers
from glove_jax.training.drawing import RandomTable, whole
from glove_jax.training.engine import TrainState, each, map_tables, slice_step
from glove_jax.training.starts import AS_USUAL, Given
from glove_jax.training.tiles.codec import decode


class Table(NamedTuple):
  """The parameters in blocks: B of T words, then B of T contexts.

  Words and contexts share one array, because a scan that slices and updates
  two arrays copies both at every step.
  """

  vectors: jax.Array  # [2 * B, T, D]
  biases: jax.Array  # [2 * B, T]


def init_table(
  params: Params,
  position,
  num_blocks: int,
  tile_size: int,
  tx: optax.GradientTransformation,
  padding_bias: float = 0.0,
  given: Given = AS_USUAL,
) -> TrainState:
  """Copies parameters, and the optimizer's state of them, to a table.

  Args:
    params: in the order of the vocabulary; tables of vectors, or of biases, may
      be of type `drawing.RandomTable`.
    position: [V] the position of each word in the B * T rows.
    num_blocks: B.
    tile_size: T.
    tx: the optimizer.
    padding_bias: the bias of rows that hold no word, see `cells`.
    given: what the optimizer's state starts from, if not as usual.
  """

  size = num_blocks * tile_size
  row_word = jnp.full(size, len(position), jnp.int32)  # beyond all: no word
  row_word = row_word.at[position].set(jnp.arange(len(position)))

  def in_rows(table, padding):
    if not len(table):  # a device of a ring that has no words
      return jnp.full((size, *table.shape[1:]), padding, table.dtype)
    # Read by row, since XLA would copy all for each scatter.
    return table.at[row_word].get(mode="fill", fill_value=padding)

  def fill(word, context, padding=0.0):
    if isinstance(word, RandomTable):
      return _draw_blocks(
        word, context, row_word.reshape(num_blocks, tile_size), padding
      )
    full = jnp.stack([in_rows(table, padding) for table in (word, context)])
    return full.reshape(2 * num_blocks, tile_size, *word.shape[1:])

  def to_table(params: Params, padding_bias=0.0) -> Table:
    bias = functools.partial(fill, padding=padding_bias)
    return Table(
      each(fill, params.word, params.context),
      each(bias, params.word_bias, params.context_bias),
    )

  opt_state = optimizers.init_opt_state(tx, whole(params), given)
  opt_state = map_tables(Params, to_table, opt_state)
  return TrainState(to_table(params, padding_bias), opt_state)


def _draw_blocks(
  word: RandomTable, context: RandomTable, row_word: jax.Array, padding: float
) -> jax.Array:
  """Both tables in blocks: [2 * B, T, D] or [2 * B, T].

  A block at a time, since jax needs memory for more than what it draws.

  Args:
    word: of words.
    context: of contexts.
    row_word: [B, T] the word of each row; V for none.
    padding: the values of a row without a word.
  """
  both = jax.tree.map(lambda *leaves: jnp.stack(leaves), word, context)

  def draw(block):
    side, rows = block
    table = jax.tree.map(lambda leaf: leaf[side], both)
    drawn = table[rows]
    is_word = (rows < word.shape[0]).reshape(-1, *[1] * (drawn.ndim - 1))
    return jnp.where(is_word, drawn, padding)

  sides = jnp.repeat(jnp.arange(2), len(row_word))
  return jax.lax.map(draw, (sides, jnp.tile(row_word, (2, 1))))


def table_params(table: Table, position) -> Params:
  """The parameters of a table in the order of the vocabulary."""

  def split(array):
    halves = array.reshape(2, -1, *array.shape[2:])
    return halves[0, position], halves[1, position]

  (word, context), (word_bias, context_bias) = map(split, table)
  return Params(word, context, word_bias, context_bias)


def make_predict(dtype) -> Callable[[Params], jax.Array]:
  """Makes the function that predicts all cells of tiles.

  Biases are columns of the matrices, so one product adds them too, and the
  products of the gradients sum up theirs:

    w . w~ + b + b~ = (w, b, 1) . (w~, 1, b~)

  A bias is two columns, its first 8 bits and the rest, because factors may be
  rounded: to bfloat16, or in float32 by an accelerator.

  Args:
    dtype: of the factors; sums are float32.

  Returns:
    (params of K times T words and S contexts, [K, T, D], [K, S, D], [K, T] and
    [K, S]) -> predictions [K, T, S].

  Example:
    >>> word, context = jnp.array([3.0, 5.0]).reshape(2, 1, 1, 1)
    >>> bias = jnp.ones((1, 1))
    >>> params = Params(word, context, bias, bias)
    >>> print(make_predict(jnp.float32)(params))
    [[[17.]]]
  """

  def bias_columns(bias) -> tuple[jax.Array, jax.Array]:
    first = jax.lax.reduce_precision(bias, exponent_bits=8, mantissa_bits=7)
    return first.astype(dtype), (bias - first).astype(dtype)

  def word_rows(params, axis=-1):
    """(w, b, 1): [K, T, D + 4], or [K, D + 4, T] with axis -2.

    Vectors are transposed before the rest is appended, since XLA folds the
    transpose of a whole matrix into the product, which is slow on a CPU.
    """
    vectors = params.word if axis == -1 else params.word.mT
    bias = bias_columns(params.word_bias)
    columns = *bias, *map(jnp.ones_like, bias)
    return append(vectors, columns, axis)

  def context_rows(params):
    """(w~, 1, b~): [K, S, D + 4]."""
    bias = bias_columns(params.context_bias)
    return append(params.context, (*map(jnp.ones_like, bias), *bias), -1)

  def append(vectors, columns, axis):
    new = (jnp.expand_dims(column, axis) for column in columns)
    return jnp.concatenate([vectors.astype(dtype), *new], axis)

  def dot(x, y, i, j):
    return jax.lax.dot_general(
      x, y, (((i,), (j,)), ((0,), (0,))), preferred_element_type=jnp.float32
    )

  @jax.custom_vjp
  def predict(params: Params) -> jax.Array:
    return dot(word_rows(params), context_rows(params), 2, 2)

  def forward(params):
    return predict(params), params

  def backward(params, slope):
    dim, slope = params.word.shape[-1], slope.astype(dtype)
    words = dot(slope, context_rows(params), 2, 1)  # [K, T, D + 4]
    contexts = dot(word_rows(params, axis=-2), slope, 2, 1)  # [K, D + 4, S]
    grads = Params(
      words[..., :dim],
      contexts[:, :dim].mT,
      words[..., dim],  # of the ones
      contexts[:, dim + 2],
    )
    return (grads,)

  predict.defvjp(forward, backward)
  return predict


def tiles_loss(
  params: Params,
  code: jax.Array,
  *,
  predict,
  x_max,
  alpha,
  cell_loss: CellLoss | None = None,
):
  """J over K tiles.

  Args:
    params: K times T words and contexts: [K, T, D] and [K, T].
    code: [K, T, T] uint16.
    predict: from `make_predict`.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    cell_loss: as for `model.loss`.
  """
  arrays = predict(params), *decode(code, x_max=x_max, alpha=alpha)
  flat = (array.reshape(-1, code.shape[-1]) for array in arrays)
  return sum_cells(*flat, cell_loss)


def tiles_step(
  state: TrainState,
  code,
  pair,
  multiplier=1.0,
  *,
  loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over K tiles that share no block.

  The result is that of K steps, one after the other.

  Args:
    state: its params are a Table.
    code: [K, T, T] uint16, the tiles.
    pair: [K, 2] int32, the block of words and the block of contexts of each
      tile; padding is out of range.
    multiplier: multiplies the update.
    loss: (params, code) -> the cost of the tiles, such as `tiles_loss`.
    tx: the optimizer.

  Returns:
    The new state, and the cost of the tiles before the step.
  """

  def get(array):
    return array.at[pair].get(mode="clip")

  def write(array, new):
    return array.at[pair].set(new, mode="drop", unique_indices=True)

  def cost_of(both: Params):
    word, context = _sides(both.word)
    return loss(Params(word, context, *_sides(both.word_bias)), code)

  # Both sides are one array [K, 2, T, ...] up to here, for a scan copies two.
  return slice_step(
    state,
    multiplier,
    functools.partial(take_side, get=get),
    functools.partial(put_side, write=write),
    cost_of,
    tx,
  )


@jax.custom_vjp
def _sides(array):
  """[K, 2, ...] -> words [K, ...] and contexts [K, ...]."""
  return array[:, 0], array[:, 1]


_sides.defvjp(
  lambda array: (_sides(array), None),
  lambda _, grads: (jnp.stack(grads, axis=1),),
)


def take_side(table: Table, get: Callable) -> Params:
  """Some rows of a table, all of them as words.

  Args:
    table: of parameters or of the optimizer's state.
    get: [2 * B, T, ...] -> the rows.
  """
  vectors, biases = (each(get, array) for array in table)
  none = (each(lambda a: a[:0], array) for array in (vectors, biases))
  return Params(vectors, next(none), biases, next(none))


def put_side(table: Table, params: Params, write: Callable) -> Table:
  """The table with new rows; write: (array, rows) -> array."""
  return Table(
    each(write, table.vectors, params.word),
    each(write, table.biases, params.word_bias),
  )


def lines_loss(
  trained: Params,
  fixed: Params,
  code,
  *,
  x_max,
  alpha,
  cell_loss: CellLoss | None = None,
):
  """J over R lines of the remainder.

  Every count of the remainder is in the line of its row and in the line of its
  column, and each line trains only its own row or column.

  Args:
    trained: the rows of the lines, as words: [R, D] and [R].
    fixed: the N rows of each line's counts, as contexts: [R, N, D] and [R, N].
    code: [R, N] uint16.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    cell_loss: as for `model.loss`.
  """
  prediction = (
    jnp.einsum("rd,rnd->rn", trained.word, fixed.context)
    + trained.word_bias[:, None]
    + fixed.context_bias
  )
  decoded = decode(code, x_max=x_max, alpha=alpha)
  return sum_cells(prediction, *decoded, cell_loss)


def lines_step(
  state: TrainState,
  trained,
  index,
  fixed,
  code,
  multiplier=1.0,
  *,
  loss,
  tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
  """One step over R lines of the remainder.

  Args:
    state: its params are a Table.
    trained: [R] int32, the rows of the table to train; padding is out of range.
    index: [R] int32, of the row of each line in `trained`.
    fixed: [R, N] int32, the rows of the table that they were counted with,
      which stay fixed.
    code: [R, N] uint16.
    multiplier: multiplies the update.
    loss: (the row of each line, fixed, code) -> cost, such as `lines_loss`.
    tx: the optimizer.

  Returns:
    The new state, and half the cost before the step: a count is in two lines.
  """

  def rows(array):
    return array.reshape(-1, *array.shape[2:])

  def get(array):
    return rows(array).at[trained].get(mode="clip")

  def write(array, new):
    options = {"mode": "drop", "unique_indices": True}
    return rows(array).at[trained].set(new, **options).reshape(array.shape)

  flat = Table(*map(rows, state.params))
  # Without the barrier XLA gathers row by row inside the product.
  vectors, biases = jax.lax.optimization_barrier(
    (flat.vectors[fixed], flat.biases[fixed])
  )
  others = Params(vectors, vectors, biases, biases)
  state, cost = slice_step(
    state,
    multiplier,
    functools.partial(take_side, get=get),
    functools.partial(put_side, write=write),
    lambda params: loss(_pick(params, index), others, code),
    tx,
  )
  return state, cost / 2


def _pick(side: Params, index) -> Params:
  """The rows of each line, as words; a row may have several lines."""
  return side._replace(word=side.word[index], word_bias=side.word_bias[index])
