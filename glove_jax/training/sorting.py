"""Triplets in order: sorted by row, each pair once.

Counts of this library are written in order. Triplets of one's own may come in
any order, and may hold a pair twice, as a matrix of scipy in COO format does.
"""

from collections.abc import Callable

import numpy as np

from glove_jax import native
from glove_jax.counts.triplets import Triplets, chunks, release
from glove_jax.threads import default_threads, ordered_map

_PIECE = 1 << 18  # pairs compared at a time, in the cache


def sum_duplicates(
  triplets: Triplets,
  rows: slice = slice(None),
  reduce: Callable[[np.ndarray], np.ndarray] = lambda sums: sums,
) -> Triplets:
  """Sorts triplets by row and column, and sums those of the same pair.

  Triplets that are in order already, with each pair once, are returned
  unchanged. They are only read, which takes a fraction of a second for 100
  million of them.

  Args:
    triplets: N valid counts, see `triplets.check`.
    rows: which of the N triplets this process looks at, by default all.
    reduce: adds up an int64 array over all processes.

  Returns:
    Triplets in increasing order of (row, col).

  Example:
    >>> row, col = np.array([1, 0, 1]), np.array([0, 2, 0])
    >>> found = sum_duplicates(Triplets(row, col, np.array([1.0, 4, 2]), 3))
    >>> found.row.tolist(), found.col.tolist(), found.count.tolist()
    ([0, 1], [2, 0], [4.0, 3.0])
  """
  row, col, count, vocab_size = triplets

  def is_disordered(part: slice) -> bool:
    with_last = slice(max(0, part.start - 1), part.stop)
    pairs = np.asarray(row[with_last]), np.asarray(col[with_last])
    is_ordered = _is_increasing(*pairs)
    release(triplets, part)
    return not is_ordered

  parts = chunks(len(row), rows)
  disorder = sum(ordered_map(is_disordered, parts, default_threads()))
  if not reduce(np.array([disorder], np.int64))[0]:
    return triplets
  key = np.asarray(row).astype(np.int64) * vocab_size + col
  order = np.argsort(key, kind="stable")
  key = key[order]
  first = np.flatnonzero(np.diff(key, prepend=-1))
  exact = np.asarray(count)[order].astype(np.float64)
  sums = np.add.reduceat(exact, first).astype(count.dtype)
  order = order[first]
  return Triplets(row[order], col[order], sums, vocab_size)


def _is_increasing(row, col) -> bool:
  """Whether the pairs (row, col) are in order, and each is there once."""
  for start in range(0, len(row) - 1, _PIECE):
    piece = slice(start, start + _PIECE + 1)  # with the first of the next one
    rise, col_rise = (
      column[1:] > column[:-1] for column in (row[piece], col[piece])
    )
    is_same = row[piece][1:] == row[piece][:-1]
    if not np.all(rise | (is_same & col_rise)):
      return False
  return True


def by_row(
  triplets: Triplets,
  rows: slice = slice(None),
  reduce: Callable[[np.ndarray], np.ndarray] = lambda sums: sums,
) -> tuple[Triplets, np.ndarray]:
  """Sorts triplets by row, and finds where each row starts.

  Args:
    triplets: N counts.
    rows: which of the N triplets this process looks at, by default all.
    reduce: adds up an int64 array over all processes.

  Returns:
    (sorted, starts): triplets with non-decreasing rows, which are the same
    arrays if they were sorted already, and [V + 1] int64: row i is
    starts[i]:starts[i + 1].
  """

  def count(part: slice) -> np.ndarray:
    """How often each row occurs, and how often one is below the one before."""
    counted = np.zeros(triplets.vocab_size + 1, np.int64)
    first = triplets.row[max(0, part.start - 1)]
    _count_rows(first, np.asarray(triplets.row[part]), counted)
    release(triplets, part)
    return counted

  parts = chunks(len(triplets.row), rows)
  none = np.zeros(triplets.vocab_size + 1, np.int64)
  sums = reduce(sum(ordered_map(count, parts, default_threads()), none))
  if sums[-1]:
    order = np.argsort(triplets.row, kind="stable")
    columns = (column[order] for column in triplets[:3])
    triplets = Triplets(*columns, triplets.vocab_size)
  return triplets, np.append(0, np.cumsum(sums[:-1]))


@native.loop
def _count_rows(before, rows, counted):
  """Adds to counted[row] for each row, and to counted[-1] for each fall."""
  for row in rows:
    counted[row] += 1
    if row < before:
      counted[-1] += 1
    before = row
