"""Runs the points of a sweep in a work directory.

    counts/<hash>/        a vocabulary and its counts, shared by many points
    points/<name>/        config.json, metrics.jsonl, training.json, and last
                          evaluation.json: a point that has it is done

A sweep that was stopped goes on with what is not done, a point whose training
had begun from its last checkpoint. A point that fails leaves error.txt, stops
no other, and is tried again the next time.
"""

import dataclasses
import pathlib
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import atomic, metrics, model
from glove_jax import config as configs
from glove_jax.counts import triplets
from glove_jax.sweeps import grid
from glove_jax.sweeps.grid import Point
from glove_jax.text import vocab
from glove_jax.training import loop
from glove_jax.vectors import evaluate, formats, word_vectors
from glove_jax.workdir import artifacts, pipeline

# (point, workdir of its counts, its folder, on_epoch) -> vectors
Trainer = Callable[
  [Point, pathlib.Path, pathlib.Path, Callable[[dict], None]],
  word_vectors.WordVectors,
]


class Options(NamedTuple):
  """How to run a sweep, whatever its points are."""

  together: int = 1  # points trained at once
  keep_tables: bool = False  # whether points keep tables.npz
  trainers: Mapping[str, Trainer] = {}  # by the label of the points
  say: Callable[[str], None] = print


def counts_folder(workdir: pathlib.Path, config: configs.Config):
  """Where the counts of this config are: a work directory of their own."""
  name = grid.fingerprint(grid.counts_settings(config))
  return pathlib.Path(workdir, "counts", name)


def point_folder(workdir: pathlib.Path, point: Point) -> pathlib.Path:
  return pathlib.Path(workdir, "points", point.name)


def is_done(workdir: pathlib.Path, point: Point) -> bool:
  return (point_folder(workdir, point) / "evaluation.json").exists()


def by_counts(points: Sequence[Point]) -> list[list[Point]]:
  """The points in groups that share their counts, in order of appearance."""
  groups = {}
  for point in points:
    key = grid.fingerprint(grid.counts_settings(point.config))
    groups.setdefault(key, []).append(point)
  return list(groups.values())


def batches(points: Sequence[Point], together: int) -> list[list[Point]]:
  """Cuts points that share counts into those that train at once.

  Points train together where they differ in nothing but `train.TOGETHER`; at
  most `together` of them, and those of one seed before those of the next: what
  trains together visits the counts in the order of the first one's seed.
  """
  groups = {}
  for point in sorted(points, key=lambda point: point.config.train.seed):
    settings = dataclasses.asdict(point.config.train)
    for name in loop.TOGETHER:
      del settings[name]
    key = grid.fingerprint(settings | {"label": _label(point)})
    groups.setdefault(key, []).append(point)
  return [
    group[start : start + together]
    for group in groups.values()
    for start in range(0, len(group), together)
  ]


def run(
  points: Sequence[Point], workdir: pathlib.Path, options: Options
) -> dict[str, str]:
  """Runs the points that are not done.

  Returns:
    What went wrong, a sentence for the name of each point that failed.
  """
  todo = [point for point in points if not is_done(workdir, point)]
  options.say(f"{len(points) - len(todo)} of {len(points)} points are done.")
  failed, number = {}, len(points) - len(todo)
  for group in by_counts(todo):
    try:
      folder = make_counts(group[0].config, workdir, options.say)
    except Exception as error:
      failed |= _fail(group, workdir, error)
      continue
    for batch in batches(group, options.together):
      number += len(batch)
      names = "; ".join(grid.describe(point.varied) for point in batch)
      options.say(f"[{number}/{len(points)}] {names}")
      failed |= run_batch(batch, folder, workdir, options)
  return failed


def make_counts(
  config: configs.Config, workdir: pathlib.Path, say
) -> pathlib.Path:
  """Counts the corpus of a config, where that is not yet done."""
  if "-" in config.corpus.corpus:
    raise ValueError("A sweep cannot read standard input: name a file.")
  folder = counts_folder(workdir, config)
  pipeline.Pipeline(config, folder, say).run_counts()
  return folder


def run_batch(
  batch: Sequence[Point],
  counts: pathlib.Path,
  workdir: pathlib.Path,
  options: Options,
) -> dict[str, str]:
  """Trains and evaluates points on the counts in a folder, all at once.

  One after another where they cannot be, or memory does not suffice.
  """
  several = len(batch) > 1
  if several and not _can_train_at_once(batch, options):
    return _one_by_one(batch, counts, workdir, options)
  try:
    trained = _train(batch, counts, workdir, options)
  except Exception as error:
    if several and "RESOURCE_EXHAUSTED" in str(error):
      options.say("Too little memory for these at once: one after another.")
      return _one_by_one(batch, counts, workdir, options)
    return _fail(batch, workdir, error)
  failed = {}
  for point, made in zip(batch, trained, strict=True):
    try:
      _finish(point, made, point_folder(workdir, point), options)
    except Exception as error:
      failed |= _fail([point], workdir, error)
  return failed


