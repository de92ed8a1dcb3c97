"""Where training starts: random vectors, and biases fitted without them."""

import functools
import itertools
import os
from collections.abc import Callable, Iterator

import jax
import numpy as np
from numba import uint64

from glove_jax import memory, metrics, model, native
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.threads import default_threads, ordered_map
from glove_jax.training import drawing, sorting
from glove_jax.training.starts import Start, fill

ROUNDS = 6  # in which biases are fitted
_CHUNK = 1 << 22  # counts in a chunk of rows, the work of one thread at a time
_MAPPED = 1 << 19  # counts of a chunk whose pages are mapped at a time
# Sums of chunks are added as multiples of 2^-16, and their rests as multiples
# of 2^-61: 64 bits hold the sums of 10^5 chunks.
_COARSE, _FINE = 2.0**16, 2.0**45
_SLOTS = 1 << 14  # values of counts in `_weigh`; together they fit in the cache
_SPREAD = 16381.0  # from a count to its slot; a prime near _SLOTS


def initial_params(
  vocab_size: int,
  config: TrainConfig,
  fit: Callable,
  start: Start | None = None,
  *,
  lazy: bool = False,
) -> model.Params:
  """Draws the vectors, and draws or fits the biases (`bias_init`).

  Args:
    vocab_size: V.
    config: has the shape, the type and the seed.
    fit: (x_max=, alpha=) -> (word_bias, context_bias), such as `fit_biases` of
      some counts.
    start: parameters that are given, instead of these.
    lazy: leaves the drawing to who reads the tables: they are then of type
      `drawing.RandomTable`, unless parameters are given.
  """
  with jax.enable_x64(config.dtype == "float64"):  # holds for this thread only
    biases = {}
    if config.bias_init == "fit":  # before the vectors take memory
      fitted = fit(x_max=config.resolved.x_max, alpha=config.alpha)
      names = ("word_bias", "context_bias")
      biases = {
        name: jax.device_put(bias.astype(config.dtype))
        for name, bias in zip(names, fitted, strict=True)
      }
    is_lazy = lazy and start is None
    draw = drawing.random_tables if is_lazy else drawing.random_params
    params = draw(vocab_size, config, **biases)
    jax.block_until_ready(params)
    memory.trim()
    return params if start is None else fill(params, start)


