"""How long a sweep will take: training only, and what that is based on."""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from glove_jax import config as configs
from glove_jax import metrics
from glove_jax.counts import cooccur, triplets
from glove_jax.sweeps import runner
from glove_jax.sweeps.grid import Point
from glove_jax.text import reading, vocab
from glove_jax.training import loop
from glove_jax.workdir import pipeline

_PROBE_BYTES = 1 << 21  # of the corpus


class Rate(NamedTuple):
  """What training was seen to cost."""

  start: float  # seconds before each point trains at full speed
  seconds: float  # for each unit of `work`
  counts_per_byte: float  # of text
  source: str  # what was looked at


def format_plan(points: Sequence[Point], workdir: pathlib.Path, together: int):
  """The plan of a sweep and an estimate of its time, as text.

  Makes nothing in the work directory.
  """
  groups = runner.by_counts(points)
  lines = [f"{len(points)} points on {len(groups)} sets of counts"]
  for group in groups:
    folder = runner.counts_folder(workdir, group[0].config)
    there = "there" if read_counts(folder) else "to be made"
    lines.append(f"counts {folder.name} ({there}):")
    for batch in runner.batches(group, together):
      names = [p.name + " (done)" * runner.is_done(workdir, p) for p in batch]
      lines.append("  " + "\n  + ".join(names))
  todo = [p for p in points if not runner.is_done(workdir, p)]
  if todo:
    lines.append(format_estimate(todo, points, workdir))
  return "\n".join(lines)


def format_estimate(todo, points, workdir: pathlib.Path) -> str:
  """About how long the training of what is not done will take."""
  rate = rate_of_done(points, workdir) or probe(todo[0].config)
  seconds = 0.0
  for point in todo:
    counts = read_counts(runner.counts_folder(workdir, point.config))
    number = (
      len(counts.row)
      if counts
      else rate.counts_per_byte * corpus_bytes(point.config)
    )
    seconds += rate.start + rate.seconds * work(point.config, number)
  return (
    f"Training {len(todo)} points takes about {_duration(seconds)} one after "
    f"another, by {rate.source}; counting and evaluation come on top."
  )


def work(config: configs.Config, num_counts: float) -> float:
  """What the time of training grows with: counts x passes x dimensions."""
  return num_counts * loop.num_epochs(config.train) * config.train.dim


def rate_of_done(points, workdir: pathlib.Path) -> Rate | None:
  """From the points that are done; None where none is."""
  seconds = amount = number = size = seen = 0.0
  for point in points:
    counts = read_counts(runner.counts_folder(workdir, point.config))
    if counts is None or not runner.is_done(workdir, point):
      continue
    path = runner.point_folder(workdir, point) / "metrics.jsonl"
    seconds += sum(line["seconds"] for line in metrics.read_metrics(path))
    amount += work(point.config, len(counts.row))
    seen += len(counts.row)
    size += corpus_bytes(point.config)
    number += 1
  if not amount:
    return None
  source = f"the {number:.0f} points that are done"
  return Rate(0.0, seconds / amount, seen / size, source)


def probe(config: configs.Config) -> Rate:
  """Counts the first 2 MB of the corpus, and trains on them for two passes."""
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    paths = pipeline.corpus_paths(config.corpus, pathlib.Path(folder))
    documents, size = _head(paths, config)
  words = vocab.make_vocab(vocab.count_words(documents), min_count=2)
  ids = vocab.encode(documents, words)
  counts = triplets.from_counts(
    cooccur.count(ids, len(words), window=config.count.window)
  )
  settings = dataclasses.replace(config.train, growth=(), epochs=2)
  lines = []
  loop.train(counts, settings, on_epoch=lines.append)
  first, second = (line["seconds"] for line in lines)
  return Rate(
    max(0.0, first - second),  # the first pass compiles
    second / (len(counts.row) * config.train.dim),
    len(counts.row) / size,
    f"a probe of the first {size / 1e6:.1f} MB of the corpus",
  )


def _head(paths, config) -> tuple[list[list[str]], int]:
  """The first documents of the corpus, and about how many bytes they are."""
  documents, size = [], 0
  for document in reading.read_documents(
    paths,
    tokenizer=config.corpus.tokenizer,
    lowercase=config.corpus.lowercase,
    documents=config.corpus.documents,
  ):
    documents.append(document)
    size += sum(len(word.encode(errors="replace")) + 1 for word in document)
    if size >= _PROBE_BYTES:
      break
  return documents, max(1, size)


def corpus_bytes(config: configs.Config) -> float:
  """The size of the part of the corpus that a config uses."""
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    paths = pipeline.corpus_paths(config.corpus, pathlib.Path(folder))
  return config.corpus.share * sum(os.path.getsize(path) for path in paths)


def read_counts(folder: pathlib.Path) -> triplets.Triplets | None:
  """The counts of a work directory; None where they are not made."""
  try:
    return triplets.read_triplets(folder / "counts")
  except FileNotFoundError:
    return None


def _duration(seconds: float) -> str:
  minutes = seconds / 60
  if seconds < 90:
    return f"{seconds:.0f} s"
  return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