def _can_train_at_once(batch, options) -> bool:
  other = _label(batch[0]) in options.trainers
  return not other and loop.can_train_together(_train_configs(batch))


def _one_by_one(batch, counts, workdir, options) -> dict[str, str]:
  failed = {}
  for point in batch:
    failed |= run_batch([point], counts, workdir, options)
  return failed


def _train(batch, counts, workdir, options) -> list[word_vectors.WordVectors]:
  """The vectors of each point."""
  folders = [point_folder(workdir, point) for point in batch]
  for point, folder in zip(batch, folders, strict=True):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    artifacts.write_config(point.config, folder)
  data = triplets.read_triplets(counts / "counts")
  start = time.perf_counter()
  if trainer := options.trainers.get(_label(batch[0])):
    (point,), (folder,) = batch, folders
    made = [_train_otherwise(trainer, point, counts, folder)]
  else:
    params = _train_params(batch, folders, counts / "counts")
    words = vocab.read_vocab(counts / "vocab.txt").words
    made = [
      _make_vectors(point, tables, words)
      for point, tables in zip(batch, params, strict=True)
    ]
  seconds = (time.perf_counter() - start) / len(batch)
  for folder in folders:
    _write_training(folder, data, seconds, len(batch))
  if options.keep_tables and not trainer:
    for folder, tables in zip(folders, params, strict=True):
      formats.write_tables(folder / "tables.npz", tables, words)
  return made


def _make_vectors(point, params, words) -> word_vectors.WordVectors:
  word, context = (np.asarray(t, np.float32) for t in params[:2])
  how = point.config.vectors
  made = word_vectors.WordVectors(
    words, word_vectors.combine(word, context, how.vectors)
  )
  return word_vectors.with_unk(made) if how.unk else made


def _train_params(batch, folders, counts) -> list[model.Params]:
  if len(batch) > 1:
    data = triplets.read_triplets(counts)
    return _train_at_once(_train_configs(batch), folders, data)
  return [loop.train_folder(counts, batch[0].config.train, folders[0])]


def _train_configs(batch) -> list[configs.TrainConfig]:
  return [point.config.train for point in batch]


def _train_at_once(configs_, folders, data) -> list[model.Params]:
  """Trains in one program; each point is told its share of the seconds."""
  writers = [metrics.MetricsWriter(f / "metrics.jsonl") for f in folders]

  def on_epoch(line):
    for writer, cost in zip(writers, line["cost"], strict=True):
      writer.write(
        step=line["step"],
        epoch=line["epoch"],
        cost=float(cost),
        seconds=line["seconds"] / len(writers),
      )

  return loop.train_together(data, configs_, on_epoch=on_epoch)


def _train_otherwise(
  trainer, point, counts, folder
) -> word_vectors.WordVectors:
  writer = metrics.MetricsWriter(folder / "metrics.jsonl")
  return trainer(point, counts, folder, lambda line: writer.write(**line))


def _write_training(folder, data, seconds, together) -> None:
  """What there was to train on, and how long it took, the start included."""
  atomic.write_json(
    folder / "training.json",
    {
      "vocab_size": data.vocab_size,
      "num_counts": len(data.row),
      "wall_seconds": seconds,
      "together": together,
    },
  )


def _finish(point, made, folder, options) -> None:
  """Evaluates, and leaves of the folder what reports are made of."""
  results = evaluate.evaluate_vectors(made, point.config.evaluate)
  shutil.rmtree(folder / "checkpoints", ignore_errors=True)
  atomic.write_json(folder / "evaluation.json", results)
  scores = ", ".join(f"{k} {v:.4f}" for k, v in flat_scores(results).items())
  options.say(f"  {scores}")


def flat_scores(results: Mapping) -> dict[str, float]:
  """The score of each set of an evaluation; an analogy set has three.

  A set that asked nothing of these words has none.
  """
  scores = {}
  for name, result in results.items():
    if result["kind"] == "similarity":
      scores[name] = result["spearman"]
      continue
    scores[name] = result["total"]["accuracy"]
    for part in ("semantic", "syntactic"):
      scores[f"{name}_{part}"] = result[part]["accuracy"]
  return {name: score for name, score in scores.items() if score is not None}


def _fail(batch, workdir, error) -> dict[str, str]:
  for point in batch:
    folder = point_folder(workdir, point)
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(traceback.format_exception(error))
    atomic.write_text(folder / "error.txt", text)
  lines = str(error).strip().splitlines()
  sentence = lines[0] if lines else type(error).__name__
  return {point.name: sentence for point in batch}


def _label(point: Point) -> str | None:
  return point.varied.get(grid.LABEL)
