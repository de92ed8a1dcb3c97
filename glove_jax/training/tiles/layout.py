"""Frequency-ordered blocks: dense tiles of counts, and a sparse remainder.

Counts of words in order of frequency are dense where it matters: on 25M words
of Wikipedia (104,361 words, 71.8M counts), the 512 x 512 tiles that are filled
by 2% or more are 6% of all cells and hold 85% of all counts. There the model is
a product of matrices.

Words are ordered by frequency, shuffled inside tiers that double in size, and
cut into blocks of T words. A pair of blocks that is filled well enough is a
tile: [T, T] log counts in 2 bytes each, 0 where nothing was counted. What lies
outside the tiles is kept row by row: each row's counts padded to one of few
lengths, so that rows of like length make batches of one shape. Columns are kept
likewise, since a row's batch trains the row only.

All pieces are in one folder and are read stack by stack: memory grows with the
vocabulary, not with the counts.
"""

import json
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np

from glove_jax import atomic, metrics
from glove_jax.counts.triplets import Triplets, by_row, release
from glove_jax.threads import default_threads, ordered_map
from glove_jax.training import multihost

# Log counts from e^-6 to e^18 in 65,535 steps: 0.02% of a count at most.
LOG_MIN, LOG_MAX = -6.0, 18.0
LOG_STEP = (LOG_MAX - LOG_MIN) / 65534

BATCH_CELLS = 1 << 14  # counts in a batch of lines, padding included
MAX_BATCHES = 64  # batches in a stack of lines
OUTSIDE = np.iinfo(np.int32).max  # no row of a table
_ARRAYS = ("place", "pair", "filled", "at")  # of `Blocks`, a file each


class Groups(NamedTuple):
  """G groups of K tiles each, that share no block: a group is one batch."""

  number: np.ndarray  # [G, K] int32, which tiles; padding is out of range
  pair: np.ndarray  # [G, K, 2] int32, their blocks; padding is out of range


class Tiles(NamedTuple):
  """G groups of K tiles: their weight is 0 where nothing was counted."""

  code: np.ndarray  # [G, K, T, T] uint16, see `encode`
  pair: np.ndarray  # [G, K, 2] int32, blocks of the words and of the contexts


class Lines(NamedTuple):
  """K batches of R rows, or columns, of the remainder, with N counts each."""

  own: np.ndarray  # [K, R] int32, rows of the table; padding is out of range
  other: np.ndarray  # [K, R, N] int32, rows of the table
  code: np.ndarray  # [K, R, N] uint16, 0 is padding


class Blocks(NamedTuple):
  """Counts cut into tiles and lines, in a folder.

  The table has B blocks of T words, then B blocks of T contexts: word i is its
  row place[i], context j its row B * T + place[j].
  """

  folder: pathlib.Path
  place: np.ndarray  # [V] int32
  tile_size: int  # T
  num_blocks: int  # B
  pair: np.ndarray  # [M, 2] int32, of the M tiles
  filled: np.ndarray  # [M] int64, counts in each tile
  outside: int  # counts in none
  at: np.ndarray  # [M] int64, place of each tile in the file; -1 is elsewhere
  lines: list[Lines]  # mapped from disk, one for each shape [R, N]


class Pass(NamedTuple):
  """What a pass visits: all, or the tiles of the most frequent words."""

  tiles: np.ndarray  # [M'] which tiles
  with_lines: bool
  num_triplets: int


def plan_pass(blocks: Blocks, words: int | None = None) -> Pass:
  """Plans a pass over everything, or over the `words` most frequent words.

  The second visits the tiles that hold none but those words, and no lines.
  """
  everything = words is None or words >= len(blocks.place)
  last = blocks.pair - np.array([0, blocks.num_blocks])
  inside = (last.max(axis=1, initial=0) + 1) * blocks.tile_size <= (words or 0)
  tiles = np.flatnonzero(inside | everything)
  outside = blocks.outside if everything else 0
  return Pass(tiles, outside > 0, int(blocks.filled[tiles].sum()) + outside)


@numba.vectorize(cache=True)
def encode(count):
  """The log of counts in steps of LOG_STEP, from 1; uint16."""
  steps = np.rint((np.log(count) - LOG_MIN) / LOG_STEP)
  return np.uint16(min(max(steps, 0.0), 65534.0) + 1.0)


