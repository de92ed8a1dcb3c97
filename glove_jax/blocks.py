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
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax import files, metrics
from glove_jax.triplets import Triplets, by_row, release

# Log counts from e^-6 to e^18 in 65,535 steps: 0.02% of a count at most.
LOG_MIN, LOG_MAX = -6.0, 18.0
LOG_STEP = (LOG_MAX - LOG_MIN) / 65534

_STACK_TILES = 64  # tiles handed to the device at once, at most, ...
_STACK_BYTES = 1 << 25  # ... and their bytes
_BATCH_CELLS = 1 << 14  # counts in a batch of lines, padding included
_MAX_BATCHES = 64  # batches in a stack of lines


class Tiles(NamedTuple):
  """K tiles: batches whose weight is 0 where nothing was counted."""

  code: np.ndarray  # [K, T, T] uint16, see `encode`
  pair: np.ndarray  # [K, 2] int32, blocks of the words and of the contexts


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
  lines: list[Lines]  # mapped from disk, one for each shape [R, N]

  @property
  def stack_size(self) -> int:
    """Tiles in a stack."""
    fit = max(1, _STACK_BYTES // (2 * self.tile_size**2))
    return max(1, min(len(self.pair), fit, _STACK_TILES))


class Pass(NamedTuple):
  """What a pass visits: all, or the tiles of the most frequent words."""

  tiles: np.ndarray  # [M'] which tiles
  lines: list[Lines]
  num_stacks: int
  num_steps: int  # batches, those of padding included
  num_triplets: int


def plan_pass(blocks: Blocks, words: int | None = None) -> Pass:
  """Plans a pass over everything, or over the `words` most frequent words.

  The second visits the tiles that hold none but those words, and no lines.
  """
  if words is None or words >= len(blocks.place):
    tiles, lines = np.arange(len(blocks.pair)), blocks.lines
  else:
    last = blocks.pair - np.array([0, blocks.num_blocks])
    inside = (last.max(axis=1) + 1) * blocks.tile_size <= words
    tiles, lines = np.flatnonzero(inside), []
  stacks = -(-len(tiles) // blocks.stack_size)
  # Each count outside of tiles is in the line of its row and of its column.
  outside = sum(int(np.count_nonzero(line.code)) for line in lines) // 2
  return Pass(
    tiles,
    lines,
    stacks + sum(len(_cut(line)) for line in lines),
    stacks * blocks.stack_size + sum(len(line.own) for line in lines),
    int(blocks.filled[tiles].sum()) + outside,
  )


def encode(count: np.ndarray) -> np.ndarray:
  """The log of counts in steps of LOG_STEP, from 1; uint16."""
  steps = (np.log(count) - LOG_MIN) / LOG_STEP
  return (np.clip(np.rint(steps), 0, 65534) + 1).astype(np.uint16)


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


def build(
  triplets: Triplets,
  folder: str | os.PathLike,
  *,
  tile_size: int = 512,
  min_fill: float = 0.02,
  first_tier: int = 2048,
  seed: int = 0,
) -> Blocks:
  """Cuts counts into tiles and lines, in a folder.

  Args:
    triplets: the counts.
    folder: where the pieces go.
    tile_size: T, the words in a block.
    min_fill: the share of a tile's cells that makes it one: below it, its
      counts are sooner done one by one.
    first_tier: how many of the most frequent words are the first tier.
    seed: of the order of words.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  triplets, starts = by_row(triplets)
  size = triplets.vocab_size
  tile_size = min(tile_size, size)
  num_blocks = -(-size // tile_size)
  rank = np.argsort(-np.diff(starts), kind="stable")
  place = np.empty(size, np.int32)
  place[rank] = tiered_order(size, first_tier, np.random.default_rng(seed))
  with files.write_whole(folder / "tiles.bin") as file:
    pair, filled, rest = _cut_tiles(
      triplets, starts, place, tile_size, min_fill, file
    )
  row, col, code = rest
  half = num_blocks * tile_size
  lines = [
    *_lines(row, col + half, code, 2 * half),
    *_lines(col + half, row, code, 2 * half),
  ]
  _write(Blocks(folder, place, tile_size, num_blocks, pair, filled, lines))
  return read(folder)


def _cut_tiles(triplets, starts, place, tile_size, min_fill, file):
  """Writes the codes of all tiles to a file, one block of rows at a time.

  Returns:
    the tiles' pairs of blocks, the counts in each, and what lies outside of
    tiles as places of row and column, and codes.
  """
  num_blocks = -(-len(place) // tile_size)
  words = np.argsort(place)
  pairs, filled, rest = [], [], []
  with metrics.progress("cutting tiles", num_blocks, " blocks") as bar:
    for block in range(num_blocks):
      first = block * tile_size
      chosen = words[first : first + tile_size]
      row, col, code = _strip(triplets, starts, place, chosen)
      dense, tiles, outside = _tiles_of(
        (row, col, code), tile_size, num_blocks, min_fill
      )
      file.write(tiles)
      pairs.append(
        np.stack([np.full_like(dense, block), num_blocks + dense], axis=1)
      )
      filled.append(np.count_nonzero(tiles, axis=(1, 2)))
      rest.append((row[outside] + first, col[outside], code[outside]))
      release(triplets)
      bar.update()
  return (
    np.concatenate(pairs),
    np.concatenate(filled),
    [np.concatenate(parts) for parts in zip(*rest, strict=True)],
  )


def _strip(triplets, starts, place, words):
  """The counts of some words: local row, place of the column, code."""
  lengths = starts[words + 1] - starts[words]
  row = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
  before = np.cumsum(lengths) - lengths
  chosen = np.arange(len(row)) + np.repeat(starts[words] - before, lengths)
  return row, place[triplets.col[chosen]], encode(triplets.count[chosen])


def _tiles_of(strip, tile_size, num_blocks, min_fill):
  """Splits a strip into its dense tiles and the rest.

  Returns:
    the blocks of columns that make dense tiles, their codes
    [number of them, T, T], and which counts lie outside of them.
  """
  row, col, code = strip
  block = col // tile_size
  filled = np.bincount(block, minlength=num_blocks)
  dense = np.flatnonzero(filled >= max(1, min_fill * tile_size**2))
  slot = np.full(num_blocks, -1)
  slot[dense] = np.arange(len(dense))
  slot = slot[block]
  inside = slot >= 0
  tiles = np.zeros((len(dense), tile_size, tile_size), np.uint16)
  tiles[slot[inside], row[inside], col[inside] % tile_size] = code[inside]
  return dense.astype(np.int32), tiles, ~inside


def _lines(own, other, code, padding) -> list[Lines]:
  """Rows of counts, padded to powers of two, in batches of one shape each."""
  if not len(own):
    return []
  order = np.argsort(own, kind="stable")
  ids, start, length = np.unique(
    own[order], return_index=True, return_counts=True
  )
  padded = np.maximum(8, 2 ** np.ceil(np.log2(length)).astype(int))
  made = []
  for width in np.unique(padded):
    chosen = padded == width
    batch = min(max(1, _BATCH_CELLS // width), int(chosen.sum()))
    made.append(
      _pad(ids[chosen], start[chosen], length[chosen], width, batch, padding)
    )
  return [
    Lines(row, _take(other[order], at, 0), _take(code[order], at, 0))
    for row, at in made
  ]


def _pad(ids, start, length, width, batch, padding):
  """Own rows [K, R], and which counts are theirs [K, R, N]; -1 for none."""
  number = -(-len(ids) // batch)
  stacks = -(-number // _MAX_BATCHES)
  number = -(-number // stacks) * stacks
  row = np.full(number * batch, padding, np.int32)
  row[: len(ids)] = ids
  at = np.full((number * batch, width), -1)
  step = np.arange(width)
  at[: len(ids)] = np.where(step < length[:, None], start[:, None] + step, -1)
  return row.reshape(number, batch), at.reshape(number, batch, width)


def _take(values, at, missing):
  return np.where(at < 0, missing, values[at]).astype(values.dtype)


def _write(blocks: Blocks) -> None:
  """Writes all but the tiles, and the manifest last."""
  folder = blocks.folder
  for number, line in enumerate(blocks.lines):
    for name, array in line._asdict().items():
      with files.write_whole(folder / f"lines_{number}_{name}.npy") as file:
        np.save(file, array)
  for name in ("place", "pair", "filled"):
    with files.write_whole(folder / f"{name}.npy") as file:
      np.save(file, getattr(blocks, name))
  manifest = {
    "tile_size": blocks.tile_size,
    "num_blocks": blocks.num_blocks,
    "lines": len(blocks.lines),
  }
  files.write_text(folder / "manifest.json", json.dumps(manifest) + "\n")


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
  return Blocks(
    folder,
    np.load(folder / "place.npy"),
    manifest["tile_size"],
    manifest["num_blocks"],
    np.load(folder / "pair.npy"),
    np.load(folder / "filled.npy"),
    lines,
  )


def stacks(
  blocks: Blocks, plan: Pass, rng: np.random.Generator
) -> Iterator[Tiles | Lines]:
  """One pass: its tiles in random order, the lines strewn among them."""
  order = rng.permutation(plan.tiles)
  starts = range(0, len(order), blocks.stack_size)
  jobs = [order[i : i + blocks.stack_size] for i in starts]
  jobs += [
    Lines(*(array[part] for array in line))
    for line in plan.lines
    for part in _cut(line)
  ]
  with (blocks.folder / "tiles.bin").open("rb") as file:
    for number in rng.permutation(len(jobs)):
      job = jobs[number]
      yield job if isinstance(job, Lines) else _read_tiles(blocks, file, job)


def _cut(line: Lines) -> list[slice]:
  """The stacks of lines of one shape."""
  number = len(line.own)
  stacks = -(-number // _MAX_BATCHES)
  size = number // stacks
  return [slice(i, i + size) for i in range(0, number, size)]


def _read_tiles(blocks: Blocks, file, numbers) -> Tiles:
  """Reads tiles from the file; a short stack is padded with empty ones."""
  size, shape = blocks.stack_size, (blocks.tile_size, blocks.tile_size)
  code = np.zeros((size, *shape), np.uint16)
  pair = np.tile(np.array([0, blocks.num_blocks], np.int32), (size, 1))
  pair[: len(numbers)] = blocks.pair[numbers]
  for slot, number in enumerate(numbers):
    file.seek(int(number) * code[0].nbytes)
    file.readinto(code[slot])
  return Tiles(code, pair)
