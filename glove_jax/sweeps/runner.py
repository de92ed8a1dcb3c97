"""Runs the points of a sweep in a work directory, see `folders`.

A sweep that was stopped continues with the points that are not done; a point
that was training resumes from its last checkpoint. A point that fails leaves
error.txt, does not stop the others, and is tried again by the next run. Several
processes may run one sweep: each point is trained by the one that holds it. A
point whose counts or question sets have changed since is trained anew.
"""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from glove_jax import atomic, memory, metrics
from glove_jax import config as configs
from glove_jax.counts import column_files, triplets
from glove_jax.model import Params
from glove_jax.sweeps import grid, scores
from glove_jax.sweeps.folders import (
  ANSWERS,
  Failures,
  clear_error,
  counts_folder,
  damage,
  is_done,
  point_folder,
  write_checksums,
  write_error,
)
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.options import SweepConfig
from glove_jax.sweeps.scores import Evaluator
from glove_jax.text import vocab
from glove_jax.training.starts import Start
from glove_jax.training.together import (
  TOGETHER,
  can_train_together,
  train_together,
)
from glove_jax.vectors import evaluate, formats
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts, pipeline, starting
from glove_jax.workdir.fingerprints import Fingerprints
from glove_jax.workdir.lock import Busy, lock

# (point, work directory of its counts, its folder, on_epoch) -> vectors
Trainer = Callable[
  [Point, pathlib.Path, pathlib.Path, Callable[[dict], None]], WordVectors
]

_TOGETHER_ON_ACCELERATORS = 4
_DEFAULTS = SweepConfig()


class Plan(NamedTuple):
  """A sweep that has been checked and can run."""

  points: list[Point]
  trainers: dict[str, Trainer]  # by label
  plots: Callable[[list[dict]], list]  # rows of results -> what to plot
  about: str  # the docstring of the experiment
  record: dict[str, Any]  # what sweep.json keeps: enough to make the plan again
  evaluate: Evaluator | None = None  # scores beside the question sets


