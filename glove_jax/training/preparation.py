"""The start of training: the engine of a run, and its first state.

`prepare` makes both. The counts may be copied to an accelerator before.
"""

import functools
import os
import pathlib
from collections.abc import Callable
from concurrent import futures

import jax

from glove_jax import memory
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training import (
  checkpoint,
  device_counts,
  multihost,
  sharding,
  starts,
)
from glove_jax.training.biases import fit_biases, initial_params
from glove_jax.training.checks import check_supplied
from glove_jax.training.compilation import keep_programs
from glove_jax.training.device_counts import DeviceCounts
from glove_jax.training.engine import NOTHING, Engine, Supplied, TrainState
from glove_jax.training.rows import RowsEngine
from glove_jax.training.tiles import resident
from glove_jax.training.tiles.engine import TileEngine
from glove_jax.training.tiles.ring import RingEngine


def prepare(
  triplets: Triplets,
  config: TrainConfig,
  supplied: Supplied = NOTHING,
  *,
  tiles_folder: str | os.PathLike | None = None,
  resume_from: tuple[pathlib.Path, int] | None = None,
) -> tuple[Engine, TrainState]:
  """Builds the engine and its first state, placed on the devices.

  Args:
    triplets: the counts.
    config: the training settings.
    supplied: instead of what the config names.
    tiles_folder: as for `make_engine`.
    resume_from: (folder of checkpoints, last finished epoch); None starts from
      initial parameters.
  """
  keep_programs()
  begin = functools.partial(
    _begin,
    config=config,
    supplied=supplied,
    tiles_folder=tiles_folder,
    resume_from=resume_from,
  )
  return resident.with_placed(triplets, config, begin)


def _begin(
  counts: Triplets | DeviceCounts,
  *,
  config: TrainConfig,
  supplied: Supplied,
  tiles_folder: str | os.PathLike | None,
  resume_from: tuple[pathlib.Path, int] | None,
) -> tuple[Engine, TrainState]:
  """As `prepare`, with counts where they are."""
  vocab_size = counts.vocab_size
  build = functools.partial(
    make_engine,
    counts,
    config,
    supplied,
    tiles_folder=tiles_folder,
    resumes=resume_from is not None,
  )
  scratch = tiles_folder and pathlib.Path(tiles_folder).parent
  draw = functools.partial(
    initial_params,
    vocab_size,
    config,
    bias_fit(counts, scratch),
    supplied.start,
    lazy=config.engine == "blocked",
  )
  given = starts.given(supplied.start, config.freeze)
  if resume_from:
    engine = build()
    state = checkpoint.restore(*resume_from, engine.state_shape)
  elif jax.default_backend() == "cpu" or multihost.several():
    # One after the other: together they need more memory on a CPU, and all
    # processes must communicate in the same order. The engine comes first: it
    # compiles its programs while biases are fitted.
    engine = build()
    state = engine.init(draw(), given)
  else:
    with futures.ThreadPoolExecutor(1) as pool:
      params = pool.submit(draw)
      engine = build()
      state = engine.init(params.result(), given)
  state = jax.block_until_ready(sharding.put_state(engine.placement, state))
  memory.trim()  # what compilation and parameters have freed
  return engine, state


def bias_fit(counts: Triplets | DeviceCounts, scratch=None) -> Callable:
  """(x_max=, alpha=) -> biases fitted to counts, where these are.

  Args:
    counts: the counts.
    scratch: the folder for temporary files; None is where such files go.
  """
  if isinstance(counts, DeviceCounts):
    return functools.partial(device_counts.fit_biases, counts)
  return functools.partial(
    fit_biases,
    counts,
    rows=multihost.share(len(counts.row)),
    reduce=multihost.sum_over_processes,
    folder=scratch,
  )


def make_engine(
  triplets: Triplets | DeviceCounts,
  config: TrainConfig,
  supplied: Supplied = NOTHING,
  *,
  tiles_folder: str | os.PathLike | None = None,
  resumes: bool = False,
) -> Engine:
  """Builds the engine that the config names.

  Args:
    triplets: the counts; those on a device are for the blocked engine.
    config: the training settings.
    supplied: instead of what the config names.
    tiles_folder: where the blocked engine keeps its tiles; None uses a
      temporary folder.
    resumes: whether its state will be that of a checkpoint; then `init` is not
      compiled ahead.

  Raises:
    ValueError: the engine does not support the config or what is supplied.
  """
  check_supplied(config, supplied)
  if config.engine != "blocked":
    return RowsEngine(triplets, config, supplied)
  placement = sharding.make_placement(config)
  if placement.mesh is None:
    return TileEngine(
      triplets, config, supplied, folder=tiles_folder, resumes=resumes
    )
  return RingEngine(triplets, config, placement, supplied, folder=tiles_folder)
