"""The best biases without vectors, in closed form: where training starts."""

import itertools
from concurrent import futures

import numba
import numpy as np

from glove_jax import metrics
from glove_jax.counts.triplets import Triplets, by_row, release
from glove_jax.threads import default_threads
from glove_jax.training import multihost

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

  Of several processes each reads a share of the rows, and they add up.

  Args:
    triplets: N counts; 4 * N bytes are held for their weights.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    rounds: how often each side is solved.

  Returns:
    (word_bias, context_bias), each [V] float64; 0 for a word without counts.
  """
  triplets, starts = by_row(
    triplets, multihost.share(len(triplets.row)), multihost.total
  )
  size = triplets.vocab_size
  col, count = np.asarray(triplets.col), np.asarray(triplets.count)
  weights = np.empty(len(col), np.float32)
  word_bias, context_bias = np.zeros(size), np.zeros(size)
  row_weight, row_target = np.zeros(size), np.zeros(size)

  def weigh(part):
    sums = np.zeros((2, size))
    _weigh(
      *part, starts, col, count, x_max, alpha, weights, row_weight, row_target,
      *sums,
    )  # fmt: skip
    release(triplets)
    return sums

  def solve(part):
    """Solves the rows of a part; returns what they add to the columns."""
    sums = np.zeros(size)
    _solve(
      *part, starts, col, weights, row_weight, row_target, context_bias,
      word_bias, sums,
    )  # fmt: skip
    release(triplets)
    return sums

  parts = _parts(starts)
  parts = parts[multihost.share(len(parts))]
  with (
    futures.ThreadPoolExecutor(default_threads()) as pool,
    metrics.progress("fitting biases", rounds + 1, " rounds") as bar,
  ):
    sums = sum(pool.map(weigh, parts), np.zeros((2, size)))
    col_weight, col_target = multihost.total(sums)
    bar.update()
    for _ in range(rounds):
      sums = multihost.total(sum(pool.map(solve, parts), np.zeros(size)))
      context_bias = _ratio(col_target - sums, col_weight)
      bar.update()
  return multihost.total(word_bias), context_bias


@numba.njit(nogil=True, cache=True)
def _weigh(
  first, last, starts, col, count, x_max, alpha, weights, row_weight,
  row_target, col_weight, col_target,
):  # fmt: skip
  """Weights f of rows first..last - 1, and sums of f and f log X."""
  for row in range(first, last):
    for at in range(starts[row], starts[row + 1]):
      weights[at] = min(1.0, (count[at] / x_max) ** alpha)
      weight = np.float64(weights[at])  # as rounded, in all sums
      target = weight * np.log(count[at])
      row_weight[row] += weight
      row_target[row] += target
      col_weight[col[at]] += weight
      col_target[col[at]] += target


@numba.njit(nogil=True, cache=True)
def _solve(
  first, last, starts, col, weights, row_weight, row_target, context_bias,
  word_bias, sums,
):  # fmt: skip
  """Solves b of rows first..last - 1; adds f b to the sums of the columns."""
  for row in range(first, last):
    if row_weight[row] == 0:
      continue
    total = row_target[row]
    for at in range(starts[row], starts[row + 1]):
      total -= weights[at] * context_bias[col[at]]
    word_bias[row] = total / row_weight[row]
    for at in range(starts[row], starts[row + 1]):
      sums[col[at]] += weights[at] * word_bias[row]


def _parts(starts: np.ndarray) -> list[tuple[int, int]]:
  """Runs of rows of about _CHUNK counts."""
  number = -(-starts[-1] // _CHUNK)
  wanted = np.linspace(0, starts[-1], number + 1)
  ends = np.unique(np.searchsorted(starts, wanted, side="left"))
  ends[-1] = len(starts) - 1
  return list(itertools.pairwise(ends))


def _ratio(total, weight):
  return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