class Runner:
  """Runs points in one work directory."""

  def __init__(
    self,
    workdir: pathlib.Path,
    config: SweepConfig = _DEFAULTS,
    trainers: Mapping[str, Trainer] | None = None,
    say: Callable[[str], object] = print,
    evaluate: Evaluator | None = None,
    on_points: Callable[[], object] = lambda: None,
  ):
    """Nothing runs yet.

    Args:
      workdir: the work directory of the sweep.
      config: `together` and `keep_tables`.
      trainers: other ways to make vectors, by the label of their points.
      say: called with each line of news.
      evaluate: scores the vectors of each point, beside the question sets.
      on_points: called after each point, or points that trained together.
    """
    self.workdir = pathlib.Path(workdir)
    self._evaluator = evaluate
    self._together = num_together(config)
    self._keep_tables = config.keep_tables
    self._trainers = trainers or {}
    self.say = say
    self._on_points = on_points

  def run(self, points: Sequence[Point]) -> Failures:
    """Runs the points that are not done.

    Returns:
      One sentence for each point that failed.
    """
    num_started = sum(is_done(self.workdir, point) for point in points)
    self.say(f"{num_started} of {len(points)} points are done.")
    if self._keep_tables and (num := self._num_without_tables(points)):
      self.say(
        f"The tables of {num} of these were not kept: a new workdir keeps all."
      )
    failed = {}
    for group in by_counts(points):
      if all(is_done(self.workdir, point) for point in group) and not (
        counts_folder(self.workdir, group[0].config).exists()
      ):
        continue  # the counts of finished points may be removed
      try:
        folder = self._count(group[0].config)
        todo = self._drop_stale(group, folder)
      except Exception as error:
        todo = [p for p in group if not is_done(self.workdir, p)]
        failed |= self._fail(todo, error)
        continue
      for batch in batches(todo, self._together):
        with self._claim(batch) as claimed:
          num_started += len(claimed)
          if claimed:
            names = "; ".join(grid.describe(p.varied) for p in claimed)
            self.say(f"[{num_started}/{len(points)}] {names}")
            failed |= self._run_batch(claimed, folder)
            self._on_points()
    return failed

  def _num_without_tables(self, points: Sequence[Point]) -> int:
    """The number of points that are done and have no tables."""
    return sum(
      is_done(self.workdir, point)
      and point.varied.get(grid.LABEL) not in self._trainers
      and not (point_folder(self.workdir, point) / "tables.npz").exists()
      for point in points
    )

  def _drop_stale(self, group: Sequence[Point], counts) -> list[Point]:
    """Removes what was made from other counts or questions; returns the rest.

    Returns:
      The points that are not done.
    """
    todo = []
    for point in group:
      folder = point_folder(self.workdir, point)
      path, source = folder / "source.json", _source(point, counts)
      if path.exists() and atomic.read_json(path) != source:
        self.say(
          f"{grid.describe(point.varied)} again: its counts or question sets "
          "have changed."
        )
        atomic.remove(folder)
      elif why := damage(folder):
        self.say(f"{grid.describe(point.varied)} again: {why}.")
        atomic.remove(folder)
      if not is_done(self.workdir, point):
        todo.append(point)
    return todo

  @contextlib.contextmanager
  def _claim(self, batch: Sequence[Point]) -> Iterator[list[Point]]:
    """Yields the points of a batch that no other process works on or did."""
    with contextlib.ExitStack() as stack:
      claimed = []
      for point in batch:
        folder = point_folder(self.workdir, point)
        folder.mkdir(parents=True, exist_ok=True)
        try:
          stack.enter_context(lock(folder))
        except Busy:
          self.say(f"Another process trains {grid.describe(point.varied)}.")
          continue
        if not is_done(self.workdir, point):
          claimed.append(point)
      yield claimed

  def _count(self, config: configs.Config) -> pathlib.Path:
    """Returns the work directory with the counts of a config."""
    if "-" in config.corpus.corpus:
      raise ValueError("A sweep cannot read standard input: name a file.")
    folder = counts_folder(self.workdir, config)
    pipeline.Pipeline(config, folder, self.say, wait=True).count()
    return folder

  def _run_batch(self, batch: Sequence[Point], counts) -> Failures:
    """Trains points at once, or one after another if they do not fit."""
    several = len(batch) > 1
    if several and not self._can_train_at_once(batch):
      return self._run_one_by_one(batch, counts)
    try:
      vectors = self._train(batch, counts)
    except Exception as error:
      if several and memory.is_full(error):
        self.say("Too little memory to train these at once: one by one.")
        return self._run_one_by_one(batch, counts)
      return self._fail(batch, error)
    failed = {}
    for i, point in enumerate(batch):
      try:
        self._evaluate(point, vectors[i])
      except Exception as error:
        failed |= self._fail([point], error)
    return failed

  def _can_train_at_once(self, batch) -> bool:
    return _label(batch[0]) not in self._trainers and can_train_together(
      _train_configs(batch)
    )

  def _run_one_by_one(self, batch, counts) -> Failures:
    failed = {}
    for point in batch:
      failed |= self._run_batch([point], counts)
    return failed

  def _train(self, batch, counts: pathlib.Path) -> list[WordVectors]:
    """Trains the points of a batch; returns the vectors of each."""
    folders = [self._new_folder(point, counts) for point in batch]
    start = time.perf_counter()
    if trainer := self._trainers.get(_label(batch[0])):
      vectors = [_train_otherwise(trainer, batch[0], counts, folders[0])]
    else:
      known = vocab.read_vocab(counts / "vocab.txt")
      words = known.words
      given = starting.read(batch[0].config.train, words, self.say)
      trained = _train_params(
        batch, counts / "counts", folders, given, self.say
      )
      vectors = [
        artifacts.make_vectors(
          words, params, point.config.vectors, known.counts
        )
        for point, params in zip(batch, trained, strict=True)
      ]
    seconds = (time.perf_counter() - start) / len(batch)
    for folder in folders:
      _write_training(folder, counts / "counts", seconds, len(batch))
    if self._keep_tables and not trainer:
      for folder, params in zip(folders, trained, strict=True):
        formats.write_tables(folder / "tables.npz", params, words)
    return vectors

  def _new_folder(self, point: Point, counts: pathlib.Path) -> pathlib.Path:
    folder = point_folder(self.workdir, point)
    folder.mkdir(parents=True, exist_ok=True)
    clear_error(folder)
    atomic.write_json(folder / "source.json", _source(point, counts))
    artifacts.write_config(point.config, folder)
    return folder

  def _evaluate(self, point: Point, vectors: WordVectors) -> None:
    """Evaluates a point, and removes the checkpoints of its training."""
    folder = point_folder(self.workdir, point)
    results, answers = scores.evaluate_point(
      vectors, point.config.evaluate, self._evaluator, point.varied
    )
    atomic.remove(folder / "checkpoints")
    scores.write_answers(answers, folder / ANSWERS)
    atomic.write_json(folder / "evaluation.json", results)
    write_checksums(folder)
    self.say(f"  {scores.describe(results)}")

  def _fail(self, points: Sequence[Point], error: Exception) -> Failures:
    failed = {}
    for point in points:
      why = write_error(point_folder(self.workdir, point), error)
      self.say(f"  failed: {grid.describe(point.varied)}: {why}")
      failed[point.name] = why
    return failed


