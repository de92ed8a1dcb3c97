"""The blocked engine of several devices: each holds 1/n of all tables.

This is stratified gradient descent (Gemulla et al., "Large-scale matrix
factorization with distributed stochastic gradient descent", KDD 2011). Blocks
of words and of contexts are dealt to n parts. Device d keeps the words of part
d. A pass has n turns. In turn s, device d holds the contexts of part
(d + s) mod n and trains on the tiles and lines of those words and contexts.
With n = 3:

            turn 0   turn 1   turn 2
  device 0    0        1        2      the part of its contexts
  device 1    1        2        0
  device 2    2        0        1

No two devices touch the same row in a turn, so nothing is summed over devices.
After a turn every device sends its contexts to the device before it, and after
n turns all contexts are back.

With `missing`, a pass of the fit of other words to the core has n turns too: in
each, a device fits its words to the contexts of the core that it holds, and the
contexts that it holds to its words of the core, see `cut_strips`.
"""

import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.training import multihost, optimizers, sharding
from glove_jax.training.engine import (
  NOTHING,
  Placement,
  Supplied,
  TrainState,
)
from glove_jax.training.sharding import AXIS
from glove_jax.training.starts import AS_USUAL, Given
from glove_jax.training.tiles import (
  cutting,
  engine,
  layout,
  programs,
  steps,
  strips,
)
from glove_jax.training.tiles.cutting import Remainder
from glove_jax.training.tiles.engine import BlockedEngine, Job
from glove_jax.training.tiles.fitting import plan_fit
from glove_jax.training.tiles.layout import (
  OUTSIDE,
  Groups,
  Lines,
  Parts,
  Tiles,
  pad_end,
)
from glove_jax.training.tiles.programs import Hyper

# Fewer than on one device: a device has only 1/n^2 of the tiles in a turn, and
# the last stack of a turn is padded with empty groups.
_GROUPS_PER_STACK = 8
_MAX_POWER = 32  # lines are narrower than 2^32


class Turn(NamedTuple):
  """A stack without work: the contexts move on to the next device."""


