"""All cells in the memory of an accelerator.

With `missing`, or with `min_fill` 0, all cells train. If the memory of an
accelerator holds them, counts are scattered to tiles there: all tiles of the
matrix or, with a core, all that have a block of the core.

              core    others
    core    | tiles | tiles
    others  | tiles | left out

Nothing is written to disk. There are no lines, and strips are read from tiles.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import memory
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training import device_counts, sharding
from glove_jax.training.device_counts import DeviceCounts
from glove_jax.training.tiles import codec
from glove_jax.training.tiles.cutting import (
  BlockSizes,
  CutSettings,
  block_sizes,
  cut_settings,
  word_positions,
)
from glove_jax.training.tiles.fitting import FitPlan, plan_fit
from glove_jax.training.tiles.jobs import Job, StripJobs
from glove_jax.training.tiles.layout import OUTSIDE, Blocks, pad_end
from glove_jax.training.tiles.pulls import Pull, of_blocks
from glove_jax.training.tiles.strips import piece_blocks

_MOST_CELLS = 1 << 24  # in a group of tiles, or of blocks with a piece
_BYTES_PER_COUNT = 40  # while counts are scattered
_TABLES = 6  # of the size of the parameters, while training starts


def fits(triplets: Triplets, config: TrainConfig, num_points: int = 1) -> bool:
  """Whether the one accelerator of a run can hold all cells.

  Args:
    triplets: the counts.
    config: the training settings.
    num_points: points of a sweep that train together.
  """
  all_cells = config.resolved.missing or not config.min_fill
  if config.engine != "blocked" or not all_cells:
    return False
  if sharding.make_placement(config).mesh is not None:
    return False
  return memory_needed(triplets, config, num_points) < device_memory()


def with_placed(
  triplets: Triplets,
  config: TrainConfig,
  start: Callable[[Triplets | DeviceCounts], Any],
  num_points: int = 1,
) -> Any:
  """The result of `start` on counts, which are copied to an accelerator if it
  `fits` them.

  If its memory is full nonetheless, be it by the copy, `start` is called with
  the counts as they are.
  """
  if fits(triplets, config, num_points):
    try:
      return start(device_counts.put(triplets))
    except Exception as error:
      if not memory.is_full(error):
        raise
  return start(triplets)


def device_memory() -> int:
  """The free bytes of the accelerator that holds counts; 0 for a CPU."""
  device = jax.local_devices()[0]
  if device.platform == "cpu":
    return 0
  stats = device.memory_stats() or {}
  return stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)


def memory_needed(
  triplets: Triplets, config: TrainConfig, num_points: int = 1
) -> int:
  """The bytes of all cells, the counts and the tables."""
  sizes = block_sizes(triplets.vocab_size, cut_settings(config))
  size, num_blocks, _ = sizes
  num_tiles = int(_is_tile(sizes).sum())
  tables = 2 * num_blocks * size * (config.dim + 1) * 4
  return (
    2 * num_tiles * size**2
    + _TABLES * num_points * tables
    + _BYTES_PER_COUNT * len(triplets.row)
  )


def _is_tile(sizes: BlockSizes) -> np.ndarray:
  """Which pairs of blocks are tiles: [B, B] bool."""
  in_core = np.arange(sizes.num_blocks) < sizes.core_blocks
  return in_core[:, None] | in_core


def plan(vocab_size: int, settings: CutSettings) -> Blocks:
  """The tiles, before the counts in them and the positions are known.

  Args:
    vocab_size: V.
    settings: how to cut; all tiles are dense, so `min_fill` has no effect.

  Returns:
    Blocks of M tiles, without files, lines and strips.
  """
  sizes = block_sizes(vocab_size, settings)
  size, num_blocks, _ = sizes
  pair = np.argwhere(_is_tile(sizes)).astype(np.int32)
  pair[:, 1] += num_blocks
  position, none = np.zeros(vocab_size, np.int32), np.zeros(0, np.int64)
  num_counts = np.zeros(len(pair), np.int64)
  return Blocks(None, position, size, num_blocks, pair, num_counts, 0, none)


def codes_shape(blocks: Blocks) -> jax.ShapeDtypeStruct:
  """The shape of the codes of all tiles."""
  shape = (len(blocks.pair), blocks.tile_size, blocks.tile_size)
  return jax.ShapeDtypeStruct(shape, jnp.uint16)


def cut(
  counts: DeviceCounts, blocks: Blocks, settings: CutSettings
) -> tuple[Blocks, jax.Array]:
  """Scatters counts to tiles.

  Args:
    counts: the counts.
    blocks: from `plan`.
    settings: as for `plan`.

  Returns:
    The blocks with positions and numbers of counts, and the codes of the M
    tiles: [M, T, T] uint16.

  Raises:
    ValueError: a count that has no code, see `codec`.
  """
  columns = counts.columns.result()
  of_word = _count_words(columns[0], length=counts.vocab_size)
  position = word_positions(np.asarray(of_word), settings)
  codes, num_counts, lowest, highest = _scatter(
    *columns,
    position,
    tile_index(blocks),
    num_tiles=len(blocks.pair),
    size=blocks.tile_size,
  )
  codec.check_range(float(lowest), float(highest))
  num_counts = np.asarray(num_counts, np.int64)
  return blocks._replace(position=position, num_counts=num_counts), codes


# One program: without jit, each of its ten steps would be one.
_count_words = jax.jit(jnp.bincount, static_argnames="length")


@functools.partial(jax.jit, static_argnames=("num_tiles", "size"))
def _scatter(row, col, count, position, index, *, num_tiles, size):
  """The codes of all tiles, their numbers of counts, and the extreme counts."""
  row, col = position[row], position[col]
  tile = index[row // size, col // size]
  codes = jnp.zeros((num_tiles, size, size), jnp.uint16)
  codes = codes.at[tile, row % size, col % size].set(
    codec.encode_on_device(count), mode="drop"
  )
  num_counts = jnp.zeros(num_tiles, jnp.int32).at[tile].add(1, mode="drop")
  return codes, num_counts, count.min(), count.max()


def tile_index(blocks: Blocks) -> np.ndarray:
  """The index of the tile of each pair of blocks: [B, B]; OUTSIDE if none.

  Example:
    Two blocks, of which the first is the core.

    >>> tile_index(plan(16, CutSettings(tile_size=8, core=8)))
    array([[         0,          1],
           [         2, 2147483647]], dtype=int32)
  """
  index = np.full((blocks.num_blocks, blocks.num_blocks), OUTSIDE, np.int32)
  row, col = blocks.pair.T
  index[row, col - blocks.num_blocks] = np.arange(len(blocks.pair))
  return index


def core_blocks(blocks: Blocks) -> int:
  """K, the blocks of the core: those with a tile for each block.

  >>> core_blocks(plan(16, CutSettings(tile_size=8, core=8)))
  1
  """
  num_tiles = np.bincount(blocks.pair[:, 0])
  return int((num_tiles == blocks.num_blocks).sum())


def group_size(blocks: Blocks, num_points: int = 1) -> int:
  """K, the tiles in a group.

  A diagonal of tiles, see `layout.disjoint_groups`, is divided evenly. It has
  at most one tile of each of B rows and, with a core of K blocks, at most K in
  the rows of the core and K in its columns.

  Args:
    blocks: the tiles.
    num_points: points of a sweep that train together.

  Example:
    Four blocks, of which the first is the core: 4 + 4 - 1 tiles.

    >>> group_size(plan(32, CutSettings(tile_size=8, core=8)))
    2
  """
  longest = min(blocks.num_blocks, 2 * core_blocks(blocks))
  return _even(longest, _MOST_CELLS // (num_points * blocks.tile_size**2))


class StripTiles(NamedTuple):
  """As `strips.Strip`, with n of the tiles on the device in each piece."""

  block: np.ndarray  # [1, K] int32, the blocks to fit; padding is out of range
  plan: FitPlan  # arrays of [1, N]
  tile: np.ndarray  # [1, P, K, n] int32, which tiles; padding is out of range
  pull: Pull | None = None


def make_strip_jobs(
  blocks: Blocks,
  config: TrainConfig,
  pull: Pull | None = None,
  *,
  num_points: int = 1,
) -> StripJobs | None:
  """Jobs that fit the words outside of the core, many blocks at a time.

  Args:
    blocks: from `cut`.
    config: has the passes of the fit, and the seed of their order.
    pull: the targets of words, if they have any.
    num_points: points of a sweep that train together.
  """
  size, num_blocks = blocks.tile_size, blocks.num_blocks
  core = core_blocks(blocks)
  if core == num_blocks:
    return None
  width = piece_blocks(size, core)
  num_pieces, num_others = core // width, num_blocks - core
  (plan,) = plan_fit(
    num_pieces, config.fit_passes, keep=config.keep, seed=config.seed
  )
  index = tile_index(blocks)
  others = np.arange(core, num_blocks, dtype=np.int32)
  cells = num_points * width * size**2  # of a block with a piece
  group = _even(num_others, _MOST_CELLS // cells)
  jobs = []
  for first, tile in ((0, index.T), (num_blocks, index)):  # words, contexts
    tile = tile[:core, core:].reshape(num_pieces, width, num_others)
    for start in range(0, num_others, group):
      chosen = slice(start, start + group)
      block = others[chosen] + np.int32(first)
      stack = _pad(block, tile[:, :, chosen].swapaxes(1, 2), plan, group)
      load = functools.partial(_load, stack, pull, num_blocks)
      jobs.append(Job(load, np.array([len(block)])))
  in_core = blocks.num_counts[index[:core, :core]]
  num_counts = int(blocks.num_counts.sum() - in_core.sum())
  return StripJobs(core * size, num_counts, [jobs], [[]])


def _even(num: int, most: int) -> int:
  """The size of the fewest even groups of `num` things, at most `most` each.

  >>> _even(10, most=6)  # not 6 and 4
  5
  """
  num_groups = -(-num // max(1, most))
  return -(-num // num_groups)


def _pad(block, tile, plan: FitPlan, group: int) -> StripTiles:
  """A stack of K = `group` strips from fewer: blocks [k], tiles [P, k, n]."""
  missing = group - len(block)
  tile = np.pad(tile, ((0, 0), (0, missing), (0, 0)), constant_values=OUTSIDE)
  plan = FitPlan(*(array[None] for array in plan))
  return StripTiles(pad_end(block, missing, OUTSIDE)[None], plan, tile[None])


def _load(stack: StripTiles, pull: Pull | None, num_blocks: int) -> StripTiles:
  """Adds the targets of its words to a stack."""
  if pull is None:
    return stack
  block = stack.block[0]
  block = np.where(block < OUTSIDE, block % num_blocks, -1)
  return stack._replace(pull=of_blocks(pull, block))


def read_piece(codes, tile, is_words, piece) -> jax.Array:
  """The cells of K strips with a piece of the core.

  Args:
    codes: [M, T, T] uint16, of all tiles.
    tile: [P, K, n] int32, as in `StripTiles`.
    is_words: whether they are strips of words, whose tiles are not transposed.
    piece: which of the P pieces.

  Returns:
    [K, T, n * T] uint16: a word or a context in each row.
  """
  code = codes.at[tile[piece]].get(mode="fill", fill_value=0)  # [K, n, T, T]
  num, _, size, _ = code.shape
  words, contexts = code.swapaxes(1, 2), code.transpose(0, 3, 1, 2)
  return jnp.where(is_words, words, contexts).reshape(num, size, -1)
