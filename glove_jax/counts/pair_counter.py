"""Counting pairs in threads, within bounds of memory.

The Zipfian shape of text decides the method. The counts X[i, j] of frequent
words, those with (i + 1)(j + 1) <= P for ids in the order of frequency, are a
few million cells that fit in a CPU's cache, and hold most pairs: they are added
up in a dense array, one for each thread. Each other pair is kept as a 64-bit
key (row, column, distance) in the bucket of its row. At the end each bucket is
sorted, and keys that are equal are summed. Only one of (i, j) and (j, i) is
kept where the counts are symmetric.

All sums are of integers, so neither threads nor parts change a bit.
"""

import collections
import concurrent.futures
import itertools
import mmap
import queue
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax.counts import kernels
from glove_jax.counts.kernels import Layout, Pool, Work
from glove_jax.text.kernels import END
from glove_jax.threads import ordered_map

CELLS = 1 << 22  # 34 MB: more of them miss the cache, fewer leave more keys
_BUCKETS = 256
_PAGE = 1 << 12  # keys of a bucket that lie together, at most
_SCRATCH = 1 << 18  # keys that a thread makes at a time
_ENTRIES = 1 << 20  # listed at a time, about
_MODES = {
  "symmetric": kernels.SYMMETRIC,
  "right": kernels.RIGHT,
  "left": kernels.LEFT,
}


class Entries(NamedTuple):
  """Some counts in whole units, sorted by row and column."""

  row: np.ndarray  # [N] int32
  col: np.ndarray  # [N] int32
  units: np.ndarray  # [N] int64


class Part(NamedTuple):
  """The counts of a part of a corpus; by `PairCounter`."""

  cells: np.ndarray  # int64 units, as the layout says
  starts: np.ndarray  # [V] int64: row i is starts[i]:ends[i] of the next two,
  ends: np.ndarray  # [V] int64: all in the columns from limit[i] on
  cols: np.ndarray  # int32
  sums: np.ndarray  # int64 units


