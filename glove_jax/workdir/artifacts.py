"""A run's work directory: settings, vectors and results, and their export."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import pathlib
import platform
import shutil

import jax
import numpy as np

from glove_jax import atomic, metrics
from glove_jax.config import Config
from glove_jax.counts import stanford, triplets
from glove_jax.vectors import evaluate, formats, word_vectors
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import stages

_SHOWN = ("king", "city", "music", "war", "water")  # in a run's summary


def write_config(config: Config, workdir: pathlib.Path) -> None:
  """Writes config.json: every setting, the versions and the devices."""
  record = {
    "settings": {
      name: value
      for part in dataclasses.asdict(config).values()
      for name, value in part.items()
    },
    "versions": versions(),
    "devices": [str(device) for device in jax.devices()],
  }
  atomic.write_json(workdir / "config.json", record)


def versions() -> dict[str, str]:
  """Of Python and of the packages that are installed of those in use."""
  found = {"python": platform.python_version()}
  for name in ("jax", "jaxlib", "optax", "numpy", "scipy", "gensim"):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found


def read_settings(workdir: str | os.PathLike) -> dict:
  """The settings of the run in a work directory, by field.

  Raises:
    FileNotFoundError: there is no run in the folder.
  """
  path = pathlib.Path(workdir, "config.json")
  if not path.exists():
    raise FileNotFoundError(
      f"There is no run in {workdir}: train one there with "
      f"--workdir={workdir}, or name the folder of one."
    )
  return atomic.read_json(path)["settings"]


def read_vectors(workdir: str | os.PathLike, config: Config) -> WordVectors:
  """The vectors of a trained run, combined as the config says.

  Raises:
    FileNotFoundError: the run has not been trained to its end.
  """
  path = pathlib.Path(workdir, "tables.npz")
  if not path.exists():
    raise FileNotFoundError(
      f"There are no trained tables in {workdir}: run the training to its "
      f"end with --workdir={workdir} first."
    )
  tables, words = formats.read_tables(path)
  array = word_vectors.combine(
    tables.word, tables.context, config.vectors.vectors
  )
  made = WordVectors(words, array)
  return word_vectors.with_unk(made) if config.vectors.unk else made


def write_results(results: dict, workdir: str | os.PathLike) -> None:
  """Writes evaluation.json in the place of what the run itself wrote."""
  workdir = pathlib.Path(workdir)
  # The run itself, given again, is to write its own again.
  stages.forget("evaluate", workdir / "stages.json")
  atomic.write_json(workdir / "evaluation.json", results)


def summary(
  workdir: str | os.PathLike, config: Config, results: dict, k: int = 6
) -> str:
  """What a run came to: the cost, a few words' neighbours, the evaluation."""
  lines = []
  history = metrics.read_metrics(pathlib.Path(workdir, "metrics.jsonl"))
  if history:
    first, final = history[0], history[-1]
    lines.append(
      f"cost per count: {first['cost']:.5f} in epoch {first['epoch']}, "
      f"{final['cost']:.5f} in epoch {final['epoch']}"
    )
  made = read_vectors(workdir, config)
  lines.append("nearest neighbours:")
  # In another language, words of middling frequency instead.
  ranks = np.geomspace(200, 2000, len(_SHOWN)).astype(int)
  others = [made.words[rank] for rank in ranks[ranks < len(made)]]
  for word in [word for word in _SHOWN if word in made] or others:
    near = ", ".join(other for other, _ in made.neighbors(word, k))
    lines.append(f"  {word}: {near}")
  return "\n".join([*lines, evaluate.format_table(results)])


def export(
  workdir: str | os.PathLike, config: Config, form: str, output: str
) -> None:
  """Writes a run's counts or vectors to a file in another program's format.

  Args:
    workdir: the run.
    config: how vectors are combined.
    form: 'stanford_records' or 'stanford_shuffled' (counts), 'stanford_text',
      'word2vec', 'word2vec_binary', or 'npz' (all four tables).
    output: the file.
  """
  writers = {
    "stanford_records": stanford.write_records,
    "stanford_shuffled": functools.partial(
      stanford.write_shuffled_records, seed=config.train.seed
    ),
  }
  if form in writers:
    counts = triplets.read_triplets(pathlib.Path(workdir, "counts"))
    writers[form](counts, output)
    return
  made = read_vectors(workdir, config)
  if form == "npz":
    shutil.copyfile(pathlib.Path(workdir, "tables.npz"), output)
    return
  writers = {
    "stanford_text": formats.write_stanford_text,
    "word2vec": formats.write_word2vec_text,
    "word2vec_binary": formats.write_word2vec_binary,
  }
  writers[form](made, output)
