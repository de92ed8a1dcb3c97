"""The training loop, the same for every engine.

`train` is the loop, and `run_epoch` is one pass of it. An engine (see
`engine.Engine`) turns counts into stacks of batches and trains on one stack at
a time; `preparation` makes it. `rows` has the reference engines: read it next.
"""

import os
import pathlib
import time
from collections.abc import Callable

import jax
import numpy as np
import optax
from absl import logging

from glove_jax import memory, metrics, model
from glove_jax.config import TrainConfig, check_type
from glove_jax.counts.triplets import Triplets, check_types
from glove_jax.counts.triplets import check as check_triplets
from glove_jax.training import (
  checkpoint,
  divergence,
  multihost,
  optimizer_check,
  optimizers,
  starts,
)
from glove_jax.training.checks import check_memory, check_supplied
from glove_jax.training.compilation import wake_device
from glove_jax.training.costs import EpochCosts
from glove_jax.training.engine import Engine, Loss, Supplied, TrainState
from glove_jax.training.preparation import prepare
from glove_jax.training.sorting import sum_duplicates
from glove_jax.training.starts import Start
from glove_jax.training.tiles.passes import growth_stages


def train(
  triplets: Triplets,
  config: TrainConfig,
  *,
  workdir: str | os.PathLike | None = None,
  loss: Loss | None = None,
  cell_loss: model.CellLoss | None = None,
  tx: optax.GradientTransformation | None = None,
  init: model.Params | Start | None = None,
  on_step: Callable[[dict], object] | None = None,
  on_epoch: Callable[[dict], object] | None = None,
  say: Callable[[str], object] = logging.warning,
) -> model.Params:
  """Trains GloVe on counts.

  With a workdir, each epoch writes a line of metrics. Checkpoints are written
  after epochs, unless that would take more than a tenth of the time (see
  `checkpoint.Saver`), and a stopped run resumes after its last checkpoint. On a
  CPU, the parameters of a resumed run are bit-identical to those of an
  uninterrupted run.

  In a multi-process run, every process must call this with the same arguments.

  Args:
    triplets: the counts, in any order; those of the same pair are summed.
    config: dimension, weighting, optimizer, epochs and so on.
    workdir: for `checkpoints/` and `metrics.jsonl`; None writes nothing.
    loss: (params, batch) -> summed cost, used instead of `model.loss` (which
      takes x_max and alpha from the config). For the engines rows and dense.
    cell_loss: (prediction, log_count, weight) -> the cost of each count, used
      instead of the weighted square by any engine, see `model.sum_cells`.
    tx: an optax transformation, used instead of the optimizer of the config.
      It has its own learning rate; `schedule` multiplies its updates.
    init: parameters to start from, a row for each word; a row of NaN starts as
      usual, see `starts`. `freeze` and `retrofit` of the config are about it.
    on_step: called with {"epoch", "step", "cost"} of each batch, `cost` summed
      over it, some steps after it was trained.
    on_epoch: called after each epoch with its metrics (keys: see `run_epoch`).
    say: called with sentences such as that a checkpoint is damaged.

  Returns:
    The trained parameters: vectors [V, D], biases [V]. With several
    processes, the first gets them, and the others get no rows: [0, D], [0].

  Raises:
    ValueError: the engine does not support the config, the loss or the
      optimizer, an id is out of range, or a count is not positive.
    FloatingPointError: the cost is no longer finite, or training has diverged.
    MemoryError: the tables do not fit the devices.

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
    >>> more = train(counts, config, init=params, tx=optax.adam(1e-3))
  """
  check_type(config, TrainConfig)
  check_types(triplets)
  start = starts.checked(init, triplets.vocab_size, config.dim)
  supplied = Supplied(loss, cell_loss, tx, start)
  is_usual = loss is None and cell_loss is None  # its cost can be judged
  check_supplied(config, supplied)
  wake_device()
  triplets = checked(triplets)
  check_memory(triplets.vocab_size, config, tx)
  with jax.enable_x64(config.dtype == "float64"):
    records = _Records(workdir, config, tx, say)
    engine, state = prepare(
      triplets,
      config,
      supplied,
      tiles_folder=blocks_folder(workdir) if workdir else None,
      resume_from=records.resume_from,
    )
    highest = divergence.highest_cost(triplets, config)
    _report_empty(engine, say)
    epochs = epochs_after(engine, records.done)
    for epoch in epochs:
      state, line = run_epoch(engine, config, state, epoch, on_step)
      if is_usual:
        divergence.check_cost(line, highest)
      records.add(line, state, is_last=epoch == epochs[-1])
      if on_epoch:
        on_epoch(line)
    state = state._replace(opt_state=())  # half of the memory
    params = engine.params(state)
    if is_usual and multihost.is_first():
      divergence.check_params(params, triplets, config, highest)
    return params


