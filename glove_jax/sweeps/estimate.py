"""The plan of a sweep, and about how long its training takes."""

import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.counts import triplets
from glove_jax.sweeps import runner
from glove_jax.sweeps.grid import Point
from glove_jax.training import loop
from glove_jax.workdir import inputs

# Seconds for each count, pass and dimension on 2 CPU cores, of the default
# corpus; for dense with 1,000 words, since its steps grow with the vocabulary.
_RATES = {"blocked": 1.7e-9, "rows": 5.8e-9, "dense": 2e-9}
# Counts of a corpus of b bytes: _COUNTS (b / _BYTES)^_GROWTH, which fits the
# default corpus and Simple English Wikipedia (149 MB, 56M counts).
_BYTES, _COUNTS, _GROWTH = 3.1e6, 2.6e6, 0.79


class Rate(NamedTuple):
  """How fast training is."""

  seconds: dict[str, float]  # by engine, for each unit of `work`
  source: str  # what was measured


def format_plan(
  points: Sequence[Point], workdir: pathlib.Path, together: int
) -> str:
  """The plan of a sweep and an estimate of its time, as text.

  Args:
    points: of the sweep.
    workdir: its work directory; nothing is written to it.
    together: how many points train at once.
  """
  groups = runner.by_counts(points)
  lines = [f"{len(points)} points on {len(groups)} sets of counts"]
  for group in groups:
    folder = runner.counts_folder(workdir, group[0].config)
    state = "counted" if _read_num_counts(folder) else "to be counted"
    lines.append(f"counts {folder.name} ({state}):")
    for batch in runner.batches(group, together):
      names = [p.name + " (done)" * runner.is_done(workdir, p) for p in batch]
      lines.append("  " + "\n  + ".join(names))
  todo = [p for p in points if not runner.is_done(workdir, p)]
  if todo:
    lines.append(_format_estimate(todo, points, workdir))
  return "\n".join(lines)


def _format_estimate(todo, points, workdir: pathlib.Path) -> str:
  rate = _rate_of_done(points, workdir) or Rate(
    _RATES, "speeds measured on 2 CPU cores"
  )
  seconds = 0.0
  for point in todo:
    folder = runner.counts_folder(workdir, point.config)
    num_counts = _read_num_counts(folder) or _guess_num_counts(point.config)
    engine = point.config.train.engine
    seconds += rate.seconds[engine] * work(point.config, num_counts)
  return (
    f"Training {len(todo)} points one after another takes about "
    f"{_duration(seconds)}, by {rate.source}; counting and evaluation take "
    "more."
  )


def work(config: configs.Config, num_counts: float) -> float:
  """What training time is proportional to: counts x passes x dimensions."""
  return num_counts * loop.num_epochs(config.train) * config.train.dim


def _rate_of_done(points, workdir: pathlib.Path) -> Rate | None:
  """The rate of the points that are done; None if there are none."""
  ratios = []
  for point in points:
    if not runner.is_done(workdir, point):
      continue
    folder = runner.point_folder(workdir, point)
    training = atomic.read_json(folder / "training.json")
    usual = _RATES[point.config.train.engine] * work(
      point.config, training["num_counts"]
    )
    ratios.append((training["wall_seconds"], usual))
  usual = sum(usual for _, usual in ratios)
  if not usual:
    return None
  slower = sum(seconds for seconds, _ in ratios) / usual
  return Rate(
    {engine: slower * rate for engine, rate in _RATES.items()},
    f"the {len(ratios)} points that are done",
  )


def _guess_num_counts(config: configs.Config) -> float:
  """About how many counts the corpus of a config has."""
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    paths = inputs.corpus_paths(config.corpus, pathlib.Path(folder))
    size = config.corpus.share * sum(os.path.getsize(path) for path in paths)
  return _COUNTS * (size / _BYTES) ** _GROWTH


def _read_num_counts(folder: pathlib.Path) -> int | None:
  """The number of counts in a work directory; None if it has none yet."""
  try:
    return triplets.read_manifest(folder / "counts")["size"]
  except FileNotFoundError:
    return None


def _duration(seconds: float) -> str:
  minutes = seconds / 60
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
