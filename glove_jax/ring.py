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
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

from glove_jax import blocked, blocks, optimizers, sharding, steps
from glove_jax.blocks import OUTSIDE, Blocks, Groups, Lines, pad_end
from glove_jax.config import TrainConfig
from glove_jax.engine import Engine, Epoch, forget, make_optimizer
from glove_jax.model import Params
from glove_jax.sharding import AXIS, Placement
from glove_jax.triplets import Triplets

# Tiles are handed out by fewer than on one device: there are 1/n^2 of them for
# each device and turn, and a call is filled up with empty ones.
_GROUPS_A_CALL = 8


class Parts(NamedTuple):
  """Blocks dealt to n parts in turn, so that each has as many frequent words.

  Block b is of part b mod n, the (b // n)-th there. `local` is how a device
  sees the blocks: its table has one part of words, then one of contexts.
  """

  whole: Blocks
  num_parts: int  # n
  local: Blocks  # pair and num_blocks as within parts; place and lines unused
  tile_part: np.ndarray  # [M, 2] the parts of each tile's words and contexts

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


def deal(made: Blocks, num_parts: int) -> Parts:
  """Deals blocks to so many parts."""
  size = -(-made.num_blocks // num_parts)
  block = made.pair - np.array([0, made.num_blocks], np.int32)
  pair = block // num_parts + np.array([0, size], np.int32)
  local = made._replace(num_blocks=size, pair=pair.astype(np.int32), lines=[])
  return Parts(made, num_parts, local, block % num_parts)


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  placement: Placement,
  *,
  folder: str | os.PathLike | None = None,
) -> Engine:
  """Makes the blocked engine for the devices of a placement.

  Args:
    triplets: the counts.
    config: how to train.
    placement: 'blocks', with a mesh.
    folder: where tiles and lines are kept; None is a temporary folder.

  Raises:
    ValueError: settings that it lacks.
  """
  work = _lay_out(*blocked.open_blocks(triplets, config, folder), placement)
  passes = blocked.plan_passes(work.parts.whole, config)
  hyper = [getattr(config, name) for name in blocked.Hyper._fields]
  hyper = blocked.Hyper(*map(np.float32, hyper))
  programs = make_programs(config, placement)

  def stacks(epoch):
    rng = np.random.default_rng([config.seed, epoch])
    return _stacks(work, passes[epoch - 1], rng)

  def run_steps(state, stack, rates):
    return programs[type(stack)](state, hyper, None, stack, rates)

  tx = make_optimizer(config, config.learning_rate)
  return Engine(
    init=functools.partial(init_state, work.parts, placement, tx),
    start_epoch=functools.partial(forget, keep=config.keep),
    stacks=stacks,
    run_steps=run_steps,
    params=functools.partial(table_params, work.parts),
    schedule=optimizers.make_schedule(config.schedule),
    epochs=[Epoch(_num_steps(work, p), p.num_triplets) for p in passes],
    put=functools.partial(sharding.put_state, placement),
  )


def init_state(
  parts: Parts, placement: Placement, tx, params: Params
) -> steps.TrainState:
  """Puts parameters, and the optimizer's state of them, where they belong.

  The tables are laid out in the memory of the host, for no device need have
  room for all of them: [n, 2 * B / n, T, D] and [n, 2 * B / n, T].
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
  state = init(*jax.device_put((parts.place, params), host))
  return sharding.put_state(placement, state)


def table_params(parts: Parts, state: steps.TrainState) -> Params:
  """The parameters in the order of the vocabulary, in the host's memory."""

  def join(array):
    halves = np.asarray(array).reshape(parts.num_parts, 2, -1, *array.shape[2:])
    return halves.swapaxes(0, 1).reshape(-1, *array.shape[2:])

  table = steps.Table(*map(join, state.params))
  return steps.table_params(table, parts.whole._replace(place=parts.place))


def make_programs(
  config: TrainConfig, placement: Placement
) -> dict[type, Callable]:
  """(state, hyper, None, stack, rates) -> (state, costs), by type of stack.

  A stack is of n times as many batches as each device does, one after the
  other: the first device does the first of them.
  """
  mesh = placement.mesh

  def compiled(run):
    def on_device(state, hyper, codes, stack, rates):
      own = jax.tree.map(lambda a: a[0] if a.ndim else a, state)
      own, costs = run(own, hyper, codes, stack, rates)
      return jax.tree.map(lambda a: a[None] if a.ndim else a, own), costs

    def mapped(state, *rest):
      specs = sharding.state_specs(placement, state)
      return jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(specs, P(), P(), P(AXIS), P(AXIS)),
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

  return blocked.make_programs(config, compiled) | {Turn: compiled(turn)}


class _Work(NamedTuple):
  """All that there is to visit."""

  parts: Parts
  layout: blocked.Layout
  lines: list[list[tuple[Lines, np.ndarray]]]  # of each turn, as `cut_lines`
  keeper: tempfile.TemporaryDirectory | None  # its folder goes when it goes


def _lay_out(made, keeper, placement) -> _Work:
  parts = deal(made, placement.num_devices)
  layout = blocked.device_layout(made)
  return _Work(parts, layout, cut_lines(parts, layout.line_cells), keeper)


