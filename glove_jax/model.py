"""The equations of GloVe, and nothing else.

Pennington, Socher & Manning (2014), "GloVe: Global Vectors for Word
Representation", https://aclanthology.org/D14-1162.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Params(NamedTuple):
  """What GloVe learns; V words, D dimensions."""

  word: jax.Array  # [V, D] w
  context: jax.Array  # [V, D] w~
  word_bias: jax.Array  # [V] b
  context_bias: jax.Array  # [V] b~


class Batch(NamedTuple):
  """B non-zero counts X_ij."""

  row: jax.Array  # [B] int32, i
  col: jax.Array  # [B] int32, j
  count: jax.Array  # [B] float, X_ij > 0; padding carries 1
  mask: jax.Array  # [B] float, 0 marks padding


def init_params(
  key: jax.Array, vocab_size: int, dim: int, dtype=jnp.float32
) -> Params:
  """Draws every parameter uniformly from +-0.5 / dim, as Stanford's code does.

  Args:
    key: a jax random key.
    vocab_size: V, the number of words.
    dim: D, the width of a vector.
    dtype: the type of all four tables.

  Returns:
    Params of shapes [V, D], [V, D], [V] and [V].
  """
  shapes = [(vocab_size, dim)] * 2 + [(vocab_size,)] * 2
  keys = jax.random.split(key, len(shapes))
  bound = 0.5 / dim
  return Params(
    *(
      jax.random.uniform(k, shape, dtype, -bound, bound)
      for k, shape in zip(keys, shapes, strict=True)
    )
  )


def weight(count, x_max: float = 100.0, alpha: float = 0.75):
  """f(x) = min(1, (x / x_max)^alpha), eq. 9; any shape, element by element."""
  return jnp.minimum(1.0, (count / x_max) ** alpha)


def predict(params: Params, row, col):
  """w_i . w~_j + b_i + b~_j, the model of log X_ij: [B] for [B] ids."""
  return (
    jnp.sum(params.word[row] * params.context[col], axis=-1)
    + params.word_bias[row]
    + params.context_bias[col]
  )


def loss(
  params: Params, batch: Batch, *, x_max: float = 100.0, alpha: float = 0.75
):
  """Weighted least squares, eq. 8, summed over the batch.

  J = 1/2 sum_ij f(X_ij) (w_i . w~_j + b_i + b~_j - log X_ij)^2. The factor
  one half is that of Stanford's code, so that costs compare.

  Args:
    params: the four tables.
    batch: counts; entries whose mask is 0 add nothing.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.

  Returns:
    A scalar: the sum, not the mean, over the batch.
  """
  return weighted_squares(
    predict(params, batch.row, batch.col),
    jnp.log(batch.count),
    batch.mask * weight(batch.count, x_max, alpha),
  )


def weighted_squares(prediction, log_count, weight):
  """1/2 sum f (prediction - log X)^2, over arrays of any one shape."""
  squares = weight * (prediction - log_count) ** 2
  # The first axis first: XLA's CPU vectorises that sum.
  return 0.5 * jnp.sum(jnp.sum(squares, axis=0))
