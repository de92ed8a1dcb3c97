"""The blocked engine: GloVe at the speed of matrix products.

The most frequent words train first, alone; see `blocks` for how counts are cut
and `steps` for what is done with them. On a CPU, tiles come one at a time from
a file. An accelerator holds them all, and takes many that share no block at
once: its steps are short, so that what counts is how few of them there are.
"""

import functools
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.threads import default_threads
from glove_jax.training import multihost, optimizers, sharding, steps
from glove_jax.training.engine import Engine, Epoch, forget, make_optimizer
from glove_jax.training.tiles import layout as tile_layout

_STREAMED_TILES = 64  # tiles handed to a CPU at once, at most, ...
_STREAMED_BYTES = 1 << 25  # ... and their bytes
_CELLS_AT_ONCE = 1 << 22  # cells of a group of tiles, on an accelerator


class Hyper(NamedTuple):
  """What points trained together may differ in: data, never compiled in."""

  x_max: jax.Array
  alpha: jax.Array
  learning_rate: jax.Array


class Layout(NamedTuple):
  """How work is laid out for a device."""

  resident: bool  # all tiles and lines stay in its memory
  tiles_at_once: int  # tiles in a group, which is a step
  num_groups: int  # groups in a call
  line_cells: int  # counts in a step of lines, padding included


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  *,
  together: Sequence[TrainConfig] = (),
  folder: str | os.PathLike | None = None,
) -> Engine:
  """Makes the blocked engine.

  Args:
    triplets: the counts.
    config: how to train.
    together: with P of these, P points train in one program, all as `config`
      says but for their x_max, alpha and learning rate. State, parameters and
      costs have a first axis of P then.
    folder: where tiles and lines are kept; None is a temporary folder.

  Raises:
    ValueError: settings that it lacks.
  """
  with futures.ThreadPoolExecutor(1) as pool:
    pool.submit(jax.devices)  # an accelerator wakes up while tiles are cut
    made, keeper = open_blocks(triplets, config, folder)
  passes = plan_passes(made, config)
  work = _lay_out(made, keeper)
  hyper, over_points = _hyper(config, together)

  def init(hyper, place, params):
    tx = make_optimizer(config, hyper.learning_rate)
    return steps.init_table(params, made._replace(place=place), tx)

  init = functools.partial(
    jax.jit(over_points(init, (0, None, 0))), hyper, jnp.asarray(made.place)
  )
  params = _params_like(triplets.vocab_size, config, together)
  inputs = jax.eval_shape(init, params), hyper, work.codes

  def compiled(run):
    return jax.jit(over_points(run, (0, 0, None, None, None)), donate_argnums=0)

  programs = _compile_ahead(make_programs(config, compiled), inputs, work)

  def run_steps(state, stack, rates):
    program = programs[_shape(stack)].result()
    return program(state, hyper, work.codes, stack, rates)

  def stacks(epoch):
    rng = np.random.default_rng([config.seed, epoch])
    return _stacks(work, passes[epoch - 1], rng)

  return Engine(
    init=init,
    put=functools.partial(sharding.put_state, sharding.ONE_DEVICE),
    start_epoch=functools.partial(forget, keep=config.resolved.keep),
    stacks=stacks,
    run_steps=run_steps,
    params=jax.jit(
      over_points(lambda state: steps.table_params(state.params, made), (0,))
    ),
    schedule=optimizers.make_schedule(config.resolved.schedule),
    epochs=[Epoch(_num_steps(work, p), p.num_triplets) for p in passes],
  )


