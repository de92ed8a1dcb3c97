"""The training loop, the same for every engine.

`train` is the loop, and `run_epoch` is one pass of it. `make_engine` builds an
engine (`engine.Engine`), which turns counts into stacks of batches and trains
on one stack at a time. `rows` has the reference engines: read it next.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable
from concurrent import futures

import jax
import numpy as np
from absl import logging

from glove_jax import metrics, model
from glove_jax.config import TrainConfig, check_type, make_config
from glove_jax.counts.triplets import Triplets, check_types, read_triplets
from glove_jax.counts.triplets import check as check_triplets
from glove_jax.training import (
  checkpoint,
  divergence,
  multihost,
  optimizers,
  sharding,
)
from glove_jax.training.biases import fit_biases, initial_params, random_params
from glove_jax.training.engine import Engine, Loss, TrainState
from glove_jax.training.rows import RowsEngine
from glove_jax.training.sorting import sum_duplicates
from glove_jax.training.tiles.engine import (
  TileEngine,
  check_settings,
  growth_stages,
)
from glove_jax.training.tiles.ring import RingEngine


def train(
  triplets: Triplets,
  config: TrainConfig,
  *,
  workdir: str | os.PathLike | None = None,
  loss: Loss | None = None,
  on_epoch: Callable[[dict], None] | None = None,
  say: Callable[[str], None] = logging.warning,
) -> model.Params:
  """Trains GloVe on counts.

  With a workdir, each epoch writes a checkpoint and a line of metrics, and a
  stopped run resumes after its last checkpoint. On a CPU, the parameters of a
  resumed run are bit-identical to those of an uninterrupted run.

  In a multi-process run, every process must call this with the same arguments.

  Args:
    triplets: the counts, in any order; those of the same pair are summed.
    config: dimension, weighting, optimizer, epochs and so on.
    workdir: for `checkpoints/` and `metrics.jsonl`; None writes nothing.
    loss: (params, batch) -> summed cost, used instead of `model.loss` (which
      takes x_max and alpha from the config). The blocked engine does not accept
      one.
    on_epoch: called after each epoch with its metrics (keys: see `run_epoch`).
    say: called with sentences such as that a checkpoint is damaged.

  Returns:
    The trained parameters: vectors [V, D], biases [V].

  Raises:
    ValueError: the engine does not support the config or the loss, an id is
      out of range, or a count is not positive.
    FloatingPointError: the cost is no longer finite, or training has diverged.

  Example:
    >>> row, col = np.divmod(np.arange(16, dtype=np.int32), 4)
    >>> counts = Triplets(row, col, 1.0 + row * col, vocab_size=4)
    >>> lines = []
    >>> config = TrainConfig(engine="rows", dim=3, epochs=50)
    >>> params = train(counts, config, on_epoch=lines.append)
    >>> params.word.shape, lines[-1]["epoch"]
    ((4, 3), 50)
    >>> lines[-1]["cost"] < 0.1 * lines[0]["cost"]
    True
  """
  check_config(config, loss)
  triplets = checked(triplets)
  with jax.enable_x64(config.dtype == "float64"):
    checkpoints = pathlib.Path(workdir, "checkpoints") if workdir else None
    done = 0
    if checkpoints:
      done = checkpoint.find_last(checkpoints, num_epochs(config), say)
      checkpoint.drop_incomplete(checkpoints, done)
    engine, state = prepare(
      triplets,
      config,
      loss=loss,
      tiles_folder=blocks_folder(workdir) if workdir else None,
      resume_from=(checkpoints, done) if done else None,
    )
    writer = _make_writer(workdir, done) if workdir else None
    highest = divergence.highest_cost(triplets, config)
    if not all(size.num_steps for size in engine.epochs):
      say(
        "Some passes of growth train nothing, because no tile lies within "
        "their words: give more words, at least one block (tile_size)."
      )
    for epoch in epochs_after(engine, done):
      state, line = run_epoch(engine, config, state, epoch)
      if loss is None:
        divergence.check_cost(line, highest)
      if checkpoints:
        checkpoint.save(checkpoints, epoch, state)
      if writer:
        writer.write(**line)
      if on_epoch:
        on_epoch(line)
    params = engine.params(state)
    if loss is None and multihost.is_first():
      divergence.check_params(params, triplets, config, highest)
    return params


def checked(triplets: Triplets) -> Triplets:
  """Checks triplets with all processes; sorts and sums them if needed."""
  check_types(triplets)
  rows = multihost.share(len(triplets.row))
  return sum_duplicates(
    check_triplets(triplets, rows), rows, multihost.sum_over_processes
  )


def prepare(
  triplets: Triplets,
  config: TrainConfig,
  *,
  loss: Loss | None = None,
  tiles_folder: str | os.PathLike | None = None,
  resume_from: tuple[pathlib.Path, int] | None = None,
) -> tuple[Engine, TrainState]:
  """Builds the engine and its first state, placed on the devices.

  Args:
    triplets: the counts.
    config: the training settings.
    loss: as for `train`.
    tiles_folder: as for `make_engine`.
    resume_from: (folder of checkpoints, last finished epoch); None starts from
      initial parameters.
  """
  build = functools.partial(
    make_engine, triplets, config, loss=loss, tiles_folder=tiles_folder
  )
  fit = functools.partial(
    fit_biases,
    triplets,
    rows=multihost.share(len(triplets.row)),
    reduce=multihost.sum_over_processes,
  )
  start = functools.partial(initial_params, triplets.vocab_size, config, fit)
  if resume_from:
    engine = build()
    abstract_state = jax.eval_shape(
      lambda: engine.init(random_params(triplets.vocab_size, config))
    )
    state = checkpoint.restore(*resume_from, abstract_state)
  elif jax.default_backend() == "cpu" or multihost.several():
    # One after the other: together they need more memory on a CPU, and all
    # processes must communicate in the same order.
    params = start()
    engine = build()
    state = engine.init(params)
  else:
    with futures.ThreadPoolExecutor(1) as pool:
      params = pool.submit(start)
      engine = build()
      state = engine.init(params.result())
  return engine, sharding.put_state(engine.placement, state)


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  *,
  loss: Loss | None = None,
  tiles_folder: str | os.PathLike | None = None,
) -> Engine:
  """Builds the engine that the config names.

  Args:
    triplets: the counts.
    config: the training settings.
    loss: as for `train`.
    tiles_folder: where the blocked engine keeps its tiles; None uses a
      temporary folder.

  Raises:
    ValueError: the engine does not support the config or the loss.
  """
  check_config(config, loss)
  if config.engine != "blocked":
    return RowsEngine(triplets, config, loss)
  placement = sharding.make_placement(config)
  if placement.mesh is None:
    return TileEngine(triplets, config, folder=tiles_folder)
  return RingEngine(triplets, config, placement, folder=tiles_folder)


def check_config(config: TrainConfig, loss: Loss | None = None) -> None:
  """Checks settings before any work starts.

  Args:
    config: the training settings.
    loss: as for `train`.

  Raises:
    ValueError: the engine, mesh or optimizer cannot use these settings, or the
      engine does not accept a loss.
  """
  check_type(config, TrainConfig)
  if config.engine == "blocked":
    if loss is not None:
      raise ValueError(
        "The blocked engine supports only GloVe's own loss: use engine='rows' "
        "for a loss of your own."
      )
    check_settings(config)
  sharding.make_placement(config)
  optimizers.from_config(config)


def num_epochs(config: TrainConfig) -> int:
  """The number of passes in a run, including the `growth` stages."""
  stages = growth_stages(config) if config.engine == "blocked" else []
  return sum(passes for _, passes in stages) + config.resolved.epochs


def blocks_folder(workdir: str | os.PathLike) -> pathlib.Path:
  """Where the blocked engine keeps its tiles during training."""
  return pathlib.Path(workdir, "checkpoints", "blocks")


def run_epoch(
  engine: Engine, config: TrainConfig, state: TrainState, epoch: int
) -> tuple[TrainState, dict]:
  """Runs one pass over the counts.

  The costs of a stack are read only after the next stack has been dispatched,
  so the device never waits for the host.

  Args:
    engine: from `make_engine`.
    config: gives the learning-rate schedule and `keep`, the factor on Adagrad's
      sums between epochs.
    state: the state before the epoch. Its buffers are donated: do not use it
      afterwards.
    epoch: which of `engine.epochs`, from 1.

  Returns:
    The new state, and a line of metrics: `step` and `epoch` (both counted from
    the start of the run), `cost` (mean per count; a list with one value per
    point if several points train together), `seconds`, `triplets_per_second`.

  Raises:
    FloatingPointError: the cost of a step is no longer finite.
  """
  # schedule: fraction of the run done -> factor on the learning rate
  schedule = optimizers.make_schedule(config.resolved.schedule)
  num_steps, num_triplets = engine.epochs[epoch - 1]
  steps_before = sum(size.num_steps for size in engine.epochs[: epoch - 1])
  total_steps = sum(size.num_steps for size in engine.epochs)
  label = f"epoch {epoch}/{len(engine.epochs)}"
  start = time.perf_counter()
  last_step, cost = steps_before, np.zeros(())
  waiting = None  # (costs, ends) of the previous stack, not yet read
  with metrics.progress(
    label, num_triplets, " counts", enabled=multihost.is_first()
  ) as bar:
    if steps_before > 0:  # an earlier epoch has trained
      opt_state = optimizers.decay_sums(state.opt_state, config.resolved.keep)
      state = state._replace(opt_state=opt_state)
    # One extra turn reads the costs of the last stack.
    for stack, steps in itertools.chain(engine.stacks(epoch), [(None, None)]):
      dispatched = None
      if stack is not None:
        ends = last_step + np.cumsum(steps)  # [K] the last step of each batch
        multipliers = schedule((ends - steps) / total_steps).astype(np.float32)
        state, costs = engine.run_steps(state, stack, multipliers)
        dispatched, last_step = (costs, ends), int(ends[-1])
      if waiting is not None:
        cost = cost + divergence.finite_sum(*waiting)
        steps_done = waiting[1][-1] - steps_before
        counts_seen = steps_done / num_steps * num_triplets  # an estimate
        bar.update(counts_seen - bar.n)
        bar.set_postfix(cost=f"{np.mean(cost) / max(counts_seen, 1):.5f}")
      waiting = dispatched
  seconds = time.perf_counter() - start
  return state, {
    "step": steps_before + num_steps,
    "epoch": epoch,
    "cost": (cost / max(num_triplets, 1)).tolist(),
    "seconds": seconds,
    "triplets_per_second": num_triplets / seconds,
  }


def epochs_after(engine: Engine, done: int) -> list[int]:
  """The epochs after `done` that train; one of `growth` may hold no tile."""
  return [
    epoch
    for epoch, size in enumerate(engine.epochs, 1)
    if epoch > done and size.num_steps
  ]


def _make_writer(
  workdir: str | os.PathLike, done: int
) -> metrics.MetricsWriter | None:
  """The writer of metrics.jsonl; None in all processes but the first.

  It keeps the lines of the first `done` epochs.
  """
  if not multihost.is_first():
    return None
  pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  return metrics.MetricsWriter(pathlib.Path(workdir, "metrics.jsonl"), done)


def train_folder(
  counts_folder: str | os.PathLike,
  config: TrainConfig,
  workdir: str | os.PathLike,
  on_epoch: Callable[[dict], None] | None = None,
  say: Callable[[str], None] = logging.warning,
) -> model.Params:
  """Trains on the counts in a folder, with all processes of this run.

  In a multi-process run only the first process calls this, and the others run
  `follow`. A single process also calls it.

  Args:
    counts_folder: as for `triplets.read_triplets`.
    config: the training settings.
    workdir: for checkpoints and metrics.
    on_epoch, say: as for `train`.

  Returns:
    The trained parameters.

  Raises:
    ValueError, FloatingPointError: as `train`.
  """
  check_config(config)  # fail here, before the other processes start to wait
  job = {
    "folder": os.path.abspath(counts_folder),
    "settings": dataclasses.asdict(config),
    "workdir": os.path.abspath(workdir),
  }
  with multihost.run_job(job):
    counts = read_triplets(counts_folder)
    return train(counts, config, workdir=workdir, on_epoch=on_epoch, say=say)


def follow() -> None:
  """Joins every job that the first process starts, until that process ends."""
  while (job := multihost.listen()) is not None:
    config = make_config(**job["settings"]).train
    with contextlib.suppress(FloatingPointError):  # the first reports it
      train(read_triplets(job["folder"]), config, workdir=job["workdir"])
