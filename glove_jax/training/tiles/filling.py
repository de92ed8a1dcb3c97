"""Writes the counts of blocks of words to tiles in a file, and to a remainder.

A thread fills some rows of all tiles of a block of words, and writes them. So
memory does not grow with the number of tiles in a block:

  block 0   rows 0 to 127 of its 100 tiles, rows 128 to 255, ...
  block 9   all rows of its 3 tiles
"""

import os
import pathlib
import threading

import numpy as np
from numba import uint64

from glove_jax import memory, native
from glove_jax.counts.triplets import release
from glove_jax.threads import default_threads, ordered_map
from glove_jax.training.tiles import block_pairs
from glove_jax.training.tiles.block_pairs import REMAINS, BlockRows, Counted
from glove_jax.training.tiles.codec import check_range, encode
from glove_jax.training.tiles.lines import Remainder

_BUFFER = 1 << 25  # bytes of tiles that a thread fills before it writes them


def write_tiles(
  source: BlockRows,
  counted: dict[int, Counted],
  kinds,
  path: pathlib.Path,
  bar,
) -> Remainder:
  """Writes the tiles of some blocks of words; returns their other counts.

  Args:
    source: the counts.
    counted: what each of the blocks has, in order.
    kinds: (block of words, counts in its pairs [B]) -> what becomes of each
      pair, [B].
    path: of the file for the codes of one tile after the other.
    bar: shows progress.

  Raises:
    ValueError: a count that has no code, see `codec`.
  """
  triplets, starts, words, position, tile_size = source
  col, count = np.asarray(triplets.col), np.asarray(triplets.count)
  places = position, *np.divmod(position, tile_size)
  nothing = np.zeros(-(-len(words) // tile_size), np.int64)
  remains, total = (
    np.cumsum([getattr(one, name) for one in counted.values()] or [0])
    for name in ("remains", "total")
  )
  remainder = Remainder(
    *(memory.scratch(remains[-1], t, path.parent) for t in ("i4", "i4", "u2"))
  )
  ends = dict(zip(counted, remains.tolist(), strict=False))
  free = {block: ends[block] - one.remains for block, one in counted.items()}
  releases = np.diff(total // block_pairs.CHUNK, prepend=0) > 0
  releases = dict(zip(counted, releases, strict=False))

  def fill(block: int, row: int, tiles: np.ndarray) -> None:
    slot = kinds(block, nothing)  # where there is no tile
    slot[counted[block].tiles] = np.arange(len(tiles))
    first = block * tile_size + row
    rows = words[first : first + tiles.shape[1]]
    part = Remainder(*(one[free[block] : ends[block]] for one in remainder))
    columns = map(np.asarray, part)
    found = _fill_rows(
      rows, first, starts, col, *places, count, slot, tiles, *columns
    )
    if found < 0:
      check_range(count[~found], count[~found])
    free[block] += found
    memory.release(*part)
    if releases[block]:
      release(triplets)

  num_tiles = {block: len(one.tiles) for block, one in counted.items()}
  _fill_file(path, fill, num_tiles, tile_size, bar)
  release(triplets)
  return remainder


def _fill_file(
  path: pathlib.Path, fill, num_tiles: dict[int, int], tile_size: int, bar
) -> None:
  """Writes the tiles of some blocks of words, in threads.

  Args:
    path: of the file.
    fill: (block, first row, zeros [M, R, T] uint16) -> None; fills R rows of
      the tiles of a block.
    num_tiles: M of each block, in order.
    tile_size: T.
    bar: shows progress.
  """
  sizes = np.array(list(num_tiles.values()), np.int64)
  starts = 2 * tile_size**2 * (np.cumsum(sizes) - sizes)
  row_bytes = 2 * tile_size * max(sizes, default=0)
  size = max(_BUFFER, row_bytes) // 2
  buffer = threading.local()  # a new array would cost more than to clear one

  def write(block_at: tuple[int, int]) -> None:
    block, start = block_at
    if not hasattr(buffer, "codes"):
      buffer.codes = memory.lazy_zeros(size, np.uint16)
    num_rows = size // max(1, num_tiles[block] * tile_size)
    with memory.open_to_write(os.open(path, os.O_WRONLY)) as file:
      for row in range(0, tile_size, num_rows):
        shape = num_tiles[block], min(num_rows, tile_size - row), tile_size
        tiles = buffer.codes[: np.prod(shape)].reshape(shape)
        tiles.fill(0)
        fill(block, row, tiles)
        for k, rows in enumerate(tiles):
          file.seek(start + 2 * tile_size * (k * tile_size + row))
          file.write(rows)

  path.unlink(missing_ok=True)  # an earlier engine may still read it
  path.touch()
  blocks = zip(num_tiles, starts.tolist(), strict=True)
  for _ in ordered_map(write, blocks, default_threads()):
    bar.update()


@native.loop
def _fill_rows(
  words, first, starts, col, position, block, local, count, slot, tiles,
  outside_row, outside_col, outside_code,
):  # fmt: skip
  """Writes counts to tiles[slot], or to the remainder if the slot says so.

  Contexts have their position, and the block and the row there; the words have
  the positions from `first` on.

  Returns how many counts went to the remainder, or ~i if count i has no code.
  """
  outside = 0
  for row, word in enumerate(words):
    for i in range(starts[word], starts[word + 1]):
      context = uint64(col[i])  # numba would check the sign of an index
      tile = slot[block[context]]
      code = encode(count[i])
      if code == 0:
        return ~i
      if tile >= 0:
        tiles[tile, row, local[context]] = code
      elif tile == REMAINS:
        outside_row[outside] = first + row
        outside_col[outside] = position[context]
        outside_code[outside] = code
        outside += 1
  return outside
