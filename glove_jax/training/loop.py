"""The training loop, the same for every engine."""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import metrics, model
from glove_jax.config import TrainConfig, make_config
from glove_jax.counts.triplets import Triplets, check, read_triplets
from glove_jax.training import biases, checkpoint, engines, multihost, steps
from glove_jax.training.engines import Engine
from glove_jax.training.tiles import engine as tile_engine


def train(
  triplets: Triplets,
  config: TrainConfig,
  *,
  workdir: str | os.PathLike | None = None,
  loss: steps.Loss | None = None,
  on_epoch: Callable[[dict], None] | None = None,
) -> model.Params:
  """Trains GloVe on counts.

  With a workdir, every epoch leaves a checkpoint and a line in
  `metrics.jsonl`, and a run that was stopped goes on from its last checkpoint;
  on the CPU it ends with the same bytes as a run that was not. Several
  processes call this alike, with one workdir.

  Args:
    triplets: the counts.
    config: dimension, weighting, optimizer, epochs and so on.
    workdir: where checkpoints and metrics go; None keeps nothing.
    loss: (params, batch) -> summed cost, instead of `model.loss` with the
      x_max and alpha of the config.
    on_epoch: called with the metrics of each epoch.

  Returns:
    The trained parameters.

  Raises:
    ValueError: ids out of range, or counts that are not positive.
    FloatingPointError: the cost is no longer finite.
  """
  check(triplets, multihost.share(len(triplets.row)))
  with jax.enable_x64(config.dtype == "float64"):
    folder = pathlib.Path(workdir, "checkpoints") if workdir else None
    done = _epochs_done(folder, config)
    if folder:
      checkpoint.drop_halves(folder, done)
    engine, state = prepare(
      triplets,
      config,
      loss=loss,
      folder=blocks_folder(workdir) if workdir else None,
      saved=(folder, done) if done else None,
    )
    writer = _make_writer(workdir, done) if workdir else None
    for epoch in range(done + 1, len(engine.epochs) + 1):
      state, line = run_epoch(engine, state, epoch)
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
  loss: steps.Loss | None = None,
  folder: str | os.PathLike | None = None,
  saved: tuple[pathlib.Path, int] | None = None,
) -> tuple[Engine, Any]:
  """Makes the engine and the state that it starts from.

  Args:
    triplets: the counts.
    config: how to train.
    loss: as for `train`.
    folder: where the engine keeps what it makes of the counts.
    saved: checkpoints, and after which epoch to go on; None is the beginning.
  """

  def make_params():
    return None if saved else engines.initial_params(triplets, config)

  make_engine = functools.partial(
    engines.make_engine, triplets, config, loss=loss, folder=folder
  )
  if jax.default_backend() == "cpu" or multihost.several():
    # The two at once would need more memory, and processes meet in one order.
    params = make_params()
    engine = make_engine()
  else:
    with futures.ThreadPoolExecutor(1) as pool:
      making = pool.submit(make_params)
      engine = make_engine()
      params = making.result()
  if saved:
    return engine, engine.put(_restore(engine, triplets, config, *saved))
  return engine, engine.put(engine.init(params))


