"""Lines: the counts outside of tiles, by row and by column, see `layout`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from glove_jax import memory, native
from glove_jax.counts.triplets import chunks
from glove_jax.training.tiles.layout import (
  OUTSIDE,
  LineBatches,
  Lines,
  pad_end,
)

WIDTHS = np.array([4, 8, 16, 32, 64])  # that lines may have
BATCH_CELLS = 1 << 14  # counts in a batch of lines, padding included
_MAX_BATCHES = 64  # in a stack
_LINE_CELLS = 4  # a step takes as long for a line as for so many counts in it


class Remainder(NamedTuple):
  """N counts outside of tiles."""

  row: np.ndarray  # [N] int32, position of the word
  col: np.ndarray  # [N] int32, position of the context
  code: np.ndarray  # [N] uint16


def count_lines(remainder: Remainder, half: int) -> np.ndarray:
  """How many lines of each width of `WIDTHS` hold a remainder.

  Args:
    remainder: the counts outside of tiles.
    half: B * T, the first row of the table that is a context.

  Example:
    A word with 9 contexts: 3 lines of width 4, and one for each context.

    >>> nine = np.arange(9, dtype=np.int32)
    >>> count_lines(Remainder(0 * nine, nine, nine), half=9)
    array([12, 11, 10, 10, 10])
  """
  length = _lengths(remainder, half)
  return np.array([-(-length // width) for width in WIDTHS]).sum(axis=1)


def best_width(num_lines: np.ndarray) -> int:
  """The index of the width in `WIDTHS` that takes the shortest steps.

  >>> best_width(np.array([12, 11, 10, 10, 10]))  # cells: 48, 88, 160, ...
  0

  Args:
    num_lines: how many lines of each width there are.
  """
  return int(np.argmin(num_lines * (WIDTHS + _LINE_CELLS)))


def _lengths(remainder: Remainder, half: int) -> np.ndarray:
  """The number of counts of each row of the table: [2 * half]."""
  length = np.zeros((2, half), np.int64)
  for part in chunks(len(remainder.row), slice(None)):
    for side, positions in enumerate(remainder[:2]):
      length[side] += np.bincount(positions[part], minlength=half)
      memory.release(positions[part])
  return length.ravel()


def cut_lines(
  remainder: Remainder,
  half: int,
  width: int,
  zeros: Callable[[int, str], np.ndarray] = np.zeros,
) -> Lines:
  """Cuts rows and columns into lines; the last of each is padded.

  With half = 100 and width 8, a word in position 3 and counts with contexts 10
  to 20 gives two lines of row 3. The first is fixed to 110, ..., 117, the other
  to 118, 119, 120 and five of padding. In the line of its context 10, the row
  is 110, and 3 is one of the fixed.

  Args:
    remainder: the counts outside of tiles.
    half: B * T, the first row of the table that is a context.
    width: N.
    zeros: (size, dtype) -> an array for the lines, such as `memory.scratch`.
  """
  num_lines = -(-_lengths(remainder, half) // width)
  ends = np.cumsum(num_lines)
  size = int(ends[-1])
  row = zeros(size, "i4")
  for part in chunks(len(ends), slice(None)):
    rows = np.arange(part.start, part.stop, dtype=np.int32)
    first = ends[part.start] - num_lines[part.start]
    row[first : ends[part.stop - 1]] = np.repeat(rows, num_lines[part])
  start = width * (ends - num_lines)
  fixed, code = zeros(size * width, "i4"), zeros(size * width, "u2")
  for part in chunks(len(remainder.row), slice(None)):
    first, second, from_code = (column[part] for column in remainder)
    _fill_lines(first, second, from_code, 0, half, start, fixed, code)
    _fill_lines(second, first, from_code, half, 0, start, fixed, code)
    memory.release(first, second, from_code, fixed, code)
  return Lines(row, fixed.reshape(size, width), code.reshape(size, width))


class Shape(NamedTuple):
  """The shape of some lines in stacks."""

  stacks: int
  batches: int  # in a stack
  rows: int  # lines in a batch
  width: int  # counts in a line

  def num_steps(self, num_lines: int | np.ndarray) -> np.ndarray:
    """How many steps each batch counts as: those on BATCH_CELLS counts.

    >>> Shape(stacks=2, batches=3, rows=1024, width=32).num_steps(4 * 512 + 1)
    array([[2, 2, 1],
           [0, 0, 0]])

    Args:
      num_lines: how many there are; [...], on each device say.

    Returns:
      [..., stacks, batches].
    """
    starts = self.rows * np.arange(self.stacks * self.batches)
    starts = starts.reshape(self.stacks, self.batches)
    left = np.clip(
      np.asarray(num_lines)[..., None, None] - starts, 0, self.rows
    )
    return -(-left // max(1, BATCH_CELLS // self.width))


def stack_shape(num_lines: int, width: int, cells: int) -> Shape:
  """Few stacks, all of one shape, with room for lines.

  >>> stack_shape(num_lines=100_000, width=32, cells=0)
  Shape(stacks=4, batches=49, rows=512, width=32)

  Args:
    num_lines: how many there are.
    width: N.
    cells: how many counts a batch should hold, padding included, if that is
      more than BATCH_CELLS.
  """
  rows = max(1, min(max(cells, BATCH_CELLS) // width, num_lines))
  batches = -(-num_lines // rows)
  stacks = -(-batches // _MAX_BATCHES)
  return Shape(stacks, -(-batches // max(1, stacks)), rows, width)


def stack_lines(lines: Lines, shape: Shape, number: int) -> LineBatches:
  """A stack of lines, padded at the end.

  A row is trained once in a batch. If its lines are in two batches, it is
  trained in both.

  Example:
    Two batches of three lines, of rows 5 and 7.

    >>> one = np.ones((5, 1), np.int32)
    >>> lines = Lines(np.array([5, 5, 7, 7, 7], np.int32), one, one)
    >>> stack = stack_lines(lines, Shape(1, 2, 3, width=1), 0)
    >>> np.where(stack.trained < OUTSIDE, stack.trained, -1)
    array([[ 5,  7, -1],
           [ 7, -1, -1]], dtype=int32)
    >>> stack.index
    array([[0, 0, 1],
           [0, 0, 1]], dtype=int32)

  Args:
    lines: S lines.
    shape: how they are stacked.
    number: which of the stacks.
  """
  _, batches, rows, width = shape
  part = slice(number * batches * rows, (number + 1) * batches * rows)
  row, fixed, code = (
    pad_end(array[part], batches * rows - len(array[part]), value)
    for array, value in zip(lines, (OUTSIDE, 0, 0), strict=True)
  )
  row = row.reshape(batches, rows)
  is_next = np.diff(row, axis=1, prepend=row[:, :1]) != 0
  index = np.cumsum(is_next, axis=1, dtype=np.int32)
  trained = np.full_like(row, OUTSIDE)
  np.put_along_axis(trained, index, row, axis=1)
  cells = batches, rows, width
  return LineBatches(trained, index, fixed.reshape(cells), code.reshape(cells))


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
