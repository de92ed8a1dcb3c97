"""Compiled loops over the words of a text and the words near them.

X is summed row by row. The windows around all occurrences of a word are added
to one row of V sums, which stays in the cache, and a bit for each sum shows
which are not 0. Read in the order of the bits, the row is sorted.

Example: 3 words, a window of 2, and distances 1 and 2 that add 2 and 1 units:

  ids        [1, 0, 2, END, 0, 1]
  starts     [0, 2, 4, 5]          word 1 is at positions[2:4]
  positions  [1, 4, 0, 5, 2]       of words 0, 0, 1, 1, 2
  row 1      at 0: 2 for word 0, 1 for word 2; at 5: 2 for word 0
             sums [4, 0, 1], bits 0b101  ->  X(1, 0) = 4, X(1, 2) = 1

All loops release Python's lock, so they scale with threads. Hot loops index
with unsigned integers, as in `text.kernels`.
"""

from typing import NamedTuple

import numpy as np
from numba import uint64

from glove_jax import native
from glove_jax.text.instructions import prefetch, trailing_zeros
from glove_jax.text.symbols import END

_AHEAD = 5  # occurrences between loading the text around one and adding it
_LINE = 16  # ids in a line of the cache


class Places(NamedTuple):
  """Where each word occurs."""

  starts: np.ndarray  # [V + 1] int64: word i is at positions[starts[i]:
  positions: np.ndarray  # starts[i + 1]], in increasing order; [N] uint32


class RowSums(NamedTuple):
  """The sums of one row, all 0 between two rows."""

  sums: np.ndarray  # [V] int64
  seen: np.ndarray  # [V / 64] uint64, a bit for each sum


@native.loop
def count_ids(ids, counts):
  """Adds to counts [V] int64 how often each id occurs."""
  for word in ids:
    if word >= 0:
      counts[uint64(word)] += 1


@native.loop
def find_places(ids, first, last, ends, positions):
  """Lists the positions first..last-1 of ids by the word there.

  Args:
    ids: [N] int32.
    first, last: the range of positions.
    ends: [V] int64, where the next position of each word goes; modified.
    positions: uint32, the output.
  """
  for here in range(first, last):
    word = ids[uint64(here)]
    if word >= 0:
      positions[uint64(ends[uint64(word)])] = here
      ends[uint64(word)] += 1


@native.loop
def sum_rows(
  ids, first, places, units, before, after, low, high, line, row, col, sums
):
  """Sums rows low..high-1 of X, and lists what is not 0.

  Args:
    ids: [N] int32; no pair spans an END, and UNKNOWN has no pairs.
    first: the position of the first id whose pairs with those before it are
      counted; ids before it form no pairs among themselves.
    places: where each word occurs.
    units: [window + 1] int64, what a pair adds at each distance: 1/d in whole
      units.
    before, after: whether the words before and after a word are its context.
    low, high: the range of rows.
    line: `RowSums`.
    row, col, sums: int32, int32 and int64, the output; sorted.

  Returns:
    The number of entries written.
  """
  window, found = len(units) - 1, uint64(0)
  starts, positions = places
  last = len(positions) - 1
  for word in range(low, high):
    for number in range(starts[word], starts[word + 1]):
      here = np.int64(positions[uint64(number)])
      ahead = np.int64(positions[uint64(min(number + _AHEAD, last))])
      for there in range(ahead - window, ahead + window + _LINE, _LINE):
        prefetch(ids, there)
      if before and here >= first:
        for distance in range(1, min(window, here) + 1):
          other = ids[uint64(here - distance)]
          if other >= 0:
            _add(line, other, units[uint64(distance)])
          elif other == END:
            break
      if after:
        most = min(window, len(ids) - 1 - here)
        for distance in range(max(1, first - here), most + 1):
          other = ids[uint64(here + distance)]
          if other >= 0:
            _add(line, other, units[uint64(distance)])
          elif other == END:
            break
    if starts[word] < starts[word + 1]:
      found = _list_row(line, word, found, row, col, sums)
  return np.int64(found)


@native.helper
def _add(line, word, units):
  """Adds to the sum of a word."""
  word = uint64(word)
  # Asking first whether the bit is set already would take longer.
  line.seen[word >> uint64(6)] |= uint64(1) << (word & uint64(63))
  line.sums[word] += units


@native.helper
def _list_row(line, word, found, row, col, sums):
  """Lists the sums of a row from entry `found` on, and sets them to 0."""
  for part in range(uint64(len(line.seen))):
    bits = line.seen[part]
    if bits == uint64(0):
      continue
    line.seen[part] = uint64(0)
    while bits != uint64(0):
      other = (part << uint64(6)) + trailing_zeros(bits)
      bits &= bits - uint64(1)  # without its lowest 1
      row[found] = word
      col[found] = other
      sums[found] = line.sums[other]
      line.sums[other] = 0
      found += uint64(1)
  return found


@native.loop
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
