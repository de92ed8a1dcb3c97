"""Cuts counts into tiles and lines, which `layout` describes, in a folder.

The tiles are written a few rows at a time, and the other counts lie in files
that are mapped into memory, so memory grows with the vocabulary, not with the
number of counts.
"""

import functools
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from glove_jax import atomic, memory, metrics
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training.sorting import by_row
from glove_jax.training.tiles import strips, tile_files
from glove_jax.training.tiles.block_pairs import (
  DROPPED,
  REMAINS,
  TILE,
  BlockRows,
  all_tiles,
  count_blocks,
  count_rounds,
)
from glove_jax.training.tiles.filling import write_tiles
from glove_jax.training.tiles.layout import Blocks
from glove_jax.training.tiles.lines import (
  WIDTHS,
  Remainder,
  best_width,
  count_lines,
  cut_lines,
)


class CutSettings(NamedTuple):
  """How counts are cut into tiles."""

  tile_size: int = 512  # T, words in a block
  min_fill: float = 0.02  # minimum fraction of non-zero cells in a tile
  # With a core, tiles are all pairs of blocks of this many most frequent words,
  # whatever their fill; the counts of other words with the core are strips.
  core: int | None = None
  first_tier: int = 2048  # most frequent words that make up the first tier
  # Blocks that as many devices train side by side. The pairs of two rounds are
  # all tiles or none if that takes fewer steps; there is no core then.
  round_size: int = 1
  seed: int = 0  # of the order of words within tiers


def cut_settings(config: TrainConfig) -> CutSettings:
  """How to cut: with `missing`, all cells of the core are in tiles."""
  all_words = np.iinfo(np.int32).max
  core = (config.core or all_words) if config.resolved.missing else None
  return CutSettings(
    config.tile_size, config.min_fill, core=core, seed=config.seed
  )


def tiered_order(
  vocab_size: int, first: int, rng: np.random.Generator
) -> np.ndarray:
  """Shuffles ranks within the tiers [0, first), [first, 2 first), ...

  The words of a block then have similar frequencies, but not the same rank in
  every block. With 10 words and first = 2 the tiers are

    ranks 0 1 | 2 3 | 4 5 6 7 | 8 9

  and each rank stays in its tier.

  Args:
    vocab_size: V.
    first: the size of the first tier; the following tiers double the end.
    rng: shuffles.

  Returns:
    [V] int32, the position of each rank.
  """
  position = np.empty(vocab_size, np.int32)
  start, stop = 0, first
  while start < vocab_size:
    stop = min(stop, vocab_size)
    position[start:stop] = start + rng.permutation(stop - start)
    start, stop = stop, stop * 2
  return position


def word_positions(num_counts: np.ndarray, settings: CutSettings) -> np.ndarray:
  """The position of each word: by its number of counts, shuffled in tiers.

  Args:
    num_counts: [V], the counts of each word.
    settings: has the first tier and the seed.

  Returns:
    [V] int32.
  """
  rank = np.argsort(-num_counts, kind="stable")
  position = np.empty(len(num_counts), np.int32)
  rng = np.random.default_rng(settings.seed)
  position[rank] = tiered_order(len(num_counts), settings.first_tier, rng)
  return position


def build(
  triplets: Triplets,
  folder: str | os.PathLike,
  settings: CutSettings = CutSettings(),  # noqa: B008
) -> Blocks:
  """Cuts counts into tiles and lines, or strips, and writes them to a folder.

  Args:
    triplets: the counts.
    folder: is replaced.
    settings: how to cut.

  Raises:
    ValueError: a count that has no code, see `codec`.
  """
  atomic.remove(folder)  # it may be damaged
  blocks, remainder = cut(triplets, folder, settings)
  if settings.core is not None:
    tile_files.write(_add_strips(blocks, remainder, settings))
    return tile_files.read(folder)
  if blocks.num_outside:
    half = blocks.num_blocks * blocks.tile_size
    width = int(WIDTHS[best_width(count_lines(remainder, half))])
    zeros = functools.partial(memory.scratch, folder=folder)
    blocks = blocks._replace(lines=cut_lines(remainder, half, width, zeros))
  tile_files.write(blocks)
  return tile_files.read(folder)


def _add_strips(
  blocks: Blocks, remainder: Remainder, settings: CutSettings
) -> Blocks:
  """Adds the strips of the words outside of the core, if there are any."""
  sizes = block_sizes(len(blocks.position), settings)
  if sizes.core_blocks == sizes.num_blocks:
    return blocks
  found = strips.cut(*remainder, *sizes, strips.in_folder(blocks.folder))
  return blocks._replace(strips=found, num_outside=0)


