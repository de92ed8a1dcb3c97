"""The equations of GloVe, and nothing else.

Pennington, Socher & Manning (2014), "GloVe: Global Vectors for Word
Representation", https://aclanthology.org/D14-1162.

`missing_loss` is not part of GloVe. It is the cost that Swivel gives to pairs
that never occur: Shazeer, Doherty, Evans & Waterson (2016), "Swivel: Improving
Embeddings by Noticing What's Missing", https://arxiv.org/abs/1602.02215.
Nor is `retrofit_loss`, which keeps vectors near given ones: Dingwall & Potts
(2018), "Mittens: An Extension of GloVe for Learning Domain-Specialized
Representations", https://aclanthology.org/N18-2034.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# (prediction, log_count, weight) -> the cost of each cell, in arrays of one
# shape; weight is f(X).
CellLoss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class Params(NamedTuple):
  """The parameters of GloVe, for V words and D dimensions."""

  word: jax.Array  # [V, D] w
  context: jax.Array  # [V, D] w~
  word_bias: jax.Array  # [V] b
  context_bias: jax.Array  # [V] b~


class Batch(NamedTuple):
  """B non-zero counts X_ij."""

  row: jax.Array  # [B] int32, i
  col: jax.Array  # [B] int32, j
  count: jax.Array  # [B] float, X_ij > 0; padding has the count 1
  mask: jax.Array  # [B] float, 0 marks padding


def init_params(
  key: jax.Array, vocab_size: int, dim: int, dtype=jnp.float32, **given
) -> Params:
  """Draws every parameter uniformly from +-0.5 / dim, as Stanford's code does.

  Args:
    key: a jax random key.
    vocab_size: V, the number of words.
    dim: D, the number of dimensions.
    dtype: the type of all four tables.
    **given: tables that need not be drawn.

  Returns:
    Params of shapes [V, D], [V, D], [V] and [V].

  Example:
    >>> params = init_params(jax.random.key(0), vocab_size=1000, dim=50)
    >>> params.word.shape, params.word_bias.shape
    ((1000, 50), (1000,))
  """
  shapes = Params(*[(vocab_size, dim)] * 2, *[(vocab_size,)] * 2)
  keys = Params(*jax.random.split(key, len(shapes)))
  bound = 0.5 / dim
  drawn = {
    name: jax.random.uniform(
      getattr(keys, name), getattr(shapes, name), dtype, -bound, bound
    )
    for name in Params._fields
    if name not in given
  }
  return Params(**drawn, **given)


def weight(count, x_max: float = 100.0, alpha: float = 0.75):
  """f(x) = min(1, (x / x_max)^alpha), eq. 9.

  Args:
    count: x, an array of any shape.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.

  Returns:
    The weight of each count, in the shape of `count`. `tiles.codec.decode`,
    `tiles.cells` and `biases._weigh` compute the same in other forms.

  Example:
    >>> print(weight(jnp.array([6.25, 100.0, 1000.0])))
    [0.125 1.    1.   ]
  """
  return jnp.minimum(1.0, (count / x_max) ** alpha)


def predict(params: Params, row, col):
  """The model of log X_ij: w_i . w~_j + b_i + b~_j.

  Args:
    params: the four tables.
    row: [B] int, i.
    col: [B] int, j.

  Returns:
    [B], the prediction for each pair (i, j).

  Example:
    >>> vectors, biases = jnp.ones((3, 4)), jnp.zeros(3)
    >>> params = Params(vectors, 2 * vectors, biases, biases + 0.5)
    >>> print(predict(params, jnp.array([0, 1]), jnp.array([2, 2])))
    [8.5 8.5]
  """
  return (
    jnp.sum(params.word[row] * params.context[col], axis=-1)
    + params.word_bias[row]
    + params.context_bias[col]
  )


def loss(
  params: Params,
  batch: Batch,
  *,
  x_max: float = 100.0,
  alpha: float = 0.75,
  cell_loss: CellLoss | None = None,
):
  """Weighted least squares, eq. 8, summed over the batch.

  J = 1/2 sum_ij f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2. The factor
  1/2 is that of Stanford's code, so that the costs of both can be compared.

  Args:
    params: the four tables.
    batch: B counts; entries whose mask is 0 add nothing.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    cell_loss: the cost of a count, instead of the weighted square, see
      `sum_cells`.

  Returns:
    A scalar: the sum, not the mean, over the batch.

  Example:
    A prediction of 0 for a count of e costs 1/2 f(e) (0 - 1)^2.

    >>> params = Params(*map(jnp.zeros, [(2, 3), (2, 3), 2, 2]))
    >>> batch = Batch(*map(jnp.array, ([0], [1], [jnp.e], [1.0])))
    >>> print(loss(params, batch, x_max=1.0))
    0.5
  """
  return sum_cells(
    predict(params, batch.row, batch.col),
    jnp.log(batch.count),
    batch.mask * weight(batch.count, x_max, alpha),
    cell_loss,
  )


def missing_loss(prediction, *, missing, missing_count, mask=1.0):
  """The cost of pairs that never occur, eq. 5 of Swivel, summed.

  w0 sum softplus(prediction - log x0), with softplus(z) = log(1 + e^z). A pair
  costs nothing while the model predicts a count far below x0, and its cost is
  linear in the prediction above. The slope is w0 sigmoid(prediction - log x0).

  Args:
    prediction: the model of log X_ij, of any shape.
    missing: w0, the weight of such a pair; a counted pair weighs at most 1.
    missing_count: x0, the count up to which a prediction costs little.
    mask: broadcasts to the shape of `prediction`; 0 marks pairs that occur.

  Returns:
    A scalar: the sum, not the mean.

  Example:
    softplus(log 3 - log 1) = log 4, and the second pair is masked.

    >>> prediction, mask = jnp.log(jnp.array([3.0, 7.0])), jnp.array([1, 0])
    >>> cost = missing_loss(prediction, missing=0.5, missing_count=1, mask=mask)
    >>> print(jnp.exp(2 * cost).round(3))
    4.0
  """
  excess = prediction - jnp.log(missing_count)
  return missing * jnp.sum(mask * jax.nn.softplus(excess))


def retrofit_loss(word, context, target, *, retrofit, mask=1.0):
  """Mittens' term: mu sum_i ||r_i - (w_i + w~_i)||^2, over some words.

  Added to J, it keeps the sum of the two vectors of a word near a given one.

  Args:
    word: [N, D], w.
    context: [N, D], w~ of the same words.
    target: [N, D], r, where the words started.
    retrofit: mu.
    mask: broadcasts to [N]; 0 marks words without a target.

  Returns:
    A scalar: the sum, not the mean.

  Example:
    The first word is (1, 2) off its target, and the second has none.

    >>> ones = jnp.ones((2, 2))
    >>> target, mask = jnp.array([[3.0, 4.0], [0.0, 0.0]]), jnp.array([1, 0])
    >>> print(retrofit_loss(ones, ones, target, retrofit=0.1, mask=mask))
    0.5
  """
  squares = jnp.sum((target - word - context) ** 2, axis=-1)
  return retrofit * jnp.sum(mask * squares)


def sum_cells(prediction, log_count, weight, cell_loss: CellLoss | None = None):
  """The cost of cells, summed: J, or that of a cost of one's own.

  Args:
    prediction: the model of log X, of any shape.
    log_count: log X, of the same shape.
    weight: f(X), of the same shape; 0 marks padding.
    cell_loss: (prediction, log_count, weight) -> the cost of each cell. What
      it gives for padding counts as 0, and its gradient there too. None is
      the weighted square.

  Example:
    Absolute errors, of 2 and 3; the last cell is padding.

    >>> def absolute(prediction, log_count, weight):
    ...   return weight * jnp.abs(prediction - log_count)
    >>> prediction, weights = jnp.array([2.0, 3, 4]), jnp.array([1.0, 0.5, 0])
    >>> print(sum_cells(prediction, jnp.zeros(3), weights, absolute))
    3.5
  """
  if cell_loss is None:
    return weighted_squares(prediction, log_count, weight)
  counted = weight > 0
  # The inner `where` too: a gradient that is NaN times 0 is NaN.
  prediction, log_count = (
    jnp.where(counted, x, 0) for x in (prediction, log_count)
  )
  costs = cell_loss(prediction, log_count, jnp.where(counted, weight, 1))
  return jnp.sum(jnp.sum(jnp.where(counted, costs, 0), axis=0))


def weighted_squares(prediction, log_count, weight):
  """1/2 sum f (prediction - log X)^2, over arrays of one shape.

  Example:
    >>> ones = jnp.ones((2, 3))
    >>> print(weighted_squares(3 * ones, ones, 0.5 * ones))
    6.0
  """
  squares = weight * (prediction - log_count) ** 2
  # Sum the first axis first: XLA vectorises that sum on a CPU.
  return 0.5 * jnp.sum(jnp.sum(squares, axis=0))