def num_together(config: SweepConfig) -> int:
  """How many points train at once: as configured, or by device."""
  on_cpu = jax.default_backend() == "cpu"
  return config.together or (1 if on_cpu else _TOGETHER_ON_ACCELERATORS)


def by_counts(points: Sequence[Point]) -> list[list[Point]]:
  """Groups the points that share their counts, in order of appearance."""
  groups = {}
  for point in points:
    key = atomic.fingerprint(grid.counts_settings(point.config))
    groups.setdefault(key, []).append(point)
  return list(groups.values())


def batches(points: Sequence[Point], together: int) -> list[list[Point]]:
  """Splits points that share counts into batches that train at once.

  The points of a batch differ only in `TOGETHER`, and not in the seed: they
  visit the counts in one order, which is that of each of them alone.

  Args:
    points: points with the same counts.
    together: the largest batch.
  """
  groups = {}
  for point in points:
    settings = dataclasses.asdict(point.config.train.resolved)
    for name in set(TOGETHER) - {"seed"}:
      del settings[name]
    key = atomic.fingerprint(settings | {"label": _label(point)})
    groups.setdefault(key, []).append(point)
  return [
    group[start : start + together]
    for group in groups.values()
    for start in range(0, len(group), together)
  ]


def _source(point: Point, counts: pathlib.Path) -> dict:
  """Fingerprints of what a point is trained and evaluated on."""
  read = Fingerprints().of
  questions = evaluate.question_files(point.config.evaluate)
  start = starting.files(point.config.train)
  return {
    "counts": read(counts / "counts" / "manifest.json"),
    "vocab": read(counts / "vocab.txt"),
    "questions": [read(path) for path in questions],
  } | ({"start": [read(path) for path in start]} if start else {})


def _train_params(
  batch, counts: pathlib.Path, folders, start: Start | None, say
) -> list[Params]:
  """Trains the points of a batch on a folder of counts."""
  if len(batch) == 1:
    config, folder = batch[0].config.train, folders[0]
    return [pipeline.train(counts, config, folder, say=say, start=start)]
  writers = [metrics.MetricsWriter(f / "metrics.jsonl") for f in folders]

  def on_epoch(line):
    for writer, cost in zip(writers, line["cost"], strict=True):
      writer.write(
        step=line["step"],
        epoch=line["epoch"],
        cost=float(cost),
        seconds=line["seconds"] / len(writers),  # shared equally
      )

  data = triplets.read_triplets(counts)
  return train_together(data, _train_configs(batch), on_epoch=on_epoch)


def _train_configs(batch) -> list[configs.TrainConfig]:
  return [point.config.train for point in batch]


def _train_otherwise(trainer: Trainer, point, counts, folder) -> WordVectors:
  writer = metrics.MetricsWriter(folder / "metrics.jsonl")
  return trainer(point, counts, folder, lambda line: writer.write(**line))


def _write_training(folder, counts, seconds: float, together: int) -> None:
  """Writes the size of the training data and the time, start included."""
  facts = column_files.read_manifest(counts)
  record = {
    "vocab_size": facts["vocab_size"],
    "num_counts": facts["size"],
    "wall_seconds": seconds,
    "together": together,
  }
  atomic.write_json(folder / "training.json", record)


def _label(point: Point) -> str | None:
  return point.varied.get(grid.LABEL)
