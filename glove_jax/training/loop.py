"""The training loop, the same for every engine.

`train` is the loop. An engine (`engine.Engine`, made by `make_engine`) turns
counts into stacks of batches and trains on a stack at a time. `rows` has the
reference engines.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from concurrent import futures

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import metrics, model
from glove_jax.config import TrainConfig, make_config
from glove_jax.counts.triplets import Triplets, check, read_triplets
from glove_jax.training import checkpoint, multihost, optimizers, sharding
from glove_jax.training.biases import fit_biases, initial_params, random_params
from glove_jax.training.engine import Engine, Loss, TrainState
from glove_jax.training.rows import RowsEngine
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
) -> model.Params:
  """Trains GloVe on counts.

  With a workdir, every epoch writes a checkpoint and a line of metrics, and a
  run that was stopped resumes from its last checkpoint. On a CPU it then ends
  with the same bytes as an unbroken run. Several processes call this with the
  same arguments, and train together.

  Args:
    triplets: the counts.
    config: dimension, weighting, optimizer, epochs and so on.
    workdir: for `checkpoints/` and `metrics.jsonl`; None writes nothing.
    loss: (params, batch) -> summed cost. It replaces `model.loss` with the
      x_max and alpha of the config. The blocked engine does not take one.
    on_epoch: called with the metrics of each epoch, see `run_epoch`.

  Returns:
    The trained parameters: vectors [V, D], biases [V].

  Raises:
    ValueError: ids are out of range, counts are not positive, or the engine
      does not support the config or the loss.
    FloatingPointError: the cost is no longer finite.

  Example:
    >>> row, col = np.divmod(np.arange(16, dtype=np.int32), 4)
    >>> counts = Triplets(row, col, 1.0 + row * col, vocab_size=4)
    >>> lines = []
    >>> config = TrainConfig(engine="rows", dim=3, epochs=20)
    >>> params = train(counts, config, on_epoch=lines.append)
    >>> params.word.shape, lines[-1]["epoch"]
    ((4, 3), 20)
    >>> lines[-1]["cost"] < 0.1 * lines[0]["cost"]
    True
  """
  check(triplets, multihost.share(len(triplets.row)))
  with jax.enable_x64(config.dtype == "float64"):
    folder = pathlib.Path(workdir, "checkpoints") if workdir else None
    done = _epochs_done(folder, config)
    if folder:
      checkpoint.drop_incomplete(folder, done)
    engine, state = prepare(
      triplets,
      config,
      loss=loss,
      folder=blocks_folder(workdir) if workdir else None,
      saved=(folder, done) if done else None,
    )
    writer = _make_writer(workdir, done) if workdir else None
    for epoch in _epochs_after(engine, done):
      state, line = run_epoch(engine, config, state, epoch)
      if workdir:
        checkpoint.save(folder, epoch, state)
      if writer:
        writer.write(**line)
      if on_epoch:
        on_epoch(line)
    return engine.params(state)


def prepare(
  triplets: Triplets,
  config: TrainConfig,
  *,
  loss: Loss | None = None,
  folder: str | os.PathLike | None = None,
  saved: tuple[pathlib.Path, int] | None = None,
) -> tuple[Engine, TrainState]:
  """Makes the engine and its first state, placed on the devices.

  Args:
    triplets: the counts.
    config: how to train.
    loss: as for `train`.
    folder: as for `make_engine`.
    saved: (folder of checkpoints, epoch to resume after); None starts anew.
  """

  fit = functools.partial(
    fit_biases,
    triplets,
    rows=multihost.share(len(triplets.row)),
    reduce=multihost.total,
  )

  def make_params():
    if not saved:
      return initial_params(triplets.vocab_size, config, fit)

  make = functools.partial(
    make_engine, triplets, config, loss=loss, folder=folder
  )
  if jax.default_backend() == "cpu" or multihost.several():
    # Both at once would need more memory, and several processes must make
    # their exchanges in the same order.
    params = make_params()
    engine = make()
  else:
    with futures.ThreadPoolExecutor(1) as pool:
      pending = pool.submit(make_params)
      engine = make()
      params = pending.result()
  if saved:
    like = jax.eval_shape(
      lambda: engine.init(random_params(triplets.vocab_size, config))
    )
    state = checkpoint.restore(*saved, like)
  else:
    state = engine.init(params)
  return engine, sharding.put_state(engine.placement, state)


def make_engine(
  triplets: Triplets,
  config: TrainConfig,
  *,
  loss: Loss | None = None,
  folder: str | os.PathLike | None = None,
) -> Engine:
  """Makes the engine that the config names.

  Args:
    triplets: the counts.
    config: how to train.
    loss: as for `train`.
    folder: where the blocked engine keeps tiles; None is a temporary folder.

  Raises:
    ValueError: the engine does not support the config or the loss.
  """
  if config.engine != "blocked":
    return RowsEngine(triplets, config, loss)
  if loss is not None:
    raise ValueError(
      "The blocked engine has the loss of GloVe built in: use --engine=rows "
      "for a loss of your own."
    )
  placement = sharding.make_placement(config)
  if placement.mesh is None:
    return TileEngine(triplets, config, folder=folder)
  return RingEngine(triplets, config, placement, folder=folder)


def check_config(config: TrainConfig) -> None:
  """Raises a ValueError for settings that cannot train, before any work."""
  if config.engine == "blocked":
    check_settings(config)
  sharding.make_placement(config)
  optimizers.from_config(config)


def num_epochs(config: TrainConfig) -> int:
  """The number of passes in a run, those of `growth` included."""
  stages = growth_stages(config) if config.engine == "blocked" else []
  return sum(passes for _, passes in stages) + config.resolved.epochs


def blocks_folder(workdir: str | os.PathLike) -> pathlib.Path:
  """Where the blocked engine keeps its tiles during training."""
  return pathlib.Path(workdir, "checkpoints", "blocks")


def run_epoch(
  engine: Engine, config: TrainConfig, state: TrainState, epoch: int
) -> tuple[TrainState, dict]:
  """Runs one pass over the counts.

  The costs of a stack are read only after the next stack was dispatched, so
  the device never waits for the host.

  Args:
    engine: from `make_engine`.
    config: has the schedule of the learning rate and `keep`.
    state: the state before the epoch. It is donated.
    epoch: which of `engine.epochs`, from 1.

  Returns:
    The new state, and a line of metrics: `step` and `epoch` reached, mean
    `cost` of a count, `seconds`, `triplets_per_second`.

  Raises:
    FloatingPointError: the cost of a step is no longer finite.
  """
  schedule = optimizers.make_schedule(config.resolved.schedule)
  num_steps, num_triplets = engine.epochs[epoch - 1]
  first = sum(before.num_steps for before in engine.epochs[: epoch - 1])
  total = sum(size.num_steps for size in engine.epochs)
  label = f"epoch {epoch}/{len(engine.epochs)}"
  start, last, cost, waiting = time.perf_counter(), first, np.zeros(()), None
  with metrics.progress(
    label, num_triplets, " counts", enabled=multihost.is_first()
  ) as bar:
    if first > 0:  # an earlier epoch has trained
      opt_state = optimizers.decay_sums(state.opt_state, config.resolved.keep)
      state = state._replace(opt_state=opt_state)
    for stack, steps in itertools.chain(engine.stacks(epoch), [(None, None)]):
      dispatched = None
      if stack is not None:
        ends = last + np.cumsum(steps)  # [K] the last step of each batch
        multipliers = schedule((ends - steps) / total).astype(np.float32)
        state, costs = engine.run_steps(state, stack, multipliers)
        dispatched, last = (costs, ends), int(ends[-1])
      if waiting is not None:
        cost = cost + finite_sum(*waiting)
        seen = (waiting[1][-1] - first) / num_steps * num_triplets
        bar.update(seen - bar.n)
        bar.set_postfix(cost=f"{np.mean(cost) / max(seen, 1):.5f}")
      waiting = dispatched
  seconds = time.perf_counter() - start
  return state, {
    "step": first + num_steps,
    "epoch": epoch,
    "cost": (cost / num_triplets).tolist(),
    "seconds": seconds,
    "triplets_per_second": num_triplets / seconds,
  }


def finite_sum(costs: jax.Array, ends: np.ndarray):
  """Sums the costs of a stack.

  Args:
    costs: [K], or [P, K] for P points that train together.
    ends: [K] the last step of each batch.

  Raises:
    FloatingPointError: a cost is not finite; the message names the step. Points
      that train together do not stop each other.
  """
  costs = np.asarray(costs, np.float64)
  bad = np.flatnonzero(~np.isfinite(costs))
  if costs.ndim == 1 and bad.size:
    raise FloatingPointError(
      f"The cost became {costs[bad[0]]} at step {ends[bad[0]]}: use a smaller "
      "--learning_rate. The last checkpoint is unchanged."
    )
  return costs.sum(axis=-1)


def _epochs_after(engine: Engine, done: int) -> list[int]:
  """The epochs after `done` that train; one of `growth` may hold no tile."""
  return [
    epoch
    for epoch, size in enumerate(engine.epochs, 1)
    if epoch > done and size.num_steps
  ]


def _make_writer(workdir, done) -> metrics.MetricsWriter | None:
  """With several processes, only the first writes metrics."""
  if not multihost.is_first():
    return None
  pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  return metrics.MetricsWriter(pathlib.Path(workdir, "metrics.jsonl"), done)


def _epochs_done(folder: pathlib.Path | None, config: TrainConfig) -> int:
  """The last epoch of this run that has a checkpoint; 0 if none has."""
  saved = checkpoint.epochs(folder) if folder else []
  total = num_epochs(config)
  done = max((epoch for epoch in saved if epoch <= total), default=0)
  return int(multihost.gather(done)[0])  # what the first process sees, for all


def train_folder(
  folder: str | os.PathLike,
  config: TrainConfig,
  workdir: str | os.PathLike,
  on_epoch: Callable[[dict], None] | None = None,
) -> model.Params:
  """Trains on the counts in a folder, with all processes of this run.

  The first process calls this, while the others are in `follow`. A process
  without others calls it too.

  Args:
    folder: as for `triplets.read_triplets`.
    config: how to train.
    workdir: for checkpoints and metrics.
    on_epoch: called with the metrics of each epoch.

  Returns:
    The trained parameters.

  Raises:
    ValueError, FloatingPointError: as `train`.
  """
  job = {
    "folder": os.path.abspath(folder),
    "settings": dataclasses.asdict(config),
    "workdir": os.path.abspath(workdir),
  }
  check_config(config)  # fail here, before the others start to wait
  with multihost.together(job):
    return train(
      read_triplets(folder), config, workdir=workdir, on_epoch=on_epoch
    )


def follow() -> None:
  """Trains whatever the first process trains, until it has finished."""
  while (job := multihost.listen()) is not None:
    config = make_config(**job["settings"]).train
    with contextlib.suppress(FloatingPointError):  # the first reports it
      train(read_triplets(job["folder"]), config, workdir=job["workdir"])


# The fields in which points that train together may differ.
TOGETHER = (
  "x_max", "alpha", "learning_rate", "missing", "missing_count", "seed"
)  # fmt: skip


def can_train_together(configs: Sequence[TrainConfig]) -> bool:
  """Whether `train_together` takes these configs."""

  def rest(config):
    same = dict.fromkeys(TOGETHER, 1) | {"missing": float(config.missing > 0)}
    return dataclasses.replace(config.resolved, **same)

  if configs[0].engine != "blocked" or multihost.several():
    return False
  return all(rest(config) == rest(configs[0]) for config in configs)


def train_together(
  triplets: Triplets,
  configs: Sequence[TrainConfig],
  *,
  on_epoch: Callable[[dict], None] | None = None,
) -> list[model.Params]:
  """Trains several points of a sweep in one program, at the cost of a few runs.

  Each point starts from the vectors of its seed. All points visit the tiles in
  the order of the first point's seed.

  Args:
    triplets: the counts.
    configs: one for each point, for the blocked engine. They may differ in
      the fields of `TOGETHER`; `missing` is 0 for all or for none.
    on_epoch: called with the metrics of each epoch; their cost is a list.

  Returns:
    The parameters of each point. They are not finite if its cost became
    infinite or NaN; this does not affect the other points.

  Raises:
    ValueError: the counts are bad, or the configs differ in another field.
  """
  if not can_train_together(configs):
    raise ValueError(
      "Points that train together must use the blocked engine and differ only "
      f"in {', '.join(TOGETHER)}; missing must be 0 for all or for none."
    )
  check(triplets)
  # Points that differ only in the seed share their biases.
  fit = functools.cache(functools.partial(fit_biases, triplets))
  starts = [
    initial_params(triplets.vocab_size, config, fit) for config in configs
  ]
  params = jax.tree.map(lambda *tables: jnp.stack(tables), *starts)
  engine = TileEngine(triplets, configs[0], together=configs)
  state = sharding.put_state(engine.placement, engine.init(params))
  for epoch in _epochs_after(engine, 0):
    state, line = run_epoch(engine, configs[0], state, epoch)
    if on_epoch:
      on_epoch(line)
  params = engine.params(state)
  return [
    jax.tree.map(lambda t, i=i: t[i], params) for i in range(len(configs))
  ]