def _num_steps(work: _Work, plan: blocks.Pass) -> int:
  """Tiles and batches of lines in a pass."""
  lines = itertools.chain(*work.lines) if plan.with_lines else []
  return len(plan.tiles) + sum(int(counted.sum()) for _, counted in lines)


def _stacks(work: _Work, plan: blocks.Pass, rng: np.random.Generator):
  """One pass: turn by turn, its tiles in random order and lines among them."""
  num_parts = work.parts.num_parts
  for turn in range(num_parts):
    jobs = list(_tile_jobs(work, plan.tiles, turn, rng))
    jobs += work.lines[turn] if plan.with_lines else []
    for number in rng.permutation(len(jobs)):
      stack, counted = jobs[number]
      if isinstance(stack, Groups):
        stack = blocks.read_tiles(work.parts.local, stack)
      yield stack, counted
    yield Turn(), np.zeros(num_parts, int)


def _tile_jobs(
  work: _Work, tiles: np.ndarray, turn: int, rng: np.random.Generator
) -> Iterator[tuple[Groups, np.ndarray]]:
  """The tiles of a turn: of each device as many groups, those at the end empty.

  Yields:
    stacks, and the number of tiles in each of their groups.
  """
  parts, layout, *_ = work
  size, local = parts.num_parts, parts.local
  size_of_call = min(layout.num_groups, _GROUPS_A_CALL)
  word_part, context_part = parts.tile_part[tiles].T
  groups = [
    blocks.disjoint_groups(
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
    stack = Groups(*(_of_all(a[:, start:][:, :size_of_call]) for a in every))
    yield stack, (stack.number < len(local.pair)).sum(axis=1)


def _of_all(array: np.ndarray) -> np.ndarray:
  """[n, K, ...] -> [n * K, ...]: what each device does, one after the other."""
  return array.reshape(-1, *array.shape[2:])


def cut_lines(parts: Parts, cells: int) -> list[list[tuple[Lines, np.ndarray]]]:
  """Cuts the lines anew, by the part of their others.

  Args:
    parts: whose lines.
    cells: how many counts a batch should hold, padding included.

  Returns:
    for each turn its stacks, of one shape in all turns, and for each stack
    [n * K] which of its batches are more than padding.
  """
  rest, numbers = _outside(parts.whole), range(parts.num_parts)
  row_part, row = parts.split(rest.row)
  col_part, col = parts.split(rest.col)
  local = blocks.Rest(row, col, rest.code)
  half = parts.local.num_blocks * parts.local.tile_size

  def cut(part, turn):
    ours = (row_part == part) & (col_part == (part + turn) % len(numbers))
    chosen = blocks.Rest(*(column[ours] for column in local))
    return blocks.cut_lines(chosen, half)

  pieces = [[cut(part, turn) for part in numbers] for turn in numbers]
  widths = {
    line.code.shape[-1] for piece in itertools.chain(*pieces) for line in piece
  }
  made = [[] for _ in numbers]
  for wide in sorted(widths):
    of_wide = [[_lines_of(piece, wide) for piece in turn] for turn in pieces]
    shape = _batch_shape(of_wide, wide, cells)
    for turn, lines in zip(made, of_wide, strict=True):
      turn += _line_jobs(lines, shape)
  return made


def _outside(made: Blocks) -> blocks.Rest:
  """All counts outside of tiles: those of the lines that are rows."""
  half = made.num_blocks * made.tile_size
  found = []
  for line in made.lines:
    real = (line.code > 0) & (line.own < half)[..., None]
    own = np.broadcast_to(line.own[..., None], line.code.shape)[real]
    found.append((own, line.other[real] - half, line.code[real]))
  none = np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint16)
  return blocks.Rest(*map(np.concatenate, zip(none, *found, strict=True)))


def _lines_of(piece: list[Lines], wide: int) -> Lines:
  """The lines of one width, in one batch without padding: [R] and [R, N]."""
  for line in piece:
    if line.code.shape[-1] == wide:
      real = line.own < OUTSIDE
      return Lines(line.own[real], line.other[real], line.code[real])
  none = np.zeros((0, wide), np.int32)
  return Lines(none[:, 0], none, none.astype(np.uint16))


def _batch_shape(of_wide, wide: int, cells: int) -> tuple[int, int, int]:
  """Stacks, batches in a stack, lines in a batch: enough for any device."""
  most = max(len(lines.own) for lines in itertools.chain(*of_wide))
  rows = min(max(1, max(cells, blocks.BATCH_CELLS) // wide), most)
  batches = -(-most // rows)
  stacks = -(-batches // blocks.MAX_BATCHES)
  return stacks, -(-batches // stacks), rows


def _line_jobs(lines: list[Lines], shape) -> list[tuple[Lines, np.ndarray]]:
  """Stacks of the lines of all devices, filled up to one shape."""
  size = np.prod(shape)

  def spread(name, value):
    arrays = [getattr(line, name) for line in lines]
    full = [pad_end(a, size - len(a), value) for a in arrays]
    full = [a.reshape(*shape, *a.shape[1:]) for a in full]
    return np.concatenate(full, axis=1)

  whole = spread("own", OUTSIDE), spread("other", 0), spread("code", 0)
  stacks = [Lines(*arrays) for arrays in zip(*whole, strict=True)]
  return [(s, (s.own < OUTSIDE).any(axis=1).astype(int)) for s in stacks]
