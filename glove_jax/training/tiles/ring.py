"""The blocked engine over several devices: every device has 1/n of all tables.

Stratified gradient descent (Gemulla et al., "Large-scale matrix factorization
with distributed stochastic gradient descent", KDD 2011). Blocks of words and of
contexts are dealt to n parts. In the s-th of the n turns of a pass, device d
holds the words of part d and the contexts of part (d + s) mod n, and trains on
the tiles and lines of those alone, so that no two devices touch the same row.
Then every device hands its contexts to the one before it.
"""

import functools
import itertools
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.training import multihost, optimizers, sharding, steps
from glove_jax.training.engine import Engine, Epoch, forget, make_optimizer
from glove_jax.training.sharding import AXIS, Placement
from glove_jax.training.tiles import engine as tile_engine
from glove_jax.training.tiles import layout as tile_layout
from glove_jax.training.tiles.layout import (
  OUTSIDE,
  Blocks,
  Groups,
  Lines,
  pad_end,
)

# Tiles are handed out by fewer than on one device: there are 1/n^2 of them for
# each device and turn, and a call is filled up with empty ones.
_GROUPS_A_CALL = 8
_WIDTHS = 32  # more than the powers of two that are widths of lines


class Parts(NamedTuple):
  """Blocks dealt to n parts in turn, so that each has as many frequent words.

  Block b is of part b mod n, the (b // n)-th there. `local` is how a device
  sees the blocks: its table has one part of words, then one of contexts.
  """

  whole: Blocks
  num_parts: int  # n
  local: Blocks  # pair and num_blocks as within parts; place and lines unused
  tile_part: np.ndarray  # [M, 2] the parts of each tile's words and contexts
  slot: np.ndarray  # [M + 1] int32, a tile's place in its part; of none OUTSIDE

  def tiles(self, part: int) -> np.ndarray:
    """The numbers of the tiles of a part's words."""
    return np.flatnonzero(self.tile_part[:, 0] == part)

  @property
  def place(self) -> np.ndarray:
    """[V] places of words if the parts followed each other."""
    part, place = self.split(self.whole.place)
    return part * self.local.num_blocks * self.local.tile_size + place

  def split(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts of places in the whole, and the places there."""
    size = self.local.tile_size
    block, row = np.divmod(place, size)
    return block % self.num_parts, block // self.num_parts * size + row


class Turn(NamedTuple):
  """A stack without work: the contexts move on to the next device."""


class Job(NamedTuple):
  """A call of a program."""

  stack: Callable[[], Groups | tile_layout.Tiles | Lines]  # makes what it takes
  counted: np.ndarray  # [n * K] how many steps each of its batches is


def deal(made: Blocks, num_parts: int) -> Parts:
  """Deals blocks to so many parts."""
  size = -(-made.num_blocks // num_parts)
  block = made.pair - np.array([0, made.num_blocks], np.int32)
  pair = block // num_parts + np.array([0, size], np.int32)
  local = made._replace(num_blocks=size, pair=pair.astype(np.int32))
  slot = np.full(len(pair) + 1, OUTSIDE, np.int32)
  parts = Parts(made, num_parts, local, block % num_parts, slot)
  for part in range(num_parts):
    slot[parts.tiles(part)] = np.arange(len(parts.tiles(part)))
  return parts


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  placement: Placement,
  *,
  folder: str | os.PathLike | None = None,
) -> Engine:
  """Makes the blocked engine for the devices of a placement.

  Args:
    triplets: the counts; each process reads those of its devices' words.
    config: how to train.
    placement: 'blocks', with a mesh.
    folder: where tiles are kept; None is a temporary folder.

  Raises:
    ValueError: settings that it lacks.
  """
  work = _lay_out(triplets, config, placement, folder)
  passes = tile_engine.plan_passes(work.parts.whole, config)
  hyper = [getattr(config, name) for name in tile_engine.Hyper._fields]
  hyper = tile_engine.Hyper(*map(np.float32, hyper))
  programs = make_programs(config, placement)
  everywhere = NamedSharding(placement.mesh, P())
  gather = jax.jit(lambda costs: costs, out_shardings=everywhere)

  def stacks(epoch):
    rng = np.random.default_rng([config.seed, epoch])
    return _stacks(work, passes[epoch - 1], rng)

  def run_steps(state, stack, rates):
    program = programs[type(stack)]
    state, costs = program(state, hyper, work.codes, stack, rates)
    return state, gather(costs) if multihost.several() else costs

  tx = make_optimizer(config, config.learning_rate)
  return Engine(
    init=functools.partial(init_state, work.parts, tx),
    put=functools.partial(sharding.put_state, placement),
    start_epoch=functools.partial(forget, keep=config.resolved.keep),
    stacks=stacks,
    run_steps=run_steps,
    params=functools.partial(table_params, work.parts),
    schedule=optimizers.make_schedule(config.resolved.schedule),
    epochs=[Epoch(_num_steps(work, p), p.num_triplets) for p in passes],
  )


def init_state(parts: Parts, tx, params: Params) -> steps.TrainState:
  """Puts parameters, and the optimizer's state of them, into tables of parts.

  They are laid out in the memory of the host, for no device need have room for
  all of them: [n, 2 * B / n, T, D] and [n, 2 * B / n, T].
  """

  @jax.jit
  def init(place, params):
    size = parts.num_parts * parts.local.num_blocks
    table = parts.whole._replace(place=place, num_blocks=size)
    state = steps.init_table(params, table, tx)
    return jax.tree.map(lambda a: a if a.ndim < 2 else split(a), state)

  def split(array):
    shape = (2, parts.num_parts, -1, *array.shape[1:])
    halves = array.reshape(shape).swapaxes(0, 1)
    return halves.reshape(parts.num_parts, -1, *array.shape[1:])

  host = jax.local_devices(backend="cpu")[0]
  return init(*jax.device_put((parts.place, params), host))


def table_params(parts: Parts, state: steps.TrainState) -> Params:
  """The parameters in the order of the vocabulary, in the host's memory."""

  def join(array):
    halves = array.reshape(parts.num_parts, 2, -1, *array.shape[2:])
    return halves.swapaxes(0, 1).reshape(-1, *array.shape[2:])

  table = steps.Table(*map(join, sharding.whole(state.params)))
  return steps.table_params(table, parts.whole._replace(place=parts.place))


def make_programs(
  config: TrainConfig, placement: Placement
) -> dict[type, Callable]:
  """(state, hyper, codes, stack, rates) -> (state, costs), by type of stack.

  A stack is of n times as many batches as each device does, one after the
  other: the first device does the first of them. Codes are likewise.
  """
  mesh = placement.mesh

  def compiled(run):
    def on_device(state, hyper, codes, stack, rates):
      own = jax.tree.map(lambda a: a[0] if a.ndim else a, state)
      size = len(rates) // mesh.size
      start = jax.lax.axis_index(AXIS) * size
      rates = jax.lax.dynamic_slice_in_dim(rates, start, size)
      own, costs = run(own, hyper, codes, stack, rates)
      return jax.tree.map(lambda a: a[None] if a.ndim else a, own), costs

    def mapped(state, *rest):
      specs = sharding.state_specs(placement, state)
      return jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(specs, P(), P(AXIS), P(AXIS), P()),
        out_specs=(specs, P(AXIS)),
      )(state, *rest)

    return jax.jit(mapped, donate_argnums=0)

  def turn(state, hyper, codes, stack, rates):
    del hyper, codes, stack
    size = mesh.size
    ring = [(device, (device - 1) % size) for device in range(size)]

    def hand_on(array):
      if not array.ndim:
        return array
      contexts = len(array) // 2
      received = jax.lax.ppermute(array[contexts:], AXIS, ring)
      return array.at[contexts:].set(received)

    return jax.tree.map(hand_on, state), jnp.zeros_like(rates)

  return tile_engine.make_programs(config, compiled) | {Turn: compiled(turn)}


