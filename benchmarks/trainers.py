"""Sides of ours and of gensim: their settings, and training them.

Each trains in a process of its own, on one file of tokens, and leaves a folder
with its vectors and a record of what it used.
"""

import dataclasses
import os
import pathlib
import shlex
import tempfile
import time
from collections.abc import Collection, Sequence

import numpy as np

# A side is charged for what it imports, so that only what all sides need is
# imported here; the processes of the sides import this file too.
from benchmarks import processes
from glove_jax import atomic, config, presets, settings
from glove_jax.settings import Part, setting
from glove_jax.vectors.word_vectors import WordVectors

OURS = ("ours", "glove")
GENSIM = {  # the class and the settings of each side
  "cbow": ("Word2Vec", {"sg": 0}),
  "sgns": ("Word2Vec", {"sg": 1}),
  "fasttext": ("FastText", {"sg": 0}),
  "fasttext_sg": ("FastText", {"sg": 1}),
}


@dataclasses.dataclass(frozen=True)
class Shared(Part):
  """The flags that benchmarks of these sides share."""

  corpus: tuple[str, ...] = setting(
    (), "the text: files, folders, globs or named corpora, comma-separated"
  )
  documents: str = setting(
    "blank_line", "what separates documents", choices=config.DOCUMENTS
  )
  ours: str = setting("", 'flags of run.py for ours: "--missing=0.1"')
  dim: int = setting(100, "D, the dimensions of all sides", low=1)
  min_count: int = setting(5, "drop words rarer than this, on all sides", low=1)
  sets: str = setting("", "a folder of further evaluation sets")
  workdir: str = setting("", "keep vectors and results here")


def check(options: Shared, side: str, fixed: Collection[str] = ()) -> None:
  """Checks the flags of run.py for a side of ours, such as --ours.

  Args:
    options: the flags of the benchmark.
    side: one of `OURS`.
    fixed: settings that all sides share, beside those of the text, the
      vocabulary, the evaluation and `dim`.

  Raises:
    SystemExit: a flag that does not exist, or that changes what is shared.
  """
  parts = (config.CorpusConfig, config.VocabConfig, config.EvaluateConfig)
  shared = {f.name for part in parts for f in dataclasses.fields(part)}
  try:
    config.make_config(**our_settings(side, options))
    changed = parse_settings(getattr(options, side)).keys()
  except ValueError as error:
    raise SystemExit(f"--{side}: {error}") from error
  if names := changed & {*shared, "dim", *fixed}:
    raise SystemExit(
      f"--{side} changes {', '.join(sorted(names))}, which all sides share."
    )


def our_settings(side: str, options: Shared) -> dict:
  """The settings of `make_config` for a side of ours, but for the text."""
  values = {"dim": options.dim, "min_count": options.min_count}
  if side == "glove":
    values |= presets.PRESETS["glove"]
  return values | parse_settings(getattr(options, side))


def our_values(tokens: pathlib.Path) -> dict:
  """The settings with which we read exactly the tokens of the file."""
  return {
    "corpus": str(tokens), "documents": "line", "tokenizer": "whitespace",
    "lowercase": False,
  }  # fmt: skip


def parse_settings(text: str) -> dict:
  """Reads flags of run.py, --preset among them, as settings by name.

  >>> parse_settings("--x_max=30 --growth=8192:8,16384:2 --unk")
  {'x_max': 30.0, 'growth': ('8192:8', '16384:2'), 'unk': True}

  Raises:
    ValueError: an unknown flag, or a value of another type.
  """
  kinds = {field.name: settings.kind(field) for field in config.fields()}
  values = {}
  for part in shlex.split(text):
    name, equals, value = part.removeprefix("--").partition("=")
    if not equals:
      is_on = kinds.get(name) is bool
      values[name if is_on else name.removeprefix("no")] = is_on
    elif kinds.get(name) is tuple:
      values[name] = tuple(filter(None, value.split(",")))
    elif kinds.get(name) in (int, float):
      values[name] = kinds[name](value)
    else:
      values[name] = value
  preset = values.pop("preset", None)
  if preset and preset not in presets.PRESETS:
    raise ValueError(f"There is no preset {preset!r}.")
  return presets.PRESETS.get(preset, {}) | values


def train(
  side: str, values: dict, tokens: pathlib.Path, output: pathlib.Path
) -> tuple[dict, WordVectors]:
  """Trains one side in a new process.

  Args:
    side: one of `OURS` or `GENSIM`.
    values: its settings.
    tokens: the file of tokens, one document on each line.
    output: a folder for its vectors and its record.

  Returns:
    As `read`.
  """
  output.mkdir(parents=True, exist_ok=True)
  function = train_gensim if side in GENSIM else train_ours
  processes.apart(function, tokens, side, values, output)
  return read(output)


def read(output: pathlib.Path) -> tuple[dict, WordVectors]:
  """The record and the vectors that a side left in a folder.

  The record has 'seconds', 'training_seconds', 'peak_gb', and the 'load' of the
  machine at the end.
  """
  words = (output / "words.txt").read_text().split("\n")
  vectors = WordVectors(words, np.load(output / "vectors.npy"))
  return atomic.read_json(output / "record.json"), vectors


def train_ours(
  tokens: pathlib.Path, side: str, values: dict, output: pathlib.Path
) -> None:
  """Runs the pipeline up to its vectors, in this process."""
  started = time.perf_counter()
  from glove_jax.workdir import artifacts, pipeline

  made = config.make_config(**our_values(tokens) | values)
  with tempfile.TemporaryDirectory(dir=output) as scratch:
    run = pipeline.Pipeline(made, scratch, lambda line: print(f"  {line}"))
    words, _ = run.count()
    before = time.perf_counter()
    params = pipeline.train(
      run.workdir / "counts", made.train, scratch, show_epoch
    )
    training = time.perf_counter() - before
    vectors = artifacts.make_vectors(words.words, params, made.vectors)
    seconds = time.perf_counter() - started
  write_side(output, vectors.words, vectors.vectors, seconds, training)


def show_epoch(line: dict) -> None:
  print(f"  pass {line['epoch']:3d}  {line['seconds']:.1f} s", flush=True)


def train_gensim(
  tokens: pathlib.Path, side: str, values: dict, output: pathlib.Path
) -> None:
  """Trains a model of gensim, in this process."""
  started = time.perf_counter()
  from gensim import models

  values = {k: v for k, v in values.items() if k not in ("class", "version")}
  model = getattr(models, GENSIM[side][0])(**values)
  model.build_vocab(corpus_file=str(tokens))
  before = time.perf_counter()
  model.train(
    corpus_file=str(tokens),
    total_examples=model.corpus_count,
    total_words=model.corpus_total_words,
    epochs=model.epochs,
  )
  now = time.perf_counter()
  write_side(
    output,
    model.wv.index_to_key,
    model.wv.vectors,
    now - started,
    now - before,
  )


def write_side(
  output: pathlib.Path,
  words: Sequence[str],
  table: np.ndarray,
  seconds: float,
  training: float,
) -> None:
  """Writes vectors [V, D] and, last, the record of this process."""
  record = {"seconds": seconds, "training_seconds": training}
  record |= {"peak_gb": processes.high_water(), "load": os.getloadavg()[0]}
  np.save(output / "vectors.npy", table)
  atomic.write_text(output / "words.txt", "\n".join(words))
  atomic.write_json(output / "record.json", record)
