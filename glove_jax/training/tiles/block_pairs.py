"""What becomes of the counts of pairs of blocks, found by blocks of words.

Nothing here has the size of all B * B pairs of blocks: a block of words has B
counts while it is visited, and then those of its tiles.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import uint64

from glove_jax import memory, native
from glove_jax.counts.triplets import Triplets
from glove_jax.threads import default_threads, ordered_map

# What becomes of the counts of a pair of blocks.
REMAINS, DROPPED, TILE = -1, -2, 0

CHUNK = 1 << 22  # counts to visit before their pages are released


class BlockRows(NamedTuple):
  """Counts, to be visited by the rows of one block of words at a time."""

  triplets: Triplets  # sorted by row
  starts: np.ndarray  # [V + 1] where each row starts
  words: np.ndarray  # [V] int32, the word at each position
  position: np.ndarray  # [V] int32, the position of each word
  tile_size: int


class Counted(NamedTuple):
  """What a block of words has: M tiles, and counts outside of them."""

  tiles: np.ndarray  # [M] int64, their blocks of contexts
  num_counts: np.ndarray  # [M] int64, in each tile
  remains: int  # counts that are kept outside of tiles
  total: int  # all counts


class Rounds(NamedTuple):
  """What K rounds of n blocks have, of which n devices have one each.

  In turn s, device d trains its words with the contexts of device (d + s) mod
  n, see `ring`.
  """

  num_counts: np.ndarray  # [K, K] int64, of words and contexts of two rounds
  num_tiles: np.ndarray  # [n, n] int64, in turn s on device d, of dense pairs


def count_blocks(
  source: BlockRows, numbers: list[int], kinds: Callable
) -> dict[int, Counted]:
  """Counts what each of some blocks of words has.

  Args:
    source: the counts.
    numbers: the blocks of words.
    kinds: (block of words, counts in its pairs [B]) -> what becomes of each
      pair, [B].
  """

  def visit(block: int, num_counts: np.ndarray) -> Counted:
    kind = kinds(block, num_counts)
    tiles = np.flatnonzero(kind == TILE)
    remains = num_counts[kind == REMAINS].sum()
    return Counted(tiles, num_counts[tiles], remains, num_counts.sum())

  counted = _visit_blocks(source, numbers, visit)
  return dict(zip(numbers, counted, strict=True))


def count_rounds(
  source: BlockRows, numbers: list[int], size: int, least: float, reduce
) -> Rounds:
  """Counts what the pairs of two rounds of blocks have together.

  With 5 blocks and rounds of 2 there are K = 3 rounds: blocks 0 and 1, blocks 2
  and 3, and block 4.

  Args:
    source: the counts.
    numbers: the blocks of words of this process.
    size: n, the number of blocks in a round, and of devices.
    least: the counts in a pair of blocks that would be a tile alone.
    reduce: sums an array over the processes.
  """
  starts = np.arange(0, -(-len(source.words) // source.tile_size), size)

  def visit(block: int, num_counts: np.ndarray):
    turns = (np.flatnonzero(num_counts >= least) - block) % size
    num_tiles = np.bincount(turns, minlength=size)
    return np.add.reduceat(num_counts, starts), num_tiles

  num_counts = np.zeros((len(starts), len(starts)), np.int64)
  num_tiles = np.zeros((size, size), np.int64)
  of_blocks = _visit_blocks(source, numbers, visit)
  for block, (counts, tiles) in zip(numbers, of_blocks, strict=True):
    num_counts[block // size] += counts
    num_tiles[:, block % size] += tiles
  return Rounds(reduce(num_counts), reduce(num_tiles))


def _visit_blocks(source: BlockRows, numbers: list[int], visit: Callable):
  """Yields visit(block of words, counts in its pairs [B]) of some blocks."""
  triplets, starts, words, position, tile_size = source
  col, block_of = np.asarray(triplets.col), position // tile_size
  num_blocks = -(-len(words) // tile_size)

  def count(block: int):
    num_counts = np.zeros(num_blocks, np.int64)
    rows = words[block * tile_size :][:tile_size]
    _count_rows(rows, starts, col, block_of, num_counts)
    return num_counts.sum(), visit(block, num_counts)

  done = 0
  for total, visited in ordered_map(count, numbers, default_threads()):
    done += total
    if done >= CHUNK:
      memory.release(triplets.col)  # nothing else was read
      done = 0
    yield visited


def all_tiles(counted: dict[int, Counted], num_blocks: int, reduce):
  """The tiles of all processes, in the order of blocks of words.

  Args:
    counted: of the blocks of words of this process.
    num_blocks: B.
    reduce: sums an array over the processes.

  Returns:
    [M, 2] int32, the blocks of each tile, and [M] int64, its counts.
  """
  num_tiles = np.zeros(num_blocks, np.int64)
  for block, one in counted.items():
    num_tiles[block] = len(one.tiles)
  num_tiles = reduce(num_tiles)
  ends = np.append(0, np.cumsum(num_tiles))
  found = np.zeros((2, ends[-1]), np.int64)
  for block, one in counted.items():
    found[:, ends[block] : ends[block + 1]] = one.tiles, one.num_counts
  contexts, num_counts = reduce(found)
  words = np.repeat(np.arange(num_blocks), num_tiles)
  return np.stack([words, contexts]).astype(np.int32).T, num_counts


@native.loop
def _count_rows(words, starts, col, block, num_counts):
  """Adds the counts of words with each block of contexts to num_counts."""
  for word in words:
    for i in range(starts[word], starts[word + 1]):
      num_counts[block[uint64(col[i])]] += 1