class _Work(NamedTuple):
  """All that there is to visit."""

  placement: Placement
  parts: Parts
  layout: tile_engine.Layout
  lines: list[list[Job]]  # of each turn
  codes: jax.Array | None  # all tiles, each on its words' device, if resident
  keeper: tempfile.TemporaryDirectory | None  # its folder goes when it goes


def _lay_out(triplets, config, placement, folder) -> _Work:
  tile_engine.check(config)
  folder, keeper = tile_engine.keep_folder(folder)
  own = sharding.own_devices(placement)
  made, rest = tile_layout.cut(
    triplets,
    pathlib.Path(folder, f"process_{jax.process_index()}"),
    is_own=lambda block: np.isin(block % placement.num_devices, own),
    **tile_engine.cut_settings(config),
  )
  parts = deal(made, placement.num_devices)
  layout = tile_engine.device_layout(made, placement.num_devices)
  lines = cut_lines(parts, rest, placement, layout.line_cells)
  if not layout.resident:
    return _Work(placement, parts, layout, lines, None, keeper)
  placed = [[_placed(job) for job in turn] for turn in lines]
  codes = sharding.join(placement, P(AXIS), functools.partial(_tiles_of, parts))
  return _Work(placement, parts, layout, placed, codes, keeper)


def _placed(job: Job) -> Job:
  """The same job, whose stack stays on the devices."""
  stack = job.stack()
  return job._replace(stack=lambda: stack)


