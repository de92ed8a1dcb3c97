"""Strips: the counts of the words outside of the core with the core.

With `missing`, the most frequent words, the core, train first on all cells of
their pairs. Each other word is then fitted to the core, see `fitting`. The
cells of a block of T such words with the C contexts of the core are a strip,
[T, C]. So are those of a block of contexts with the words of the core:

                core    others
      core    | tiles | strips of contexts
      others  | strips| left out
                of words

Most cells of a strip hold no count. Its counts are kept on disk, and its cells
are filled when it is read.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from glove_jax import memory, native
from glove_jax.counts.triplets import chunks
from glove_jax.training.tiles.fitting import FitPlan

_COLUMNS = {"cell": "u4", "code": "u2"}
_PIECE_WORDS = 512  # most words of the core in a piece


class Strips(NamedTuple):
  """The counts of 2 * (B - K) strips, for a core of K of the B blocks.

  The first B - K strips are those of words, the others those of contexts. The
  counts of strip s are start[s] to start[s + 1].
  """

  tile_size: int  # T
  num_blocks: int  # B
  core_blocks: int  # K; the core has C = K * T words
  start: np.ndarray  # [2 * (B - K) + 1] int64
  cell: np.ndarray  # [N] uint32, row in the block * C + position in the core
  code: np.ndarray  # [N] uint16, see `codec`

  @property
  def num_strips(self) -> int:
    return len(self.start) - 1

  @property
  def piece_blocks(self) -> int:
    return piece_blocks(self.tile_size, self.core_blocks)

  @property
  def code_shape(self) -> tuple[int, int, int]:
    """The shape of the cells of a strip: P pieces, T, and S words of each."""
    num_pieces = self.core_blocks // self.piece_blocks
    return num_pieces, self.tile_size, self.piece_blocks * self.tile_size

  def block(self, strip: int) -> int:
    """The block of the table, words then contexts, that a strip is about."""
    others = self.num_blocks - self.core_blocks
    return strip + self.core_blocks * (1 if strip < others else 2)


def piece_blocks(tile_size: int, core_blocks: int) -> int:
  """The blocks of the core in a piece: as many as fit and divide K.

  >>> piece_blocks(tile_size=128, core_blocks=6)
  3
  """
  most = max(1, _PIECE_WORDS // tile_size)
  return max(n for n in range(1, most + 1) if core_blocks % n == 0)


class Strip(NamedTuple):
  """A stack of K strips, cut into P pieces of S of the core's words.

  All are of words, or all are of contexts.
  """

  block: np.ndarray  # [1, K] int32, the blocks of the table to fit
  plan: FitPlan  # arrays of [1, N]
  code: np.ndarray  # [1, P, K, T, S] uint16, 0 where nothing was counted
  pull: Any = None  # with `retrofit`, the `pulls.Pull` of the blocks [1, K]


def cut(
  row: np.ndarray,
  col: np.ndarray,
  code: np.ndarray,
  tile_size: int,
  num_blocks: int,
  core_blocks: int,
  new: Callable[[str, int, str], np.ndarray] = lambda name, *size: np.empty(
    *size
  ),
) -> Strips:
  """Sorts counts into strips.

  Args:
    row: [N] int32, positions of words.
    col: [N] int32, positions of contexts. Each count has one of its two words
      in the core.
    code: [N] uint16, the counts.
    tile_size: T.
    num_blocks: B.
    core_blocks: K.
    new: (field, size, dtype) -> an array [size] for a field of `Strips`, such
      as `in_folder` makes; by default in memory.

  Example:
    Blocks of 2 words, a core of 1 block. Word 3 is row 1 of strip 0, and
    context 5 is row 1 of strip 3.

    >>> row, col = np.array([[3, 0], [0, 5]])
    >>> strips = cut(row, col, np.array([7, 8]), 2, 3, 1)
    >>> print(strips.start, strips.cell, strips.code)
    [0 1 1 1 2] [2 2] [7 8]
  """
  sizes = tile_size, num_blocks, core_blocks
  num_counts = np.zeros(2 * (num_blocks - core_blocks), np.int64)
  for part in chunks(len(row), slice(None)):
    _count(row[part], col[part], *sizes, num_counts)
    memory.release(row[part], col[part])
  start = np.append(0, np.cumsum(num_counts))
  cell, sorted_code = (new(n, start[-1], t) for n, t in _COLUMNS.items())
  end = start[:-1].copy()  # of each strip, while it grows
  for part in chunks(len(row), slice(None)):
    columns = row[part], col[part], code[part]
    _sort(*columns, *sizes, end, cell, sorted_code)
    memory.release(*columns, cell, sorted_code)
  return Strips(*sizes, start, cell, sorted_code)


def in_folder(
  folder: str | os.PathLike,
) -> Callable[[str, int, str], np.ndarray]:
  """Makes the arrays of `cut` in the files that `read` reads."""
  return lambda name, *size: memory.new_file(
    pathlib.Path(folder, _file(name)), *size
  )


@native.helper
def _find(row, col, tile_size, num_blocks, core_blocks):
  """The strip of a count, and its cell there."""
  core = core_blocks * tile_size
  if row >= core:
    return row // tile_size - core_blocks, row % tile_size * core + col
  strip = num_blocks + col // tile_size - 2 * core_blocks
  return strip, col % tile_size * core + row


@native.loop
def _count(row, col, tile_size, num_blocks, core_blocks, num_counts):
  """Adds the number of counts in each strip to num_counts."""
  for i in range(len(row)):
    strip, _ = _find(row[i], col[i], tile_size, num_blocks, core_blocks)
    num_counts[strip] += 1


@native.loop
def _sort(
  row, col, code, tile_size, num_blocks, core_blocks, start, to_cell, to_code
):
  """Appends each count to its strip at start[strip], which moves on."""
  for i in range(len(row)):
    strip, cell = _find(row[i], col[i], tile_size, num_blocks, core_blocks)
    to_cell[start[strip]] = cell
    to_code[start[strip]] = code[i]
    start[strip] += 1


def read_strip(strips: Strips, plan: FitPlan, strip: int) -> Strip:
  """Reads one strip, to be fitted by a plan."""
  code = fill_cells(strips, strip, strips.code_shape)[None, :, None]
  block = np.array([[strips.block(strip)]], np.int32)
  return Strip(block, FitPlan(*(array[None] for array in plan)), code)


def fill_cells(
  strips: Strips, strip: int, shape: tuple[int, int, int], transpose=False
) -> np.ndarray:
  """The cells of a strip in pieces, filled from its counts.

  Args:
    strips: the counts.
    strip: which strip.
    shape: (P, T, S), the pieces of the core and the words in each.
    transpose: return [P, S, T].
  """
  pieces, rows, width = shape
  code_shape = (pieces, width, rows) if transpose else shape
  code = memory.whole_zeros(code_shape, np.uint16)
  counts = slice(strips.start[strip], strips.start[strip + 1])
  columns = strips.cell[counts], strips.code[counts]
  _fill(*columns, pieces * width, code.mT if transpose else code)
  memory.release(*columns)
  return code


@native.loop
def _fill(cell, code, core, to_code):
  width = to_code.shape[2]
  for i in range(len(cell)):
    row, col = cell[i] // core, cell[i] % core
    to_code[col // width, row, col % width] = code[i]


def file_names() -> list[str]:
  """The files of strips: where they start, and the columns of `cut`."""
  return [_file("start"), *map(_file, _COLUMNS)]


def read(folder: str | os.PathLike, **sizes: int) -> Strips:
  """Maps the files in a folder into memory; sizes are fields of Strips."""
  arrays = {
    name: np.load(pathlib.Path(folder, _file(name)), mmap_mode="r")
    for name in ("start", *_COLUMNS)
  }
  return Strips(**sizes, **arrays)


def _file(name: str) -> str:
  return f"strips_{name}.npy"