def fit_biases(
  triplets: Triplets,
  *,
  x_max: float = 100.0,
  alpha: float = 0.75,
  rounds: int = ROUNDS,
  rows: slice = slice(None),
  reduce: Callable[[np.ndarray], np.ndarray] = lambda array: array,
  folder: str | os.PathLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """Fits log X_ij by b_i + b~_j alone, weighted by f(X_ij).

  With w = w~ = 0 the loss of GloVe is a weighted two-way fit. Each side has a
  closed form while the other is fixed, so the two are solved in turn:

    b_i = sum_j f_ij (log X_ij - b~_j) / sum_j f_ij,   then b~_j likewise.

  The result does not depend on the number of threads or processes: sums over
  chunks of rows are added as integers.

  Args:
    triplets: N counts.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.
    rounds: how often each side is solved.
    rows: the range of triplets that this process sums. The slices of all
      processes together must cover the triplets once.
    reduce: sums an array over the processes.
    folder: on the disk that holds the weights of the counts, 4 * N bytes, for
      as long as this runs; None is where temporary files go.

  Returns:
    (word_bias, context_bias), each [V] float64; 0 for a word without counts.

  Example:
    The outer product of (1, 2) and (3, 5) is fitted exactly.

    >>> row, col = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> count = np.array([3.0, 5.0, 6.0, 10.0])
    >>> word, context = fit_biases(Triplets(row, col, count, 2))
    >>> print(np.exp(word[row] + context[col]).round(3))
    [ 3.  5.  6. 10.]
  """
  triplets, starts = sorting.by_row(triplets, rows, reduce)
  chunks = _chunks(starts, rows)
  fit = _Fit(triplets, starts, chunks, folder)
  is_first = not rows.start  # one progress bar, however many processes
  with metrics.progress(
    "fitting biases", rounds + 1, " rounds", enabled=is_first
  ) as bar:

    def total(function, size) -> np.ndarray:
      found = ordered_map(function, chunks, default_threads())
      sums = map(_to_integers, found)
      return _to_floats(reduce(sum(sums, np.zeros((2, *size), np.int64))))

    weigh = functools.partial(fit.weigh, x_max=x_max, alpha=alpha)
    col_weight, col_target = total(weigh, (2, triplets.vocab_size))
    bar.update()
    for _ in range(rounds):
      sums = total(fit.solve, (triplets.vocab_size,))
      fit.context_bias = _ratio(col_target - sums, col_weight)
      bar.update()
  return reduce(fit.word_bias), fit.context_bias


class _Fit:
  """The biases while they are fitted, and what the fit needs of each row."""

  def __init__(self, triplets: Triplets, starts: np.ndarray, chunks, folder):
    size = triplets.vocab_size
    # The counts of all chunks, which are one range.
    first, last = starts[[chunks[0][0], chunks[-1][1]] if chunks else [0, 0]]
    self._starts = starts - first  # [V + 1] where each row starts in it
    weights = memory.scratch(last - first, np.float32, folder)
    self._mapped = *(column[first:last] for column in triplets[1:3]), weights
    self._col, self._count, self._weights = map(np.asarray, self._mapped)
    self._size = size
    self.word_bias, self.context_bias = np.zeros(size), np.zeros(size)
    self._row_weight, self._row_target = np.zeros(size), np.zeros(size)

  def weigh(self, chunk, *, x_max, alpha) -> np.ndarray:
    """Computes weights; returns the sums of f and f log X by column: [2, V]."""
    sums = np.zeros((2, self._size))
    types = self._count.dtype, np.float32, np.float64
    slots = [np.zeros(_SLOTS, dtype) for dtype in types]
    for part in self._parts(*chunk):
      _weigh(
        *part, self._starts, self._col, self._count, x_max, alpha, *slots,
        self._weights, self._row_weight, self._row_target, *sums,
      )  # fmt: skip
      self._release(*part)
    return sums

  def solve(self, chunk) -> np.ndarray:
    """Solves the rows of a chunk; returns what they add to the columns."""
    sums = np.zeros(self._size)
    for part in self._parts(*chunk):
      _solve(
        *part, self._starts, self._col, self._weights, self._row_weight,
        self._row_target, self.context_bias, self.word_bias, sums,
      )  # fmt: skip
      self._release(*part)
    return sums

  def _parts(self, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cuts a chunk of rows into parts with about _MAPPED counts each."""
    begin, end = self._starts[[first, last]]
    wanted = np.arange(begin + _MAPPED, end, _MAPPED)
    cuts = np.searchsorted(self._starts[first:last], wanted) + first
    return itertools.pairwise(np.unique([first, *cuts, last]).tolist())

  def _release(self, first: int, last: int) -> None:
    """Drops what the rows first..last - 1 have mapped from files."""
    counts = slice(self._starts[first], self._starts[last])
    memory.release(*(column[counts] for column in self._mapped))


@native.loop
def _weigh(
  first, last, starts, col, count, x_max, alpha, known, weight, target, weights,
  row_weight, row_target, col_weight, col_target,
):  # fmt: skip
  """Fills the weights f of rows first..last - 1; sums f and f log X.

  Most counts are sums of a few 1/d, which are few values. So f and f log X of
  the last count in each slot are kept in `known`, `weight` and `target`, which
  takes a third of the time.
  """
  for row in range(first, last):
    for i in range(uint64(starts[row]), uint64(starts[row + 1])):
      x, context = count[i], uint64(col[i])
      slot = uint64(np.int64(x * _SPREAD) & (_SLOTS - 1))
      if known[slot] != x:
        known[slot] = x
        weight[slot] = min(1.0, (x / x_max) ** alpha)
        target[slot] = np.float64(weight[slot]) * np.log(x)
      weights[i] = weight[slot]
      row_weight[row] += weight[slot]
      row_target[row] += target[slot]
      col_weight[context] += weight[slot]
      col_target[context] += target[slot]


@native.loop
def _solve(
  first, last, starts, col, weights, row_weight, row_target, context_bias,
  word_bias, sums,
):  # fmt: skip
  """Solves b of rows first..last - 1; adds f b to the sums of the columns."""
  for row in range(first, last):
    if row_weight[row] == 0:
      continue
    total = row_target[row]
    # numba checks whether a signed index is negative, which takes a third.
    first_count, end = uint64(starts[row]), uint64(starts[row + 1])
    for i in range(first_count, end):
      total -= weights[i] * context_bias[uint64(col[i])]
    bias = total / row_weight[row]
    for i in range(first_count, end):
      sums[uint64(col[i])] += weights[i] * bias
    word_bias[row] = bias


def _chunks(starts: np.ndarray, rows: slice) -> list[tuple[int, int]]:
  """Chunks of rows with about _CHUNK counts each, that start in `rows`."""
  num_triplets = int(starts[-1])
  num_chunks = -(-num_triplets // _CHUNK)
  wanted = np.linspace(0, num_triplets, num_chunks + 1)
  ends = np.unique(np.searchsorted(starts, wanted, side="left"))
  ends[-1] = len(starts) - 1
  local = range(num_triplets)[rows]
  return [
    (first, last)
    for first, last in itertools.pairwise(ends)
    if int(starts[first]) in local  # an int, which a range finds at once
  ]


def _to_integers(sums: np.ndarray) -> np.ndarray:
  """Sums [...] as int64 [2, ...], which add up to the same in any order.

  >>> _to_floats(_to_integers(np.array([-0.1, 2.5]))).tolist()
  [-0.1, 2.5]
  """
  scaled = sums * _COARSE
  coarse = np.floor(scaled)
  return np.stack([coarse, np.rint((scaled - coarse) * _FINE)]).astype(np.int64)


def _to_floats(integers: np.ndarray) -> np.ndarray:
  coarse, fine = integers
  return (coarse + fine / _FINE) / _COARSE


def _ratio(total, weight):
  return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