def train_folder(
  folder: str | os.PathLike,
  config: TrainConfig,
  workdir: str | os.PathLike,
  on_epoch: Callable[[dict], None] | None = None,
) -> model.Params:
  """Trains on the counts in a folder, by all processes of this run.

  For the first of them, or one alone: the others are in `follow`.

  Args:
    folder: for `triplets.read_triplets`.
    config: how to train.
    workdir: where checkpoints and metrics go.
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
  engines.check(config)  # alone, and before the others wait for this process
  with multihost.together(job):
    return train(
      read_triplets(folder), config, workdir=workdir, on_epoch=on_epoch
    )


def follow() -> None:
  """Takes part in what the first process trains, until it says no more."""
  while (job := multihost.listen()) is not None:
    config = make_config(**job["settings"]).train
    with contextlib.suppress(FloatingPointError):  # the first says so
      train(read_triplets(job["folder"]), config, workdir=job["workdir"])


# What points may differ in and still train in one program.
TOGETHER = ("x_max", "alpha", "learning_rate", "seed")


def can_train_together(configs: Sequence[TrainConfig]) -> bool:
  """Whether `train_together` takes these configs."""

  def rest(config):
    return dataclasses.replace(config.resolved, **dict.fromkeys(TOGETHER, 1))

  first = configs[0]
  can = first.engine == "blocked" and not multihost.several()
  return can and all(rest(config) == rest(first) for config in configs)


def train_together(
  triplets: Triplets,
  configs: Sequence[TrainConfig],
  *,
  on_epoch: Callable[[dict], None] | None = None,
) -> list[model.Params]:
  """Trains several points in one program: a sweep for the price of few runs.

  The points may differ in x_max, alpha, learning_rate and seed. The seed draws
  the vectors that each starts from; the order of work is that of the first.

  Args:
    triplets: the counts.
    configs: one for each point; for the blocked engine.
    on_epoch: called with the metrics of each epoch; their cost is a list.

  Returns:
    The parameters of each point. Where its cost was no longer finite, they are
    not finite either; the other points do not notice.

  Raises:
    ValueError: bad counts, or points that differ in anything else.
  """
  if not can_train_together(configs):
    raise ValueError(
      "Points that train together must be of the blocked engine and differ in "
      f"no more than {', '.join(TOGETHER)}."
    )
  check(triplets, multihost.share(len(triplets.row)))

  @functools.cache  # points that only the seed tells apart share their biases
  def fit(x_max, alpha):
    return biases.fit_biases(triplets, x_max=x_max, alpha=alpha)

  starts = [
    engines.initial_params(triplets, config, lambda _, **of: fit(**of))
    for config in configs
  ]
  params = jax.tree.map(lambda *tables: jnp.stack(tables), *starts)
  engine = tile_engine.make_engine(triplets, configs[0], together=configs)
  state = engine.put(engine.init(params))
  for epoch in range(1, len(engine.epochs) + 1):
    state, line = run_epoch(engine, state, epoch)
    if on_epoch:
      on_epoch(line)
  params = engine.params(state)
  return [
    jax.tree.map(lambda t, i=i: t[i], params) for i in range(len(configs))
  ]


def blocks_folder(workdir: str | os.PathLike) -> pathlib.Path:
  """Where the blocked engine keeps its tiles while it trains."""
  return pathlib.Path(workdir, "checkpoints", "blocks")


def run_epoch(engine: Engine, state, epoch: int) -> tuple[Any, dict]:
  """One pass over the counts.

  The costs of a call are read only after the next call was dispatched, so that
  the device never waits for the host.

  Args:
    engine: from `engines.make_engine`.
    state: where the epoch starts; it is given up.
    epoch: which of the engine's epochs, from 1.

  Returns:
    The new state, and a line of metrics: `step` and `epoch` reached, mean
    `cost` a count, `seconds`, `triplets_per_second`.

  Raises:
    FloatingPointError: the cost of a step is no longer finite.
  """
  size = engine.epochs[epoch - 1]
  first = sum(before.num_steps for before in engine.epochs[: epoch - 1])
  total = sum(epoch.num_steps for epoch in engine.epochs)
  start, step, cost, waiting = time.perf_counter(), 0, np.zeros(()), None
  label = f"epoch {epoch}/{len(engine.epochs)}"
  with metrics.progress(label, size.num_triplets, " counts") as bar:
    state = engine.start_epoch(state) if epoch > 1 else state
    for stack, steps in itertools.chain(engine.stacks(epoch), [(None, None)]):
      dispatched = None
      if stack is not None:
        ends = first + step + np.cumsum(steps)
        rates = engine.schedule((ends - steps) / total).astype(np.float32)
        state, costs = engine.run_steps(state, stack, rates)
        dispatched = costs, ends
        step = int(ends[-1]) - first
      if waiting is not None:
        cost = cost + finite_sum(*waiting)
        seen = (waiting[1][-1] - first) / size.num_steps * size.num_triplets
        bar.update(seen - bar.n)
        bar.set_postfix(cost=f"{np.mean(cost) / max(seen, 1):.5f}")
      waiting = dispatched
  seconds = time.perf_counter() - start
  return state, {
    "step": first + size.num_steps,
    "epoch": epoch,
    "cost": (cost / size.num_triplets).tolist(),
    "seconds": seconds,
    "triplets_per_second": size.num_triplets / seconds,
  }


def finite_sum(costs: jax.Array, ends: np.ndarray):
  """The sum of the costs of consecutive batches.

  Args:
    costs: [K], or [P, K] of P points that train together.
    ends: [K] the step that each batch ends with.

  Raises:
    FloatingPointError: one of them is not finite; names the step. Points that
      train together do not stop each other.
  """
  costs = np.asarray(costs, np.float64)
  bad = np.flatnonzero(~np.isfinite(costs))
  if costs.ndim == 1 and bad.size:
    raise FloatingPointError(
      f"The cost became {costs[bad[0]]} at step {ends[bad[0]]}: use a "
      "smaller --learning_rate. The last checkpoint is as it was before."
    )
  return costs.sum(axis=-1)


def _make_writer(workdir, done) -> metrics.MetricsWriter | None:
  """Of several processes, the first writes metrics."""
  if not multihost.is_first():
    return None
  pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  return metrics.MetricsWriter(pathlib.Path(workdir, "metrics.jsonl"), done)


def _epochs_done(folder: pathlib.Path | None, config: TrainConfig) -> int:
  """The epochs after which there is a checkpoint to go on from."""
  saved = checkpoint.epochs(folder) if folder else []
  total = engines.num_epochs(config)
  done = max((epoch for epoch in saved if epoch <= total), default=0)
  return int(multihost.gather(done)[0])  # all see what the first has seen


def _restore(engine, triplets, config, folder, epoch):
  like = jax.eval_shape(
    lambda: engine.init(engines.random_params(triplets.vocab_size, config))
  )
  return checkpoint.restore(folder, epoch, like)
