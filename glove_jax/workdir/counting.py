"""How a run counts: its words, and then its pairs."""

import contextlib
import functools
import pathlib
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from glove_jax import config as configs
from glove_jax import lazy, metrics
from glove_jax.config import Config
from glove_jax.counts import forecast, out_of_core
from glove_jax.text import compiled, sections, vocab
from glove_jax.text.compiled import Text
from glove_jax.threads import default_threads
from glove_jax.workdir import inputs
from glove_jax.workdir.stages import Stages

# What counting in one process does not need.
dask_pool = lazy.module("glove_jax.counts.dask_pool")
distributed = lazy.module("glove_jax.counts.distributed")


class Counting:
  """Counts a text in this process, or with workers.

  Args:
    config: of the run.
    workdir: its folder.
    text: what is counted.
    stages: of the run; they know the content of its files.
    say: called with each line of news.
  """

  def __init__(
    self,
    config: Config,
    workdir: pathlib.Path,
    text: Text,
    stages: Stages,
    say: Callable[[str], object],
  ):
    self._config, self._workdir, self._text = config, workdir, text
    self._stages, self._say = stages, say
    self._source = functools.partial(stages.source, config)
    # The words of a text that fits in memory, and the hashes of its files.
    self._kept: tuple[compiled.Kept, list[str]] | None = None
    self._cluster = None
    if config.count.dask:
      self._cluster = dask_pool.Cluster(config.count, say)

  @contextlib.contextmanager
  def workers(self) -> Iterator[None]:
    """Keeps workers, and words in memory, until the block ends."""
    with self._cluster or contextlib.nullcontext():
      yield
    self._kept = None

  def make_vocab(self) -> vocab.Vocab:
    """Counts the words of the text, and chooses those of the vocabulary."""
    if self._config.corpus.records:
      return vocab.read_vocab(self._config.corpus.records_vocab)
    rules = configs.settings(self._config.vocab)
    added = inputs.added_words(self._config.corpus)
    old = sum((Counter(dict(words)) for words in added), Counter())
    fixed = self._config.corpus.vocab
    min_count = 1 if old or fixed else rules["min_count"]
    with metrics.progress("counting words", unit=" words") as bar:
      counter = self._count_words(min_count, bar.update)
    if fixed:
      return vocab.fixed_vocab(
        fixed, counter + old, max_vocab=rules["max_vocab"]
      )
    if old and self._config.corpus.add_vocab == "fixed":
      counter = Counter({word: counter[word] for word in old})
    return vocab.make_vocab(counter + old, **rules)

  def _count_words(self, min_count: int, progress) -> Counter[str]:
    runs = out_of_core.word_runs(self._config.count, self._workdir)
    if self._cluster and not self._cluster.is_here:
      return distributed.count_words(
        self._text, self._workdir / "vocab",
        source=self._source("vocab", self.vocab_inputs()), min_count=min_count,
        run=self._cluster.map, progress=progress, runs=runs,
      )  # fmt: skip
    # The words of a text that fits in memory are kept for `count`.
    kept = compiled.Kept(out_of_core.max_kept(self._config.count))
    found = compiled.count_words(
      self._text,
      min_count=min_count,
      threads=self._config.count.threads or default_threads(),
      progress=progress,
      kept=kept,
      runs=runs,
    )
    self._kept = kept, self._stages.hashes(self._text.paths)
    return found

  def count(self, words: vocab.Vocab, output: pathlib.Path) -> None:
    """Counts the pairs of the words, and writes them to a folder."""
    config, corpus = self._config.count, self._config.corpus
    if corpus.records:
      out_of_core.import_records(corpus.records, words, output, config)
      return
    added, kept = self._added(words), self._take_kept()
    cluster = self._cluster
    if cluster and cluster.is_here and out_of_core.fits(config, words):
      cluster = None  # its workers would write and merge what one can hold
    if cluster:
      count_corpus, how = distributed.count_corpus, {"run": cluster.map}
      num_sections = len(sections.cut_sections(self._text.paths))
    else:
      count_corpus, how = out_of_core.count_corpus, {"kept": kept}
      num_sections = 0
    self._say(
      forecast.forecast(self._text, words, output, config, added, num_sections)
    )
    total = int(words.counts.sum())
    with metrics.progress("counting pairs", total, " words") as bar:
      count_corpus(
        self._text, words, output, config,
        source=self._source("counts", self.count_inputs()), added=added,
        progress=bar.update, **how,
      )  # fmt: skip

  def _added(self, words: vocab.Vocab) -> list[out_of_core.Added]:
    """The counts of other runs that are added, with the new ids of words."""
    corpus = self._config.corpus
    return [
      out_of_core.Added(
        pathlib.Path(folder, "counts"),
        np.array([words.index.get(word, -1) for word, _ in old], np.int32),
      )
      for folder, old in zip(
        corpus.add_to, inputs.added_words(corpus), strict=True
      )
    ]

  def _take_kept(self) -> compiled.Kept | None:
    """The words kept in memory, if the text is as it was; once."""
    kept, hashes = self._kept or (None, [])
    self._kept = None
    return kept if hashes == self._stages.hashes(self._text.paths) else None

  def vocab_inputs(self) -> list[str]:
    """The files that the vocabulary depends on.

    A given vocabulary comes before the texts and an added one after them: the
    same file in either role gives other words.
    """
    config = self._config.corpus
    words = config.records_vocab if config.records else config.vocab
    return [
      *filter(None, [words]),
      *self._text.paths,
      *(f"{folder}/vocab.txt" for folder in config.add_to),
    ]

  def count_inputs(self) -> list[str | pathlib.Path]:
    """The files and folders that the counts depend on."""
    config = self._config.corpus
    records = [config.records] if config.records else []
    added = [f"{folder}/counts" for folder in config.add_to]
    vocab_path = self._workdir / "vocab.txt"
    return [vocab_path, *self._text.paths, *records, *added]
