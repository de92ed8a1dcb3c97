"""The plan of a sweep, and about how long its training takes."""

import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.counts import column_files
from glove_jax.sweeps import runner
from glove_jax.sweeps.folders import counts_folder, is_done, point_folder
from glove_jax.sweeps.grid import Point
from glove_jax.training import loop
from glove_jax.workdir import inputs

# Seconds for each unit of `work` on 2 CPU cores, measured on `enwiki_sample`;
# `dense` with 1,000 words, since its steps grow with the vocabulary. `cells` is
# the blocked engine with `missing`, measured on texts of 0.4M to 25M words.
_RATES = {"blocked": 1.7e-9, "rows": 5.8e-9, "dense": 2e-9, "cells": 8.7e-11}
# Counts and words of a corpus of b bytes: a (b / _BYTES)^k, which fits the
# default corpus and Simple English Wikipedia (149 MB, 56M counts, 104K words).
_BYTES, _COUNTS, _COUNTS_GROWTH = 3.1e6, 2.6e6, 0.79
_WORDS, _WORDS_GROWTH = 1.03e4, 0.6


class Size(NamedTuple):
  """How much there is to train on."""

  num_counts: float
  vocab_size: float


class Rate(NamedTuple):
  """How fast training is."""

  seconds: dict[str, float]  # for each unit of `work`, by its kind
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
    folder = counts_folder(workdir, group[0].config)
    state = "counted" if _read_size(folder) else "to be counted"
    lines.append(f"counts {folder.name} ({state}):")
    for batch in runner.batches(group, together):
      names = [p.name + " (done)" * is_done(workdir, p) for p in batch]
      lines.append("  " + "\n  + ".join(names))
  todo = [p for p in points if not is_done(workdir, p)]
  if todo:
    lines.append(_format_estimate(todo, points, workdir))
  return "\n".join(lines)


def _format_estimate(todo, points, workdir: pathlib.Path) -> str:
  rate = _rate_of_done(points, workdir) or Rate(
    _RATES, "speeds measured on 2 CPU cores"
  )
  seconds = 0.0
  for point in todo:
    folder = counts_folder(workdir, point.config)
    size = _read_size(folder) or _guess_size(point.config)
    kind, amount = work(point.config, size)
    seconds += rate.seconds[kind] * amount
  return (
    f"Training {len(todo)} points one after another takes about "
    f"{_duration(seconds)}, by {rate.source}; counting and evaluation take "
    "more."
  )


def work(config: configs.Config, size: Size) -> tuple[str, float]:
  """What training time is proportional to, and the key of its rate.

  It is counts x passes x dimensions, or cells x passes x dimensions if all
  cells between frequent words train (`missing`). What `missing` adds for the
  engines rows and dense, where it is no default, is left out.

  >>> config = configs.make_config(dim=10, growth="100:2", epochs=3, core=200)
  >>> work(config, Size(1e6, 300))  # 10 (2 100^2 + 3 200^2 + 4 100 200)
  ('cells', 2200000)
  """
  train = config.train.resolved
  if train.engine != "blocked" or not train.missing:
    passes = loop.num_epochs(train)
    return train.engine, size.num_counts * passes * train.dim
  core = min(train.core or size.vocab_size, size.vocab_size)
  cells = train.epochs * core**2
  for words, passes in loop.growth_stages(train):
    cells += passes * min(words, core) ** 2
  others = size.vocab_size - core
  cells += 2 * (train.fit_passes + train.joint_epochs) * others * core
  return "cells", cells * train.dim


def _rate_of_done(points, workdir: pathlib.Path) -> Rate | None:
  """The rate of the points that are done; None if there are none."""
  ratios = []
  for point in points:
    if not is_done(workdir, point):
      continue
    folder = point_folder(workdir, point)
    training = atomic.read_json(folder / "training.json")
    size = Size(training["num_counts"], training["vocab_size"])
    kind, amount = work(point.config, size)
    ratios.append((training["wall_seconds"], _RATES[kind] * amount))
  usual = sum(usual for _, usual in ratios)
  if not usual:
    return None
  slower = sum(seconds for seconds, _ in ratios) / usual
  return Rate(
    {kind: slower * rate for kind, rate in _RATES.items()},
    f"the {len(ratios)} points that are done",
  )


def _guess_size(config: configs.Config) -> Size:
  """About how many counts and words the corpus of a config has."""
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    paths = inputs.corpus_paths(config.corpus, pathlib.Path(folder))
    size = config.corpus.share * sum(os.path.getsize(path) for path in paths)
  words = _WORDS * (size / _BYTES) ** _WORDS_GROWTH
  return Size(
    _COUNTS * (size / _BYTES) ** _COUNTS_GROWTH,
    min(words, config.vocab.max_vocab or words),
  )


def _read_size(folder: pathlib.Path) -> Size | None:
  """The size of the counts in a work directory; None if it has none yet."""
  try:
    manifest = column_files.read_manifest(folder / "counts")
  except FileNotFoundError:
    return None
  return Size(manifest["size"], manifest["vocab_size"])


def _duration(seconds: float) -> str:
  minutes = seconds / 60
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
