"""The blocked engine of one device: GloVe at the speed of matrix products.

A tile holds the counts of a block of words with a block of contexts. A line
holds counts of one word, or of one context, outside of tiles; see `layout`. A
pass visits all tiles and lines as jobs in random order. The first passes of a
run may visit only the tiles of the most frequent words (`growth`). With
`missing`, a pass ends by fitting the other words to the core, see `strips`. In
the joint passes after it, strips are tiles like all others.

On a CPU, tiles are read from a file and trained one at a time. An accelerator
keeps all tiles in its memory if they fit. Per-step overhead dominates there, so
tiles that share no block are batched to minimise the number of steps.
"""

import abc
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import memory
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.training import multihost, optimizers
from glove_jax.training.engine import (
  NOTHING,
  ONE_DEVICE,
  Epoch,
  Stack,
  Supplied,
  TrainState,
)
from glove_jax.training.starts import AS_USUAL, Given
from glove_jax.training.tiles import cells, cutting, layout, steps
from glove_jax.training.tiles.fitting import plan_fit
from glove_jax.training.tiles.layout import Blocks, Groups, Pass, Tiles
from glove_jax.training.tiles.programs import (
  compile_ahead,
  make_hyper,
  make_programs,
  shape_of,
)
from glove_jax.training.tiles.pulls import Pull, make_pull, of_block
from glove_jax.training.tiles.strips import Strip, Strips, read_strip

_STREAMED_TILES = 64  # maximum tiles in a stack read from disk
_STREAMED_BYTES = 1 << 25  # maximum bytes of such a stack
_GROUP_CELLS = 1 << 22  # cells in a group of tiles, on an accelerator


class Job(NamedTuple):
  """One call of `run_steps`."""

  load: Callable[[], Stack]
  num_steps: np.ndarray  # [K] how many steps each batch of the stack counts as


class StripJobs(NamedTuple):
  """The jobs of the words outside of the core."""

  fit: list[list[Job]]  # fit them to the core, in each turn of the fit
  joint: list[list[Job]]  # train their tiles, in each turn of a joint pass
  num_counts: int  # of all processes


class DeviceSettings(NamedTuple):
  """How tiles and lines are batched for a device."""

  resident: bool  # all tiles and lines stay in device memory
  tiles_per_group: int  # a group is one batch
  groups_per_stack: int
  line_cells: int  # counts in a batch of lines, padding included


