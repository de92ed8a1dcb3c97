"""A run over a work directory, stage by stage.

corpus -> vocabulary -> counts -> training -> vectors -> evaluation. Each stage
writes its output to the work directory and its settings to `stages.json`, and
hands its result to the next stage. A stage does not run again if its output,
its settings and the content of its inputs are as they were: its output is read.
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from glove_jax import atomic, lazy
from glove_jax import config as configs
from glove_jax.config import Config, TrainConfig
from glove_jax.counts import triplets
from glove_jax.text import sampling, vocab
from glove_jax.workdir import artifacts, inputs
from glove_jax.workdir.counting import Counting
from glove_jax.workdir.lock import lock, new_folder
from glove_jax.workdir.stages import Stages, difference, settings_of

if TYPE_CHECKING:
  from glove_jax.model import Params
  from glove_jax.training.starts import Start
  from glove_jax.vectors.word_vectors import WordVectors

# What counting does not need.
checkpoint = lazy.module("glove_jax.training.checkpoint")
checks = lazy.module("glove_jax.training.checks")
compilation = lazy.module("glove_jax.training.compilation")
following = lazy.module("glove_jax.training.following")
loop = lazy.module("glove_jax.training.loop")
evaluate = lazy.module("glove_jax.vectors.evaluate")
formats = lazy.module("glove_jax.vectors.formats")
model_card = lazy.module("glove_jax.workdir.model_card")
starting = lazy.module("glove_jax.workdir.starting")


class Result(NamedTuple):
  """What a whole run produces."""

  vectors: "WordVectors"
  evaluation: dict  # results of each question set, by its name


class Pipeline:
  """The stages of one run in one work directory.

  >>> import tempfile, pathlib
  >>> folder = pathlib.Path(tempfile.mkdtemp())
  >>> _ = (folder / "text.txt").write_text("a b a b c a b c\\n" * 9)
  >>> config = configs.make_config(corpus=folder / "text.txt", window=2)
  >>> run = Pipeline(config, folder / "run", say=lambda line: None)
  >>> words, counts = run.count()
  >>> words.words, len(counts.row)
  (('a', 'b', 'c'), 8)
  """

  def __init__(
    self,
    config: Config,
    workdir: str | os.PathLike,
    say: Callable[[str], object] = print,
    wait: bool = False,
  ):
    """Nothing is read or written yet.

    Args:
      config: the settings of the run.
      workdir: the folder for all outputs; it is created if missing.
      say: called with each line of news.
      wait: whether to wait for another process that works in the folder; else
        it is an error.

    Raises:
      ValueError: the config is not a whole `Config`.
    """
    configs.check_type(config, Config)
    self._wait = wait
    self.config = config
    self.workdir = pathlib.Path(workdir)
    self._say = say

  def run(self) -> Result:
    """Runs all stages.

    Raises:
      FileNotFoundError: an input does not exist.
      ValueError: settings that cannot train, or an input that cannot be read;
        raised before anything is counted.
      OSError: another process works in the folder, or it cannot be written to.
    """
    compilation.wake_device()  # first, since the next line imports for a while
    starting.check(self.config.train, self.workdir)
    checks.check_config(self.config.train)
    evaluate.check(self.config.evaluate)
    self._say(f"Training minimises {self.config.train.objective}.")
    with self._open():
      words, _ = self._run_counts()
      vectors = self._run_vectors(words, self._run_training(words))
      results = self._run_evaluation(vectors)
      model_card.write(self.workdir, vectors, self.config.vectors.license)
      return Result(vectors, results)

  def count(self) -> tuple[vocab.Vocab, triplets.Triplets]:
    """Makes the vocabulary and the counts; the counts are mapped from disk.

    Raises:
      FileNotFoundError, ValueError, OSError: as `run`.
    """
    with self._open():
      return self._run_counts()

  @contextlib.contextmanager
  def _open(self) -> Iterator[None]:
    """Takes the work directory, and finds the files of the corpus."""
    config = self.config.corpus
    inputs.check(config, self.workdir)
    with new_folder(self.workdir), lock(self.workdir, wait=self._wait):
      atomic.remove_parts(self.workdir)
      self._paths = inputs.corpus_paths(config, self.workdir, self._say)
      self._stages = Stages(self.workdir, self._say)
      text = inputs.make_text(config, self._run_sample())
      self._counting = Counting(
        self.config, self.workdir, text, self._stages, self._say
      )
      yield

  def _run_sample(self) -> list[str]:
    """The files of the corpus, or the one with the sample of it to use."""
    config = self.config.corpus
    if config.share == 1 and not config.bootstrap:
      return self._paths
    output = self.workdir / "sample.txt"
    with self._stage("sample", self._paths) as todo:
      if todo:
        sampling.write_sample(self._paths, config, output)
    return [str(output)]

  def _run_counts(self) -> tuple[vocab.Vocab, triplets.Triplets]:
    output = self.workdir / "counts"
    with self._counting.workers():
      words = self._run_vocab()
      check = functools.partial(triplets.verify_triplets, output)
      paths = self._counting.count_inputs()
      with self._stage("counts", paths, check) as todo:
        if todo:
          self._counting.count(words, output)
    return words, triplets.read_triplets(output)

  def _run_training(self, words: vocab.Vocab) -> "Params":
    """Trains on the counts, from the last checkpoint with these settings.

    Args:
      words: the vocabulary of the counts.

    Returns:
      The four trained tables.
    """
    output = self.workdir / "tables.npz"
    with self._stage("train", self._training_inputs()) as todo:
      if not todo:
        return formats.read_tables(output)[0]
      self._drop_other_checkpoints()
      params = train(
        self.workdir / "counts",
        self.config.train,
        self.workdir,
        self._report_epoch,
        self._say,
        starting.read(self.config.train, words.words, self._say),
      )
      formats.write_tables(output, params, words.words)
    return params

  def _run_vectors(self, words: vocab.Vocab, params: "Params") -> "WordVectors":
    """Combines the trained tables into vectors, and writes vectors.txt."""
    output = self.workdir / "vectors.txt"
    vectors = artifacts.run_vectors(
      self.workdir, words.words, params, self.config.vectors
    )
    with self._stage("vectors", [self.workdir / "tables.npz"]) as todo:
      if todo:
        formats.write_stanford_text(vectors, output)
    return vectors

  def _run_evaluation(self, vectors: "WordVectors") -> dict:
    """Evaluates the vectors; returns what it writes to evaluation.json."""
    output = self.workdir / "evaluation.json"
    questions = evaluate.question_files(self.config.evaluate)
    tables = self.workdir / "tables.npz"
    with self._stage("evaluate", [tables, *questions]) as todo:
      if not todo:
        return atomic.read_json(output)
      results = evaluate.evaluate_vectors(vectors, self.config.evaluate)
      atomic.write_json(output, results)
    return results

  def _run_vocab(self) -> vocab.Vocab:
    output = self.workdir / "vocab.txt"
    with self._stage("vocab", self._counting.vocab_inputs()) as todo:
      if not todo:
        return vocab.read_vocab(output)
      words = self._counting.make_vocab()
      vocab.write_vocab(words, output)
    return words

  def _report_epoch(self, line: dict) -> None:
    self._say(
      f"pass {line['epoch']:3d}  cost {line['cost']:.5f}  "
      f"{line['triplets_per_second']:,.0f} counts/s  {line['seconds']:.1f} s"
    )

  def _drop_other_checkpoints(self) -> None:
    """Removes checkpoints that this run could not have written."""
    folder = self.workdir / "checkpoints"
    config = self.config.train.resolved
    owner = folder / "settings.json"
    settings = self._stages.source(
      self.config, "train", self._training_inputs()
    )
    settings |= {"recipe": checkpoint.RECIPE}
    if config.schedule == "constant" and not config.missing:
      # The rate does not depend on the number of epochs, so a longer run
      # resumes from a shorter one. (With `missing`, the last epoch differs.)
      settings["epochs"] = "any"
    saved = checkpoint.epochs(folder)
    old = atomic.read_json(owner) if owner.exists() else {}
    too_far = saved and saved[-1] > loop.num_epochs(config)
    if old == settings and not too_far:
      return
    if saved:
      self._say(
        f"Training starts anew, and the checkpoint of pass {saved[-1]} is "
        f"removed: {_why_other(old, settings, too_far)}."
      )
    atomic.remove(folder)
    folder.mkdir()
    atomic.write_json(owner, settings)

  def _training_inputs(self) -> list[pathlib.Path]:
    made = [self.workdir / "counts", self.workdir / "vocab.txt"]
    return made + starting.files(self.config.train)

  @contextlib.contextmanager
  def _stage(
    self,
    name: str,
    paths: Sequence[str | pathlib.Path],
    check: Callable[[], object] | None = None,
  ) -> Iterator[bool]:
    """As `Stages.stage`; config.json gets the settings of what runs."""
    settings = settings_of(self.config, name)
    with self._stages.stage(name, settings, paths, check) as todo:
      if todo:
        artifacts.write_config(self.config, self.workdir, name)
      yield todo


def _why_other(old: dict, settings: dict, too_far: bool) -> str:
  """What differs between the owner of checkpoints and a run."""
  same = {name: old.get(name) for name in ("inputs", "recipe")}
  if changed := difference(old, settings | same):
    return changed
  if old.get("recipe") != checkpoint.RECIPE:
    return "another version of glove_jax began it"
  return "it is of more passes" if too_far else "its inputs have changed"


def train(
  counts: str | os.PathLike,
  config: TrainConfig,
  folder: str | os.PathLike,
  on_epoch: Callable[[dict], object] | None = None,
  say: Callable[[str], object] = print,
  start: "Start | None" = None,
) -> "Params":
  """Trains on a folder of counts, and removes what only training needs.

  Args:
    counts: the folder, as `triplets.write_triplets` makes it.
    config: the model and how to train it.
    folder: receives checkpoints and metrics.jsonl.
    on_epoch: called with the metrics of each epoch.
    say: called with each line of news.
    start: given parameters to start from.

  Returns:
    The four trained tables.

  Raises:
    ValueError, FloatingPointError: as `training.loop.train`.
  """
  params = following.train_folder(counts, config, folder, on_epoch, say, start)
  atomic.remove(loop.blocks_folder(folder))
  return params