class PairCounter:
  """Counts the pairs of a stream of ids, as long as there is room.

  Args:
    vocab_size: V.
    units: [window + 1] int64, what a pair adds at each distance.
    context: 'symmetric', 'left' or 'right', as `cooccur.count`.
    threads: how many count.
    max_keys: how many pairs there is room for beside those of frequent words.
    max_cells: how many pairs of frequent words there may be.

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
    self.tail = np.empty(0, np.int32)  # places that the next ids can pair with
    self._units = units
    self._context = context
    self._threads = threads
    size = min(_PAGE, 1 + max_keys // _PAGE)
    pages = max(1, max_keys // size)
    self._pool = Pool(
      keys=_lazy(pages * size, np.uint64).reshape(pages, size),
      owner=np.full(pages, -1, np.int64),
      filled=np.zeros(pages, np.int64),
    )
    self._free = list(range(pages))
    self._work = [self._make_work() for _ in range(threads)]
    self._idle: queue.SimpleQueue[Work] = queue.SimpleQueue()
    for work in self._work:
      self._idle.put(work)
    self._executor = concurrent.futures.ThreadPoolExecutor(threads)
    self._flying: collections.deque = collections.deque()

  def _make_work(self) -> Work:
    return Work(
      cells=np.zeros(_num_cells(self.layout), np.int64),
      page=np.full(_BUCKETS, -1, np.int64),
      keys=np.empty(_SCRATCH + len(self._units), np.uint64),
    )

  def __enter__(self) -> "PairCounter":
    return self

  def __exit__(self, *_) -> None:
    self._executor.shutdown(cancel_futures=True)

  def add(self, ids: np.ndarray) -> bool:
    """Counts the next ids of the stream (int32; END, UNKNOWN among them).

    Returns:
      False where there is no room: then nothing was counted.

    Raises:
      ValueError: the ids would not even fit into an empty part.
    """
    window = len(self._units) - 1
    pages = self._pages(len(ids) * window)
    if pages > len(self._pool.owner):
      raise ValueError(
        f"{len(ids)} words with a window of {window} need more memory than for "
        f"{self._pool.keys.size:,} pairs: raise memory_gb or lower window"
      )
    while len(self._flying) > self._threads or (
      self._flying and len(self._free) < pages
    ):
      self._land()
    if len(self._free) < pages:
      return False
    mine, self._free = self._free[-pages:], self._free[:-pages]
    both = np.concatenate([self.tail, ids])
    first, self.tail = len(self.tail), find_tail(both, window)
    self._flying.append(self._executor.submit(self._add, both, first, mine))
    return True

  def _pages(self, keys: int) -> int:
    """The most pages that so many keys can take."""
    whole = keys // self._pool.keys.shape[1]
    return max(1, min(keys, whole + 1 + _BUCKETS))

  def _add(self, ids: np.ndarray, first: int, pages: list[int]) -> list[int]:
    """Counts pairs in a thread; returns the pages that were not needed."""
    work = self._idle.get()
    free, left = np.array(pages), len(pages)
    while first < len(ids):
      first, found = kernels.add_pairs(
        ids, first, self._units, _MODES[self._context], self.layout,
        work.cells, work.keys,
      )  # fmt: skip
      left = kernels.move_keys(
        work.keys[:found], self.layout, work.page, free, left, self._pool
      )
    self._idle.put(work)
    return pages[:left]

  def _land(self) -> None:
    self._free += self._flying.popleft().result()

  def finish(self) -> Iterator[Entries]:
    """Counts of all ids since the last call, sorted; the next part begins.

    Raises:
      OverflowError: a count outgrew 64 bits.
    """
    while self._flying:
      self._land()
    keys = self._pool.filled.sum()
    size = len(self.layout.limit)
    part = Part(
      cells=np.zeros(_num_cells(self.layout), np.int64),
      starts=np.zeros(size, np.int64),
      ends=np.zeros(size, np.int64),
      cols=_lazy(keys, np.int32),  # room for all, though many are equal
      sums=_lazy(keys, np.int64),
    )
    self._fold(part)
    self._sum(part)
    self._pool.owner[:] = -1
    self._pool.filled[:] = 0
    self._free = list(range(len(self._pool.owner)))
    for work in self._work:
      work.page[:] = -1
      work.cells[:] = 0
    return self._list_entries(part)

  def _fold(self, part: Part) -> None:
    """Adds up the threads' cells: they are by right word, and then left."""
    plain = self._context != "right"
    turned = self._context != "left"
    size = len(part.starts)
    cuts = np.searchsorted(
      self.layout.base,
      np.linspace(0, len(part.cells), 4 * self._threads + 1)[1:-1],
    )
    cuts = [0, *cuts.tolist(), size]

    def fold(rows: tuple[int, int]) -> None:
      for work in self._work:
        kernels.fold_cells(
          plain, turned, self.layout, *rows, work.cells, part.cells
        )

    list(self._executor.map(fold, itertools.pairwise(cuts)))

  def _sum(self, part: Part) -> None:
    """Sorts the keys of each bucket and sums those that are equal."""
    owner, filled = self._pool.owner, self._pool.filled
    used = np.flatnonzero(owner >= 0)
    order = used[np.argsort(owner[used], kind="stable")]
    cuts = np.searchsorted(owner[order], np.arange(_BUCKETS + 1))
    places = np.concatenate([[0], np.cumsum(filled[order])])

    def sum_bucket(bucket: int) -> None:
      pages = order[cuts[bucket] : cuts[bucket + 1]]
      keys = [self._pool.keys[page, : filled[page]] for page in pages]
      if keys:
        keys = np.concatenate(keys)
        keys.sort()
        kernels.sum_keys(
          keys, self._units, self.layout, places[cuts[bucket]],
          part.starts, part.ends, part.cols, part.sums,
        )  # fmt: skip

    list(self._executor.map(sum_bucket, range(_BUCKETS)))

  def _list_entries(self, part: Part) -> Iterator[Entries]:
    mirrored = self._context == "symmetric"
    lengths = self._count_entries(part, mirrored)
    ends = np.cumsum(lengths)
    marks = np.arange(_ENTRIES, ends[-1], _ENTRIES)
    cuts = np.unique([*np.searchsorted(ends, marks) + 1, len(ends)])

    def list_rows(rows: tuple[int, int]) -> Entries:
      first, last = rows
      places = np.cumsum(lengths[first:last]) - lengths[first:last]
      number = int(lengths[first:last].sum())
      entries = Entries(
        _lazy(number, np.int32),
        _lazy(number, np.int32),
        _lazy(number, np.int64),
      )
      kernels.list_entries(
        first, last, self.layout, part, mirrored, places, *entries
      )
      return check_overflow(entries)

    ranges = itertools.pairwise([0, *cuts.tolist()])
    yield from ordered_map(list_rows, ranges, self._threads)

  def _count_entries(self, part: Part, mirrored: bool) -> np.ndarray:
    """[V] int64: how many entries each row has."""
    size = len(part.starts)
    work = np.cumsum(self.layout.limit + part.ends - part.starts)
    marks = np.linspace(0, work[-1], self._threads + 1)[1:-1]
    cuts = [0, *np.searchsorted(work, marks).tolist(), size]

    def count(rows: tuple[int, int]) -> np.ndarray:
      lengths = np.zeros(size, np.int64)
      kernels.count_entries(*rows, self.layout, part, mirrored, lengths)
      return lengths

    ranges = itertools.pairwise(cuts)
    return sum(self._executor.map(count, ranges))


