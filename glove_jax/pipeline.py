"""The main job over a work directory, stage by stage.

corpus -> vocabulary -> counts -> training -> vectors -> evaluation. Each stage
leaves its output in the work directory and the settings that made it in
`stages.json`; a stage whose output is there and whose settings have not
changed is not run again.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import jax
import numpy as np

from glove_jax import (
  checkpoint,
  cluster,
  corpus,
  counting,
  datasets,
  engines,
  evaluate,
  files,
  forecast,
  metrics,
  records,
  sampling,
  sections,
  tokens,
  triplets,
  vector_files,
  vectors,
  vocab,
)
from glove_jax import config as configs
from glove_jax import train as training
from glove_jax.config import Config, CorpusConfig
from glove_jax.parallel import default_threads
from glove_jax.vectors import WordVectors

_SHOWN = ("king", "city", "music", "war", "water")  # in a run's summary
STAGES = ("vocab", "counts", "train", "vectors", "evaluate")


class Pipeline:
  """One work directory and the config of the run in it.

  Args:
    config: what to do.
    workdir: where everything goes; it is made where it is missing.
    say: called with each line of news.
  """

  def __init__(
    self,
    config: Config,
    workdir: str | os.PathLike,
    say: Callable[[str], None] = print,
  ):
    self.config = config
    self.workdir = pathlib.Path(workdir)
    self._say = say
    self._cluster = None
    if config.count.dask:
      self._cluster = cluster.Cluster(config.count, say)
    self.workdir.mkdir(parents=True, exist_ok=True)
    self._paths = corpus_paths(config.corpus, self.workdir)
    if config.corpus.share != 1:
      self._paths = [sampling.write_sample(self._paths, config.corpus, workdir)]
    write_config(config, self.workdir)
    self._stages = Stages(self.workdir / "stages.json", say)

  def run_vocab(self) -> vocab.Vocab:
    output = self.workdir / "vocab.txt"
    with self._stages.stage("vocab", self._settings("vocab"), output) as todo:
      if todo:
        vocab.write_vocab(self._make_vocab(), output)
    return vocab.read_vocab(output)

  def _make_vocab(self) -> vocab.Vocab:
    if self.config.corpus.records:
      return vocab.read_vocab(self.config.corpus.records_vocab)
    given = configs.settings(self.config.vocab)
    old = sum(
      (Counter(dict(words)) for words in self._added_words()), Counter()
    )
    min_count = 1 if old else given["min_count"]
    with metrics.progress("counting words", unit=" words") as bar:
      counter = self._count_words(min_count, bar.update)
    if old and self.config.corpus.add_vocab == "fixed":
      counter = Counter({word: counter[word] for word in old})
    return vocab.make_vocab(counter + old, **given)

  def _count_words(self, min_count: int, progress) -> Counter[str]:
    if self._cluster:
      return sections.count_words(
        self._text(), self.workdir / "vocab",
        source=_plain(self._settings("vocab")), min_count=min_count,
        run=self._cluster.map, progress=progress,
      )  # fmt: skip
    return tokens.count_words(
      self._text(),
      min_count=min_count,
      threads=self.config.count.threads or default_threads(),
      progress=progress,
    )

  def run_counts(self) -> triplets.Triplets:
    output = self.workdir / "counts"
    with self._cluster or contextlib.nullcontext():
      words = self.run_vocab()
      settings = self._settings("counts")
      with self._stages.stage("counts", settings, output) as todo:
        if todo:
          self._count(words, output)
    return triplets.read_triplets(output)

  def _count(self, words: vocab.Vocab, output: pathlib.Path) -> None:
    config = self.config.count
    if self.config.corpus.records:
      counting.import_records(self.config.corpus.records, words, output, config)
      return
    added = [
      counting.Added(
        pathlib.Path(folder, "counts"),
        np.array([words.index.get(word, -1) for word, _ in old], np.int32),
      )
      for folder, old in zip(
        self.config.corpus.add_to, self._added_words(), strict=True
      )
    ]
    text, count_corpus, number = self._text(), counting.count_corpus, 0
    if self._cluster:
      count_corpus = functools.partial(
        sections.count_corpus, run=self._cluster.map
      )
      number = len(sections.cut_sections(text.paths))
    self._say(forecast.forecast(text, words, output, config, added, number))
    total = int(words.counts.sum())
    with metrics.progress("counting pairs", total, " words") as bar:
      count_corpus(
        text, words, output, config,
        source=_plain(self._settings("counts")), added=added,
        progress=bar.update,
      )  # fmt: skip

  def _added_words(self) -> Iterator[list[tuple[str, int]]]:
    """The words and counts of each run that is added."""
    for folder in self.config.corpus.add_to:
      words = vocab.read_vocab(pathlib.Path(folder, "vocab.txt"))
      yield list(zip(words.words, words.counts.tolist(), strict=True))

  def run_training(self) -> vector_files.Tables:
    """Trains, from the last checkpoint that was made with these settings."""
    engines.check(self.config.train)  # before the counts, which take longer
    self.run_counts()
    words = vocab.read_vocab(self.workdir / "vocab.txt").words
    output = self.workdir / "tables.npz"
    settings = self._settings("train")
    with self._stages.stage("train", settings, output) as todo:
      if todo:
        self._keep_only_own_checkpoints(settings)
        params = training.train_folder(
          self.workdir / "counts",
          self.config.train,
          self.workdir,
          self._report_epoch,
        )
        vector_files.write_tables(output, params, words)
        shutil.rmtree(training.blocks_folder(self.workdir), ignore_errors=True)
    return vector_files.read_tables(output)[0]

  def _report_epoch(self, line: dict) -> None:
    self._say(
      f"epoch {line['epoch']:3d}  cost {line['cost']:.5f}  "
      f"{line['triplets_per_second']:,.0f} counts/s  {line['seconds']:.1f} s"
    )

  def _keep_only_own_checkpoints(self, settings: dict) -> None:
    """Removes checkpoints that a run of these settings would not have made."""
    folder = self.workdir / "checkpoints"
    owner = folder / "settings.json"
    if self.config.train.schedule == "constant":
      settings = settings | {"epochs": "any"}  # more of them go on from here
    saved = checkpoint.epochs(folder)
    too_far = saved and saved[-1] > engines.num_epochs(self.config.train)
    if owner.exists() and _read_json(owner) == _plain(settings) and not too_far:
      return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _write_json(owner, settings)

  def run_vectors(self) -> WordVectors:
    self.run_training()
    output = self.workdir / "vectors.txt"
    settings = self._settings("vectors")
    made = read_vectors(self.workdir, self.config)
    with self._stages.stage("vectors", settings, output) as todo:
      if todo:
        vector_files.write_stanford_text(made, output)
    return made

  def run_evaluation(self) -> dict:
    made = self.run_vectors()
    output = self.workdir / "evaluation.json"
    settings = self._settings("evaluate")
    with self._stages.stage("evaluate", settings, output) as todo:
      if todo:
        _write_json(output, evaluate_vectors(made, self.config))
    return _read_json(output)

  def _text(self) -> tokens.Text:
    corpus_config = self.config.corpus
    return tokens.Text(
      self._paths,
      tokenizer=corpus_config.tokenizer,
      lowercase=corpus_config.lowercase,
      documents=corpus_config.documents,
    )

  def _settings(self, last: str) -> dict:
    """All that the output of a stage depends on."""
    corpus_config = self.config.corpus
    paths = [*self._paths, corpus_config.records, corpus_config.records_vocab]
    for folder in corpus_config.add_to:
      paths += [f"{folder}/vocab.txt", f"{folder}/counts/manifest.json"]
    files = [
      (path, os.stat(path).st_size, os.stat(path).st_mtime_ns)
      for path in paths
      if path
    ]
    found = {"files": files} | configs.settings(self.config.corpus)
    parts = ("vocab", "count", "train", "vectors", "evaluate")
    for part in parts[: STAGES.index(last) + 1]:
      found |= configs.settings(getattr(self.config, part))
    return found


class Stages:
  """Which stages are done, and with which settings; kept in a JSON file."""

  def __init__(self, path: pathlib.Path, say: Callable[[str], None]):
    self._path = path
    self._say = say
    self._done = _read_json(path) if path.exists() else {}

  @contextlib.contextmanager
  def stage(self, name: str, settings: dict, output: pathlib.Path):
    """Yields whether the stage must run, and notes it as done afterwards."""
    settings = _plain(settings)
    old = self._done.get(name)
    if old == settings and output.exists():
      yield False
      return
    later = STAGES[STAGES.index(name) + 1 :]
    if old is not None:
      also = ", ".join(stage for stage in later if stage in self._done)
      also = f" (and so {also})" if also else ""
      self._say(f"{name}{also} again: {_difference(old, settings)}.")
    for stage in (name, *later):
      self._done.pop(stage, None)
    _write_json(self._path, self._done)
    start = time.perf_counter()
    yield True
    self._done[name] = settings
    _write_json(self._path, self._done)
    self._say(f"{name}: {time.perf_counter() - start:.1f} s")


def _difference(old: dict, new: dict) -> str:
  changed = [
    f"{name} was {old.get(name)} and is now {new[name]}"
    for name in new
    if old.get(name) != new[name]
  ]
  return "; ".join(changed) or "its output is missing"


def _asdict(part) -> dict:
  return dataclasses.asdict(part)


def _plain(settings: dict) -> dict:
  """As the settings read back from JSON, so that old and new compare."""
  return json.loads(json.dumps(settings))


def _write_json(path: pathlib.Path, content) -> None:
  files.write_text(path, json.dumps(content, indent=2) + "\n")


def _read_json(path: pathlib.Path):
  try:
    return json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(
      f"{path} is damaged ({error}): remove it and run again."
    ) from error


def corpus_paths(config: CorpusConfig, workdir: pathlib.Path) -> list[str]:
  """The files that make the corpus; none where counts come from elsewhere.

  Standard input is read once but needed twice: it is kept in the workdir.

  Raises:
    FileNotFoundError: a name that is no file, glob, folder or named corpus, or
      nothing to add or import where it is said to be.
    ValueError: records without their vocabulary.
  """
  for folder in config.add_to:
    if not pathlib.Path(folder, "counts", "manifest.json").exists():
      raise FileNotFoundError(
        f"--add_to={folder}: there are no finished counts in that work "
        f"directory: count there first, with --workdir={folder}."
      )
  if config.records and not config.records_vocab:
    raise ValueError("--records needs --records_vocab=vocab.txt, its words.")
  for path in filter(None, (config.records, config.records_vocab)):
    if not pathlib.Path(path).exists():
      raise FileNotFoundError(f"records {path!r}: no such file")
  if config.records or (config.add_to and not config.corpus):
    return []
  patterns = []
  for name in config.corpus:
    if name == "-":
      kept = workdir / "stdin.txt"
      with kept.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
      patterns.append(str(kept))
    elif name in datasets.corpora():
      patterns.append(str(datasets.load_corpus(name)))
    else:
      patterns.append(name)
  return corpus.resolve_paths(patterns)


def write_config(config: Config, workdir: pathlib.Path) -> None:
  """Writes config.json: every setting, the versions and the devices."""
  record = {
    "settings": {
      name: value
      for part in _asdict(config).values()
      for name, value in part.items()
    },
    "versions": versions(),
    "devices": [str(device) for device in jax.devices()],
  }
  _write_json(workdir / "config.json", record)


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
  return _read_json(path)["settings"]


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
  tables, words = vector_files.read_tables(path)
  array = vectors.combine(tables.word, tables.context, config.vectors.vectors)
  made = WordVectors(words, array)
  return vectors.with_unk(made) if config.vectors.unk else made


def evaluate_vectors(made: WordVectors, config: Config) -> dict:
  """Asks the vectors every question set that the config names.

  Returns:
    Results by the name of the set, as `evaluate` describes them.
  """
  settings, results = config.evaluate, {}
  number = len(settings.analogies) + len(settings.similarity)
  with metrics.progress("evaluating", number, " sets") as bar:
    for name in settings.analogies:
      results[_set_name(name)] = evaluate.evaluate_analogies(
        made,
        evaluate.read_analogies(_evaluation_file(name)),
        method=settings.analogy_method,
      )
      bar.update()
    for name in settings.similarity:
      results[_set_name(name)] = evaluate.evaluate_similarity(
        made, evaluate.read_similarity(_evaluation_file(name))
      )
      bar.update()
  return results


def _evaluation_file(name: str) -> str:
  known = name in datasets.evaluation_sets()
  return datasets.evaluation_set(name) if known else name


def _set_name(name: str) -> str:
  return pathlib.Path(name).stem


def write_results(results: dict, workdir: str | os.PathLike) -> None:
  """Writes evaluation.json in the place of what the run itself wrote."""
  workdir = pathlib.Path(workdir)
  stages = workdir / "stages.json"
  done = _read_json(stages) if stages.exists() else {}
  done.pop("evaluate", None)  # the run writes its own again
  _write_json(stages, done)
  _write_json(workdir / "evaluation.json", results)


def summary(pipeline: Pipeline, results: dict, k: int = 6) -> str:
  """What a run came to: the cost, a few words' neighbours, the evaluation."""
  lines = []
  history = metrics.read_metrics(pipeline.workdir / "metrics.jsonl")
  if history:
    first, final = history[0], history[-1]
    lines.append(
      f"cost per count: {first['cost']:.5f} in epoch {first['epoch']}, "
      f"{final['cost']:.5f} in epoch {final['epoch']}"
    )
  made = read_vectors(pipeline.workdir, pipeline.config)
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
    "stanford_records": records.write_records,
    "stanford_shuffled": functools.partial(
      records.write_shuffled_records, seed=config.train.seed
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
    "stanford_text": vector_files.write_stanford_text,
    "word2vec": vector_files.write_word2vec_text,
    "word2vec_binary": vector_files.write_word2vec_binary,
  }
  writers[form](made, output)
