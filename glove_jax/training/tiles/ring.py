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
contexts that it holds to its words of the core, see `ring_jobs`.
"""

import functools
import os
import pathlib
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
from glove_jax.training import compilation, multihost, optimizers, sharding
from glove_jax.training.drawing import take_rows
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
)
from glove_jax.training.tiles.engine import BlockedEngine
from glove_jax.training.tiles.jobs import Job, StripJobs
from glove_jax.training.tiles.layout import (
  OUTSIDE,
  Groups,
  Parts,
  Tiles,
  pad_end,
)
from glove_jax.training.tiles.programs import Hyper
from glove_jax.training.tiles.ring_jobs import (
  cut_line_jobs,
  cut_strip_jobs,
  ring_settings,
)

# Fewer than on one device: a device has only 1/n^2 of the tiles in a turn, and
# the last stack of a turn is padded with empty groups.
_GROUPS_PER_STACK = 8


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
    self._config = config = config.resolved
    folder = engine.keep_folder(folder, self)
    local = sharding.local_devices(placement)
    blocks, remainder = cutting.cut(
      triplets,
      pathlib.Path(folder, f"process_{jax.process_index()}"),
      ring_settings(config, placement.num_devices, triplets.vocab_size),
      local=lambda block: np.isin(block % placement.num_devices, local),
      rows=multihost.share(len(triplets.row)),
      reduce=multihost.sum_over_processes,
    )
    if config.missing:  # the remainder is in strips, not in lines
      blocks = blocks._replace(num_outside=0)
    num_parts = placement.num_devices
    self.placement, self._parts = placement, layout.deal(blocks, num_parts)
    self._batching = engine.device_settings(blocks, num_parts)
    line_jobs, strip_jobs = self._cut_jobs(remainder)
    self._codes = None  # each device's tiles [M', T, T], if resident
    if self._batching.resident:
      piece = functools.partial(_tiles_of, self._parts)
      self._codes = sharding.join(placement, P(AXIS), piece)
    super().__init__(blocks, config, line_jobs, strip_jobs)
    hyper = [getattr(config, name) for name in Hyper._fields]
    self._hyper = Hyper(*map(np.float32, hyper))
    self._tx = optimizers.from_config(config, tx=supplied.tx)
    self.state_shape = state_shape(self._parts, self._tx, config.dim)
    self._programs = make_programs(config, placement, supplied)
    self._gather = jax.jit(
      lambda costs: costs, out_shardings=NamedSharding(placement.mesh, P())
    )

  def _cut_jobs(self, remainder) -> tuple[list[list[Job]], StripJobs | None]:
    """The remainder as lines of each turn or, with `missing`, as strips."""
    counts, config = (self._parts, remainder, self.placement), self._config
    if config.missing:
      none = [[] for _ in range(self._parts.num_parts)]
      return none, cut_strip_jobs(*counts, config)
    line_jobs = cut_line_jobs(*counts, self._batching.line_cells)
    if self._batching.resident:
      line_jobs = [[job.keep(job.load()) for job in turn] for turn in line_jobs]
    return line_jobs, None

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    padding = engine.padding_bias(self._config)
    return init_state(
      self._parts, self.placement, self._tx, params, padding, given
    )

  def params(self, state: TrainState) -> Params:
    return table_params(self._parts, state)

  def run_steps(self, state, stack, multipliers):
    program = self._programs[type(stack)]
    state, costs = program(state, self._hyper, self._codes, stack, multipliers)
    return state, self._gather(costs) if multihost.several() else costs

  def _end_turn(self):
    yield Turn(), np.zeros(self._parts.num_parts, int)

  def _tile_jobs(self, tiles, rng) -> Iterator[list[Job]]:
    num_parts = self._parts.num_parts
    word_part, context_part = self._parts.tile_part[tiles].T
    turn = (context_part - word_part) % num_parts
    key = turn * num_parts + word_part
    num_tiles = np.bincount(key, minlength=num_parts**2)
    by_device = np.split(
      tiles[np.argsort(key, kind="stable")], np.cumsum(num_tiles)[:-1]
    )
    most = num_tiles.reshape(num_parts, num_parts).max(axis=1)
    limit = min(self._batching.groups_per_stack, _GROUPS_PER_STACK)
    size = stack_size(-(-most // self._batching.tiles_per_group), limit)
    for start in range(0, num_parts**2, num_parts):
      yield self._jobs_of_turn(by_device[start:][:num_parts], size, rng)

  def _jobs_of_turn(self, tiles: list[np.ndarray], size, rng) -> list[Job]:
    """Groups the tiles of each device; each gets the same number of groups."""
    parts = self._parts
    groups = [
      layout.disjoint_groups(
        parts.local, of_device, self._batching.tiles_per_group, rng
      )
      for of_device in tiles
    ]
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


def stack_size(num_groups: np.ndarray, limit: int) -> int:
  """The groups in a stack, all stacks of a pass having as many.

  A stack is padded with empty groups, and a call costs about as much as one.

  Args:
    num_groups: [n] in each turn.
    limit: the most groups in a stack.

  Example:
    Stacks of 8 would hold 7 empty groups in the second turn.

    >>> stack_size(np.array([8, 9]), limit=8)
    5
    >>> stack_size(np.array([1, 0, 1]), limit=8)
    1
  """
  sizes = np.arange(limit, 0, -1)
  calls = -(-num_groups[:, None] // sizes)
  return int(sizes[np.argmin(calls.sum(axis=0) * (sizes + 1))])


def init_state(
  parts: Parts,
  placement: Placement,
  tx,
  params: Params,
  padding_bias: float = 0.0,
  given: Given = AS_USUAL,
) -> TrainState:
  """Builds the first state, with the tables of each device on that device.

  Args:
    parts: blocks.
    placement: the devices.
    tx: the optimizer.
    params: of which only the words of this process's devices are read.
    padding_bias: the bias of rows that hold no word.
    given: as for `Engine.init`.

  Returns:
    The state, of shapes [n, 2 * B', T, D] and [n, 2 * B', T].
  """
  init = jax.jit(_init_part(parts, tx, padding_bias))
  # In the host's memory: beside its tables, a device may have no room.
  host = jax.local_devices(backend="cpu")[0]

  def piece(part):
    words, position = parts.words(part)
    rows = take_rows((params, given), words)
    return init(*jax.device_put((position, *rows), host))

  return sharding.join(placement, P(AXIS), piece)


def _init_part(parts: Parts, tx, padding_bias: float = 0.0) -> Callable:
  """(position [N], params of N words, given) -> the state of a device."""
  sizes = parts.local.num_blocks, parts.local.tile_size

  def init(position, params, given=AS_USUAL):
    state = steps.init_table(params, position, *sizes, tx, padding_bias, given)
    return jax.tree.map(lambda a: a[None] if a.ndim else a, state)

  return init


def state_shape(parts: Parts, tx, dim: int) -> TrainState:
  """The shapes and types of the state that `init_state` builds."""
  size = parts.local.num_blocks * parts.local.tile_size
  position = jax.ShapeDtypeStruct((size,), jnp.int32)
  shapes = [(size, dim)] * 2 + [(size,)] * 2
  params = Params(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
  state = jax.eval_shape(_init_part(parts, tx), position, params)
  return jax.tree.map(
    lambda a: a.update(shape=(parts.num_parts, *a.shape[1:])) if a.ndim else a,
    state,
  )


def table_params(parts: Parts, state: TrainState) -> Params:
  """The parameters in the order of the vocabulary, in the first process.

  The other processes send theirs, and get no rows.
  """
  size, nowhere = len(parts.whole.position), np.iinfo(np.int64).max
  part, position = parts.split(parts.whole.position)
  # Where the rows of the parts are in the words, then the contexts, of all.
  target = np.full(
    (parts.num_parts, 2, parts.local.num_blocks * parts.local.tile_size),
    nowhere,
  )
  target[part, 0, position] = np.arange(size)
  target[part, 1, position] = size + np.arange(size)
  target = target.reshape(parts.num_parts, -1, parts.local.tile_size)

  def in_order(array):
    num_rows = 2 * size if multihost.is_first() else 0
    rows = np.empty((num_rows, *array.shape[3:]), array.dtype)
    for index, piece in sharding.fetch_pieces(array):
      to_row = target[index[:3]]
      is_word = to_row < nowhere
      rows[(to_row[is_word], *index[3:])] = piece[is_word]
    return np.split(rows, 2)

  word, context = in_order(state.params.vectors)
  word_bias, context_bias = in_order(state.params.biases)
  return Params(word, context, word_bias, context_bias)


def make_programs(
  config: TrainConfig,
  placement: Placement,
  supplied: Supplied = NOTHING,
) -> dict[type, Callable]:
  """Makes the programs that train on a stack, by type of stack.

  Args:
    config: the training settings.
    placement: 'blocks', with a mesh.
    supplied: instead of what the config names.

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

    options = compilation.options()
    return jax.jit(mapped, donate_argnums=0, compiler_options=options)

  made = programs.make_programs(config, compiled, supplied)
  return made | {Turn: compiled(functools.partial(_turn, num_devices))}


def _turn(num_devices: int, state, hyper, codes, stack, multipliers):
  """Every device sends its contexts to the device before it."""
  del hyper, codes, stack
  ring = [(i, (i - 1) % num_devices) for i in range(num_devices)]

  def send_contexts(array):
    if not array.ndim:
      return array
    half = len(array) // 2
    received = jax.lax.ppermute(array[half:], AXIS, ring)
    return array.at[half:].set(received)

  return jax.tree.map(send_contexts, state), jnp.zeros_like(multipliers)


def _tiles_of(parts: Parts, part: int) -> np.ndarray:
  """The codes of a part's tiles: [M', T, T], M' the most of any part."""
  most = np.bincount(parts.tile_part[:, 0], minlength=1).max()
  index = parts.whole.file_index[parts.tiles(part)]
  codes = layout.map_tiles(parts.whole)[index]
  return pad_end(codes, most - len(index), 0)
