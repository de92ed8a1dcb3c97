"""The blocked engine of one device: GloVe at the speed of matrix products.

A pass visits all tiles and lines, see `layout`, as jobs in random order. The
first passes of a run may visit only the tiles of the most frequent words
(`growth`).

On a CPU, tiles are read from a file and trained one at a time. An accelerator
keeps all tiles in its memory if they fit. Per-step overhead dominates there, so
tiles that share no block are batched to minimise the number of steps.
"""

import abc
import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.threads import default_threads
from glove_jax.training import multihost, optimizers
from glove_jax.training.engine import ONE_DEVICE, Epoch, Stack, TrainState
from glove_jax.training.tiles import cutting, layout, steps
from glove_jax.training.tiles.layout import Blocks, Groups, Lines, Pass, Tiles

_STREAMED_TILES = 64  # most tiles in a stack that is read from disk, ...
_STREAMED_BYTES = 1 << 25  # ... and most bytes
_GROUP_CELLS = 1 << 22  # cells in a group of tiles, on an accelerator


class Job(NamedTuple):
  """One call of `run_steps`."""

  load: Callable[[], Stack]
  num_steps: np.ndarray  # [K] how many steps each batch of the stack counts as


class DeviceSettings(NamedTuple):
  """How tiles and lines are batched for a device."""

  resident: bool  # all tiles and lines stay in its memory
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
  """What the engines of one device and of several share: a pass of jobs.

  A pass is a sequence of turns: one for one device, n for a ring of n devices.
  A turn runs its jobs, which load tiles or lines, in random order.
  """

  def __init__(
    self, blocks: Blocks, config: TrainConfig, line_jobs: list[list[Job]]
  ):
    """Plans all passes.

    Args:
      blocks: tiles of all devices.
      config: has the passes and the seed.
      line_jobs: the jobs of lines in each turn.
    """
    self._seed, self._line_jobs = config.seed, line_jobs
    self._passes = plan_passes(blocks, config)
    self.epochs = [
      Epoch(self._count_steps(plan), plan.num_triplets) for plan in self._passes
    ]

  def _count_steps(self, plan: Pass) -> int:
    """Tiles and batches of lines in a pass."""
    turns = self._line_jobs if plan.with_lines else []
    lines = sum(int(job.num_steps.sum()) for jobs in turns for job in jobs)
    return len(plan.tiles) + lines

  def stacks(self, epoch: int) -> Iterator[tuple[Stack, np.ndarray]]:
    plan = self._passes[epoch - 1]
    rng = np.random.default_rng([self._seed, epoch])
    for turn, line_jobs in enumerate(self._line_jobs):
      jobs = self._tile_jobs(plan.tiles, turn, rng)
      jobs += line_jobs if plan.with_lines else []
      for i in rng.permutation(len(jobs)):
        yield jobs[i].load(), jobs[i].num_steps
      yield from self._end_turn()

  @abc.abstractmethod
  def _tile_jobs(
    self, tiles: np.ndarray, turn: int, rng: np.random.Generator
  ) -> list[Job]:
    """Groups those of the tiles that belong to a turn."""

  def _end_turn(self) -> Iterator[tuple[Stack, np.ndarray]]:
    """Yields what comes between two turns."""
    yield from ()


class TileEngine(BlockedEngine):
  """The blocked engine of one device; its methods are those of `Engine`."""

  placement = ONE_DEVICE

  def __init__(
    self,
    triplets: Triplets,
    config: TrainConfig,
    *,
    together: Sequence[TrainConfig] = (),
    folder: str | os.PathLike | None = None,
  ):
    """Cuts the counts, or reads what was cut, and starts to compile.

    Args:
      triplets: the counts.
      config: how to train.
      together: P configs that train in one program. They share everything with
        `config` but `Hyper`. State, parameters and costs then have a first axis
        of size P.
      folder: where tiles and lines are kept; None is a temporary folder.

    Raises:
      ValueError: the engine does not support the settings.
    """
    check_settings(config)
    folder, self._keeper = keep_folder(folder)
    with futures.ThreadPoolExecutor(1) as pool:
      pool.submit(jax.devices)  # initialise an accelerator meanwhile
      blocks = _open_blocks(triplets, config, folder)
    self._blocks, self._device = blocks, device_settings(blocks)
    line_stacks = layout.stack_lines(blocks, self._device.line_cells)
    self._codes = None  # [M, T, T] uint16 on the device, if resident
    if self._device.resident:
      line_stacks = [(jax.device_put(stack), n) for stack, n in line_stacks]
      self._codes = jnp.asarray(layout.map_tiles(blocks))
    line_jobs = [Job(lambda s=stack: s, n) for stack, n in line_stacks]
    super().__init__(blocks, config, [line_jobs])
    self._hyper, over_points = _hyper(config, together)
    self._compile(config, together, over_points, triplets.vocab_size)

  def _compile(self, config, together, over_points, vocab_size):
    """Defines `init` and `params`; compiles a program for each stack shape."""
    blocks = self._blocks

    def init(hyper, position, params):
      tx = optimizers.from_config(config, hyper.learning_rate)
      return steps.init_table(
        params, position, blocks.num_blocks, blocks.tile_size, tx
      )

    self._position = jnp.asarray(blocks.position)
    self._init = jax.jit(over_points(init, (0, None, 0)))
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
    )
    params = _params_shape(vocab_size, config, together)
    state = jax.eval_shape(self.init, params)
    stacks = [*_tile_shapes(blocks, self._device)]
    stacks += [job.load() for job in self._line_jobs[0]]
    self._programs = _compile_ahead(
      programs, (state, self._hyper, self._codes), stacks
    )

  def init(self, params: Params) -> TrainState:
    return self._init(self._hyper, self._position, params)

  def run_steps(self, state, stack, multipliers):
    program = self._programs[_shape(stack)].result()
    return program(state, self._hyper, self._codes, stack, multipliers)

  def _tile_jobs(self, tiles, turn, rng) -> list[Job]:
    groups = layout.disjoint_groups(
      self._blocks, tiles, self._device.tiles_per_group, rng
    )
    return [
      Job(
        functools.partial(self._load, stack),
        layout.count_tiles(self._blocks, stack),
      )
      for stack in layout.stack_groups(groups, self._device.groups_per_stack)
    ]

  def _load(self, groups: Groups) -> Groups | Tiles:
    if self._device.resident:
      return groups
    return layout.read_tiles(self._blocks, groups)


