"""The main job over a work directory, stage by stage.

corpus -> vocabulary -> counts -> training -> vectors -> evaluation. Each stage
leaves its output in the work directory and the settings that made it in
`stages.json`; a stage whose output is there and whose settings have not
changed is not run again.
"""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from glove_jax import atomic, metrics, model
from glove_jax import config as configs
from glove_jax.config import Config, CorpusConfig
from glove_jax.counts import (
  dask_pool,
  distributed,
  forecast,
  out_of_core,
  triplets,
)
from glove_jax.text import compiled, datasets, reading, sampling, vocab
from glove_jax.threads import default_threads
from glove_jax.training import checkpoint, engines
from glove_jax.training import loop as training
from glove_jax.vectors import evaluate, formats
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts
from glove_jax.workdir.stages import STAGES, Stages


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
      self._cluster = dask_pool.Cluster(config.count, say)
    self.workdir.mkdir(parents=True, exist_ok=True)
    self._paths = corpus_paths(config.corpus, self.workdir)
    if config.corpus.share != 1:
      self._paths = [sampling.write_sample(self._paths, config.corpus, workdir)]
    artifacts.write_config(config, self.workdir)
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
      return distributed.count_words(
        self._text(), self.workdir / "vocab",
        source=self._settings("vocab"), min_count=min_count,
        run=self._cluster.map, progress=progress,
      )  # fmt: skip
    return compiled.count_words(
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
      out_of_core.import_records(
        self.config.corpus.records, words, output, config
      )
      return
    added = [
      out_of_core.Added(
        pathlib.Path(folder, "counts"),
        np.array([words.index.get(word, -1) for word, _ in old], np.int32),
      )
      for folder, old in zip(
        self.config.corpus.add_to, self._added_words(), strict=True
      )
    ]
    text, count_corpus, number = self._text(), out_of_core.count_corpus, 0
    if self._cluster:
      count_corpus = functools.partial(
        distributed.count_corpus, run=self._cluster.map
      )
      number = len(distributed.cut_sections(text.paths))
    self._say(forecast.forecast(text, words, output, config, added, number))
    total = int(words.counts.sum())
    with metrics.progress("counting pairs", total, " words") as bar:
      count_corpus(
        text, words, output, config,
        source=self._settings("counts"), added=added, progress=bar.update,
      )  # fmt: skip

  def _added_words(self) -> Iterator[list[tuple[str, int]]]:
    """The words and counts of each run that is added."""
    for folder in self.config.corpus.add_to:
      words = vocab.read_vocab(pathlib.Path(folder, "vocab.txt"))
      yield list(zip(words.words, words.counts.tolist(), strict=True))

  def run_training(self) -> model.Params:
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
        formats.write_tables(output, params, words)
        shutil.rmtree(training.blocks_folder(self.workdir), ignore_errors=True)
    return formats.read_tables(output)[0]

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
    if owner.exists() and atomic.read_json(owner) == settings and not too_far:
      return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    atomic.write_json(owner, settings)

  def run_vectors(self) -> WordVectors:
    self.run_training()
    output = self.workdir / "vectors.txt"
    settings = self._settings("vectors")
    made = artifacts.read_vectors(self.workdir, self.config)
    with self._stages.stage("vectors", settings, output) as todo:
      if todo:
        formats.write_stanford_text(made, output)
    return made

  def run_evaluation(self) -> dict:
    made = self.run_vectors()
    output = self.workdir / "evaluation.json"
    settings = self._settings("evaluate")
    with self._stages.stage("evaluate", settings, output) as todo:
      if todo:
        atomic.write_json(
          output, evaluate.evaluate_vectors(made, self.config.evaluate)
        )
    return atomic.read_json(output)

  def _text(self) -> compiled.Text:
    corpus_config = self.config.corpus
    return compiled.Text(
      self._paths,
      tokenizer=corpus_config.tokenizer,
      lowercase=corpus_config.lowercase,
      documents=corpus_config.documents,
    )

  def _settings(self, last: str) -> dict:
    """All that the output of a stage depends on, as JSON reads it back."""
    corpus_config = self.config.corpus
    paths = [*self._paths, corpus_config.records, corpus_config.records_vocab]
    for folder in corpus_config.add_to:
      paths += [f"{folder}/vocab.txt", f"{folder}/counts/manifest.json"]
    inputs = [
      (path, os.stat(path).st_size, os.stat(path).st_mtime_ns)
      for path in paths
      if path
    ]
    found = {"files": inputs} | configs.settings(self.config.corpus)
    parts = ("vocab", "count", "train", "vectors", "evaluate")
    for part in parts[: STAGES.index(last) + 1]:
      found |= configs.settings(getattr(self.config, part))
    return json.loads(json.dumps(found))  # as the old ones that it must equal


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
  return reading.resolve_paths(patterns)
