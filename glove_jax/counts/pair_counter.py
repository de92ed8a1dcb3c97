"""Counts pairs in threads, within a bound of memory.

The ids of as much text as fits are kept, 4 bytes per word, and so are the
positions of each word, 4 more. Then X is summed row by row (`kernels`): threads
take ranges of rows, and each of them has one row of sums. Rows come out sorted,
and no pair is stored.

All sums are integers, so neither threads nor parts change the result.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from glove_jax.counts import kernels
from glove_jax.counts.kernels import Places, RowSums
from glove_jax.memory import lazy_zeros
from glove_jax.text.symbols import END
from glove_jax.threads import borrow, ordered_map

_MAX_VOCAB = 1 << 30  # so that (row, column) fits into 64 bits in `spill`
ENTRIES = 1 << 19  # listed at a time, at most, unless one row has more
_MAX_WORDS = (1 << 32) - 1  # positions are 32-bit
_SLICES = 8  # the most threads that find places, with 8 V bytes each


class Entries(NamedTuple):
  """Counts in whole units, sorted by row and column."""

  row: np.ndarray  # [N] int32
  col: np.ndarray  # [N] int32
  units: np.ndarray  # [N] int64


class _Buffers(NamedTuple):
  """What one thread writes to."""

  line: RowSums
  entries: Entries


class PairCounter:
  """Counts the pairs of a stream of ids until memory is full.

  Args:
    vocab_size: V.
    units: [window + 1] int64, what a pair adds at each distance.
    context: 'symmetric', 'left' or 'right', as in `cooccur.count`.
    threads: the number of threads.
    max_words: the largest number of ids to keep, 8 bytes each.

  Raises:
    ValueError: too many words for 64-bit keys.
  """

  def __init__(
    self,
    vocab_size: int,
    units: np.ndarray,
    *,
    context: str = "symmetric",
    threads: int = 1,
    max_words: int = 1 << 26,
  ):
    if vocab_size > _MAX_VOCAB:
      raise ValueError(
        f"A vocabulary of more than {_MAX_VOCAB:,} words does not fit into "
        "64-bit keys: lower max_vocab."
      )
    self.tail = np.empty(0, np.int32)  # ids that the next ones can pair with
    self._vocab_size = vocab_size
    self._units = units
    self._before = context != "right"
    self._after = context != "left"
    self._threads = threads
    self._max_words = min(max_words, _MAX_WORDS - len(units))
    self._ids = lazy_zeros(self._max_words + len(units), np.int32)
    self._positions = lazy_zeros(len(self._ids), np.uint32)
    self._first = self._size = 0  # the tail is _ids[:first]

  def add(self, ids: np.ndarray) -> bool:
    """Takes the next ids of the stream.

    Args:
      ids: [N] int32, including END and UNKNOWN.

    Returns:
      False if memory is full; nothing was taken then, and `finish` frees it.

    Raises:
      ValueError: the ids would not fit even into empty memory.
    """
    if len(ids) > self._max_words:
      raise ValueError(
        f"{len(ids):,} words do not fit into memory for {self._max_words:,}: "
        "raise memory_gb."
      )
    if not self._size:
      self._first = self._size = len(self.tail)
      self._ids[: self._size] = self.tail
    end = self._size + len(ids)
    if end - self._first > self._max_words:
      return False
    self._ids[self._size : end] = ids
    self._size = end
    window = len(self._units) - 1
    self.tail = find_tail(self._ids[max(0, end - window) : end], window).copy()
    return True

  def finish(
    self, progress: Callable[[int], object] | None = None
  ) -> Iterator[Entries]:
    """Counts all pairs since the last call, and frees the memory of ids.

    Args:
      progress: called with the number of words counted since its last call.

    Yields:
      The counts, sorted, in blocks. `add` may go on after the last of them.

    Raises:
      OverflowError: a count exceeds 64 bits.
    """
    ids, first = self._ids[: self._size], self._first
    places = self._find_places(ids)
    ranges, most = self._cut_rows(np.diff(places.starts))
    idle = [self._make_buffers(most) for _ in range(self._threads)]

    def list_rows(rows: tuple[int, int]) -> Entries:
      with borrow(idle) as buffers:
        found = kernels.sum_rows(
          ids, first, places, self._units, self._before, self._after, *rows,
          buffers.line, *buffers.entries,
        )  # fmt: skip
        columns = (column[:found].copy() for column in buffers.entries)
        return check_overflow(Entries(*columns))

    done = int(np.count_nonzero(ids[:first] >= 0))  # with the part before
    blocks = ordered_map(list_rows, ranges, self._threads)
    for (_, high), entries in zip(ranges, blocks, strict=True):
      yield entries
      if progress and places.starts[high] > done:
        progress(int(places.starts[high]) - done)
        done = int(places.starts[high])
    self._size = 0

  def _find_places(self, ids: np.ndarray) -> Places:
    """Finds where each word occurs; each thread takes a slice of the ids.

    With two threads, words 0 and 1, and ids [1, 0, 1] and [0, 0]:

      counts  [[1, 2], [2, 0]]
      starts  [0, 3, 5]
      ends    [[0, 3], [1, 5]]    where each thread writes first
    """
    num_slices = min(self._threads, _SLICES)
    cuts = np.linspace(0, len(ids), num_slices + 1).astype(int).tolist()
    slices = list(itertools.pairwise(cuts))
    counts = np.zeros((num_slices, self._vocab_size), np.int64)

    def count(number: int) -> None:
      kernels.count_ids(ids[slice(*slices[number])], counts[number])

    def find(number: int) -> None:
      kernels.find_places(ids, *slices[number], ends[number], positions)

    list(ordered_map(count, range(num_slices), num_slices))
    starts = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    ends = starts[:-1] + np.cumsum(counts, axis=0) - counts
    positions = self._positions[: starts[-1]]
    list(ordered_map(find, range(num_slices), num_slices))
    return Places(starts, positions)

  def _cut_rows(self, counts: np.ndarray) -> tuple[list[tuple[int, int]], int]:
    """Cuts rows into ranges that list about ENTRIES entries at most.

    Args:
      counts: [V] int64, how often each word occurs.

    Returns:
      The ranges, and a bound on the entries of any of them.
    """
    sides = self._before + self._after
    near = sides * (len(self._units) - 1)
    bounds = np.cumsum(np.minimum(counts * near, self._vocab_size))
    marks = np.arange(ENTRIES, bounds[-1], ENTRIES)
    cuts = np.unique([0, *np.searchsorted(bounds, marks), len(counts)])
    ends = bounds[cuts[1:] - 1]
    most = int(np.diff(ends, prepend=0).max())
    return list(itertools.pairwise(cuts.tolist())), most

  def _make_buffers(self, size: int) -> _Buffers:
    line = RowSums(
      sums=np.zeros(self._vocab_size, np.int64),
      seen=np.zeros(-(-self._vocab_size // 64), np.uint64),
    )
    dtypes = np.int32, np.int32, np.int64
    return _Buffers(line, Entries(*(lazy_zeros(size, d) for d in dtypes)))


def check_overflow(entries: Entries) -> Entries:
  """Returns the entries unchanged if no sum overflowed.

  Raises:
    OverflowError: a count exceeds 64 bits.
  """
  if len(entries.units) and entries.units.min() < 0:
    raise OverflowError(
      "A count exceeds 64 bits: use distance_weighting='none' or a smaller "
      "window."
    )
  return entries


def find_tail(ids: np.ndarray, window: int) -> np.ndarray:
  """The last ids of a stream with which the next ones can pair.

  >>> find_tail(np.array([5, 6, END, 7, 8]), window=3).tolist()
  [7, 8]
  """
  last = ids[max(0, len(ids) - window) :]
  ends = np.flatnonzero(last == END)
  return last[ends[-1] + 1 :] if len(ends) else last
