"""Training with all processes of a run: the first says what, others follow."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable

from absl import logging

from glove_jax import atomic, memory, model
from glove_jax.config import TrainConfig, make_config
from glove_jax.counts.triplets import read_triplets
from glove_jax.training import loop, multihost, starts
from glove_jax.training.checks import check_config
from glove_jax.training.starts import Start


def train_folder(
  counts_folder: str | os.PathLike,
  config: TrainConfig,
  workdir: str | os.PathLike,
  on_epoch: Callable[[dict], object] | None = None,
  say: Callable[[str], object] = logging.warning,
  init: Start | None = None,
) -> model.Params:
  """Trains on the counts in a folder, with all processes of this run.

  In a multi-process run only the first process calls this, and the others run
  `follow`. A single process also calls it. From then on the C library of these
  processes keeps less of what is freed, see `memory.keep_less`.

  Args:
    counts_folder: as for `triplets.read_triplets`.
    config: the training settings.
    workdir: for checkpoints and metrics.
    on_epoch, say, init: as for `train`.

  Returns:
    The trained parameters.

  Raises:
    ValueError, FloatingPointError: as `train`.
  """
  check_config(config)  # fail here, before the other processes start to wait
  memory.keep_less()
  job = {
    "folder": os.path.abspath(counts_folder),
    "settings": dataclasses.asdict(config),
    "workdir": os.path.abspath(workdir),
  }
  if init is not None and multihost.several():
    job["init"] = os.path.abspath(pathlib.Path(workdir, "checkpoints", "init"))
    starts.write(init, job["init"])
  with multihost.run_job(job):
    params = loop.train(
      read_triplets(counts_folder),
      config,
      workdir=workdir,
      init=init,
      on_epoch=on_epoch,
      say=say,
    )
  if "init" in job:
    atomic.remove(job["init"])
  return params


def follow() -> None:
  """Joins every job that the first process starts, until that process ends."""
  memory.keep_less()
  while (job := multihost.listen()) is not None:
    config = make_config(**job["settings"]).train
    init = starts.read(job["init"]) if "init" in job else None
    counts = read_triplets(job["folder"])
    with contextlib.suppress(FloatingPointError):  # the first reports it
      loop.train(counts, config, workdir=job["workdir"], init=init)
