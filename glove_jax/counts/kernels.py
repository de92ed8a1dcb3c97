"""Compiled loops over pairs of words near each other.

The units of frequent pairs are added to *cells*, a dense array. Every other
pair becomes a 64-bit key (row, column, distance), to be sorted. All loops
release Python's lock, so they scale with threads.

Example: 4 words, so ids take 2 bits, and a window of 3, so distances take 2:

  column_shift = 2, row_shift = 4
  row 1, column 3, distance 2  ->  key 0b01_11_10 = 30
  sorted keys [29, 30, 30, 53]  =  (1, 3, 1) (1, 3, 2) (1, 3, 2) (3, 1, 1)
  units [6, 6, 3, 2] by distance  ->  X(1, 3) = 6 + 3 + 3, X(3, 1) = 6

Hot loops index with unsigned integers, as in `text.kernels`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from glove_jax.text.symbols import END

SYMMETRIC, RIGHT, LEFT = range(3)


class PairLayout(NamedTuple):
  """Where the counts of each row are kept, and how keys are packed.

  With 4 words and 5 cells, the pairs with (row + 1)(col + 1) <= 3:

    limit = [3, 1, 1, 0], base = [0, 3, 4, 5]
    cells = [X(0, 0), X(0, 1), X(0, 2), X(1, 0), X(2, 0)]
    all other pairs, such as (1, 1) and (0, 3), become keys
  """

  limit: np.ndarray  # [V] int64: columns 0..limit-1 of a row have cells
  base: np.ndarray  # [V] int64: the cell of column 0 of a row
  bucket: np.ndarray  # [V] int64: the bucket of the keys of a row, increasing
  column_shift: int  # a key is row << row_shift | col << column_shift | d
  row_shift: int


class KeyPool(NamedTuple):
  """Keys of a part of the corpus, in pages; each page belongs to one bucket."""

  keys: np.ndarray  # [pages, keys per page] uint64
  owner: np.ndarray  # [pages] int64: the bucket of a page, -1 if it is free
  filled: np.ndarray  # [pages] int64: the number of keys in a page


class ThreadCounts(NamedTuple):
  """The arrays that one thread writes to."""

  cells: np.ndarray  # int64 units of (left word, right word), by right word
  keys: np.ndarray  # uint64 keys that are not in the pool yet
  page: np.ndarray  # [buckets] int64: the page being filled, -1 for none


@njit(nogil=True, cache=True)
def add_pairs(ids, first, units, mode, layout, cells, keys):
  """Counts the pairs of each word with the `window` positions before it.

  Args:
    ids: [N] int32; no pair spans an END, and UNKNOWN has no pairs.
    first: the position of the first right word whose pairs are counted.
    units: [window + 1] int64, what a pair adds at each distance: 1/d in whole
      units.
    mode: whether the row of a key is the lower id, the left or the right word.
    layout: which pairs have cells, and how keys are packed.
    cells: int64 units of (left word, right word), by right word; modified.
    keys: uint64, the output for the other pairs.

  Returns:
    The position at which to resume once `keys` is empty again (N when done),
    and the number of keys.
  """
  window = len(units) - 1
  row_shift, column_shift = (
    uint64(layout.row_shift),
    uint64(layout.column_shift),
  )
  begin = first  # start of the document, at most a window back
  while begin > max(0, first - window) and ids[begin - 1] != END:
    begin -= 1
  found = uint64(0)
  for here in range(first, len(ids)):
    if found + uint64(window) > uint64(len(keys)):
      return here, found
    right = ids[here]
    if right < 0:
      begin = here + 1 if right == END else begin
      continue
    limit, base = layout.limit[right], layout.base[right]
    for there in range(max(begin, here - window), here):
      left = ids[uint64(there)]
      distance = uint64(here - there)
      if left >= limit:
        row, col = uint64(left), uint64(right)
        if mode == SYMMETRIC:
          row, col = min(row, col), max(row, col)
        elif mode == LEFT:
          row, col = col, row
        keys[found] = row << row_shift | col << column_shift | distance
        found += uint64(1)
      elif left >= 0:
        cells[uint64(base + left)] += units[distance]
  return len(ids), found


@njit(nogil=True, cache=True)
def move_keys(keys, layout, page_of, free, left, pool):
  """Moves keys to the pages of the buckets of their rows.

  Args:
    keys: [N] uint64.
    layout: the bucket of each row.
    page_of: [buckets] int64, the page being filled, -1 for none; modified.
    free: free pages, taken from the end.
    left: the number of free pages.
    pool: the destination; modified.

  Returns:
    The number of free pages left.
  """
  row_shift, buckets = uint64(layout.row_shift), layout.bucket
  target, size = pool.keys.reshape(-1), pool.keys.shape[1]
  positions = np.zeros(len(page_of), np.uint64)
  stops = np.zeros(len(page_of), np.uint64)
  for bucket in range(len(page_of)):
    page = page_of[bucket]
    if page >= 0:
      positions[bucket] = page * size + pool.filled[page]
      stops[bucket] = (page + 1) * size
  for key in keys:
    bucket = uint64(buckets[key >> row_shift])
    position = positions[bucket]
    if position == stops[bucket]:
      if page_of[bucket] >= 0:
        pool.filled[page_of[bucket]] = size
      left -= 1
      page = free[left]
      page_of[bucket] = page
      pool.owner[page] = bucket
      position = uint64(page * size)
      stops[bucket] = position + uint64(size)
    target[position] = key
    positions[bucket] = position + uint64(1)
  for bucket in range(len(page_of)):
    page = page_of[bucket]
    if page >= 0:
      pool.filled[page] = np.int64(positions[bucket]) - page * size
  return left


@njit(nogil=True, cache=True)
def fold_cells(plain, turned, layout, first, last, cells, folded):
  """Adds plain * cells + turned * cells^T to `folded`, rows first..last-1.

  `plain` and `turned` are flags. Cells are symmetric in shape: (i, j) has one
  exactly if (j, i) has one.
  """
  for row in range(first, last):
    base = layout.base[row]
    for col in range(layout.limit[row]):
      total = 0
      if plain:
        total += cells[base + col]
      if turned:
        total += cells[layout.base[col] + row]
      folded[base + col] += total


@njit(nogil=True, cache=True)
def sum_keys(keys, units, layout, position, starts, ends, cols, sums):
  """Sums the units of equal pairs.

  Args:
    keys: uint64, sorted.
    units: [window + 1] int64, what a pair adds at each distance: 1/d in whole
      units.
    layout: how keys are packed.
    position: where in `cols` and `sums` to write.
    starts, ends: [V] int64; set for each row that occurs: row i is
      starts[i]:ends[i] of `cols` and `sums`.
    cols: int32, the output: the column of each distinct pair.
    sums: int64, the output: the units of each distinct pair.
  """
  row_shift = uint64(layout.row_shift)
  column_shift = uint64(layout.column_shift)
  distance = (uint64(1) << column_shift) - uint64(1)
  column = (uint64(1) << (row_shift - column_shift)) - uint64(1)
  position, here = uint64(position), uint64(0)
  while here < len(keys):
    pair = keys[here] >> column_shift
    total = 0
    while here < len(keys) and keys[here] >> column_shift == pair:
      total += units[keys[here] & distance]
      here += uint64(1)
    cols[position] = pair & column
    sums[position] = total
    position += uint64(1)
    row = keys[here - uint64(1)] >> row_shift
    if ends[row] == 0:
      starts[row] = position - uint64(1)
    ends[row] = position


@njit(nogil=True, cache=True)
def count_entries(first, last, layout, counts, mirrored, lengths):
  """Adds to `lengths` the entries from rows first..last-1, by entry row."""
  for row in range(first, last):
    base = layout.base[row]
    for cell in range(base, base + layout.limit[row]):
      lengths[row] += counts.cells[cell] != 0
    lengths[row] += counts.ends[row] - counts.starts[row]
    if mirrored:
      for position in range(counts.starts[row], counts.ends[row]):
        col = counts.cols[position]
        lengths[col] += col != row


@njit(nogil=True, cache=True)
def list_entries(
  first, last, layout, counts, mirrored, positions, row, col, sums
):
  """Lists the entries of rows first..last-1, sorted by row and column.

  The columns of a row come from three sources, in increasing order: its cells,
  the mirror images of sums of lower rows, and its sums.

  Args:
    first, last: the range of rows.
    layout: which pairs have cells.
    counts: a `pair_counter.PairSums`.
    mirrored: whether a sum (i, j) also stands for (j, i).
    positions: [last - first] int64, where each row starts in the output;
      modified.
    row, col, sums: int32, int32 and int64, the output.
  """
  for here in range(first, last):
    base = layout.base[here]
    for other in range(layout.limit[here]):
      if counts.cells[base + other] != 0:
        units = counts.cells[base + other]
        _put(positions, first, here, other, units, row, col, sums)
  if mirrored:
    for other in range(last):
      end = counts.ends[other]
      least = max(first, other + 1)
      start = counts.starts[other]
      position = _lower_bound(counts.cols, start, end, least)
      while position < end and counts.cols[position] < last:
        here, units = counts.cols[position], counts.sums[position]
        _put(positions, first, here, other, units, row, col, sums)
        position += 1
  for here in range(first, last):
    for position in range(counts.starts[here], counts.ends[here]):
      other = counts.cols[position]
      units = counts.sums[position]
      if mirrored and other == here:
        units *= 2
      _put(positions, first, here, other, units, row, col, sums)


@njit(nogil=True, cache=True)
def _put(positions, first, here, other, units, row, col, sums):
  position = positions[here - first]
  row[position] = here
  col[position] = other
  sums[position] = units
  positions[here - first] = position + 1


@njit(nogil=True, cache=True)
def _lower_bound(values, start, end, value):
  """The first index in start..end whose value is at least `value`."""
  while start < end:
    middle = (start + end) // 2
    if values[middle] < value:
      start = middle + 1
    else:
      end = middle
  return start


@njit(nogil=True, cache=True)
def merge_sums(left_keys, left_sums, right_keys, right_sums, keys, sums):
  """Merges two sorted lists and adds the sums of equal keys.

    keys [3, 7] with sums [1, 2] and keys [7, 9] with sums [5, 1]
    -> keys [3, 7, 9] with sums [1, 7, 1]

  Returns:
    The number of entries written to `keys` and `sums`.
  """
  left, right, found = 0, 0, 0
  while left < len(left_keys) or right < len(right_keys):
    ends = right == len(right_keys)
    use_left = ends or (
      left < len(left_keys) and left_keys[left] <= right_keys[right]
    )
    if use_left:
      keys[found] = left_keys[left]
      sums[found] = left_sums[left]
      if not ends and right_keys[right] == left_keys[left]:
        sums[found] += right_sums[right]
        right += 1
      left += 1
    else:
      keys[found] = right_keys[right]
      sums[found] = right_sums[right]
      right += 1
    found += 1
  return found
