"""The lines and strips of a ring of devices, by the turn that trains them.

Device d trains the counts of its words with the contexts that it holds, which
are those of part (d + s) mod n in turn s, see `ring`.
"""

import functools
from collections.abc import Iterator

import numpy as np
from jax.sharding import PartitionSpec as P

from glove_jax import native
from glove_jax.config import TrainConfig
from glove_jax.training import multihost, sharding
from glove_jax.training.engine import Placement
from glove_jax.training.sharding import AXIS
from glove_jax.training.tiles import cutting, layout, strips
from glove_jax.training.tiles.cutting import CutSettings
from glove_jax.training.tiles.fitting import plan_fit
from glove_jax.training.tiles.jobs import Job, StripJobs
from glove_jax.training.tiles.layout import OUTSIDE, Parts, Tiles
from glove_jax.training.tiles.lines import (
  WIDTHS,
  Remainder,
  best_width,
  count_lines,
  cut_lines,
  stack_lines,
  stack_shape,
)
from glove_jax.training.tiles.passes import growth_stages
from glove_jax.training.tiles.strips import Strip, Strips

# Words along a side of a tile; smaller ones would be all overhead.
_SMALLEST_TILE = 32
_STRIP_WORDS = 512  # words, or contexts, that are trained with the core at once


def cut_line_jobs(
  parts: Parts, remainder: Remainder, placement: Placement, cells: int
) -> list[list[Job]]:
  """Cuts the remainder into lines, by the turn in which they are trained.

  Args:
    parts: blocks of which this process has some.
    remainder: the counts of those words outside of tiles.
    placement: the devices.
    cells: how many counts a batch should hold, padding included.

  Returns:
    The jobs of each turn. All have the same shape.
  """
  half = parts.local.num_blocks * parts.local.tile_size
  pieces = dict(_local_counts(parts, remainder, placement))
  # How many lines of each width there are, in each turn, on each device.
  number = np.zeros((len(WIDTHS), parts.num_parts, parts.num_parts), np.int64)
  for (part, turn), counts in pieces.items():
    number[:, turn, part] = count_lines(counts, half)
  number = multihost.sum_over_processes(number)
  best = best_width(number.max(axis=2).sum(axis=1))
  width, number = int(WIDTHS[best]), number[best]
  lines = {
    key: cut_lines(counts, half, width) for key, counts in pieces.items()
  }
  shape = stack_shape(int(number.max()), width, cells)
  num_steps = shape.num_steps(number)  # [turn, part, stack, batch]

  def job(turn: int, stack: int) -> Job:
    def piece(part):
      return stack_lines(lines[part, turn], shape, stack)

    load = functools.partial(sharding.join, placement, P(AXIS), piece)
    return Job(load, num_steps[turn, :, stack].ravel())

  return [
    [job(turn, i) for i in range(shape.stacks) if num_steps[turn, :, i].any()]
    for turn in range(parts.num_parts)
  ]


