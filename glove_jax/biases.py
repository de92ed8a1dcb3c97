"""The best biases without vectors, in closed form: where training starts."""

import itertools
import os
from concurrent import futures

import numpy as np
import scipy.sparse

from glove_jax import metrics
from glove_jax.triplets import Triplets, by_row, release

_CHUNK = 1 << 22  # counts at work at once, in each thread


def fit_biases(
  triplets: Triplets,
  *,
  x_max: float = 100.0,
  alpha: float = 0.75,
  rounds: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
  """Fits log X_ij by b_i + b~_j alone, weighted by f(X_ij).

  With w = w~ = 0 the loss of GloVe is a weighted two-way fit. Each side has a
  closed form when the other is held, so the two are solved in turn:

    b_i = sum_j f_ij (log X_ij - b~_j) / sum_j f_ij,   then b~_j likewise.

  Args:
    triplets: N counts; 4 * N bytes are held for their weights.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    rounds: how often each side is solved.

  Returns:
    (word_bias, context_bias), each [V] float64; 0 for a word without counts.
  """
  triplets, starts = by_row(triplets)
  size = triplets.vocab_size
  parts = _parts(starts)
  weights = np.empty(len(triplets.row), np.float32)
  word_bias, context_bias = np.zeros(size), np.zeros(size)
  row_weight, row_target = np.zeros(size), np.zeros(size)

  def matrix(part: slice, values) -> scipy.sparse.csr_array:
    at = starts[part.start : part.stop + 1]
    cols = np.array(triplets.col[at[0] : at[-1]])
    release(triplets)
    shape = (part.stop - part.start, size)
    return scipy.sparse.csr_array((values, cols, at - at[0]), shape=shape)

  def span(part: slice) -> slice:
    return slice(starts[part.start], starts[part.stop])

  def weigh(part):
    count = np.array(triplets.count[span(part)])
    weights[span(part)] = np.minimum(1.0, (count / x_max) ** alpha)
    weight = weights[span(part)].astype(np.float64)
    table = matrix(part, weight)
    row_weight[part], col_weight = table.sum(axis=1), table.sum(axis=0)
    table.data *= np.log(count)
    row_target[part] = table.sum(axis=1)
    return col_weight, table.sum(axis=0)

  def solve(part):
    """Solves the rows of a part; returns what they add to the columns."""
    table = matrix(part, weights[span(part)].astype(np.float64))
    total = row_target[part] - table @ context_bias
    word_bias[part] = _ratio(total, row_weight[part])
    return table.T @ word_bias[part]

  with (
    futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    metrics.progress("fitting biases", rounds + 1, " rounds") as bar,
  ):
    col_weight, col_target = map(sum, zip(*pool.map(weigh, parts), strict=True))
    bar.update()
    for _ in range(rounds):
      total = col_target - sum(pool.map(solve, parts))
      context_bias = _ratio(total, col_weight)
      bar.update()
  return word_bias, context_bias


def _parts(starts: np.ndarray) -> list[slice]:
  """Runs of rows of about _CHUNK counts."""
  number = -(-starts[-1] // _CHUNK)
  wanted = np.linspace(0, starts[-1], number + 1)
  ends = np.unique(np.searchsorted(starts, wanted, side="left"))
  ends[-1] = len(starts) - 1
  return [slice(a, b) for a, b in itertools.pairwise(ends)]


def _ratio(total, weight):
  return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