def _tiles_of(parts: Parts, part: int) -> np.ndarray:
  """[M', T, T] the codes of a part's tiles, as many for each part."""
  most = np.bincount(parts.tile_part[:, 0], minlength=1).max()
  at = parts.whole.at[parts.tiles(part)]
  return pad_end(tile_layout.all_tiles(parts.whole)[at], most - len(at), 0)


def _num_steps(work: _Work, plan: tile_layout.Pass) -> int:
  """Tiles and batches of lines in a pass."""
  lines = itertools.chain(*work.lines) if plan.with_lines else []
  return len(plan.tiles) + sum(int(job.counted.sum()) for job in lines)


def _stacks(work: _Work, plan: tile_layout.Pass, rng: np.random.Generator):
  """One pass: turn by turn, its tiles in random order and lines among them."""
  num_parts = work.parts.num_parts
  for turn in range(num_parts):
    jobs = list(_tile_jobs(work, plan.tiles, turn, rng))
    jobs += work.lines[turn] if plan.with_lines else []
    for number in rng.permutation(len(jobs)):
      yield jobs[number].stack(), jobs[number].counted
    yield Turn(), np.zeros(num_parts, int)


def _tile_jobs(
  work: _Work, tiles: np.ndarray, turn: int, rng: np.random.Generator
) -> Iterator[Job]:
  """The tiles of a turn: of each device as many groups, those at the end empty.

  All processes plan for all devices, and read for their own.
  """
  parts, layout = work.parts, work.layout
  size, local = parts.num_parts, parts.local
  size_of_call = min(layout.num_groups, _GROUPS_A_CALL)
  word_part, context_part = parts.tile_part[tiles].T
  groups = [
    tile_layout.disjoint_groups(
      local,
      tiles[(word_part == part) & (context_part == (part + turn) % size)],
      layout.tiles_at_once,
      rng,
    )
    for part in range(size)
  ]
  most = max(len(group.number) for group in groups)
  most += -most % size_of_call
  every = Groups(
    *(
      np.stack([pad_end(a, most - len(a), OUTSIDE) for a in arrays])
      for arrays in zip(*groups, strict=True)
    )
  )
  for start in range(0, most, size_of_call):
    call = Groups(*(array[:, start:][:, :size_of_call] for array in every))
    counted = (call.number < len(local.pair)).sum(axis=2).ravel()
    yield Job(functools.partial(_tile_stack, work, call), counted)