def device_settings(blocks: Blocks, num_devices: int = 1) -> DeviceSettings:
  """Chooses settings: little memory on a CPU, few steps on an accelerator."""
  device, tile_cells = jax.local_devices()[0], blocks.tile_size**2
  if device.platform == "cpu":
    fit = max(1, _STREAMED_BYTES // (2 * tile_cells))
    groups = max(1, min(len(blocks.pair), fit, _STREAMED_TILES))
    return DeviceSettings(False, 1, groups, line_cells=0)
  tiles = max(1, _GROUP_CELLS // tile_cells)
  memory = (device.memory_stats() or {}).get("bytes_limit", 0)
  memory = int(multihost.gather(memory).min())  # all processes must agree
  if 2 * len(blocks.pair) * tile_cells < num_devices * memory / 2:
    return DeviceSettings(True, tiles, 16, line_cells=1 << 20)
  return DeviceSettings(False, tiles, 4, line_cells=1 << 20)


class BlockedEngine(abc.ABC):
  """The part that the one-device and the ring engine share: a pass as jobs.

  A pass is a sequence of turns: one for one device, n for a ring of n devices.
  A turn runs its jobs, which load tiles or lines, in random order. One pass
  may have further turns, which fit strips.
  """

  def __init__(
    self,
    blocks: Blocks,
    config: TrainConfig,
    line_jobs: list[list[Job]],
    strip_jobs: StripJobs | None,
    pull: Pull | None = None,
  ):
    """Plans all passes.

    Args:
      blocks: tiles of all devices.
      config: has the passes and the seed.
      line_jobs: the jobs of lines in each turn.
      strip_jobs: the jobs of the words outside of the core, if there are any.
      pull: what to visit after each job of tiles or lines.
    """
    self._seed, self._pull = config.seed, pull
    self._line_jobs, self._strip_jobs = line_jobs, strip_jobs
    num_in_strips = strip_jobs.num_counts if strip_jobs else None
    self._passes = plan_passes(blocks, config, num_in_strips)
    self.epochs = [
      Epoch(self._count_steps(plan), plan.num_triplets) for plan in self._passes
    ]

  def _count_steps(self, plan: Pass) -> int:
    """Tiles, batches of lines, and strips in a pass."""
    turns = self._line_jobs if plan.with_lines else []
    if self._strip_jobs:
      turns = turns + (self._strip_jobs.fit if plan.fits_strips else [])
      turns = turns + (self._strip_jobs.joint if plan.with_strips else [])
    jobs = [job for jobs in turns for job in jobs]
    return len(plan.tiles) + sum(int(job.num_steps.sum()) for job in jobs)

  def stacks(self, epoch: int) -> Iterator[tuple[Stack, np.ndarray]]:
    plan, stack = self._passes[epoch - 1], ()
    rng = np.random.default_rng([self._seed, epoch])
    for turn, line_jobs in enumerate(self._line_jobs):
      jobs = self._tile_jobs(plan.tiles, turn, rng)
      jobs += line_jobs if plan.with_lines else []
      jobs += self._strip_jobs.joint[turn] if plan.with_strips else []
      for i in rng.permutation(len(jobs)):
        last, stack = stack, jobs[i].load()
        yield stack, jobs[i].num_steps
        memory.release(*last)  # lines, which are mapped from disk, and done
        if self._pull is not None:
          share = np.full(len(self._pull.block), 1 / len(jobs), np.float32)
          yield self._pull._replace(share=share), np.zeros(len(share), int)
      yield from self._end_turn()
    for strip_jobs in self._strip_jobs.fit if plan.fits_strips else []:
      for job in strip_jobs:
        yield job.load(), job.num_steps
      yield from self._end_turn()

  @abc.abstractmethod
  def _tile_jobs(
    self, tiles: np.ndarray, turn: int, rng: np.random.Generator
  ) -> list[Job]:
    """Makes the jobs of a turn from the tiles that belong to it."""

  def _end_turn(self) -> Iterator[tuple[Stack, np.ndarray]]:
    """Yields what comes between two turns."""
    yield from ()


class TileEngine(BlockedEngine):
  """The blocked engine for one device. It implements `Engine`."""

  placement = ONE_DEVICE

  def __init__(
    self,
    triplets: Triplets,
    config: TrainConfig,
    supplied: Supplied = NOTHING,
    *,
    together: Sequence[TrainConfig] = (),
    folder: str | os.PathLike | None = None,
  ):
    """Cuts the counts into tiles, or reads tiles cut earlier.

    Compilation starts in the background.

    Args:
      triplets: the counts.
      config: the training settings.
      supplied: instead of what the config names.
      together: P configs that train in one program. They may differ from
        `config` only in the fields of `Hyper` and in `seed`. State, parameters
        and costs then have a first axis of size P.
      folder: where tiles and lines are kept; None uses a temporary folder.

    Raises:
      ValueError: the engine does not support the settings.
    """
    check_settings(config)
    config = config.resolved
    together = [point.resolved for point in together]
    folder, self._keeper = keep_folder(folder)
    with futures.ThreadPoolExecutor(1) as pool:
      pool.submit(jax.devices)  # initialise an accelerator meanwhile
      blocks = _open_blocks(triplets, config, folder)
    self._blocks, self._batching = blocks, device_settings(blocks)
    line_stacks = layout.stack_lines(blocks, self._batching.line_cells)
    self._codes = None  # [M, T, T] uint16 on the device, if resident
    if self._batching.resident:
      line_stacks = [(jax.device_put(stack), n) for stack, n in line_stacks]
      self._codes = jnp.asarray(layout.map_tiles(blocks))
    line_jobs = [Job(lambda s=stack: s, n) for stack, n in line_stacks]
    pull = make_pull(blocks, supplied.start) if config.retrofit else None
    strip_jobs = make_strip_jobs(blocks.strips, config, pull)
    super().__init__(
      blocks, config, [line_jobs], strip_jobs, pull and jax.device_put(pull)
    )
    self._hyper, over_points = make_hyper(config, together)
    self._compile(config, together, over_points, triplets.vocab_size, supplied)

  def _compile(self, config, together, over_points, vocab_size, supplied):
    """Defines `init` and `params`; compiles a program for each stack shape."""
    blocks = self._blocks

    def init(hyper, position, params, given):
      return steps.init_table(
        params,
        position,
        blocks.num_blocks,
        blocks.tile_size,
        optimizers.from_config(config, hyper.learning_rate, supplied.tx),
        padding_bias(config),
        given,
      )

    self._position = jnp.asarray(blocks.position)
    self._init = jax.jit(over_points(init, (0, None, 0, None)))
    self.params = jax.jit(
      over_points(
        lambda state: steps.table_params(state.params, blocks.position), (0,)
      )
    )
    programs = make_programs(
      config,
      lambda run: jax.jit(
        over_points(run, (0, 0, None, None, None)), donate_argnums=0
      ),
      supplied,
    )
    params = _params_shape(vocab_size, config, together)
    state = jax.eval_shape(self.init, params)
    stacks = [*_tile_shapes(blocks, self._batching)]
    stacks += [job.load() for job in self._line_jobs[0]]
    if self._strip_jobs:
      fit, joint, _ = self._strip_jobs
      stacks += [fit[0][0].load(), joint[0][0].load()]
    stacks += [self._pull] if self._pull else []
    self._programs = compile_ahead(
      programs, (state, self._hyper, self._codes), stacks
    )

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    return self._init(self._hyper, self._position, params, given)

  def run_steps(self, state, stack, multipliers):
    program = self._programs[shape_of(stack)].result()
    return program(state, self._hyper, self._codes, stack, multipliers)

  def _tile_jobs(self, tiles, turn, rng) -> list[Job]:
    groups = layout.disjoint_groups(
      self._blocks, tiles, self._batching.tiles_per_group, rng
    )
    return [
      Job(
        functools.partial(self._load, stack),
        layout.count_tiles(self._blocks, stack),
      )
      for stack in layout.stack_groups(groups, self._batching.groups_per_stack)
    ]

  def _load(self, groups: Groups) -> Groups | Tiles:
    if self._batching.resident:
      return groups
    return layout.read_tiles(self._blocks, groups)


def _tile_shapes(blocks: Blocks, device: DeviceSettings) -> list:
  """The shape of a stack of tiles; none if there are no tiles."""
  if not len(blocks.pair):
    return []
  groups = (device.groups_per_stack, device.tiles_per_group)
  pair = jax.ShapeDtypeStruct((*groups, 2), jnp.int32)
  if device.resident:
    return [Groups(jax.ShapeDtypeStruct(groups, jnp.int32), pair)]
  cells = (blocks.tile_size, blocks.tile_size)
  return [Tiles(jax.ShapeDtypeStruct((*groups, *cells), jnp.uint16), pair)]


def make_strip_jobs(
  strips: Strips | None, config: TrainConfig, pull: Pull | None = None
) -> StripJobs | None:
  """One job for each strip, all in one turn; its load fills the cells.

  With a pull, each strip has the targets of its words.
  """
  if strips is None:
    return None
  (plan,) = plan_fit(
    strips.code_shape[0],
    config.fit_passes,
    keep=config.keep,
    seed=config.seed,
  )

  def load(strip: int) -> Strip:
    stack = read_strip(strips, plan, strip)
    if pull is None:
      return stack
    block = strips.block(strip) % strips.num_blocks
    return stack._replace(pull=of_block(pull, block))

  def jobs(load, num_steps) -> list[list[Job]]:
    ones = np.ones(num_steps, int)
    return [
      [Job(functools.partial(load, i), ones) for i in range(strips.num_strips)]
    ]

  read_tiles = functools.partial(layout.read_strip_tiles, strips)
  return StripJobs(
    jobs(load, 1), jobs(read_tiles, strips.core_blocks), len(strips.code)
  )


def padding_bias(config: TrainConfig) -> float:
  """The bias of rows of a table that hold no word."""
  return cells.PADDING_BIAS if config.resolved.missing else 0.0


def _params_shape(vocab_size, config, together) -> Params:
  points = (len(together),) if together else ()
  sizes = [(vocab_size, config.dim)] * 2 + [(vocab_size,)] * 2
  return Params(
    *(jax.ShapeDtypeStruct((*points, *size), jnp.float32) for size in sizes)
  )


def _open_blocks(triplets, config, folder) -> Blocks:
  """Reads the tiles and lines that a stopped run has left, or cuts them."""
  if cutting.is_complete(folder):
    return cutting.read(folder)
  return cutting.build(triplets, folder, cut_settings(config))


def keep_folder(folder):
  """The folder, and the object that deletes it when dropped, or None."""
  if folder is not None:
    return folder, None
  keeper = tempfile.TemporaryDirectory(prefix="glove_jax_")
  return keeper.name, keeper


def cut_settings(config: TrainConfig) -> cutting.CutSettings:
  """How to cut: with `missing`, all cells of the core are in tiles."""
  all_words = np.iinfo(np.int32).max
  core = (config.core or all_words) if config.resolved.missing else None
  return cutting.CutSettings(
    config.tile_size, config.min_fill, core=core, seed=config.seed
  )


def check_settings(config: TrainConfig) -> None:
  """Raises a ValueError for settings that the blocked engine lacks."""
  if config.dtype != "float32":
    raise ValueError(
      f"The blocked engine trains in float32, not {config.dtype}: use "
      "engine=rows."
    )
  config = config.resolved
  if config.joint_epochs >= max(1, config.epochs):
    raise ValueError(
      f"joint_epochs={config.joint_epochs} are the last of epochs="
      f"{config.epochs}, after the first has trained the core: give fewer."
    )
  growth_stages(config)


def plan_passes(
  blocks: Blocks, config: TrainConfig, num_in_strips: int | None = None
) -> list[Pass]:
  """The passes of a whole run: those of `growth`, then the epochs.

  A stage whose words fill no tile has empty passes, which the loop skips.

  Args:
    blocks: tiles and lines.
    config: the training settings.
    num_in_strips: the number of counts in strips; None if there are none. The
      last passes, `joint_epochs`, train them, and the one before fits them.
  """
  stages = [*growth_stages(config), (None, config.resolved.epochs)]
  plans = [
    layout.plan_pass(blocks, words)
    for words, passes in stages
    for _ in range(passes)
  ]
  if num_in_strips is None:
    return plans
  first_joint = len(plans) - config.resolved.joint_epochs
  for i in range(max(0, first_joint - 1), len(plans)):
    plans[i] = plans[i]._replace(
      num_triplets=plans[i].num_triplets + num_in_strips,
      fits_strips=i < first_joint,
      with_strips=i >= first_joint,
    )
  return plans


def growth_stages(config: TrainConfig) -> list[tuple[int, int]]:
  """Parses `growth`: [(words, passes)] for each stage before all words train.

  Raises:
    ValueError: a stage is not words:passes.

  Example:
    >>> growth_stages(TrainConfig(growth=("8192:10", "16384:6")))
    [(8192, 10), (16384, 6)]
  """
  stages = []
  for stage in config.resolved.growth:
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", stage, re.ASCII)
    words, passes = map(int, match.groups()) if match else (0, 0)
    if not (words and passes):
      raise ValueError(f"growth takes words:passes, as 8192:6, got {stage!r}.")
    stages.append((words, passes))
  return stages
