"""The blocked engine of one device: GloVe at the speed of matrix products.

A tile holds the counts of a block of words with a block of contexts. A line
holds counts of one word, or of one context, outside of tiles; see `layout`. A
pass visits all tiles and lines as jobs in random order. The first passes of a
run may visit only the tiles of the most frequent words (`growth`). With
`missing`, a pass ends by fitting the other words to the core, see `strips`.
Joint passes after it train strips of words as tiles, the last of contexts too.

On a CPU, tiles are read from a file and trained one at a time. An accelerator
keeps all tiles in its memory if they fit, and all cells if even these fit, see
`resident`. Per-step overhead dominates there, so tiles that share no block are
batched to minimise the number of steps.
"""

import abc
import functools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from concurrent import futures

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.training import compilation, drawing, optimizers, starts
from glove_jax.training.device_counts import DeviceCounts
from glove_jax.training.engine import (
  NOTHING,
  ONE_DEVICE,
  Epoch,
  Stack,
  Supplied,
  TrainState,
)
from glove_jax.training.starts import AS_USUAL, Given
from glove_jax.training.tiles import (
  cells,
  cutting,
  layout,
  resident,
  steps,
  tile_files,
)
from glove_jax.training.tiles.grouping import (
  cell_settings,
  device_settings,
  tile_shapes,
)
from glove_jax.training.tiles.jobs import (
  Job,
  StripJobs,
  make_line_jobs,
  make_strip_jobs,
)
from glove_jax.training.tiles.layout import Blocks, Groups, Pass, Tiles
from glove_jax.training.tiles.passes import growth_stages, plan_passes
from glove_jax.training.tiles.programs import (
  compile_ahead,
  compile_first,
  make_hyper,
  make_programs,
  shape_of,
)
from glove_jax.training.tiles.pulls import Pull, make_pull


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
    self._passes = plan_passes(blocks, config, strip_jobs)
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
    plan = self._passes[epoch - 1]
    rng = np.random.default_rng([self._seed, epoch])
    turns = self._tile_jobs(plan.tiles, rng)
    for turn, (jobs, line_jobs) in enumerate(
      zip(turns, self._line_jobs, strict=True)
    ):
      jobs += line_jobs if plan.with_lines else []
      jobs += self._strip_jobs.joint[turn] if plan.with_strips else []
      for i in rng.permutation(len(jobs)):
        for job in (jobs[i], *jobs[i].then):
          yield job.load(), job.num_steps
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
    self, tiles: np.ndarray, rng: np.random.Generator
  ) -> Iterator[list[Job]]:
    """Yields, for each turn, the jobs of the tiles that belong to it."""

  def _end_turn(self) -> Iterator[tuple[Stack, np.ndarray]]:
    """Yields what comes between two turns."""
    yield from ()