class BlockSizes(NamedTuple):
  """How many words and blocks there are."""

  tile_size: int  # T, words in a block
  num_blocks: int  # B
  core_blocks: int  # K, those of the core: all without a core


def block_sizes(vocab_size: int, settings: CutSettings) -> BlockSizes:
  """The sizes of V words in blocks.

  >>> block_sizes(100, CutSettings(tile_size=16, core=20))
  BlockSizes(tile_size=16, num_blocks=7, core_blocks=2)
  """
  tile_size = min(settings.tile_size, vocab_size)
  core = vocab_size if settings.core is None else min(settings.core, vocab_size)
  return BlockSizes(
    tile_size, -(-vocab_size // tile_size), -(-core // tile_size)
  )


def cut(
  triplets: Triplets,
  folder: str | os.PathLike,
  settings: CutSettings = CutSettings(),  # noqa: B008
  *,
  local: Callable[[np.ndarray], np.ndarray] | None = None,
  rows: slice = slice(None),
  reduce: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> tuple[Blocks, Remainder]:
  """Cuts counts into tiles, in a folder, and a remainder.

  Args:
    triplets: the counts.
    folder: where `tiles.bin` is written.
    settings: how to cut.
    local: block numbers [B] -> [B] bool, the blocks of words that this process
      cuts. The processes together must cut each block once. None cuts all.
    rows: the range of triplets that this process inspects.
    reduce: sums an array over the processes.

  Returns:
    Blocks without lines, and the remainder of the local words, in the order
    of blocks; with a core, without the counts of two other words.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  triplets, starts = by_row(triplets, rows, reduce)
  sizes = block_sizes(triplets.vocab_size, settings)
  tile_size, num_blocks, _ = sizes
  position = word_positions(np.diff(starts), settings)
  numbers = np.arange(num_blocks)
  numbers = numbers[local(numbers)] if local else numbers
  words = np.argsort(position).astype(np.int32)
  source = BlockRows(triplets, starts, words, position, tile_size)

  kinds = functools.partial(_kinds, settings, sizes)
  if settings.round_size > 1:
    in_rounds = _round_kinds(settings, source, numbers.tolist(), reduce)
    kinds = in_rounds or kinds
  counted = count_blocks(source, numbers.tolist(), kinds)
  with metrics.progress(
    "cutting tiles", len(numbers), " blocks", enabled=not rows.start
  ) as bar:
    path = folder / "tiles.bin"
    remainder = write_tiles(source, counted, kinds, path, bar)
  pair, num_counts = all_tiles(counted, num_blocks, reduce)
  here = np.isin(pair[:, 0], numbers)
  file_index = np.where(here, np.cumsum(here) - 1, -1)
  outside = int(starts[-1] - num_counts.sum())
  pair[:, 1] += num_blocks
  return Blocks(
    folder, position, tile_size, num_blocks, pair, num_counts, outside,
    file_index,
  ), remainder  # fmt: skip


def _kinds(
  settings: CutSettings, sizes: BlockSizes, block: int, num_counts
) -> np.ndarray:
  """What becomes of the pairs of a block of words with each block of contexts.

  Args:
    settings: how to cut.
    sizes: B and K.
    block: which block of words.
    num_counts: [B], the counts in each pair.
  """
  if settings.core is None:
    dense = num_counts >= max(1, settings.min_fill * sizes.tile_size**2)
    return np.where(dense, TILE, REMAINS)
  is_core = np.arange(sizes.num_blocks) < sizes.core_blocks
  num_in_core = int(block < sizes.core_blocks) + is_core
  return np.array([DROPPED, REMAINS, TILE])[num_in_core]


def _round_kinds(
  settings: CutSettings, source: BlockRows, numbers: list[int], reduce
) -> Callable | None:
  """As `_kinds`, for all pairs of two rounds together, by their mean fill.

  In each turn every device then takes one step for each such pair of rounds.

  Returns:
    None if a pass would not take fewer steps than with each pair alone.
  """
  size, num_words = settings.round_size, len(source.words)
  least = max(1, settings.min_fill * source.tile_size**2)
  counted = count_rounds(source, numbers, size, least, reduce)
  round_of = np.arange(-(-num_words // source.tile_size)) // size
  num_pairs = np.outer(*[np.bincount(round_of)] * 2)
  is_tile = counted.num_counts >= least * num_pairs
  if size * is_tile.sum() >= counted.num_tiles.max(axis=1).sum():
    return None
  kinds = np.where(is_tile, TILE, REMAINS)
  return lambda block, _: kinds[block // size, round_of]
