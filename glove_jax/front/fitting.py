"""From text or counts to word vectors, in one call or two.

    vectors = glove_jax.fit("wiki.txt", dim=50, window=8)
    vectors.most_similar("king", topn=5)

`fit` is `count`, then `train`, then `Cooccurrences.vectors`. Every setting of a
run is a keyword of the functions that use it, under the name of its flag.
"""

import dataclasses
import functools
import inspect
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from glove_jax import config as configs
from glove_jax import memory, metrics
from glove_jax.config import Config
from glove_jax.counts import cooccur, out_of_core
from glove_jax.counts.triplets import Triplets
from glove_jax.front.cooccurrences import KIND, Cooccurrences, from_matrix
from glove_jax.front.keywords import (
  configure,
  fields,
  refuse_idle,
  takes,
)
from glove_jax.model import Params
from glove_jax.text import forms, records, vocab
from glove_jax.training import loop
from glove_jax.training.starts import Start
from glove_jax.vectors.standard_errors import Once
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts, inputs, starting
from glove_jax.workdir.pipeline import Pipeline

_FUNCTIONS = {"loss", "cell_loss", "on_step", "on_epoch"}
COUNTING = ("corpus", "vocab", "count")  # the parts that counts depend on
# Settings of how texts are read; lists of words have been read.
_OF_TEXTS = {
  f.name
  for f in dataclasses.fields(configs.CorpusConfig)
  if f.name not in ("corpus", "vocab")
} | {"dask"}
_MAX_WORDS = 1 << 26  # in memory at a time, unless memory_gb is less
# Keywords of training that are no settings, such as loss.
_OBJECTS = {
  name: parameter
  for name, parameter in inspect.signature(loop.train).parameters.items()
  if parameter.kind is parameter.KEYWORD_ONLY
  and name not in ("workdir", "say", "tx")
}


@takes(*COUNTING, "train", "vectors", objects=_OBJECTS.values())
def fit(
  sentences,
  words=None,
  *,
  preset: str = "",
  quiet: bool = False,
  **options,
) -> WordVectors:
  """Trains word vectors, from text or from counts.

  >>> text = [["ice", "is", "cold"], ["steam", "is", "hot"]] * 9
  >>> vectors = fit(text, dim=4, window=2, epochs=2, quiet=True)
  >>> vectors
  WordVectors(5 words, 4 dimensions, float32)

  Args:
    sentences: as for `count`; or counts, from `count`; or a matrix of counts,
      as for `from_matrix`.
    words: the words of a matrix.
    preset: the settings of a published recipe; those given as well win.
    quiet: shows no progress and prints nothing.
    **options: settings of a run, and the objects that `train` takes.

  Returns:
    The vectors, with how often each word occurs if the text was counted. They
    keep the tables and the counts, for `WordVectors.interval`.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: an unknown setting, one out of its range, or text that cannot be
      counted or trained on.
    FloatingPointError: training has diverged.
    MemoryError: there is too little memory for these settings.
  """
  objects, settings = _split(options)
  config = configure(fit, preset, settings)
  refuse_idle(config, settings, objects)
  with metrics.progress_bars(not quiet):
    counts = _counted(sentences, words, config, settings, quiet)
    params = _train(counts, config, objects, quiet)
  vectors = counts.combined(params, config.vectors)
  if not {"loss", "cell_loss"} & objects.keys():
    vectors.errors = Once(functools.partial(
      artifacts.make_errors, counts.vocab.words, params, counts.triplets(),
      configs.all_settings(config) | counts.kind, config.vectors,
    ))  # fmt: skip
  return vectors


def _counted(given, words, config, settings, quiet: bool) -> Cooccurrences:
  """The counts that `fit` was given, or those of the text."""
  is_matrix = _is_matrix(given)
  if not is_matrix and words is not None:
    raise ValueError("words is for a matrix of numbers only: leave it out.")
  if not is_matrix and not isinstance(given, Cooccurrences):
    return _count(given, config, settings, quiet)
  counts = from_matrix(given, words) if is_matrix else given
  counting = {f.name for f in fields(COUNTING)}
  if unused := sorted(settings.keys() & counting):
    raise ValueError(
      f"{unused[0]} is for counting, which is done: leave it out."
    )
  return counts