def _local_counts(
  parts: Parts, remainder: Remainder, placement: Placement
) -> Iterator[tuple[tuple[int, int], Remainder]]:
  """Yields (part, turn), and what the device of the part trains in the turn."""
  local, num_parts = sharding.local_devices(placement), parts.num_parts
  row_part, row = parts.split(remainder.row)
  col_part, col = parts.split(remainder.col)
  turn = (col_part - row_part) % num_parts
  key = np.searchsorted(local, row_part) * num_parts + turn
  number = np.bincount(key, minlength=len(local) * num_parts)
  ends = np.append(0, np.cumsum(number))
  code = np.asarray(remainder.code)
  by_key = Remainder(*map(np.empty_like, (row, col, code)))
  _sort(key, row, col, code, ends[:-1].copy(), *by_key)
  for i, first in enumerate(ends[:-1]):
    counts = Remainder(*(column[first : ends[i + 1]] for column in by_key))
    yield (local[i // num_parts], i % num_parts), counts


@native.loop
def _sort(key, row, col, code, start, to_row, to_col, to_code):
  """Appends each count to those of its key at start[key], which moves on."""
  for i in range(len(key)):
    to_row[start[key[i]]] = row[i]
    to_col[start[key[i]]] = col[i]
    to_code[start[key[i]]] = code[i]
    start[key[i]] += 1


def ring_settings(
  config: TrainConfig, num_parts: int, vocab_size: int
) -> CutSettings:
  """How to cut for a ring of n devices, so that few devices are idle.

  Blocks are halved until they can be dealt evenly, see `_is_even`: those of the
  core, or of all words without `missing`, and those of each stage of `growth`.
  The core is extended to a multiple of n blocks.

  Without `missing`, the first tier of words is extended to such a multiple, so
  that all devices have equally many words of each tier. The pairs of two rounds
  of n blocks are all tiles or none if that takes fewer steps.

  Example:
    With 16,384 words in the core, of which 8,192 train first:

    >>> config = TrainConfig()
    >>> [ring_settings(config, n, 10**6).tile_size for n in (8, 64, 256)]
    [512, 128, 32]
    >>> ring_settings(config, 12, 10**6)[:3:2]  # 11 blocks of 128 for each
    (128, 16896)

    Without `missing`, the first tier has 6 blocks of 512 for 3 devices:

    >>> ring_settings(TrainConfig(missing=0.0, growth=()), 3, 10**6)[3:5]
    (3072, 3)
  """
  settings = cutting.cut_settings(config)
  stages = (first for first, _ in growth_stages(config))
  words = {min(n, vocab_size) for n in (settings.core or vocab_size, *stages)}
  tile_size = min(settings.tile_size, vocab_size)
  while tile_size >= 2 * _SMALLEST_TILE and not all(
    _is_even(n, tile_size * num_parts) for n in words
  ):
    tile_size //= 2
  settings = settings._replace(tile_size=tile_size)
  size = tile_size * num_parts
  if settings.core is None:
    first_tier = -(-settings.first_tier // size) * size
    return settings._replace(first_tier=first_tier, round_size=num_parts)
  return settings._replace(core=-(-settings.core // size) * size)


def _is_even(words: int, size: int) -> bool:
  """Whether words are dealt evenly in rounds of `size`, a block to each device.

  The last of four rounds may be partly empty.
  """
  return words % size == 0 or words >= 4 * size


def cut_strip_jobs(
  parts: Parts, remainder: Remainder, placement: Placement, config: TrainConfig
) -> StripJobs | None:
  """Makes the jobs of the words outside of the core; None if there are none.

  In a turn, a device has 1/n of the core's contexts, and fits its words to
  them; and it has 1/n of the other contexts, which it fits to its words of the
  core. A pass visits the whole core in n turns. So does a joint pass, in which
  the strips of a turn are tiles.

  Args:
    parts: blocks of which this process has some.
    remainder: the counts of those words outside of tiles.
    placement: the devices.
    config: has the passes of the fit, and the seed of their order.
  """
  num_parts, local = parts.num_parts, parts.local
  core_blocks = int(parts.whole.pair[:, 0].max(initial=-1)) + 1
  if core_blocks == parts.whole.num_blocks:
    return None
  sizes = local.tile_size, local.num_blocks, core_blocks // num_parts
  cut = {
    key: strips.cut(*counts, *sizes)
    for key, counts in _local_counts(parts, remainder, placement)
  }
  num_counts = np.array([sum(len(one.code) for one in cut.values())])
  return StripJobs(
    core_blocks * local.tile_size,
    int(multihost.sum_over_processes(num_counts)[0]),
    *_strip_jobs(cut, placement, config),
  )


def _strip_jobs(
  cut: dict[tuple[int, int], Strips], placement: Placement, config: TrainConfig
):
  """The jobs of strips: those that fit, and those of joint passes.

  Args:
    cut: {(part, turn): strips} of the parts of this process.
    placement: the devices.
    config: has the passes of the fit, and the seed of their order.

  Returns:
    As the fields `fit` and `joint` of `StripJobs`.
  """
  num_parts, first = placement.num_devices, next(iter(cut.values()))
  groups = _group_strips(first)
  plans = plan_fit(
    first.code_shape[0],
    config.fit_passes,
    keep=config.resolved.keep,
    seed=config.seed,
    turns=num_parts,
  )

  def job(read, turn, group, num_steps) -> Job:
    def piece(part):
      found = [read(cut[part, turn], strip=strip) for strip in group]
      return _join(found, len(groups[0]))

    load = functools.partial(sharding.join, placement, P(AXIS), piece)
    return Job(load, np.tile(num_steps, num_parts))

  def fit_job(index, plan, group) -> Job:
    # A block is fitted in all turns, and counts as one step in the first.
    counted = len(group) if index == 0 else 0
    read = functools.partial(strips.read_strip, plan=plan)
    return job(read, index % num_parts, group, [counted])

  def joint_job(turn, group) -> Job:
    is_real = np.arange(len(groups[0])) < len(group)
    num_steps = is_real.repeat(first.core_blocks).astype(int)
    return job(layout.read_strip_tiles, turn, group, num_steps)

  return (
    [[fit_job(i, plan, g) for g in groups] for i, plan in enumerate(plans)],
    [[joint_job(turn, g) for g in groups] for turn in range(num_parts)],
  )


def _group_strips(strips: Strips) -> list[np.ndarray]:
  """Groups the strips that are trained in one call.

  A group is of words or of contexts. A call has a price of its own, so a group
  of small strips has as many words as a large strip.
  """
  size = max(1, _STRIP_WORDS // strips.tile_size)
  return [
    half[start : start + size]
    for half in np.split(np.arange(strips.num_strips), 2)
    for start in range(0, len(half), size)
  ]


def _join(found: list[Strip] | list[Tiles], size: int) -> Strip | Tiles:
  """Joins strips of one plan, or the tiles of strips.

  The result is padded to that of `size` strips, by strips of no block.
  """
  first = found[0]
  code = [one.code for one in found]
  code += [np.zeros_like(code[0])] * (size - len(found))
  name, axis = ("block", 1) if isinstance(first, Strip) else ("pair", 0)
  where = [getattr(one, name) for one in found]
  where += [np.full_like(where[0], OUTSIDE)] * (size - len(found))
  return first._replace(
    **{name: np.concatenate(where, axis)}, code=np.concatenate(code, 2 * axis)
  )
