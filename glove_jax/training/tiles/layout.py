"""Tiles and lines: what they hold, and how a pass visits them.

Counts of words in order of frequency are dense where it matters: on 25M words
of Wikipedia (104,361 words, 71.8M counts), the 512 x 512 tiles with at least 2%
non-zero cells are 6% of all cells and hold 85% of all counts. There the model
is a product of matrices.

Words are ordered by frequency and cut into blocks of T words, see `cutting`. A
pair of blocks with enough counts is a tile: [T, T] codes, 0 where nothing was
counted. The counts outside of tiles are the remainder. It is stored twice, by
row and by column, as lines: some counts of one row, or of one column. All lines
are equally wide, and a row has as many as it needs. The step on lines of rows
trains only these rows, the step on lines of columns only the columns.

With `missing` there are no lines. Tiles are then all pairs of blocks of the
core, the most frequent words, and the other counts are in `strips`.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from glove_jax import memory
from glove_jax.training.tiles.strips import Strips, fill_cells

OUTSIDE = np.iinfo(np.int32).max  # an index outside of every table


class Groups(NamedTuple):
  """G groups of K tiles each. The tiles of a group share no block."""

  tile: np.ndarray  # [G, K] int32, which tiles; padding is out of range
  pair: np.ndarray  # [G, K, 2] int32, their blocks; padding is out of range


class Tiles(NamedTuple):
  """G groups of K tiles with their counts."""

  code: np.ndarray  # [G, K, T, T] uint16, see `codec`
  pair: np.ndarray  # [G, K, 2] int32, the blocks of words and of contexts


class Lines(NamedTuple):
  """S lines with N counts each; those of one row follow each other."""

  row: np.ndarray  # [S] int32, the row of the table that a line trains
  fixed: np.ndarray  # [S, N] int32, the rows that it was counted with
  code: np.ndarray  # [S, N] uint16, 0 is padding


class LineBatches(NamedTuple):
  """K batches of R lines with N counts each."""

  trained: np.ndarray  # [K, R] int32, each row once; padding is out of range
  index: np.ndarray  # [K, R] int32, of the row of each line in `trained`
  fixed: np.ndarray  # [K, R, N] int32, as in `Lines`
  code: np.ndarray  # [K, R, N] uint16


class Blocks(NamedTuple):
  """Counts cut into tiles and lines, in a folder.

  The table has B blocks of T words, then B blocks of T contexts. Word i is row
  position[i] of the table, and context j is row B * T + position[j].
  """

  folder: pathlib.Path | None  # None: the tiles are on a device
  position: np.ndarray  # [V] int32
  tile_size: int  # T
  num_blocks: int  # B
  pair: np.ndarray  # [M, 2] int32, block of words, block of contexts of M tiles
  num_counts: np.ndarray  # [M] int64, in each tile
  num_outside: int  # counts in lines
  file_index: np.ndarray  # [M] int64, of a tile in our file; -1: not in it
  lines: Lines | None = None  # mapped from disk
  strips: Strips | None = None  # with `missing`, if there are other words


class Parts(NamedTuple):
  """Blocks dealt to n parts, so that each part has as many frequent words.

  Block b belongs to part b mod n and is number b // n there. With 7 blocks and
  n = 3:

    part 0: blocks 0 3 6     part 1: blocks 1 4     part 2: blocks 2 5

  Every part has room for B' = 3 blocks. The table of a device has the B' blocks
  of its words, then the B' blocks of the contexts that it holds in a turn.
  """

  whole: Blocks
  num_parts: int  # n
  local: Blocks  # pair and num_blocks as in a device's table; lines are unused
  tile_part: np.ndarray  # [M, 2] the parts of each tile's words and contexts
  index: np.ndarray  # [M + 1] int32, of a tile in its part; OUTSIDE for tile M

  def tiles(self, part: int) -> np.ndarray:
    """The tiles of a part's words, in order."""
    return np.flatnonzero(self.tile_part[:, 0] == part)

  def words(self, part: int) -> tuple[np.ndarray, np.ndarray]:
    """The words of a part, and the position of each within it."""
    of_part, position = self.split(self.whole.position)
    words = np.flatnonzero(of_part == part)
    return words, position[words]

  def split(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of positions in the whole, and the positions within them."""
    size = self.local.tile_size
    block, row = np.divmod(position, size)
    return block % self.num_parts, block // self.num_parts * size + row


def deal(blocks: Blocks, num_parts: int) -> Parts:
  """Deals blocks to parts."""
  size = -(-blocks.num_blocks // num_parts)
  block = blocks.pair - np.array([0, blocks.num_blocks], np.int32)
  pair = block // num_parts + np.array([0, size], np.int32)
  local = blocks._replace(num_blocks=size, pair=pair.astype(np.int32))
  index = np.full(len(pair) + 1, OUTSIDE, np.int32)
  parts = Parts(blocks, num_parts, local, block % num_parts, index)
  for part in range(num_parts):
    index[parts.tiles(part)] = np.arange(len(parts.tiles(part)))
  return parts


class Pass(NamedTuple):
  """What a pass visits: everything, or tiles of the most frequent words."""

  tiles: np.ndarray  # [M'] which tiles
  with_lines: bool
  num_triplets: int
  fits_strips: bool = False  # after the tiles and lines
  with_strips: bool = False  # as tiles, among the others


def plan_pass(blocks: Blocks, words: int | None = None) -> Pass:
  """Plans a pass.

  Args:
    blocks: tiles and lines.
    words: visit only tiles within this many most frequent words, and no lines;
      None visits everything but strips.
  """
  everything = words is None or words >= len(blocks.position)
  last = blocks.pair - np.array([0, blocks.num_blocks])
  inside = (last.max(axis=1, initial=0) + 1) * blocks.tile_size <= (words or 0)
  tiles = np.flatnonzero(inside | everything)
  outside = blocks.num_outside if everything else 0
  return Pass(tiles, outside > 0, int(blocks.num_counts[tiles].sum()) + outside)


def disjoint_groups(
  blocks: Blocks, tiles: np.ndarray, max_tiles: int, rng: np.random.Generator
) -> Groups:
  """Divides tiles at random into groups whose tiles share no block.

  The blocks get random labels. The tile of blocks labelled (i, j) belongs to
  group (i + j) mod B, so a group has one tile at most in each row and in each
  column. With B = 3 the groups lie on the diagonals:

            j=0  1  2
      i=0     0  1  2     group 0 has tiles (0, 0), (1, 2), (2, 1)
      i=1     1  2  0     group 1 has tiles (0, 1), (1, 0), (2, 2)
      i=2     2  0  1     group 2 has tiles (0, 2), (1, 1), (2, 0)

  A group of more than `max_tiles` tiles is split, and the tiles within a group
  and the groups are in random order.

  Args:
    blocks: has the blocks of each tile.
    tiles: [M'] which tiles.
    max_tiles: K, the most tiles in a group.
    rng: draws the groups and their order.

  Returns:
    Groups [G, K]. A group of fewer tiles is padded with tile M.
  """
  num_blocks = blocks.num_blocks
  row, col = (blocks.pair[tiles] - np.array([0, num_blocks])).T
  size = 1 + max(row.max(initial=0), col.max(initial=0))
  diagonal = (rng.permutation(size)[row] + rng.permutation(size)[col]) % size
  order = rng.permutation(len(tiles))
  order = order[np.argsort(diagonal[order], kind="stable")]
  lengths = np.bincount(diagonal, minlength=size)  # [size] tiles on a diagonal
  splits = -(-lengths // max_tiles)  # [size] groups of a diagonal
  rank = np.arange(len(tiles))  # [M'] of a tile on its diagonal
  rank -= np.repeat(np.cumsum(lengths) - lengths, lengths)
  group = np.repeat(np.cumsum(splits) - splits, lengths) + rank // max_tiles
  tile = np.full((splits.sum(), max_tiles), len(blocks.pair), np.int32)
  tile[group, rank % max_tiles] = tiles[order]
  tile = rng.permutation(tile)
  padding = np.full((1, 2), OUTSIDE, np.int32)
  return Groups(tile, np.concatenate([blocks.pair, padding])[tile])


def stack_groups(groups: Groups, size: int) -> list[Groups]:
  """Cuts groups into stacks of `size`; the last is padded with empty groups."""
  missing = -len(groups.tile) % size
  tile, pair = (pad_end(array, missing, OUTSIDE) for array in groups)
  starts = range(0, len(tile), size)
  return [Groups(tile[i : i + size], pair[i : i + size]) for i in starts]


def count_tiles(blocks: Blocks, groups: Groups) -> np.ndarray:
  """The number of tiles in each group, without padding."""
  return (groups.tile < len(blocks.pair)).sum(axis=-1)


def pad_end(array: np.ndarray, missing: int, value) -> np.ndarray:
  """Appends entries of a value; with none to append the array stays mapped."""
  if not missing:
    return array
  end = np.full((missing, *array.shape[1:]), value, array.dtype)
  return np.concatenate([array, end])


def read_tiles(blocks: Blocks, groups: Groups) -> Tiles:
  """Reads the tiles of groups [G, K] from our file; padding is all 0."""
  shape = (*groups.tile.shape, blocks.tile_size, blocks.tile_size)
  code = memory.whole_zeros(shape, np.uint16)
  real = np.nonzero(groups.tile < len(blocks.pair))
  with (blocks.folder / "tiles.bin").open("rb", buffering=0) as file:
    for slot in zip(*real, strict=True):
      file_index = int(blocks.file_index[groups.tile[slot]])
      file.seek(file_index * code[slot].nbytes)
      file.readinto(code[slot])
  return Tiles(code, groups.pair)


def read_strip_tiles(strips: Strips, strip: int) -> Tiles:
  """The cells of a strip as K tiles of its block with those of the core.

  A strip of words has the tiles (block, 0) to (block, K - 1); the tiles of a
  strip of contexts are (0, block) to (K - 1, block).
  """
  size, block = strips.tile_size, strips.block(strip)
  of_words = block < strips.num_blocks
  shape = strips.core_blocks, size, size
  code = fill_cells(strips, strip, shape, transpose=not of_words)
  core = np.arange(strips.core_blocks, dtype=np.int32)
  pair = np.full((len(core), 2), block, np.int32)
  pair[:, int(of_words)] = core + strips.num_blocks * of_words
  return Tiles(code[:, None], pair[:, None])


def map_tiles(blocks: Blocks) -> np.ndarray:
  """The codes of all tiles in our file, mapped from disk: [M, T, T] uint16."""
  num_tiles = int((blocks.file_index >= 0).sum())
  shape = (num_tiles, blocks.tile_size, blocks.tile_size)
  if not num_tiles:
    return np.zeros(shape, np.uint16)
  return np.memmap(blocks.folder / "tiles.bin", np.uint16, "r", shape=shape)