class Hyper(NamedTuple):
  """Hyperparameters that are data of a program, so points of a sweep share it.

  Each is a scalar, or [P] for P points.
  """

  x_max: jax.Array
  alpha: jax.Array
  learning_rate: jax.Array


def _hyper(config, together):
  """The hyperparameters, and what maps a function over points."""
  values = Hyper(
    *(
      jnp.array([getattr(c, name) for c in together or [config]], jnp.float32)
      for name in Hyper._fields
    )
  )
  if not together:
    return Hyper(*(value[0] for value in values)), lambda function, _: function
  return values, lambda function, axes: jax.vmap(function, axes)


def make_programs(
  config: TrainConfig, compiled: Callable[[Callable], Callable]
) -> dict[type, Callable]:
  """Makes the programs that train on a stack, by type of stack.

  Args:
    config: how to train.
    compiled: compiles a function, such as `jax.jit`.

  Returns:
    Functions (state, hyper, codes, stack, multipliers) -> (state, costs [K]),
    where codes are those of all tiles, [M, T, T], or None.
  """
  outer = steps.make_outer(jnp.dtype(config.products))

  def train_tiles(state, hyper, codes, stack, multipliers):
    tx = optimizers.from_config(config, hyper.learning_rate)
    loss = functools.partial(
      steps.tiles_loss, outer=outer, x_max=hyper.x_max, alpha=hyper.alpha
    )

    def step(state, xs):
      code, pair, multiplier = xs
      if codes is not None:
        code = codes.at[code].get(mode="fill", fill_value=0)
      return steps.tiles_step(state, code, pair, multiplier, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  def train_lines(state, hyper, codes, stack, multipliers):
    del codes
    tx = optimizers.from_config(config, hyper.learning_rate)
    loss = functools.partial(
      steps.lines_loss, x_max=hyper.x_max, alpha=hyper.alpha
    )

    def step(state, xs):
      return steps.lines_step(state, *xs, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, multipliers))

  tiles, lines = compiled(train_tiles), compiled(train_lines)
  return {Groups: tiles, Tiles: tiles, Lines: lines}


def _compile_ahead(programs, inputs, stacks) -> dict[tuple, futures.Future]:
  """Compiles a program for each shape of stack, in the background."""

  def build(stack):
    multipliers = jax.ShapeDtypeStruct(stack[-1].shape[:1], jnp.float32)
    with jax.enable_x64(False):
      program = programs[type(stack)].lower(*inputs, stack, multipliers)
      return program.compile()

  by_shape = {_shape(stack): stack for stack in stacks}
  # Half of the cores: compilation needs memory, and other work continues.
  pool = futures.ThreadPoolExecutor(max(1, default_threads() // 2))
  compiled = {shape: pool.submit(build, s) for shape, s in by_shape.items()}
  pool.shutdown(wait=False)
  return compiled


def _shape(stack) -> tuple:
  return type(stack), *(array.shape for array in stack)


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
  """The folder and None, or a temporary folder and the object that keeps it."""
  if folder is not None:
    return folder, None
  keeper = tempfile.TemporaryDirectory(prefix="glove_jax_")
  return keeper.name, keeper


def cut_settings(config: TrainConfig) -> cutting.CutSettings:
  return cutting.CutSettings(
    tile_size=config.tile_size, min_fill=config.min_fill, seed=config.seed
  )


def check_settings(config: TrainConfig) -> None:
  """Raises a ValueError for settings that the blocked engine lacks."""
  if config.dtype != "float32":
    raise ValueError(
      f"The blocked engine trains in float32, not {config.dtype}: use "
      "--engine=rows."
    )
  growth_stages(config)


def plan_passes(blocks: Blocks, config: TrainConfig) -> list[Pass]:
  """The passes of a whole run: those of `growth`, then the epochs."""
  return [
    layout.plan_pass(blocks, words)
    for words, passes in [
      *growth_stages(config),
      (None, config.resolved.epochs),
    ]
    for _ in range(passes)
  ]


def growth_stages(config: TrainConfig) -> list[tuple[int, int]]:
  """Parses `growth`: [(words, passes)] for each stage before all words train.

  Raises:
    ValueError: a stage is not words:passes.

  Example:
    >>> growth_stages(TrainConfig(growth=("8192:10", "16384:6")))
    [(8192, 10), (16384, 6)]
  """
  stages = []
  for stage in config.growth:
    words, _, passes = stage.partition(":")
    if not (words.isdecimal() and passes.isdecimal()):
      raise ValueError(
        f"--growth takes words:passes, such as 8192:6, got {stage!r}."
      )
    stages.append((int(words), int(passes)))
  return stages
