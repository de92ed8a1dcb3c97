"""Counts pairs in threads, within a bound of memory.

The method follows from Zipf's law. With ids ordered by frequency, most pairs
satisfy (i + 1)(j + 1) <= P, where P is chosen so that these X[i, j] are a few
million cells, which fit in a CPU's cache. They are summed in a dense array, one
per thread. Every other pair is stored as a 64-bit key (row, column, distance)
in the bucket of its row. At the end each bucket is sorted, and equal keys are
summed. If the counts are symmetric, only one of (i, j) and (j, i) is stored.

All sums are integers, so neither threads nor parts change the result.
"""

import collections
import concurrent.futures
import itertools
import queue
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax.counts import kernels
from glove_jax.counts.kernels import KeyPool, PairLayout, ThreadCounts
from glove_jax.memory import lazy_zeros
from glove_jax.text.symbols import END
from glove_jax.threads import ordered_map

CELLS = 1 << 22  # 34 MB: more cells miss the cache, fewer leave more keys
_BUCKETS = 256
_PAGE = 1 << 12  # the most keys in a page
_SCRATCH = 1 << 18  # keys that a thread collects before it sorts them out
_ENTRIES = 1 << 20  # entries listed at a time, about
_MODES = {
  "symmetric": kernels.SYMMETRIC,
  "right": kernels.RIGHT,
  "left": kernels.LEFT,
}


class Entries(NamedTuple):
  """Counts in whole units, sorted by row and column."""

  row: np.ndarray  # [N] int32
  col: np.ndarray  # [N] int32
  units: np.ndarray  # [N] int64


class PairSums(NamedTuple):
  """The counts of a part of a corpus: cells, and sums of keys by row."""

  cells: np.ndarray  # int64 units, indexed by the layout
  starts: np.ndarray  # [V] int64: row i is starts[i]:ends[i] of cols and sums,
  ends: np.ndarray  # [V] int64: with columns from limit[i] on
  cols: np.ndarray  # int32
  sums: np.ndarray  # int64 units