def _tile_stack(work: _Work, call: Groups) -> Groups | tile_layout.Tiles:
  """Puts groups [n, G, K], and where they are not yet their tiles, in place."""
  parts = work.parts

  def piece(part):
    groups = Groups(*(array[part] for array in call))
    if work.codes is None:
      return tile_layout.read_tiles(parts.local, groups)
    known = np.minimum(groups.number, len(parts.slot) - 1)
    return groups._replace(number=parts.slot[known])

  return sharding.join(work.placement, P(AXIS), piece)


def cut_lines(
  parts: Parts, rest: tile_layout.Rest, placement: Placement, cells: int
) -> list[list[Job]]:
  """Makes lines of what lies outside of tiles, by the part of their others.

  Args:
    parts: of which words this process has some.
    rest: the counts of those words outside of tiles.
    placement: the devices.
    cells: how many counts a batch should hold, padding included.

  Returns:
    the jobs of each turn, of the same shapes in all turns.
  """
  own, turns = sharding.own_devices(placement), range(parts.num_parts)
  row_part, row = parts.split(rest.row)
  col_part, col = parts.split(rest.col)
  local = tile_layout.Rest(row, col, rest.code)
  half = parts.local.num_blocks * parts.local.tile_size

  def cut(part, turn):
    ours = (row_part == part) & (col_part == (part + turn) % parts.num_parts)
    chosen = tile_layout.Rest(*(column[ours] for column in local))
    return {
      lines.code.shape[-1]: _without_padding(lines)
      for lines in tile_layout.cut_lines(chosen, half)
    }

  pieces = {(part, turn): cut(part, turn) for part in own for turn in turns}
  number = np.zeros((_WIDTHS, len(turns), parts.num_parts), np.int64)
  for (part, turn), lines in pieces.items():
    for width in lines:
      number[width.bit_length() - 1, turn, part] = len(lines[width].own)
  number = multihost.total(number)
  made = [[] for _ in turns]
  for power in np.flatnonzero(number.any(axis=(1, 2))):
    width = 1 << int(power)
    shape = _batch_shape(int(number[power].max()), width, cells)
    for turn in turns:
      lines = {part: pieces[part, turn].get(width) for part in own}
      made[turn] += _line_jobs(
        lines, number[power, turn], (*shape, width), placement
      )
  return made


def _without_padding(lines: Lines) -> Lines:
  """The lines of one width, in one batch without padding: [R] and [R, N]."""
  return Lines(*(array[lines.own < OUTSIDE] for array in lines))


def _batch_shape(most: int, width: int, cells: int) -> tuple[int, int, int]:
  """Stacks, batches in a stack, lines in a batch: enough for so many lines."""
  rows = min(max(1, max(cells, tile_layout.BATCH_CELLS) // width), most)
  batches = -(-most // rows)
  stacks = -(-batches // tile_layout.MAX_BATCHES)
  return stacks, -(-batches // stacks), rows


def _line_jobs(
  lines: dict[int, Lines | None], number: np.ndarray, shape, placement
) -> Iterator[Job]:
  """The stacks of a turn, filled up to one shape.

  Args:
    lines: of each own device; None where it has none.
    number: [n] how many lines each device has.
    shape: stacks, batches in a stack, lines in a batch, counts in a line.
    placement: the devices.
  """
  stacks, batches, rows, width = shape
  none = np.zeros((0, width), np.int32)
  empty = Lines(none[:, 0], none, none.astype(np.uint16))

  def fill_up(array, value):
    full = pad_end(array, stacks * batches * rows - len(array), value)
    return full.reshape(stacks, batches, rows, *array.shape[1:])

  filled = {
    part: Lines(*map(fill_up, part_lines or empty, (OUTSIDE, 0, 0)))
    for part, part_lines in lines.items()
  }
  starts = rows * np.arange(stacks * batches).reshape(stacks, 1, batches)
  counted = (starts < number[:, None]).astype(int).reshape(stacks, -1)
  for i in range(stacks):

    def piece(part, i=i):
      return Lines(*(array[i] for array in filled[part]))

    make = functools.partial(sharding.join, placement, P(AXIS), piece)
    yield Job(make, counted[i])