def _is_matrix(given) -> bool:
  """Whether this is a matrix: of SciPy, an array, a table or rows of numbers.

  >>> _is_matrix([[0, 2], [2, 1]]), _is_matrix([["a", "b"]])
  (True, False)
  """
  if scipy.sparse.issparse(given):
    return True
  if hasattr(given, "columns") and hasattr(given, "dtypes"):  # of pandas
    kinds = {getattr(kind, "kind", "O") for kind in given.dtypes}
    return len(kinds) > 0 and kinds <= set("biuf")
  if isinstance(given, list | tuple) and given:
    given = given[:1]
    is_row = isinstance(given[0], list | tuple | np.ndarray)
    given = np.array(given) if is_row and len(given[0]) else None
  # NumPy's, and arrays of JAX and others; bfloat16 is of another kind.
  is_table = hasattr(given, "__array__") and getattr(given, "ndim", 0) == 2
  return is_table and np.asarray(given[:1]).dtype.kind in "biufcV"


@takes(*COUNTING)
def count(
  sentences=None, *, preset: str = "", quiet: bool = False, **settings
) -> Cooccurrences:
  """Counts how often words occur near each other.

  >>> counts = count([["I", "like", "NLP"]], window=1, min_count=1, quiet=True)
  >>> counts
  Cooccurrences(3 words, 4 counts)
  >>> counts.matrix().toarray()[counts.vocab.id("like")].tolist()
  [1.0, 1.0, 0.0]

  Files and texts are counted within `memory_gb`, whatever their size, and the
  counts stay on disk; those of lists of words are in memory.

  Args:
    sentences: what to count, each item a document:
      - a path, glob, folder or named corpus, or a list of them;
      - strings, each a text, split into words like a line of a file;
      - lists of words;
      - a table, or dicts, with the text in `text_field`.
      The last three may be any iterable: a generator, which is read once, a
      column of a data frame, or a Hugging Face dataset. None counts only what
      `add_to` or `records` names.
    preset: the settings of a published recipe; those given as well win.
    quiet: shows no progress and prints nothing.
    **settings: settings of a run.

  Raises:
    FileNotFoundError, ValueError: as `fit`.
    OSError: a file cannot be read, or the disk is full.
  """
  config = configure(count, preset, settings)
  refuse_idle(config, settings, {})
  with metrics.progress_bars(not quiet):
    return _count(sentences, config, settings, quiet)


def _count(given, config: Config, settings, quiet: bool) -> Cooccurrences:
  if given is None:
    if not (config.corpus.add_to or config.corpus.records):
      raise ValueError("sentences is missing: give text, add_to or records.")
    return _count_files([], config, quiet)
  field = config.corpus.text_field
  source = forms.recognise(given, field)
  if source.kind == "files":
    return _count_files(source.items, config, quiet)
  if source.kind == "texts":
    with tempfile.TemporaryDirectory(prefix="glove_jax-") as folder:
      path = os.path.join(folder, "texts.txt")
      records.write_texts(source.items, path)
      return _count_files([path], _replace(config, text_field=""), quiet)
  if unused := sorted(settings.keys() & _OF_TEXTS):
    raise ValueError(
      f"{unused[0]} is for texts and files, but sentences holds lists of "
      "words: leave it out."
    )
  return _count_words(source.items, config)


def _count_files(paths, config: Config, quiet: bool) -> Cooccurrences:
  """Counts files, in a folder that lives as long as its counts are used."""
  folder = tempfile.mkdtemp(prefix="glove_jax-")
  try:
    config = _replace(config, corpus=tuple(paths))
    found = inputs.corpus_paths(config.corpus, Path(folder), say(quiet))
    config = _replace(config, corpus=tuple(found), text_field="")
    Pipeline(config, folder, say(quiet=True)).count()
    counts = Cooccurrences.load(folder)
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise
  weakref.finalize(counts, shutil.rmtree, folder, ignore_errors=True)
  return counts


def _replace(config: Config, **changes) -> Config:
  corpus = dataclasses.replace(config.corpus, **changes)
  return dataclasses.replace(config, corpus=corpus)


def _count_words(documents, config: Config) -> Cooccurrences:
  """Counts lists of words, in memory."""
  numbered = forms.number_words(documents)
  rules = configs.settings(config.vocab)
  if path := config.corpus.vocab:
    words = vocab.fixed_vocab(
      path, numbered.counter, max_vocab=rules["max_vocab"]
    )
  else:
    words = vocab.make_vocab(numbered.counter, **rules)
  facts = out_of_core.manifest_facts(words, config.count)
  kind = {name: facts[name] for name in KIND}
  budget = out_of_core.make_budget(config.count, len(words))
  with metrics.progress(
    "counting pairs", len(numbered.numbers), " words"
  ) as bar:
    counts = cooccur.count(
      forms.encode(numbered, words, keep_places=kind["keep_places"]),
      len(words),
      **{n: kind[n] for n in ("window", "context", "distance_weighting")},
      threads=budget.threads,
      max_words=min(_MAX_WORDS, budget.max_words),
      progress=bar.update,
    ).triplets()
  counts = counts._replace(count=counts.count.astype(config.count.count_dtype))
  return Cooccurrences(counts, words, kind)