class RingEngine(BlockedEngine):
  """The blocked engine for several devices. It implements `Engine`.

  A stack is n stacks of K batches, one for each device. Each process plans for
  all devices and reads the tiles and lines of its devices.
  """

  def __init__(
    self,
    triplets: Triplets,
    config: TrainConfig,
    placement: Placement,
    supplied: Supplied = NOTHING,
    *,
    folder: str | os.PathLike | None = None,
  ):
    """Cuts the counts of this process's words.

    Args:
      triplets: the counts.
      config: the training settings.
      placement: 'blocks', with a mesh.
      supplied: instead of what the config names.
      folder: where tiles are kept; None uses a temporary folder.

    Raises:
      ValueError: the engine does not support the settings.
    """
    engine.check_settings(config)
    self._config = config
    folder, self._keeper = engine.keep_folder(folder)
    local = sharding.local_devices(placement)
    blocks, remainder = cutting.cut(
      triplets,
      pathlib.Path(folder, f"process_{jax.process_index()}"),
      _even_core(config, placement.num_devices, triplets.vocab_size),
      local=lambda block: np.isin(block % placement.num_devices, local),
      rows=multihost.share(len(triplets.row)),
      reduce=multihost.sum_over_processes,
    )
    if config.missing:  # the remainder is in strips, not in lines
      blocks = blocks._replace(num_outside=0)
    self.placement, self._parts = (
      placement,
      layout.deal(blocks, placement.num_devices),
    )
    self._batching = engine.device_settings(blocks, placement.num_devices)
    strip_jobs, num_in_strips = [], 0
    if config.missing:
      line_jobs = [[] for _ in range(placement.num_devices)]
      strip_jobs, num_in_strips = cut_strip_jobs(
        self._parts, remainder, placement, config
      )
    else:
      line_jobs = cut_line_jobs(
        self._parts, remainder, placement, self._batching.line_cells
      )
    self._codes = None  # each device's tiles [M', T, T], if resident
    if self._batching.resident:
      line_jobs = [[_keep_loaded(job) for job in turn] for turn in line_jobs]
      piece = functools.partial(_tiles_of, self._parts)
      self._codes = sharding.join(placement, P(AXIS), piece)
    super().__init__(blocks, config, line_jobs, strip_jobs, num_in_strips)
    hyper = [getattr(config, name) for name in Hyper._fields]
    self._hyper = Hyper(*map(np.float32, hyper))
    self._tx = optimizers.from_config(config, tx=supplied.tx)
    self._programs = make_programs(config, placement, supplied.tx)
    self._gather = jax.jit(
      lambda costs: costs, out_shardings=NamedSharding(placement.mesh, P())
    )

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    padding = engine.padding_bias(self._config)
    return init_state(self._parts, self._tx, params, padding, given)

  def params(self, state: TrainState) -> Params:
    return table_params(self._parts, state)

  def run_steps(self, state, stack, multipliers):
    program = self._programs[type(stack)]
    state, costs = program(state, self._hyper, self._codes, stack, multipliers)
    return state, self._gather(costs) if multihost.several() else costs

  def _end_turn(self):
    yield Turn(), np.zeros(self._parts.num_parts, int)

  def _tile_jobs(self, tiles, turn, rng) -> list[Job]:
    """Groups the tiles of each device; each gets the same number of groups."""
    parts = self._parts
    size = min(self._batching.groups_per_stack, _GROUPS_PER_STACK)
    word_part, context_part = parts.tile_part[tiles].T
    groups = []  # of each device
    for part in range(parts.num_parts):
      context = (part + turn) % parts.num_parts
      local = tiles[(word_part == part) & (context_part == context)]
      groups.append(
        layout.disjoint_groups(
          parts.local, local, self._batching.tiles_per_group, rng
        )
      )
    most = max(len(group.tile) for group in groups)
    most += -most % size
    stacked = Groups(  # [n, G, K]
      *(
        np.stack([pad_end(a, most - len(a), OUTSIDE) for a in arrays])
        for arrays in zip(*groups, strict=True)
      )
    )
    jobs = []
    for start in range(0, most, size):
      stack = Groups(*(array[:, start:][:, :size] for array in stacked))
      num_steps = layout.count_tiles(parts.local, stack).ravel()
      jobs.append(Job(functools.partial(self._load, stack), num_steps))
    return jobs

  def _load(self, stack: Groups) -> Groups | Tiles:
    """Places groups [n, G, K], and their tiles if they are not resident."""
    parts = self._parts

    def piece(part):
      groups = Groups(*(array[part] for array in stack))
      if self._codes is None:
        return layout.read_tiles(parts.local, groups)
      known = np.minimum(groups.tile, len(parts.index) - 1)
      return groups._replace(tile=parts.index[known])

    return sharding.join(self.placement, P(AXIS), piece)


def init_state(
  parts: Parts,
  tx,
  params: Params,
  padding_bias: float = 0.0,
  given: Given = AS_USUAL,
) -> TrainState:
  """Copies parameters, and the optimizer's state of them, to tables of parts.

  Arrays stay in the host's memory, because no device may have room for all of
  them. Their shapes are [n, 2 * B', T, D] and [n, 2 * B', T].
  """

  @jax.jit
  def init(position, params, given):
    num_blocks = parts.num_parts * parts.local.num_blocks
    state = steps.init_table(
      params,
      position,
      num_blocks,
      parts.local.tile_size,
      tx,
      padding_bias,
      given,
    )
    return jax.tree.map(lambda a: a if a.ndim < 2 else split(a), state)

  def split(array):
    shape = (2, parts.num_parts, -1, *array.shape[1:])
    halves = array.reshape(shape).swapaxes(0, 1)
    return halves.reshape(parts.num_parts, -1, *array.shape[1:])

  host = jax.local_devices(backend="cpu")[0]
  return init(*jax.device_put((parts.position, params, given), host))


def table_params(parts: Parts, state: TrainState) -> Params:
  """The parameters in the order of the vocabulary, in the host's memory."""

  def join(array):
    halves = array.reshape(parts.num_parts, 2, -1, *array.shape[2:])
    return halves.swapaxes(0, 1).reshape(-1, *array.shape[2:])

  table = steps.Table(*map(join, sharding.fetch(state.params)))
  return steps.table_params(table, parts.position)