def device_layout(made: tile_layout.Blocks, num_devices: int = 1) -> Layout:
  """What suits these devices: few long calls, or little memory."""
  device, tile_cells = jax.local_devices()[0], made.tile_size**2
  if device.platform == "cpu":
    fit = max(1, _STREAMED_BYTES // (2 * tile_cells))
    num_groups = max(1, min(len(made.pair), fit, _STREAMED_TILES))
    return Layout(False, 1, num_groups, line_cells=0)
  at_once = max(1, _CELLS_AT_ONCE // tile_cells)
  room = (device.memory_stats() or {}).get("bytes_limit", 0)
  room = int(multihost.gather(room).min())  # all must come to the same
  if 2 * len(made.pair) * tile_cells < num_devices * room / 2:
    return Layout(True, at_once, 16, line_cells=1 << 20)
  return Layout(False, at_once, 4, line_cells=1 << 20)


class _Work(NamedTuple):
  """All that there is to visit, as the device wants it."""

  made: tile_layout.Blocks
  layout: Layout
  lines: list[tuple[tile_layout.Lines, np.ndarray]]  # stacks, and steps in each
  codes: jax.Array | None  # [M, T, T] uint16, where all tiles are resident
  keeper: tempfile.TemporaryDirectory | None  # its folder goes when it goes


def _lay_out(made: tile_layout.Blocks, keeper) -> _Work:
  layout = device_layout(made)
  lines = tile_layout.line_stacks(made, layout.line_cells)
  if not layout.resident:
    return _Work(made, layout, lines, None, keeper)
  lines = [(jax.device_put(stack), number) for stack, number in lines]
  codes = jnp.asarray(tile_layout.all_tiles(made))
  return _Work(made, layout, lines, codes, keeper)


def _num_steps(work: _Work, plan: tile_layout.Pass) -> int:
  """Tiles and batches of lines in a pass."""
  lines = work.lines if plan.with_lines else []
  return len(plan.tiles) + sum(int(counted.sum()) for _, counted in lines)


def _stacks(work: _Work, plan: tile_layout.Pass, rng: np.random.Generator):
  """One pass: its tiles in random order, the lines strewn among them."""
  made, layout, lines, *_ = work
  groups = tile_layout.disjoint_groups(
    made, plan.tiles, layout.tiles_at_once, rng
  )
  jobs = [
    (part, (part.number < len(made.pair)).sum(axis=1))
    for part in tile_layout.cut_groups(groups, layout.num_groups)
  ]
  jobs += lines if plan.with_lines else []
  for number in rng.permutation(len(jobs)):
    stack, counted = jobs[number]
    if isinstance(stack, tile_layout.Groups) and not layout.resident:
      stack = tile_layout.read_tiles(made, stack)
    yield stack, counted


def _hyper(config, together):
  """The hyperparameters, and what makes a function one over all points."""
  values = Hyper(
    *(
      jnp.array([getattr(c, name) for c in together or [config]], jnp.float32)
      for name in Hyper._fields
    )
  )
  if not together:
    return Hyper(*(value[0] for value in values)), lambda function, _: function
  return values, lambda function, axes: jax.vmap(function, axes)


def _params_like(vocab_size, config, together) -> Params:
  """The shapes of the parameters."""
  points = (len(together),) if together else ()
  sizes = [(vocab_size, config.dim)] * 2 + [(vocab_size,)] * 2
  return Params(
    *(jax.ShapeDtypeStruct((*points, *size), jnp.float32) for size in sizes)
  )


def _tile_stacks(work: _Work) -> list:
  """The shape of a stack of tiles; none where nothing is dense."""
  layout, size = work.layout, work.made.tile_size
  if not len(work.made.pair):
    return []
  groups = (layout.num_groups, layout.tiles_at_once)
  pair = jax.ShapeDtypeStruct((*groups, 2), jnp.int32)
  if layout.resident:
    return [tile_layout.Groups(jax.ShapeDtypeStruct(groups, jnp.int32), pair)]
  code = jax.ShapeDtypeStruct((*groups, size, size), jnp.uint16)
  return [tile_layout.Tiles(code, pair)]


def make_programs(
  config: TrainConfig, compiled: Callable[[Callable], Callable]
) -> dict[type, Callable]:
  """(state, hyper, codes, stack, rates) -> (state, costs), by type of stack.

  Args:
    config: how to train.
    compiled: makes a program of such a function.
  """
  outer = steps.make_outer(jnp.dtype(config.products))

  def tiles(state, hyper, codes, stack, rates):
    tx = make_optimizer(config, hyper.learning_rate)
    loss = functools.partial(
      steps.tiles_loss, outer=outer, x_max=hyper.x_max, alpha=hyper.alpha
    )

    def step(state, work):
      code, pair, rate = work
      if codes is not None:
        code = codes.at[code].get(mode="fill", fill_value=0)
      return steps.tiles_step(state, code, pair, rate, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, rates))

  def lines(state, hyper, codes, stack, rates):
    del codes
    tx = make_optimizer(config, hyper.learning_rate)
    loss = functools.partial(
      steps.lines_loss, x_max=hyper.x_max, alpha=hyper.alpha
    )

    def step(state, work):
      return steps.lines_step(state, *work, loss=loss, tx=tx)

    return jax.lax.scan(step, state, (*stack, rates))

  tiles, lines = compiled(tiles), compiled(lines)
  return {
    tile_layout.Groups: tiles,
    tile_layout.Tiles: tiles,
    tile_layout.Lines: lines,
  }


def _compile_ahead(programs, inputs, work) -> dict[tuple, futures.Future]:
  """Compiles a program for each shape of stack, while other work goes on."""

  def build(stack):
    rates = jax.ShapeDtypeStruct(stack[-1].shape[:1], jnp.float32)
    with jax.enable_x64(False):
      return programs[type(stack)].lower(*inputs, stack, rates).compile()

  stacks = [*_tile_stacks(work), *(stack for stack, _ in work.lines)]
  by_shape = {_shape(stack): stack for stack in stacks}
  # On half of the cores: compilers need memory, and other work goes on.
  pool = futures.ThreadPoolExecutor(max(1, default_threads() // 2))
  made = {shape: pool.submit(build, stack) for shape, stack in by_shape.items()}
  pool.shutdown(wait=False)
  return made


def _shape(stack) -> tuple:
  return type(stack), *(array.shape for array in stack)


def open_blocks(triplets: Triplets, config: TrainConfig, folder):
  """The tiles and lines, and what keeps a temporary folder of them.

  Raises:
    ValueError: settings that the blocked engine lacks.
  """
  check(config)
  folder, keeper = keep_folder(folder)
  if pathlib.Path(folder, "manifest.json").exists():
    return tile_layout.read(folder), keeper
  return tile_layout.build(triplets, folder, **cut_settings(config)), keeper


def keep_folder(folder):
  """The folder, or a temporary one and what keeps it."""
  if folder is not None:
    return folder, None
  keeper = tempfile.TemporaryDirectory(prefix="glove_jax_")
  return keeper.name, keeper


def cut_settings(config: TrainConfig) -> dict:
  """What `blocks.cut` is to be told."""
  names = ("tile_size", "min_fill", "seed")
  return {name: getattr(config, name) for name in names}


def check(config: TrainConfig) -> None:
  """Raises a ValueError for settings that the blocked engine lacks."""
  if config.dtype != "float32":
    raise ValueError(
      f"The blocked engine trains in float32, not {config.dtype}: use "
      "--engine=rows."
    )
  growth(config)


def plan_passes(
  made: tile_layout.Blocks, config: TrainConfig
) -> list[tile_layout.Pass]:
  """The passes of a whole run: those of --growth, then the epochs."""
  return [
    tile_layout.plan_pass(made, words)
    for words, times in [*growth(config), (None, config.resolved.epochs)]
    for _ in range(times)
  ]


def growth(config: TrainConfig) -> list[tuple[int, int]]:
  """Reads --growth: (words, passes) of each stage before all words train.

  Raises:
    ValueError: anything but words:passes.
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
