"""The cost of the cells of tiles when pairs that never occur cost something.

A cell of code 0 is then a pair that never occurs, not padding. It costs
`model.missing_loss`, and the other cells cost J. Without `missing`,
`steps.tiles_loss` computes J alone.
"""

import jax
import jax.numpy as jnp

from glove_jax.model import CellLoss, Params, missing_loss, sum_cells
from glove_jax.training.tiles.codec import decode, log_counts

# The bias of rows of a table that hold no word. With this bias, predictions
# are so low that a missing pair has no slope: padding teaches nothing.
PADDING_BIAS = -1000.0
# softplus(z) is z from here on, to the precision of float32.
_LINEAR_FROM = 16.0
_FACTORS = 4  # (1 + e^16)^4 is finite in float32


@jax.custom_vjp
def cells_cost(prediction, code, x_max, alpha, missing, missing_count):
  """J of the counted cells plus `model.missing_loss` of the others.

  Args:
    prediction: [N, S] float32, the model of log X.
    code: [N, S] uint16, see `codec`; 0 is a pair that never occurs.
    x_max: the count from which the weight of a counted pair is 1.
    alpha: the exponent of that weight below x_max.
    missing: w0, the weight of pairs that never occur.
    missing_count: x0, the count up to which they cost little.

  Returns:
    A scalar: the sum.

  Example:
    Two pairs that never occur: w0 (log(1 + e^0) + log(1 + e^log 3)) = w0 log 8.

    >>> prediction, code = jnp.log(jnp.array([[1.0, 3.0]])), jnp.zeros((1, 2))
    >>> cost = cells_cost(prediction, code.astype("uint16"), 1.0, 1.0, 0.5, 1.0)
    >>> print(jnp.exp(2 * cost).round(3))
    8.0
  """
  return _cost_and_slope(
    prediction, code, x_max, alpha, missing, missing_count
  )[0]


def _cost_and_slope(prediction, code, x_max, alpha, missing, missing_count):
  """The cost, and its derivative by each prediction: [N, S].

  Each cell takes one exponential: that of its weight if it was counted, else
  the e^z of softplus(z) = log(1 + e^z) and of its slope e^z / (1 + e^z).
  """
  log_count, counted = log_counts(code), code > 0
  exponent = jnp.minimum(alpha * (log_count - jnp.log(x_max)), 0.0)
  excess = prediction - jnp.log(missing_count)
  curved = jnp.minimum(excess, _LINEAR_FROM)
  power = jnp.exp(jnp.where(counted, exponent, curved))
  error = prediction - log_count
  slope = jnp.where(counted, power * error, missing * power / (1 + power))
  cost = jnp.where(
    counted, 0.5 * power * error * error, missing * (excess - curved)
  )
  logs = missing * _sum_logs(jnp.where(counted, 1.0, 1 + power))
  return jnp.sum(jnp.sum(cost, axis=0)) + logs, slope


def _sum_logs(factor):
  """sum log factor, over [N, S], with one logarithm for several factors."""
  missing_rows = -len(factor) % _FACTORS
  factor = jnp.pad(factor, ((0, missing_rows), (0, 0)), constant_values=1.0)
  products = factor.reshape(-1, _FACTORS, factor.shape[1]).prod(axis=1)
  return jnp.sum(jnp.sum(jnp.log(products), axis=0))


def _backward(slope, grad):
  return grad * slope, None, None, None, None, None


cells_cost.defvjp(_cost_and_slope, _backward)


def own_cost(
  prediction, code, x_max, alpha, missing, missing_count, *, cell_loss: CellLoss
):
  """As `cells_cost`, with a cost of one's own for the counted cells."""
  decoded = decode(code, x_max=x_max, alpha=alpha)
  uncounted = missing_loss(
    prediction, missing=missing, missing_count=missing_count, mask=code == 0
  )
  return sum_cells(prediction, *decoded, cell_loss) + uncounted


def cells_loss(
  params: Params,
  code: jax.Array,
  real=True,
  *,
  predict,
  cell_loss=None,
  **settings,
):
  """The cost of all cells of K tiles of T words and S contexts.

  Args:
    params: the words and contexts of the tiles: [K, T, D], [K, S, D], [K, T]
      and [K, S].
    code: [K, T, S] uint16.
    real: [K] bool, False marks padding; True if all tiles are real.
    predict: from `steps.make_predict`.
    cell_loss: the cost of counted cells, instead of J.
    **settings: x_max, alpha, missing and missing_count of `cells_cost`.
  """
  word_bias = jnp.where(
    jnp.reshape(real, (-1, 1)), params.word_bias, PADDING_BIAS
  )
  prediction = predict(params._replace(word_bias=word_bias))
  flat = (array.reshape(-1, code.shape[-1]) for array in (prediction, code))
  if cell_loss is None:
    return cells_cost(*flat, **settings)
  return own_cost(*flat, **settings, cell_loss=cell_loss)