def check_overflow(entries: Entries) -> Entries:
  """Returns the entries, or says that a sum ran over.

  Raises:
    OverflowError: a count outgrew 64 bits.
  """
  if len(entries.units) and entries.units.min() < 0:
    raise OverflowError(
      "a count outgrew 64 bits: use distance_weighting none or a shorter window"
    )
  return entries


def make_layout(vocab_size: int, window: int, max_cells: int = CELLS) -> Layout:
  """Which pairs have cells, and buckets that get about as many keys each.

  Both are by Zipf's law: a word is the rarer the higher its id. Where it is
  not, counting is slower, and no less exact.

  Raises:
    ValueError: too many words for 64-bit keys.
  """
  id_bits, distance_bits = (vocab_size - 1).bit_length(), window.bit_length()
  if 2 * id_bits + distance_bits > 64:
    raise ValueError(
      f"a vocabulary of up to 2^{id_bits} words with a window of {window} does "
      "not fit into 64-bit keys: lower max_vocab or window"
    )
  rank = np.arange(1, vocab_size + 1)
  limit = np.minimum(_most_product(rank, max_cells) // rank, vocab_size)
  # The sum of 1 / (row rank * column rank) over the columns without cells.
  beyond = np.concatenate([[0], np.cumsum(1 / rank)])
  share = np.cumsum((beyond[-1] - beyond[np.maximum(limit, rank - 1)]) / rank)
  bucket = (share / max(share[-1], 1e-300) * _BUCKETS).astype(np.int64)
  return Layout(
    limit=limit,
    base=np.cumsum(limit) - limit,
    bucket=np.minimum(bucket, _BUCKETS - 1),
    column_shift=distance_bits,
    row_shift=distance_bits + id_bits,
  )


def _most_product(rank: np.ndarray, max_cells: int) -> int:
  """The greatest product of two ranks for which the cells are not too many."""
  low, high = 0, len(rank) ** 2
  while low < high:
    middle = (low + high + 1) // 2
    cells = np.minimum(middle // rank, len(rank)).sum()
    low, high = (middle, high) if cells <= max_cells else (low, middle - 1)
  return low


def _lazy(size: int, dtype) -> np.ndarray:
  """An array whose memory is taken page by page, where it is first written.

  NumPy asks for huge pages, which are taken whole, and took three times as long
  to get here as the small ones.
  """
  dtype = np.dtype(dtype)
  memory = mmap.mmap(-1, max(1, size) * dtype.itemsize)
  return np.frombuffer(memory, dtype)[:size]


def _num_cells(layout: Layout) -> int:
  return int(layout.limit.sum())


def find_tail(ids: np.ndarray, window: int) -> np.ndarray:
  """The places at the end that what comes next may pair with."""
  last = ids[max(0, len(ids) - window) :]
  ends = np.flatnonzero(last == END)
  return last[ends[-1] + 1 :] if len(ends) else last