@takes("train", objects=_OBJECTS.values())
def train(
  counts: Cooccurrences | Triplets,
  *,
  preset: str = "",
  quiet: bool = False,
  **options,
) -> Params:
  """Trains GloVe on counts; `counts.vectors(params)` are the vectors.

  >>> counts = from_matrix([[0, 3, 1], [3, 0, 3], [1, 3, 0]], ["a", "b", "c"])
  >>> costs = []
  >>> params = train(
  ...   counts, dim=4, engine="rows", epochs=9, quiet=True,
  ...   on_epoch=lambda line: costs.append(line["cost"]),
  ... )
  >>> params.word.shape, costs[-1] < costs[0]
  ((3, 4), True)

  Args:
    counts: from `count` or `from_matrix`, or triplets.
    preset: the settings of a published recipe; those given as well win.
    quiet: shows no progress and prints nothing.
    **options: settings of training, and the objects that `training.loop.train`
      takes: `loss`, `on_step`, `on_epoch` and so on. `optimizer` may be a name
      or a transformation of optax.

  Returns:
    The four trained tables.

  Raises:
    ValueError: an unknown setting, or one that cannot train.
    FloatingPointError: training has diverged.
    MemoryError: there is too little memory for these settings.
  """
  objects, settings = _split(options)
  config = configure(train, preset, settings)
  refuse_idle(config, settings, objects)
  with metrics.progress_bars(not quiet):
    return _train(counts, config, objects, quiet)


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
  """The objects among the keywords of training, and the settings."""
  objects = {k: v for k, v in options.items() if k in _OBJECTS}
  settings = {k: v for k, v in options.items() if k not in _OBJECTS}
  for name in _FUNCTIONS & objects.keys():
    if not (objects[name] is None or callable(objects[name])):
      raise ValueError(f"{name} must be a function, got {objects[name]!r:.80}.")
  if not isinstance(settings.get("optimizer", ""), str):
    objects["tx"] = settings.pop("optimizer")
  return objects, settings


def _train(counts, config: Config, objects, quiet: bool) -> Params:
  has_words = isinstance(counts, Cooccurrences)
  triplets = counts.triplets() if has_words else counts
  if not isinstance(triplets, Triplets):
    raise ValueError(
      f"counts is of type {type(counts).__name__}: give what count or "
      "from_matrix returns."
    )
  if (start := _start(objects, counts, config, quiet)) is not None:
    objects = objects | {"init": start}
  try:
    return loop.train(triplets, config.train, say=say(quiet), **objects)
  except RuntimeError as error:  # of JAX
    if not memory.is_full(error):
      raise
    raise memory.too_little(error) from error


def _start(objects, counts, config: Config, quiet: bool):
  """What training starts from: `init`, or the file of `init_from`."""
  init, named = objects.get("init"), config.train.init_from
  known = (Params, Start, WordVectors, str, os.PathLike)
  if not (init is None or isinstance(init, known)):
    raise ValueError(
      f"init is of type {type(init).__name__}: give Params, "
      "WordVectors(words, vectors), or the path of a file of vectors or of a "
      "run."
    )
  if named and init is not None:
    raise ValueError("init and init_from both name a start: give one of them.")
  if not (named or isinstance(init, (WordVectors, str, os.PathLike))):
    return init
  if not isinstance(counts, Cooccurrences):
    raise ValueError(
      "init needs counts with words: give what count or from_matrix returns."
    )
  words = counts.vocab.words
  if init is None:
    return starting.read(config.train, words, say(quiet))
  return starting.start_of(init, words, config.train)


def say(quiet: bool) -> Callable[[str], object]:
  """How news is shown."""
  return (lambda line: None) if quiet else print


def load(
  path: str | os.PathLike,
  *,
  vectors: str | None = None,
  context_weight: float | None = None,
  limit: int | None = None,
  skip_bad_lines: bool = False,
) -> WordVectors:
  """Reads word vectors: any file of them, or the folder of a run.

  Args:
    path: a file in any published format, plain or packed, see
      `vectors.formats`; or a work directory.
    vectors: how to combine the word and context tables of a run: 'sum', 'word',
      'context' or 'concat'; by default as the run did.
    context_weight: the factor on the context vector in a sum; the same.
    limit: the most vectors to read, from the most frequent word on.
    skip_bad_lines: leaves out malformed lines of text, with a warning.

  Raises:
    FileNotFoundError: there is no such file, or the run is not finished.
    ValueError: the file is malformed, or no file of vectors.
  """
  given = {"vectors": vectors, "context_weight": context_weight}
  return artifacts.load(
    path,
    limit=limit,
    skip_bad_lines=skip_bad_lines,
    **{name: value for name, value in given.items() if value is not None},
  )
