"""A run's work directory: settings, vectors and results."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glove_jax import atomic, effects, lazy, metrics
from glove_jax import config as configs
from glove_jax.config import Config, VectorsConfig, all_settings
from glove_jax.counts import triplets
from glove_jax.text import vocab
from glove_jax.text.symbols import UNK
from glove_jax.threads import default_threads
from glove_jax.workdir import provenance, stages
from glove_jax.workdir.lock import lock

if TYPE_CHECKING:
  from glove_jax.model import Params
  from glove_jax.vectors.standard_errors import StandardErrors
  from glove_jax.vectors.word_vectors import WordVectors

# What counting does not need.
jax = lazy.module("jax")
evaluate = lazy.module("glove_jax.vectors.evaluate")
formats = lazy.module("glove_jax.vectors.formats")
standard_errors = lazy.module("glove_jax.vectors.standard_errors")
tables = lazy.module("glove_jax.vectors.tables")
word_vectors = lazy.module("glove_jax.vectors.word_vectors")

_TABLES = "tables.npz"
_SHOWN = ("king", "city", "music", "war", "water")  # in a run's summary


def write_config(
  config: Config, workdir: pathlib.Path, stage: str | None = None
) -> None:
  """Writes config.json: settings, versions, the commit, devices and CPUs.

  Args:
    config: the settings.
    workdir: the folder.
    stage: the stage that runs. The settings of later stages stay as they are in
      the file, so that it always describes what is in the folder.
  """
  settings, path = all_settings(config), workdir / "config.json"
  names, devices = list(stages.STAGES), []
  if stage and path.exists():
    old = _read_config(path)
    devices = atomic.read_json(path).get("devices", [])
    for later in names[names.index(stage) + 1 :]:
      for field in dataclasses.fields(
        getattr(config, stages.STAGES[later].part)
      ):
        settings[field.name] = old.get(field.name, settings[field.name])
  if stage not in names[: names.index("train")]:
    devices = [str(device) for device in jax.devices()]
  record = {
    "settings": settings,
    "fingerprint": atomic.fingerprint(settings),  # shows damage
    "versions": provenance.versions(),
    "commit": provenance.commit(),
    "devices": devices,  # of the training, [] before it
    "cpus": default_threads(),  # on which the last bits depend
  }
  atomic.write_json(path, record)


def read_settings(workdir: str | os.PathLike) -> dict:
  """The settings of the run in a work directory, by name.

  Raises:
    FileNotFoundError: there is no run in the folder.
    ValueError: its config.json is damaged.
  """
  path = pathlib.Path(workdir, "config.json")
  if not path.exists():
    raise FileNotFoundError(
      f"There is no run in {workdir}: train one there with workdir={workdir}, "
      "or name the folder of one."
    )
  return _read_config(path)


def _read_config(path: pathlib.Path) -> dict:
  """The settings in a config.json, all of which are valid."""
  record = atomic.read_json(path)
  try:
    settings = dict(record["settings"])
    configs.make_config(**settings)
    if record.get("fingerprint", atomic.fingerprint(settings)) != (
      atomic.fingerprint(settings)
    ):
      raise ValueError("its settings are not as they were written")
  except (TypeError, KeyError, ValueError) as error:
    raise atomic.damaged(path, error) from error
  return settings


def make_vectors(
  words: Sequence[str],
  params: "Params",
  config: VectorsConfig,
  counts: Sequence[int] | np.ndarray | None = None,
) -> "WordVectors":
  """Combines trained tables into vectors.

  Args:
    words: V words.
    params: the four tables; their word and context tables are [V, D].
    config: how the tables are combined, and whether there is an <unk>.
    counts: [V], how often each word occurs, if known.

  Raises:
    ValueError: the config is not a `VectorsConfig`.
  """
  configs.check_type(config, VectorsConfig)
  config = config.resolved
  word, context = map(tables.floating, (params.word, params.context))
  table = tables.combine(word, context, config.vectors, config.context_weight)
  vectors = word_vectors.WordVectors(words, table, counts)
  return word_vectors.with_unk(vectors) if config.unk else vectors


def read_vectors(
  workdir: str | os.PathLike, config: VectorsConfig
) -> "WordVectors":
  """The vectors of a trained run, combined as the config says.

  Raises:
    FileNotFoundError: the run has not finished training.
  """
  params, words = formats.read_tables(tables_path(workdir))
  return run_vectors(workdir, words, params, config)


def load(
  path: str | os.PathLike,
  *,
  limit: int | None = None,
  skip_bad_lines: bool = False,
  **settings,
) -> "WordVectors":
  """Reads the vectors of a file or of a trained run.

  Args:
    path: a file, see `formats.load_vectors`, or the work directory of a run.
    limit: the most vectors to read, from the most frequent word on.
    skip_bad_lines: leaves out malformed lines of text, with a warning.
    **settings: `vectors`, `context_weight` and `unk`, if not as in the run.

  Raises:
    FileNotFoundError: there is no such file, or the run is not trained.
    ValueError: the file is malformed, or a setting does not fit it.
  """
  if limit is not None and limit < 1:
    raise ValueError(f"limit must be at least 1, got {limit}.")
  given = dataclasses.asdict(configs.make_part(VectorsConfig, settings))
  given = {name: given[name] for name in settings}
  if not stages.is_workdir(folder := pathlib.Path(path).expanduser()):
    unk = given.pop("unk", False)
    how = given.pop("vectors", None)
    vectors = formats.load_vectors(
      path, how, limit=limit, skip_bad_lines=skip_bad_lines, **given
    )
    return word_vectors.with_unk(vectors) if unk else vectors
  tables_path(folder)  # says so if the run is not trained
  config = configs.make_config(**read_settings(folder) | given).vectors
  effects.check([configs.settings(config)], given)
  vectors = read_vectors(folder, config)
  return vectors if limit is None else vectors.first(limit)


def run_vectors(
  workdir: str | os.PathLike,
  words: Sequence[str],
  params: "Params",
  config: VectorsConfig,
) -> "WordVectors":
  """As `make_vectors`, with counts of the words and standard errors.

  Args:
    workdir: the work directory of the run.
    words, params, config: as for `make_vectors`.
  """
  vectors = with_counts(make_vectors(words, params, config), workdir)
  # The tables are read again for these, so vectors do not keep them in memory.
  written = pathlib.Path(workdir, _TABLES).stat().st_mtime_ns
  vectors.errors = standard_errors.Once(
    functools.partial(_read_errors, workdir, config, written)
  )
  return vectors


def _read_errors(workdir, config, written: int) -> "StandardErrors":
  """The standard errors of a run; FileNotFoundError without its counts."""
  path = tables_path(workdir)
  if path.stat().st_mtime_ns != written:
    raise ValueError(
      f"The run in {workdir} has trained again since these vectors were read, "
      "so their standard errors are not known: read them again."
    )
  params, words = formats.read_tables(path)
  counts, settings = read_counts(workdir), read_settings(workdir)
  return make_errors(words, params, counts, settings, config)


def make_errors(
  words: Sequence[str],
  params: "Params",
  counts: triplets.Triplets,
  settings: Mapping,
  config: VectorsConfig,
) -> "StandardErrors":
  """The standard errors of vectors.

  Args:
    words: V words.
    params: the four tables that were fitted to the counts.
    counts: X.
    settings: of the run: x_max, alpha, context and those of `missing`.
    config: how the tables were combined.
  """
  config, missing = config.resolved, settings.get("missing") or 0.0
  has_core = missing and settings["engine"] == "blocked"
  objective = standard_errors.Objective(
    settings["x_max"],
    settings["alpha"],
    config.vectors,
    symmetric=settings["context"] == "symmetric",
    context_weight=config.context_weight,
    missing=missing,
    missing_count=settings["missing_count"] if missing else 1.0,
    core=settings["core"] if has_core else 0,
  )
  return standard_errors.StandardErrors(words, params, counts, objective)


def tables_path(workdir: str | os.PathLike) -> pathlib.Path:
  path = pathlib.Path(workdir, _TABLES)
  if not path.exists() and (path.parent / "training.json").exists():
    raise FileNotFoundError(
      f"The sweep of {workdir} has not kept the tables of this point: train "
      "its settings in a workdir of their own."
    )
  if not path.exists() or not stages.is_valid(workdir, "train"):
    raise FileNotFoundError(
      f"There are no trained tables in {workdir}: finish the training with "
      f"workdir={workdir} first."
    )
  return path


def write_results(results: dict, workdir: str | os.PathLike) -> None:
  """Replaces the evaluation.json of a run.

  The run itself writes its own results again when it is next started.

  Raises:
    OSError: another process works in the folder, or it cannot be written to.
  """
  workdir = pathlib.Path(workdir)
  with lock(workdir):
    stages.invalidate(workdir, "evaluate")
    atomic.write_json(workdir / "evaluation.json", results)


def summary(
  workdir: str | os.PathLike, vectors: "WordVectors", results: dict
) -> str:
  """The outcome of a run as text: cost, some neighbours, the evaluation.

  Args:
    workdir: the work directory; its metrics.jsonl has the cost.
    vectors: of the run.
    results: of the evaluation.
  """
  lines, path = [], pathlib.Path(workdir, "metrics.jsonl")
  if not stages.is_as_written(workdir, "train", path.name):
    lines.append(f"{path} is not as it was written: no costs are shown.")
  elif history := metrics.read_metrics(path):
    first, final = history[0], history[-1]
    lines.append(
      f"cost per count: {first['cost']:.5f} in pass {first['epoch']}, "
      f"{final['cost']:.5f} in pass {final['epoch']}"
    )
  lines.append("nearest neighbours:")
  # For a language without these words: words of middling frequency.
  ranks = np.geomspace(200, 2000, len(_SHOWN)).astype(int)
  others = [vectors.words[rank] for rank in ranks[ranks < len(vectors)]]
  for word in [word for word in _SHOWN if word in vectors] or others:
    near = ", ".join(other for other, _ in vectors.neighbors(word, k=6))
    lines.append(f"  {word}: {near}")
  return "\n".join([*lines, evaluate.format_table(results)])


def read_counts(workdir: str | os.PathLike) -> triplets.Triplets:
  """The counts of a run, if they are undamaged and of its vocabulary.

  They are compared with their checksums, about a GB a second.

  Raises:
    FileNotFoundError: the run has not finished counting.
    ValueError: the counts are damaged, or of another vocabulary.
  """
  folder = pathlib.Path(workdir, "counts")
  triplets.verify_triplets(folder)
  counts = triplets.read_triplets(folder)
  words = vocab.read_vocab(pathlib.Path(workdir, "vocab.txt"))
  triplets.check_vocab(folder, vocab.fingerprint(words))
  return counts


def with_counts(vectors: "WordVectors", workdir) -> "WordVectors":
  """The vectors with how often each word occurs, if vocab.txt is theirs."""
  path = pathlib.Path(workdir, "vocab.txt")
  if not path.exists():
    return vectors
  found = vocab.read_vocab(path)
  counts = dict(zip(found.words, found.counts.tolist(), strict=True))
  if not {*vectors.words} <= counts.keys() | {UNK}:
    return vectors
  return word_vectors.WordVectors(
    vectors.words, vectors.vectors, [counts.get(w, 0) for w in vectors.words]
  )