def tiered_order(
  vocab_size: int, first: int, rng: np.random.Generator
) -> np.ndarray:
  """Shuffles ranks inside the tiers [0, first), [first, 2 first), ...

  Words of like frequency share blocks, but no block is all of one rank.

  Returns:
    [V] int32: the place of each rank.
  """
  place = np.empty(vocab_size, np.int32)
  start, stop = 0, first
  while start < vocab_size:
    stop = min(stop, vocab_size)
    place[start:stop] = start + rng.permutation(stop - start)
    start, stop = stop, stop * 2
  return place


def build(triplets: Triplets, folder: str | os.PathLike, **settings) -> Blocks:
  """Cuts counts into tiles and lines, in a folder: `cut`, and its settings."""
  made, rest = cut(triplets, folder, **settings)
  lines = cut_lines(rest, made.num_blocks * made.tile_size)
  _write(made._replace(lines=lines))
  return read(folder)


def cut(
  triplets: Triplets,
  folder: str | os.PathLike,
  *,
  tile_size: int = 512,
  min_fill: float = 0.02,
  first_tier: int = 2048,
  seed: int = 0,
  is_own: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[Blocks, "Rest"]:
  """Cuts counts into tiles, in a folder, and what lies outside of them.

  Args:
    triplets: the counts.
    folder: where the tiles go.
    tile_size: T, the words in a block.
    min_fill: the share of a tile's cells that makes it one: below it, its
      counts are sooner done one by one.
    first_tier: how many of the most frequent words are the first tier.
    seed: of the order of words.
    is_own: numbers of blocks of words -> which of them this process cuts and
      has; each must be some process's. None for all.

  Returns:
    blocks that are without lines yet, and the rest, of own words alone.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  triplets, starts = by_row(
    triplets, multihost.share(len(triplets.row)), multihost.total
  )
  size = triplets.vocab_size
  tile_size = min(tile_size, size)
  num_blocks = -(-size // tile_size)
  rank = np.argsort(-np.diff(starts), kind="stable")
  place = np.empty(size, np.int32)
  place[rank] = tiered_order(size, first_tier, np.random.default_rng(seed))
  own = np.arange(num_blocks)
  own = own[is_own(own)] if is_own else own
  with atomic.write_whole(folder / "tiles.bin") as file:
    pair, filled, rest = _cut_tiles(
      triplets, starts, place, own, tile_size, min_fill, file
    )
  here = np.isin(pair[:, 0], own)
  at = np.where(here, np.cumsum(here) - 1, -1)
  outside = int(starts[-1] - filled.sum())
  pair[:, 1] += num_blocks
  return Blocks(
    folder, place, tile_size, num_blocks, pair, filled, outside, at, []
  ), rest


class Rest(NamedTuple):
  """N counts outside of tiles."""

  row: np.ndarray  # [N] int32, place of the word
  col: np.ndarray  # [N] int32, place of the context
  code: np.ndarray  # [N] uint16


def _cut_tiles(triplets, starts, place, own, tile_size, min_fill, file):
  """Writes the codes of own tiles to a file, one block of rows at a time.

  Returns:
    the pairs of blocks of all tiles, the counts in each, and what lies outside
    of own tiles.
  """
  num_blocks = -(-len(place) // tile_size)
  words = np.argsort(place).astype(np.int32)
  col, count = np.asarray(triplets.col), np.asarray(triplets.count)
  filled = np.zeros((num_blocks, num_blocks), np.int64)

  def strip(block):
    return words[block * tile_size :][:tile_size], starts, col, place, tile_size

  def count_strip(block):
    _count_strip(*strip(block), filled[block])
    release(triplets)

  def cut_strip(block):
    slot = np.where(dense[block], np.cumsum(dense[block]) - 1, -1)
    tiles = np.zeros((dense[block].sum(), tile_size, tile_size), np.uint16)
    part = Rest(*(column[ends[block] : ends[block + 1]] for column in rest))
    part.row[:] = block * tile_size
    _cut_strip(*strip(block), count, slot, tiles, *part)
    release(triplets)
    return tiles

  threads = default_threads()
  with metrics.progress("cutting tiles", 2 * len(own), " blocks") as bar:
    for _ in ordered_map(count_strip, own, threads):
      bar.update()
    dense = filled >= max(1, min_fill * tile_size**2)
    ends = np.append(0, np.cumsum(np.where(dense, 0, filled).sum(axis=1)))
    rest = Rest(*(np.empty(ends[-1], t) for t in ("i4", "i4", "u2")))
    for tiles in ordered_map(cut_strip, own, threads):
      file.write(tiles)
      bar.update()
  filled = multihost.total(filled)
  dense = filled >= max(1, min_fill * tile_size**2)
  return np.argwhere(dense).astype(np.int32), filled[dense], rest


@numba.njit(nogil=True, cache=True)
def _count_strip(words, starts, col, place, tile_size, filled):
  """Counts what some words have in each block of contexts, into filled [B]."""
  for word in words:
    for at in range(starts[word], starts[word + 1]):
      filled[place[col[at]] // tile_size] += 1


@numba.njit(nogil=True, cache=True)
def _cut_strip(
  words, starts, col, place, tile_size, count, slot, tiles,
  rest_row, rest_col, rest_code,
):  # fmt: skip
  """Puts the counts of some words into tiles [slot] or, without slot, aside."""
  aside = 0
  for row, word in enumerate(words):
    for at in range(starts[word], starts[word + 1]):
      context = place[col[at]]
      tile = slot[context // tile_size]
      if tile >= 0:
        tiles[tile, row, context % tile_size] = encode(count[at])
      else:
        rest_row[aside] += row
        rest_col[aside] = context
        rest_code[aside] = encode(count[at])
        aside += 1


def cut_lines(rest: Rest, half: int) -> list[Lines]:
  """Rows, and columns, padded to powers of two, in batches of one shape each.

  Args:
    rest: what lies outside of tiles.
    half: the rows of the table before the contexts.
  """
  length = np.concatenate(
    [np.bincount(places, minlength=half) for places in (rest.row, rest.col)]
  )
  width = np.maximum(8, 2 ** np.ceil(np.log2(np.maximum(1, length))))
  width = np.where(length, width, 0).astype(np.int64)
  start, lines, size = np.zeros(2 * half, np.int64), [], 0
  shapes = []
  for wide in np.unique(width[width > 0]):
    own = np.flatnonzero(width == wide).astype(np.int32)
    batch = min(max(1, BATCH_CELLS // wide), len(own))
    number = -(-len(own) // batch)
    start[own] = size + wide * np.arange(len(own))
    size += number * batch * wide
    own = pad_end(own, number * batch - len(own), OUTSIDE)
    shapes.append((own.reshape(number, batch), wide))
  other, code = np.zeros(size, np.int32), np.zeros(size, np.uint16)
  _fill_lines(*rest, 0, half, start, other, code)
  _fill_lines(rest.col, rest.row, rest.code, half, 0, start, other, code)
  first = 0
  for own, wide in shapes:
    shape = (*own.shape, wide)
    part = slice(first, first + own.size * wide)
    lines.append(
      Lines(own, other[part].reshape(shape), code[part].reshape(shape))
    )
    first = part.stop
  return lines


@numba.njit(nogil=True, cache=True)
def _fill_lines(
  own, other, code, own_half, other_half, start, to_other, to_code
):
  """Appends each count to the line that begins at start [own]; moves start."""
  for at in range(len(own)):
    row = own[at] + own_half
    to_other[start[row]] = other[at] + other_half
    to_code[start[row]] = code[at]
    start[row] += 1


def _write(blocks: Blocks) -> None:
  """Writes all but the tiles, and the manifest last."""
  folder = blocks.folder
  for number, line in enumerate(blocks.lines):
    for name, array in line._asdict().items():
      with atomic.write_whole(folder / f"lines_{number}_{name}.npy") as file:
        np.save(file, array)
  for name in _ARRAYS:
    with atomic.write_whole(folder / f"{name}.npy") as file:
      np.save(file, getattr(blocks, name))
  manifest = {
    "tile_size": blocks.tile_size,
    "num_blocks": blocks.num_blocks,
    "outside": blocks.outside,
    "lines": len(blocks.lines),
  }
  atomic.write_text(folder / "manifest.json", json.dumps(manifest) + "\n")


def read(folder: str | os.PathLike) -> Blocks:
  """The blocks that `build` left in a folder; lines are mapped, not read."""
  folder = pathlib.Path(folder)
  manifest = json.loads((folder / "manifest.json").read_text())
  lines = [
    Lines(
      *(
        np.load(folder / f"lines_{number}_{name}.npy", mmap_mode="r")
        for name in Lines._fields
      )
    )
    for number in range(manifest["lines"])
  ]
  arrays = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
  return Blocks(folder, **arrays, **(manifest | {"lines": lines}))


def disjoint_groups(
  blocks: Blocks, tiles: np.ndarray, at_once: int, rng: np.random.Generator
) -> Groups:
  """Strews tiles over groups that share no block, in random order.

  Blocks i and j of rows and columns, numbered anew at random, meet in group
  (i + j) mod B: no two tiles of a group are in one row or one column. Groups of
  more than `at_once` tiles are cut.

  Args:
    blocks: where the tiles are.
    tiles: [M'] which tiles.
    at_once: K, the most tiles in a group.
    rng: draws the groups and their order.
  """
  size = blocks.num_blocks
  row, col = (blocks.pair[tiles] - np.array([0, size])).T
  size = 1 + max(row.max(initial=0), col.max(initial=0))
  square = (rng.permutation(size)[row] + rng.permutation(size)[col]) % size
  order = rng.permutation(len(tiles))
  order = order[np.argsort(square[order], kind="stable")]
  filled = np.bincount(square, minlength=size)
  cuts = -(-filled // at_once)
  place = np.arange(len(tiles)) - np.repeat(np.cumsum(filled) - filled, filled)
  group = np.repeat(np.cumsum(cuts) - cuts, filled) + place // at_once
  number = np.full((cuts.sum(), at_once), len(blocks.pair), np.int32)
  number[group, place % at_once] = tiles[order]
  number = rng.permutation(number)
  none = np.full((1, 2), OUTSIDE, np.int32)
  return Groups(number, np.concatenate([blocks.pair, none])[number])


def cut_groups(groups: Groups, size: int) -> list[Groups]:
  """Stacks of `size` groups; the last is filled up with empty groups."""
  missing = -len(groups.number) % size
  number, pair = (pad_end(a, missing, OUTSIDE) for a in groups)
  starts = range(0, len(number), size)
  return [Groups(number[i : i + size], pair[i : i + size]) for i in starts]


def line_stacks(blocks: Blocks, cells: int) -> list[tuple[Lines, np.ndarray]]:
  """All lines, in stacks of batches of one shape.

  Args:
    blocks: where the lines are.
    cells: how many counts a batch should hold, padding included: as many whole
      batches as fit are made one.

  Returns:
    the stacks, and for each the number of batches that each of its is made of.
  """
  made = []
  for line in blocks.lines:
    number, rows, width = line.other.shape
    at_once = min(max(1, cells // (rows * width)), number)
    stacks = -(-number // (at_once * MAX_BATCHES))
    size = -(-number // (at_once * stacks))
    missing = stacks * size * at_once - number
    padded = Lines(
      pad_end(line.own, missing, OUTSIDE),
      pad_end(line.other, missing, 0),
      pad_end(line.code, missing, 0),
    )
    shape = (stacks, size, at_once * rows)
    whole = Lines(
      padded.own.reshape(shape),
      padded.other.reshape(*shape, width),
      padded.code.reshape(*shape, width),
    )
    steps = number - at_once * np.arange(stacks * size).reshape(stacks, size)
    for i in range(stacks):
      stack = Lines(*(array[i] for array in whole))
      made.append((stack, np.clip(steps[i], 0, at_once)))
  return made


def pad_end(array: np.ndarray, missing: int, value) -> np.ndarray:
  """Adds entries at the end; without any to add, the array stays mapped."""
  if not missing:
    return array
  end = np.full((missing, *array.shape[1:]), value, array.dtype)
  return np.concatenate([array, end])


def read_tiles(blocks: Blocks, groups: Groups) -> Tiles:
  """Reads the tiles of a stack of groups, all own ones, from their file."""
  shape = (*groups.number.shape, blocks.tile_size, blocks.tile_size)
  code = np.zeros(shape, np.uint16)
  with (blocks.folder / "tiles.bin").open("rb", buffering=0) as file:
    for place in zip(
      *np.nonzero(groups.number < len(blocks.pair)), strict=True
    ):
      file.seek(int(blocks.at[groups.number[place]]) * code[place].nbytes)
      file.readinto(code[place])
  return Tiles(code, groups.pair)


def all_tiles(blocks: Blocks) -> np.ndarray:
  """[M, T, T] uint16: the codes of all own tiles, mapped from disk."""
  number = int((blocks.at >= 0).sum())
  shape = (number, blocks.tile_size, blocks.tile_size)
  if not shape[0]:
    return np.zeros(shape, np.uint16)
  return np.memmap(blocks.folder / "tiles.bin", np.uint16, "r", shape=shape)