def _report_empty(engine: Engine, say: Callable[[str], object]) -> None:
  if not all(size.num_steps for size in engine.epochs):
    say(
      "Some passes of growth train nothing, because no tile lies within "
      "their words: give more words, at least one block (tile_size)."
    )


def checked(triplets: Triplets) -> Triplets:
  """Checks triplets with all processes; sorts and sums them if needed."""
  check_types(triplets)
  rows = multihost.share(len(triplets.row))
  return sum_duplicates(
    check_triplets(triplets, rows), rows, multihost.sum_over_processes
  )


def num_epochs(config: TrainConfig) -> int:
  """The number of passes in a run, including the `growth` stages."""
  stages = growth_stages(config) if config.engine == "blocked" else []
  return sum(passes for _, passes in stages) + config.resolved.epochs


def blocks_folder(workdir: str | os.PathLike) -> pathlib.Path:
  """Where the blocked engine keeps its tiles during training."""
  return pathlib.Path(workdir, "checkpoints", "blocks")


def run_epoch(
  engine: Engine,
  config: TrainConfig,
  state: TrainState,
  epoch: int,
  on_step: Callable[[dict], object] | None = None,
) -> tuple[TrainState, dict]:
  """Runs one pass over the counts.

  Args:
    engine: from `make_engine`.
    config: gives the learning-rate schedule and `keep`, the factor on Adagrad's
      sums between epochs.
    state: the state before the epoch. Its buffers are donated: do not use it
      afterwards.
    epoch: which of `engine.epochs`, from 1.
    on_step: as for `train`.

  Returns:
    The new state, and a line of metrics: `step` and `epoch` (both counted from
    the start of the run, passes of `growth` included), `cost` (mean per count;
    a list with one value per point if several points train together),
    `seconds`, `triplets_per_second`.

  Raises:
    FloatingPointError: the cost of a step is no longer finite.
  """
  # schedule: fraction of the run done -> factor on the learning rate
  schedule = optimizers.make_schedule(config.resolved.schedule)
  num_steps, num_triplets = engine.epochs[epoch - 1]
  steps_before = sum(size.num_steps for size in engine.epochs[: epoch - 1])
  total_steps = sum(size.num_steps for size in engine.epochs)
  start, last_step = time.perf_counter(), steps_before
  if steps_before > 0:  # an earlier epoch has trained
    opt_state = optimizers.decay_sums(state.opt_state, config.resolved.keep)
    state = state._replace(opt_state=opt_state)
  with metrics.progress(
    f"pass {epoch}/{len(engine.epochs)}",
    num_triplets,
    " counts",
    enabled=multihost.is_first(),
  ) as bar:
    costs = EpochCosts(engine.epochs, epoch, bar, on_step)
    last = ()  # the stack before this one
    for stack, steps in engine.stacks(epoch):
      ends = last_step + np.cumsum(steps)  # [K] the last step of each batch
      multipliers = schedule((ends - steps) / total_steps).astype(np.float32)
      if jax.default_backend() == "cpu":
        costs.read()  # one program at a time: each has temporary arrays
      state, stack_costs = engine.run_steps(state, stack, multipliers)
      costs.add(stack_costs, ends)  # waits until `last` was trained
      memory.release(*jax.tree.leaves(last))
      last, last_step = stack, int(ends[-1])
    costs.read()
    memory.release(*jax.tree.leaves(last))
  seconds = time.perf_counter() - start
  return state, {
    "step": steps_before + num_steps,
    "epoch": epoch,
    "cost": (costs.total / max(num_triplets, 1)).tolist(),
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


class _Records:
  """What training writes to a work directory, and what it resumes from."""

  def __init__(self, workdir: str | os.PathLike | None, config, tx, say):
    """Finds the last epoch with a good checkpoint, of the same optimizer."""
    self.done, self.resume_from = 0, None
    self._saver = self._writer = None
    if workdir is None:
      return
    workdir = pathlib.Path(workdir)
    checkpoints = workdir / "checkpoints"
    self.done = checkpoint.find_last(checkpoints, num_epochs(config), say)
    if self.done:
      self.resume_from = checkpoints, self.done
    checkpoint.drop_incomplete(checkpoints, self.done)
    optimizer_check.note(checkpoints, config, tx, resumes=self.done > 0)
    self._saver = checkpoint.Saver(checkpoints)
    if multihost.is_first():
      workdir.mkdir(parents=True, exist_ok=True)
      path = workdir / "metrics.jsonl"
      self._writer = metrics.MetricsWriter(path, self.done)

  def add(self, line: dict, state: TrainState, *, is_last: bool) -> None:
    """Adds the metrics of an epoch, after its state if that is to be saved."""
    if self._saver:
      self._saver.offer(line["epoch"], state, must=is_last)
    if self._writer:
      self._writer.write(**line)