class TileEngine(BlockedEngine):
  """The blocked engine for one device. It implements `Engine`."""

  placement = ONE_DEVICE

  def __init__(
    self,
    triplets: Triplets | DeviceCounts,
    config: TrainConfig,
    supplied: Supplied = NOTHING,
    *,
    together: Sequence[TrainConfig] = (),
    folder: str | os.PathLike | None = None,
    resumes: bool = False,
  ):
    """Cuts the counts into tiles, or reads tiles cut earlier.

    Compilation starts in the background.

    Args:
      triplets: the counts. Those on a device are cut there, see `resident`.
      config: the training settings.
      supplied: instead of what the config names.
      together: P configs that train in one program. They may differ from
        `config` only in the fields of `Hyper` and in `seed`. State, parameters
        and costs then have a first axis of size P.
      folder: where tiles and lines are kept, unless they are on the device;
        None uses a temporary folder.
      resumes: whether `init` will not be called, and need not be compiled.

    Raises:
      ValueError: the engine does not support the settings.
    """
    check_settings(config)
    config = config.resolved
    together = [point.resolved for point in together]
    on_device = isinstance(triplets, DeviceCounts)
    if on_device:
      num_points = len(together) or 1
      self._plan_cells(triplets.vocab_size, config, num_points)
    else:
      self._open(triplets, config, folder)
    start = self._define(config, together, triplets.vocab_size, supplied)
    if not resumes:
      compile_first(self._init, *start)
    if on_device:
      self._cut_cells(triplets, config, num_points)
    line_jobs = make_line_jobs(self.blocks.lines, self._batching.line_cells)
    if self._batching.resident:
      line_jobs = [job.keep(jax.device_put(job.load())) for job in line_jobs]
    pull = config.retrofit and make_pull(self.blocks, supplied.start)
    strip_jobs = self._make_strip_jobs(config, pull or None)
    super().__init__(
      self.blocks,
      config,
      [line_jobs],
      strip_jobs,
      jax.device_put(pull) if pull else None,
    )
    # Only now, since an accelerator may still be waking.
    self._position = jax.device_put(self.blocks.position)
    self._hyper = jax.device_put(self._hyper)
    stacks = _shapes([line_jobs]) + _strip_shapes(strip_jobs)
    stacks += [self._pull] if pull else []
    self._compile(tile_shapes(self.blocks, self._batching) + stacks)

  def _open(self, triplets: Triplets, config, folder) -> None:
    """Cuts counts into files, or reads files cut earlier."""
    folder = keep_folder(folder, self)
    with futures.ThreadPoolExecutor(1) as pool:
      pool.submit(jax.devices)  # initialise an accelerator meanwhile
      blocks = _open_blocks(triplets, config, folder)
    self.blocks, self._batching = blocks, device_settings(blocks)
    self._codes = None
    if self._batching.resident:
      self._codes = jnp.asarray(layout.map_tiles(blocks))
    self._make_strip_jobs = functools.partial(make_strip_jobs, blocks.strips)

  def _plan_cells(self, vocab_size: int, config, num_points: int) -> None:
    """Plans tiles that will be cut on the device."""
    settings = cutting.cut_settings(config)
    self.blocks = resident.plan(vocab_size, settings)
    self._codes = resident.codes_shape(self.blocks)
    self._batching = cell_settings(self.blocks, num_points)

  def _cut_cells(self, counts: DeviceCounts, config, num_points: int) -> None:
    """Cuts counts on the device, while programs compile."""
    make_jobs = functools.partial(
      resident.make_strip_jobs, num_points=num_points
    )
    stacks = tile_shapes(self.blocks, self._batching)
    if not config.retrofit:  # its strips have targets, which are not known yet
      stacks += _strip_shapes(make_jobs(self.blocks, config))
    self._compile(stacks)
    settings = cutting.cut_settings(config)
    self.blocks, self._codes = resident.cut(counts, self.blocks, settings)
    self._make_strip_jobs = functools.partial(make_jobs, self.blocks)

  def _define(self, config, together, vocab_size, supplied) -> tuple:
    """Defines `init`, `params` and the programs; returns inputs of `init`."""
    self._hyper, over_points = make_hyper(config, together)
    num_blocks, tile_size = self.blocks.num_blocks, self.blocks.tile_size

    def init(hyper, position, params, given):
      return steps.init_table(
        params,
        position,
        num_blocks,
        tile_size,
        optimizers.from_config(config, hyper.learning_rate, supplied.tx),
        padding_bias(config),
        given,
      )

    def params(state, position):
      return steps.table_params(state.params, position)

    def compiled(run):
      mapped = over_points(run, (0, 0, None, None, None))
      options = compilation.options()
      return jax.jit(mapped, donate_argnums=0, compiler_options=options)

    self._init = jax.jit(over_points(init, (0, None, 0, None)))
    self._params = jax.jit(over_points(params, (0, None)))
    position = jax.ShapeDtypeStruct((vocab_size,), jnp.int32)
    is_drawn = supplied.start is None
    shapes = _params_shape(vocab_size, config, len(together), is_drawn)
    given = starts.given(supplied.start, config.freeze)
    start = self._hyper, position, shapes, given
    self.state_shape = jax.eval_shape(self._init, *start)
    self._runs = make_programs(config, compiled, supplied)
    self._programs = {}
    return start

  def _compile(self, stacks: Sequence[Stack]) -> None:
    """Compiles a program for each new shape of stack, in the background."""
    new = [one for one in stacks if shape_of(one) not in self._programs]
    inputs = (self.state_shape, self._hyper, self._codes)
    self._programs |= compile_ahead(self._runs, inputs, new)

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    return self._init(self._hyper, self._position, params, given)

  def params(self, state: TrainState) -> Params:
    return self._params(state, self._position)

  def run_steps(self, state, stack, multipliers):
    program = self._programs[shape_of(stack)].result()
    return program(state, self._hyper, self._codes, stack, multipliers)

  def _tile_jobs(self, tiles, rng) -> Iterator[list[Job]]:
    groups = layout.disjoint_groups(
      self.blocks, tiles, self._batching.tiles_per_group, rng
    )
    jobs = [
      Job(
        functools.partial(self._load, stack),
        layout.count_tiles(self.blocks, stack),
      )
      for stack in layout.stack_groups(groups, self._batching.groups_per_stack)
    ]
    size = self._batching.stacks_per_job
    firsts = range(0, len(jobs), size)
    yield [jobs[i]._replace(then=jobs[i + 1 : i + size]) for i in firsts]

  def _load(self, groups: Groups) -> Groups | Tiles:
    if self._batching.resident:
      return groups
    return layout.read_tiles(self.blocks, groups)