class PairCounter:
  """Counts the pairs of a stream of ids until memory is full.

  Args:
    vocab_size: V.
    units: [window + 1] int64, what a pair adds at each distance.
    context: 'symmetric', 'left' or 'right', as in `cooccur.count`.
    threads: the number of threads.
    max_keys: the largest number of keys, that is of pairs without cells.
    max_cells: the largest number of cells.

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
    max_keys: int = 1 << 26,
    max_cells: int = CELLS,
  ):
    self.layout = make_layout(vocab_size, len(units) - 1, max_cells)
    self.tail = np.empty(0, np.int32)  # ids that the next ones can pair with
    self._units = units
    self._context = context
    self._threads = threads
    page_size = min(_PAGE, 1 + max_keys // _PAGE)
    num_pages = max(1, max_keys // page_size)
    keys = lazy_zeros(num_pages * page_size, np.uint64)
    self._pool = KeyPool(
      keys=keys.reshape(num_pages, page_size),
      owner=np.full(num_pages, -1, np.int64),
      filled=np.zeros(num_pages, np.int64),
    )
    self._free = list(range(num_pages))
    self._locals = [self._make_local() for _ in range(threads)]
    self._idle: queue.SimpleQueue[ThreadCounts] = queue.SimpleQueue()
    for local in self._locals:
      self._idle.put(local)
    self._executor = concurrent.futures.ThreadPoolExecutor(threads)
    self._flying: collections.deque = collections.deque()

  def _make_local(self) -> ThreadCounts:
    return ThreadCounts(
      cells=np.zeros(_num_cells(self.layout), np.int64),
      page=np.full(_BUCKETS, -1, np.int64),
      keys=np.empty(_SCRATCH + len(self._units), np.uint64),
    )

  def __enter__(self) -> "PairCounter":
    return self

  def __exit__(self, *_) -> None:
    self._executor.shutdown(cancel_futures=True)

  def add(self, ids: np.ndarray) -> bool:
    """Counts the next ids of the stream.

    Args:
      ids: [N] int32, including END and UNKNOWN.

    Returns:
      False if memory is full; nothing was counted then, and `finish` frees it.

    Raises:
      ValueError: the ids would not fit even into empty memory.
    """
    window = len(self._units) - 1
    num_pages = self._max_pages(len(ids) * window)
    if num_pages > len(self._pool.owner):
      raise ValueError(
        f"{len(ids)} words with a window of {window} do not fit into memory "
        f"for {self._pool.keys.size:,} pairs: raise memory_gb or lower window."
      )
    while len(self._flying) > self._threads or (
      self._flying and len(self._free) < num_pages
    ):
      self._land()
    if len(self._free) < num_pages:
      return False
    pages, self._free = self._free[-num_pages:], self._free[:-num_pages]
    both = np.concatenate([self.tail, ids])
    first, self.tail = len(self.tail), find_tail(both, window)
    self._flying.append(self._executor.submit(self._add, both, first, pages))
    return True

  def _max_pages(self, num_keys: int) -> int:
    """The most pages that `num_keys` keys can fill or begin."""
    whole = num_keys // self._pool.keys.shape[1]
    return max(1, min(num_keys, whole + 1 + _BUCKETS))

  def _add(self, ids: np.ndarray, first: int, pages: list[int]) -> list[int]:
    """Counts pairs in a thread; returns the pages that it did not use."""
    local = self._idle.get()
    free, left = np.array(pages), len(pages)
    while first < len(ids):
      first, found = kernels.add_pairs(
        ids, first, self._units, _MODES[self._context], self.layout,
        local.cells, local.keys,
      )  # fmt: skip
      left = kernels.move_keys(
        local.keys[:found], self.layout, local.page, free, left, self._pool
      )
    self._idle.put(local)
    return pages[:left]

  def _land(self) -> None:
    """Waits for the oldest task and takes back its unused pages."""
    self._free += self._flying.popleft().result()

  def finish(self) -> Iterator[Entries]:
    """Sums all pairs since the last call and frees the memory of keys.

    Returns:
      An iterator over the sorted counts.

    Raises:
      OverflowError: a count exceeds 64 bits.
    """
    while self._flying:
      self._land()
    num_keys = self._pool.filled.sum()
    vocab_size = len(self.layout.limit)
    sums = PairSums(
      cells=np.zeros(_num_cells(self.layout), np.int64),
      starts=np.zeros(vocab_size, np.int64),
      ends=np.zeros(vocab_size, np.int64),
      cols=lazy_zeros(num_keys, np.int32),  # an upper bound: keys repeat
      sums=lazy_zeros(num_keys, np.int64),
    )
    self._fold(sums)
    self._sum(sums)
    self._pool.owner[:] = -1
    self._pool.filled[:] = 0
    self._free = list(range(len(self._pool.owner)))
    for local in self._locals:
      local.page[:] = -1
      local.cells[:] = 0
    return self._list_entries(sums)

  def _fold(self, sums: PairSums) -> None:
    """Adds up the cells of all threads, and mirrors them by the context."""
    plain = self._context != "right"
    turned = self._context != "left"
    vocab_size = len(sums.starts)
    cuts = np.searchsorted(
      self.layout.base,
      np.linspace(0, len(sums.cells), 4 * self._threads + 1)[1:-1],
    )
    cuts = [0, *cuts.tolist(), vocab_size]

    def fold(rows: tuple[int, int]) -> None:
      for local in self._locals:
        kernels.fold_cells(
          plain, turned, self.layout, *rows, local.cells, sums.cells
        )

    list(self._executor.map(fold, itertools.pairwise(cuts)))

  def _sum(self, sums: PairSums) -> None:
    """Sorts the keys of each bucket and sums equal ones.

    Pages of a bucket lie anywhere in the pool; `order` brings them together:

      owner  = [1, 0, 1, -1]         page 3 is free
      filled = [4, 2, 1, 0]
      order  = [1, 0, 2]             bucket 0, then the two pages of bucket 1
      cuts   = [0, 1, 3]             bucket b is order[cuts[b]:cuts[b + 1]]
      starts = [0, 2, 6, 7]          where the keys of each page may be written
    """
    owner, filled = self._pool.owner, self._pool.filled
    used = np.flatnonzero(owner >= 0)
    order = used[np.argsort(owner[used], kind="stable")]
    cuts = np.searchsorted(owner[order], np.arange(_BUCKETS + 1))
    starts = np.concatenate([[0], np.cumsum(filled[order])])

    def sum_bucket(bucket: int) -> None:
      pages = order[cuts[bucket] : cuts[bucket + 1]]
      keys = [self._pool.keys[page, : filled[page]] for page in pages]
      if keys:
        keys = np.concatenate(keys)
        keys.sort()
        kernels.sum_keys(
          keys, self._units, self.layout, starts[cuts[bucket]],
          sums.starts, sums.ends, sums.cols, sums.sums,
        )  # fmt: skip

    list(self._executor.map(sum_bucket, range(_BUCKETS)))

  def _list_entries(self, sums: PairSums) -> Iterator[Entries]:
    mirrored = self._context == "symmetric"
    lengths = self._count_entries(sums, mirrored)
    ends = np.cumsum(lengths)
    marks = np.arange(_ENTRIES, ends[-1], _ENTRIES)
    cuts = np.unique([*np.searchsorted(ends, marks) + 1, len(ends)])

    def list_rows(rows: tuple[int, int]) -> Entries:
      first, last = rows
      starts = np.cumsum(lengths[first:last]) - lengths[first:last]
      size = int(lengths[first:last].sum())
      dtypes = np.int32, np.int32, np.int64
      entries = Entries(*(lazy_zeros(size, dtype) for dtype in dtypes))
      kernels.list_entries(
        first, last, self.layout, sums, mirrored, starts, *entries
      )
      return check_overflow(entries)

    ranges = itertools.pairwise([0, *cuts.tolist()])
    yield from ordered_map(list_rows, ranges, self._threads)

  def _count_entries(self, sums: PairSums, mirrored: bool) -> np.ndarray:
    """[V] int64: the number of entries of each row."""
    vocab_size = len(sums.starts)
    work = np.cumsum(self.layout.limit + sums.ends - sums.starts)
    marks = np.linspace(0, work[-1], self._threads + 1)[1:-1]
    cuts = [0, *np.searchsorted(work, marks).tolist(), vocab_size]

    def count(rows: tuple[int, int]) -> np.ndarray:
      lengths = np.zeros(vocab_size, np.int64)
      kernels.count_entries(*rows, self.layout, sums, mirrored, lengths)
      return lengths

    ranges = itertools.pairwise(cuts)
    return sum(self._executor.map(count, ranges))


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


def make_layout(
  vocab_size: int, window: int, max_cells: int = CELLS
) -> PairLayout:
  """Chooses the pairs that have cells, and buckets with equal loads of keys.

  Both assume Zipf's law: the frequency of a word is inverse to its id + 1. If
  it does not hold, counting is slower but equally exact.

  Args:
    vocab_size: V.
    window: the largest distance.
    max_cells: the largest number of cells.

  Raises:
    ValueError: too many words for 64-bit keys.
  """
  id_bits, distance_bits = (vocab_size - 1).bit_length(), window.bit_length()
  if 2 * id_bits + distance_bits > 64:
    raise ValueError(
      f"A vocabulary of up to 2^{id_bits} words with a window of {window} does "
      "not fit into 64-bit keys: lower max_vocab or window."
    )
  rank = np.arange(1, vocab_size + 1)
  limit = np.minimum(_most_product(rank, max_cells) // rank, vocab_size)
  # The sum of 1 / (row rank * column rank) over the columns without cells.
  beyond = np.concatenate([[0], np.cumsum(1 / rank)])
  share = np.cumsum((beyond[-1] - beyond[np.maximum(limit, rank - 1)]) / rank)
  bucket = (share / max(share[-1], 1e-300) * _BUCKETS).astype(np.int64)
  return PairLayout(
    limit=limit,
    base=np.cumsum(limit) - limit,
    bucket=np.minimum(bucket, _BUCKETS - 1),
    column_shift=distance_bits,
    row_shift=distance_bits + id_bits,
  )


def _most_product(rank: np.ndarray, max_cells: int) -> int:
  """The largest P such that at most `max_cells` rank pairs have r * s <= P."""
  low, high = 0, len(rank) ** 2
  while low < high:
    middle = (low + high + 1) // 2
    cells = np.minimum(middle // rank, len(rank)).sum()
    low, high = (middle, high) if cells <= max_cells else (low, middle - 1)
  return low


def _num_cells(layout: PairLayout) -> int:
  return int(layout.limit.sum())


def find_tail(ids: np.ndarray, window: int) -> np.ndarray:
  """The last ids of a stream with which the next ones can pair.

  >>> find_tail(np.array([5, 6, END, 7, 8]), window=3).tolist()
  [7, 8]
  """
  last = ids[max(0, len(ids) - window) :]
  ends = np.flatnonzero(last == END)
  return last[ends[-1] + 1 :] if len(ends) else last