def make_programs(
  config: TrainConfig,
  placement: Placement,
  tx: optax.GradientTransformation | None = None,
) -> dict[type, Callable]:
  """Makes the programs that train on a stack, by type of stack.

  Args:
    config: the training settings.
    placement: 'blocks', with a mesh.
    tx: used instead of the optimizer of the config.

  Returns:
    As `programs.make_programs`. Stacks, codes, multipliers and costs are those
    of the devices, concatenated: [n * K] or [n * M', T, T].
  """
  num_devices = placement.mesh.size

  def compiled(run):
    def on_device(state, hyper, codes, stack, multipliers):
      local = jax.tree.map(lambda a: a[0] if a.ndim else a, state)
      size = len(multipliers) // num_devices
      start = jax.lax.axis_index(AXIS) * size
      multipliers = jax.lax.dynamic_slice_in_dim(multipliers, start, size)
      local, costs = run(local, hyper, codes, stack, multipliers)
      return jax.tree.map(lambda a: a[None] if a.ndim else a, local), costs

    def mapped(state, *rest):
      specs = sharding.state_specs(placement, state)
      return jax.shard_map(
        on_device,
        mesh=placement.mesh,
        in_specs=(specs, P(), P(AXIS), P(AXIS), P()),
        out_specs=(specs, P(AXIS)),
      )(state, *rest)

    return jax.jit(mapped, donate_argnums=0)

  def turn(state, hyper, codes, stack, multipliers):
    del hyper, codes, stack
    ring = [(i, (i - 1) % num_devices) for i in range(num_devices)]

    def send_contexts(array):
      if not array.ndim:
        return array
      half = len(array) // 2
      received = jax.lax.ppermute(array[half:], AXIS, ring)
      return array.at[half:].set(received)

    return jax.tree.map(send_contexts, state), jnp.zeros_like(multipliers)

  return programs.make_programs(config, compiled, tx) | {Turn: compiled(turn)}