def _strip_shapes(strip_jobs: StripJobs | None) -> list:
  """The shape of a stack of each kind of strip job."""
  return _shapes(strip_jobs.fit + strip_jobs.joint) if strip_jobs else []


def _shapes(kinds: Sequence[Sequence[Job]]) -> list:
  """The shape of a stack of each kind of job."""
  # Stacks would stay in memory while programs compile.
  return jax.eval_shape(list, [jobs[0].load() for jobs in kinds if jobs])


def padding_bias(config: TrainConfig) -> float:
  """The bias of rows of a table that hold no word."""
  return cells.PADDING_BIAS if config.resolved.missing else 0.0


def _params_shape(
  vocab_size: int, config: TrainConfig, num_points: int, is_drawn: bool
) -> Params:
  """The shapes of `biases.initial_params`, for `num_points` if not 0."""

  def params():
    draw = drawing.random_tables if is_drawn else drawing.random_params
    names = ("word_bias", "context_bias") if config.bias_init == "fit" else ()
    return draw(
      vocab_size, config, **dict.fromkeys(names, jnp.zeros(vocab_size))
    )

  points = (num_points,) if num_points else ()
  return jax.tree.map(
    lambda part: part.update(shape=(*points, *part.shape)),
    jax.eval_shape(params),
  )


def _open_blocks(triplets, config, folder) -> Blocks:
  """Reads the tiles and lines that a stopped run has left, or cuts them."""
  if tile_files.is_complete(folder):
    return tile_files.read(folder)
  return cutting.build(triplets, folder, cutting.cut_settings(config))


def keep_folder(folder, owner: BlockedEngine):
  """The folder, or a temporary one that goes with its owner."""
  if folder is not None:
    return folder
  folder = tempfile.mkdtemp(prefix="glove_jax_")
  weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
  return folder


def check_settings(config: TrainConfig) -> None:
  """Raises a ValueError for settings that the blocked engine lacks."""
  if config.dtype != "float32":
    raise ValueError(
      f"The blocked engine trains in float32, not {config.dtype}: use "
      "engine=rows."
    )
  if jax.config.jax_disable_jit:
    raise ValueError(
      "The blocked engine compiles its programs ahead of time: unset "
      "JAX_DISABLE_JIT, or use engine=rows."
    )
  config = config.resolved
  if config.joint_epochs >= max(1, config.epochs):
    raise ValueError(
      f"joint_epochs={config.joint_epochs} are the last of epochs="
      f"{config.epochs}, after the first has trained the core: give fewer."
    )
  growth_stages(config)
