"""Lines: the counts outside of tiles, by row and by column, see `layout`."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from glove_jax import memory, native
from glove_jax.counts.triplets import chunks
from glove_jax.training.tiles.layout import OUTSIDE, Lines, pad_end

BATCH_CELLS = 1 << 14  # counts in a batch of lines, padding included
_MOST_ADDED = 0.01  # of the cells of all lines, by joining two widths


class Remainder(NamedTuple):
  """N counts outside of tiles."""

  row: np.ndarray  # [N] int32, position of the word
  col: np.ndarray  # [N] int32, position of the context
  code: np.ndarray  # [N] uint16


def cut_lines(
  remainder: Remainder,
  half: int,
  batch_cells: int | None = None,
  zeros: Callable[[int, str], np.ndarray] = np.zeros,
) -> list[Lines]:
  """Rows, and columns, padded to powers of two, in batches of one shape each.

  With half = 100, a word in position 3 and counts with contexts 10 to 20 gives
  one line of width 16 with 5 zeros: trained 3, fixed 110, 111, ..., 120. In the
  line of its context 10, trained is 110, and 3 is one of the fixed.

  Args:
    remainder: the counts outside of tiles.
    half: B * T, the first row of the table that is a context.
    batch_cells: the most counts in a batch, padding included; None makes one
      batch of all lines of a width, and joins no widths.
    zeros: (size, dtype) -> an array for the lines, such as `memory.scratch`.

  Returns:
    Lines for each width that occurs, from narrow to wide.
  """
  widths = _widths(remainder, half)
  if batch_cells is not None:
    widths = _join_rare(widths)
  start, size = np.zeros(2 * half, np.int64), 0
  batched = []  # [K, R] trained rows of each width
  for width in np.unique(widths[widths > 0]):
    trained = np.flatnonzero(widths == width).astype(np.int32)
    rows = len(trained)
    if batch_cells is not None:
      rows = min(max(1, batch_cells // width), rows)
    num_batches = -(-len(trained) // rows)
    start[trained] = size + width * np.arange(len(trained))
    size += num_batches * rows * width
    trained = pad_end(trained, num_batches * rows - len(trained), OUTSIDE)
    batched.append((trained.reshape(num_batches, rows), width))
  fixed, code = zeros(size, "i4"), zeros(size, "u2")
  for part in chunks(len(remainder.row), slice(None)):
    row, col, from_code = (column[part] for column in remainder)
    _fill_lines(row, col, from_code, 0, half, start, fixed, code)
    _fill_lines(col, row, from_code, half, 0, start, fixed, code)
    memory.release(row, col, from_code, fixed, code)
  lines, first = [], 0
  for trained, width in batched:
    shape, last = (*trained.shape, width), first + trained.size * width
    parts = (array[first:last].reshape(shape) for array in (fixed, code))
    lines.append(Lines(trained, *parts))
    first = last
  return lines


def _widths(remainder: Remainder, half: int) -> np.ndarray:
  """The width of the line of each row of the table, 0 without counts: [2 H]."""
  length = np.zeros((2, half), np.int64)
  for part in chunks(len(remainder.row), slice(None)):
    for side, positions in enumerate(remainder[:2]):
      length[side] += np.bincount(positions[part], minlength=half)
      memory.release(positions[part])
  length = length.ravel()
  widths = np.maximum(8, 2 ** np.ceil(np.log2(np.maximum(1, length))))
  return np.where(length, widths, 0).astype(np.int64)


def _join_rare(widths: np.ndarray) -> np.ndarray:
  """Widens the lines of rare widths; each width has a program of its own."""
  power = np.log2(np.maximum(1, widths)).astype(np.int64)
  number = np.bincount(power)
  number[0] = 0  # there is no line
  widths = widths.copy()
  for narrow, wide in joins(number, _MOST_ADDED * widths.sum()):
    widths[widths == 1 << narrow] = 1 << wide
  return widths


def joins(number: np.ndarray, most_added: float) -> list[tuple[int, int]]:
  """Finds the widths whose lines are padded to the next one that occurs.

  Each width costs something, however few lines have it: a program on one
  device, a step of all devices on several.

  Args:
    number: [P], of the lines of width 2^p.
    most_added: the cells that a join may add.

  Returns:
    Pairs (p, q), to be joined in this order: from width 2^p to width 2^q.

  Example:
    2 lines of width 8 have 2 * 24 cells more as lines of width 32. The 1000
    lines of width 32 would have 32,000 more as lines of width 64.

    >>> joins(np.array([0, 0, 0, 2, 0, 998, 5]), most_added=4096)
    [(3, 5)]
  """
  number, found = number.copy(), []
  for narrow, wide in itertools.pairwise(np.flatnonzero(number).tolist()):
    if number[narrow] * ((1 << wide) - (1 << narrow)) <= most_added:
      found.append((narrow, wide))
      number[wide] += number[narrow]
  return found


@native.loop
def _fill_lines(
  trained, fixed, code, trained_half, fixed_half, start, to_fixed, to_code
):  # fmt: skip
  """Appends counts to the lines that begin at `start`, which moves on."""
  for i in range(len(trained)):
    row = trained[i] + trained_half
    to_fixed[start[row]] = fixed[i] + fixed_half
    to_code[start[row]] = code[i]
    start[row] += 1
