"""Compiled loops over pairs of words near each other.

Units of frequent pairs are added to *cells*, a dense array; each other pair
becomes a 64-bit key (row, column, distance), for sorting. Nothing here holds
Python's lock, so threads work at once.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from glove_jax.text.kernels import END

SYMMETRIC, RIGHT, LEFT = range(3)


class Layout(NamedTuple):
  """Where the counts of each row are kept, and how a key is made."""

  limit: np.ndarray  # [V] int64: columns 0..limit-1 of a row have cells
  base: np.ndarray  # [V] int64: the cell of a row's column 0
  bucket: np.ndarray  # [V] int64: where the keys of a row go; never falls
  column_shift: int  # a key is row << row_shift | col << column_shift | d
  row_shift: int


class Pool(NamedTuple):
  """Keys of a part of the corpus, in pages that belong to a bucket each."""

  keys: np.ndarray  # [pages, size of a page] uint64
  owner: np.ndarray  # [pages] int64: the page's bucket, -1 while it is free
  filled: np.ndarray  # [pages] int64: how many keys are in it


class Work(NamedTuple):
  """What one thread writes to."""

  cells: np.ndarray  # int64 units of (left word, right word), by right word
  keys: np.ndarray  # uint64 keys that are not yet in the pool
  page: np.ndarray  # [buckets] int64: the page being filled, -1 for none


@njit(nogil=True, cache=True)
def add_pairs(ids, first, units, mode, layout, cells, keys):
  """Counts the pairs of each word with those up to `window` places before it.

  Args:
    ids: [N] int32; pairs cross no END, and UNKNOWN has none.
    first: pairs whose right word is at `first` or later are counted.
    units: [window + 1] int64, what a pair adds at each distance.
    mode: whether a key's row is the lower id, the left or the right word.
    layout: which pairs have cells, and how a key is made.
    cells: int64 units of (left word, right word), by right word; changed.
    keys: uint64, room for those of the other pairs.

  Returns:
    The place to go on with when the keys have found room, and how many there
    are.
  """
  window = len(units) - 1
  row_shift, column_shift = (
    uint64(layout.row_shift),
    uint64(layout.column_shift),
  )
  begin = first  # of the document, or as far back as matters
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
  """Moves keys to the pages of their rows' buckets.

  Args:
    keys: [N] uint64.
    layout: the bucket of each row.
    page_of: [buckets] int64, the page being filled, -1 for none; changed.
    free: pages to take next, from the end; `left`: how many there are.
    pool: where to; changed.

  Returns:
    How many free pages are left.
  """
  row_shift, buckets = uint64(layout.row_shift), layout.bucket
  target, size = pool.keys.reshape(-1), pool.keys.shape[1]
  places = np.zeros(len(page_of), np.uint64)
  stops = np.zeros(len(page_of), np.uint64)
  for bucket in range(len(page_of)):
    page = page_of[bucket]
    if page >= 0:
      places[bucket] = page * size + pool.filled[page]
      stops[bucket] = (page + 1) * size
  for key in keys:
    bucket = uint64(buckets[key >> row_shift])
    place = places[bucket]
    if place == stops[bucket]:
      if page_of[bucket] >= 0:
        pool.filled[page_of[bucket]] = size
      left -= 1
      page = free[left]
      page_of[bucket] = page
      pool.owner[page] = bucket
      place = uint64(page * size)
      stops[bucket] = place + uint64(size)
    target[place] = key
    places[bucket] = place + uint64(1)
  for bucket in range(len(page_of)):
    page = page_of[bucket]
    if page >= 0:
      pool.filled[page] = np.int64(places[bucket]) - page * size
  return left


@njit(nogil=True, cache=True)
def fold_cells(plain, turned, layout, first, last, cells, folded):
  """folded = plain * cells + turned * cells^T, for rows first..last-1."""
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
def sum_keys(keys, units, layout, at, starts, ends, cols, sums):
  """Sums the units of equal pairs.

  Args:
    keys: sorted.
    units: [window + 1] int64.
    at: where in `cols` and `sums` to write.
    starts, ends: [V] int64, set for each row that is met: where it is then.
    cols: int32, and sums: int64.
  """
  row_shift = uint64(layout.row_shift)
  column_shift = uint64(layout.column_shift)
  distance = (uint64(1) << column_shift) - uint64(1)
  column = (uint64(1) << (row_shift - column_shift)) - uint64(1)
  at, here = uint64(at), uint64(0)
  while here < len(keys):
    pair = keys[here] >> column_shift
    total = 0
    while here < len(keys) and keys[here] >> column_shift == pair:
      total += units[keys[here] & distance]
      here += uint64(1)
    cols[at] = pair & column
    sums[at] = total
    at += uint64(1)
    row = keys[here - uint64(1)] >> row_shift
    if ends[row] == 0:
      starts[row] = at - uint64(1)
    ends[row] = at


@njit(nogil=True, cache=True)
def count_entries(first, last, layout, counts, mirrored, lengths):
  """Adds the entries that rows first..last-1 give rise to, by their row."""
  for row in range(first, last):
    base = layout.base[row]
    for cell in range(base, base + layout.limit[row]):
      lengths[row] += counts.cells[cell] != 0
    lengths[row] += counts.ends[row] - counts.starts[row]
    if mirrored:
      for at in range(counts.starts[row], counts.ends[row]):
        col = counts.cols[at]
        lengths[col] += col != row


@njit(nogil=True, cache=True)
def list_entries(first, last, layout, counts, mirrored, places, row, col, sums):
  """Lists the entries of rows first..last-1, sorted by row and column.

  Args:
    first, last: which rows.
    layout: how they are kept.
    counts: a `pairs.Part`.
    mirrored: whether an entry (i, j) beside the cells stands for (j, i) too.
    places: [last - first] int64, where in the output each row starts; changed.
    row, col, sums: int32, int32 and int64, the output.
  """
  for here in range(first, last):
    base = layout.base[here]
    for other in range(layout.limit[here]):
      if counts.cells[base + other] != 0:
        _put(
          places, first, here, other, counts.cells[base + other], row, col, sums
        )
  if mirrored:
    for other in range(last):
      end = counts.ends[other]
      least = max(first, other + 1)
      at = _lower_bound(counts.cols, counts.starts[other], end, least)
      while at < end and counts.cols[at] < last:
        _put(
          places, first, counts.cols[at], other, counts.sums[at], row, col, sums
        )
        at += 1
  for here in range(first, last):
    for at in range(counts.starts[here], counts.ends[here]):
      other = counts.cols[at]
      twice = 2 if mirrored and other == here else 1
      _put(places, first, here, other, twice * counts.sums[at], row, col, sums)


@njit(nogil=True, cache=True)
def _put(places, first, here, other, units, row, col, sums):
  place = places[here - first]
  row[place] = here
  col[place] = other
  sums[place] = units
  places[here - first] = place + 1


@njit(nogil=True, cache=True)
def _lower_bound(values, start, end, value):
  while start < end:
    middle = (start + end) // 2
    if values[middle] < value:
      start = middle + 1
    else:
      end = middle
  return start


@njit(nogil=True, cache=True)
def merge_sums(left_keys, left_sums, right_keys, right_sums, keys, sums):
  """Merges two sorted lists; the sums of equal keys are added.

  Returns:
    How many of `keys` and `sums` are used.
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