def _even_core(config: TrainConfig, num_parts: int, vocab_size: int):
  """How to cut: the blocks of the core are a multiple of the parts."""
  settings = engine.cut_settings(config)
  if settings.core is None:
    return settings
  size = min(settings.tile_size, vocab_size) * num_parts
  return settings._replace(core=-(-settings.core // size) * size)


def cut_strip_jobs(
  parts: Parts, remainder: Remainder, placement: Placement, config: TrainConfig
) -> tuple[list[list[Job]], int]:
  """Makes the jobs that fit other words to the core, for all turns of the fit.

  In a turn, a device has 1/n of the core's contexts, and fits its words to
  them; and it has 1/n of the other contexts, which it fits to its words of the
  core. A pass visits the whole core in n turns.

  Args:
    parts: blocks of which this process has some.
    remainder: the counts of those words outside of tiles.
    placement: the devices.
    config: has the passes of the fit, and the seed of their order.

  Returns:
    The jobs of each turn, and the number of counts in strips of all processes.
  """
  num_parts, local = parts.num_parts, parts.local
  core_blocks = int(parts.whole.pair[:, 0].max(initial=-1)) + 1
  if core_blocks == parts.whole.num_blocks:
    return [], 0
  row_part, row = parts.split(remainder.row)
  col_part, col = parts.split(remainder.col)
  sizes = local.tile_size, local.num_blocks, core_blocks // num_parts
  cut = {}
  for part in sharding.local_devices(placement):
    for turn in range(num_parts):
      context = (part + turn) % num_parts
      chosen = (row_part == part) & (col_part == context)
      columns = row[chosen], col[chosen], remainder.code[chosen]
      cut[part, turn] = strips.cut(*columns, *sizes)
  num_counts = np.array([sum(len(one.code) for one in cut.values())])
  first = next(iter(cut.values()))
  plans = plan_fit(
    first.code_shape[0],
    config.fit_passes,
    keep=config.resolved.keep,
    seed=config.seed,
    turns=num_parts,
  )

  def load(turn, plan, strip):
    return sharding.join(
      placement,
      P(AXIS),
      lambda part: strips.read_strip(cut[part, turn], plan, strip),
    )

  # A block is fitted in all turns, and counts as one step in the first.
  num_steps = [1] + [0] * (len(plans) - 1)
  return [
    [
      Job(
        functools.partial(load, index % num_parts, plan, strip),
        np.full(num_parts, num_steps[index]),
      )
      for strip in range(first.num_strips)
    ]
    for index, plan in enumerate(plans)
  ], int(multihost.sum_over_processes(num_counts)[0])


def _keep_loaded(job: Job) -> Job:
  """Loads the stack of a job now, and keeps it on the devices."""
  stack = job.load()
  return job._replace(load=lambda: stack)


def _tiles_of(parts: Parts, part: int) -> np.ndarray:
  """The codes of a part's tiles: [M', T, T], M' the most of any part."""
  most = np.bincount(parts.tile_part[:, 0], minlength=1).max()
  index = parts.whole.file_index[parts.tiles(part)]
  codes = layout.map_tiles(parts.whole)[index]
  return pad_end(codes, most - len(index), 0)


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
    The jobs of each turn. All turns have the same shapes.
  """
  turns = range(parts.num_parts)
  row_part, row = parts.split(remainder.row)
  col_part, col = parts.split(remainder.col)
  local = Remainder(row, col, remainder.code)
  half = parts.local.num_blocks * parts.local.tile_size

  def cut(part, turn):
    """{width: lines [R] and [R, N]} of a device in a turn."""
    context = (part + turn) % parts.num_parts
    chosen = (row_part == part) & (col_part == context)
    every = cutting.cut_lines(
      Remainder(*(column[chosen] for column in local)), half
    )
    lines = (Lines(*(array[0] for array in lines)) for lines in every)
    return {one.code.shape[-1]: one for one in lines}

  pieces = {
    (part, turn): cut(part, turn)
    for part in sharding.local_devices(placement)
    for turn in turns
  }
  # The number of lines of width 2^power, in each turn, on each device.
  number = np.zeros((_MAX_POWER, len(turns), parts.num_parts), np.int64)
  for (part, turn), lines in pieces.items():
    for width in lines:
      number[width.bit_length() - 1, turn, part] = len(lines[width].trained)
  number = multihost.sum_over_processes(number)
  jobs = [[] for _ in turns]
  for power in np.flatnonzero(number.any(axis=(1, 2))):
    width = 1 << int(power)
    shape = _batch_shape(int(number[power].max()), width, cells)
    for turn in turns:
      lines = {
        part: by_width.get(width)
        for (part, of_turn), by_width in pieces.items()
        if of_turn == turn
      }
      jobs[turn] += _stack_lines(
        lines, number[power, turn], (*shape, width), placement
      )
  return jobs


def _batch_shape(most: int, width: int, cells: int) -> tuple[int, int, int]:
  """(stacks, batches in a stack, lines in a batch) with room for `most` lines.

  With 1000 lines of width 64 and 16,384 cells: batches of 256 lines, one stack
  of 4 of them.
  """
  rows = min(max(1, max(cells, cutting.BATCH_CELLS) // width), most)
  batches = -(-most // rows)
  stacks = -(-batches // layout.MAX_BATCHES)
  return stacks, -(-batches // stacks), rows


def _stack_lines(
  lines: dict[int, Lines | None], number: np.ndarray, shape, placement
) -> Iterator[Job]:
  """The stacks of lines of one width in a turn, padded to one shape.

  Args:
    lines: the lines of each local device; None if it has none.
    number: [n] how many lines each device has.
    shape: stacks, batches in a stack, lines in a batch, counts in a line.
    placement: the devices.
  """
  stacks, batches, rows, width = shape
  none = np.zeros((0, width), np.int32)
  empty = Lines(none[:, 0], none, none.astype(np.uint16))

  def pad(array, value):
    full = pad_end(array, stacks * batches * rows - len(array), value)
    return full.reshape(stacks, batches, rows, *array.shape[1:])

  padded = {
    part: Lines(*map(pad, part_lines or empty, (OUTSIDE, 0, 0)))
    for part, part_lines in lines.items()
  }
  starts = rows * np.arange(stacks * batches).reshape(stacks, 1, batches)
  num_steps = (starts < number[:, None]).astype(int).reshape(stacks, -1)
  for i in range(stacks):

    def piece(part, i=i):
      return Lines(*(array[i] for array in padded[part]))

    load = functools.partial(sharding.join, placement, P(AXIS), piece)
    yield Job(load, num_steps[i])
