"""The files that a run reads: its corpus, added counts, Stanford's records."""

import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

from glove_jax.config import CorpusConfig
from glove_jax.text import compiled, datasets, reading, vocab
from glove_jax.workdir import stages


def check(config: CorpusConfig, workdir: pathlib.Path) -> None:
  """Finds mistakes in a config before anything is written.

  Raises:
    FileNotFoundError: a folder of `add_to` or a file of `records` is missing.
    ValueError: `records` without `records_vocab`, or a run that is to be added
      to itself.
  """
  for folder in config.add_to:
    if pathlib.Path(folder).resolve() == workdir.resolve():
      raise ValueError(
        f"A run cannot be added to itself ({folder}): name another workdir."
      )
    if not (
      pathlib.Path(folder, "counts", "manifest.json").exists()
      and stages.is_valid(folder, "counts")
    ):
      raise FileNotFoundError(
        f"There are no finished counts in {folder}, a folder of add_to: count "
        f"there first, with workdir={folder}."
      )
  if config.records and not config.records_vocab:
    raise ValueError("records needs records_vocab=vocab.txt, its words.")
  for path in filter(None, (config.records, config.records_vocab)):
    if not pathlib.Path(path).exists():
      raise FileNotFoundError(f"There is no file {path!r} of records.")


def corpus_paths(
  config: CorpusConfig,
  workdir: pathlib.Path,
  say: Callable[[str], None] = print,
) -> list[str]:
  """Finds the files of the corpus.

  Standard input can be read only once and is needed twice, so it is copied to
  the work directory.

  Args:
    config: the corpus, and what is used beside or instead of it.
    workdir: the work directory of the run.

  Returns:
    Paths of text files; none if all counts come from `add_to` or `records`.

  Raises:
    FileNotFoundError: a name is no file, glob, folder or named corpus, or a
      folder of `add_to` or a file of `records` is missing.
    ValueError: `records` without `records_vocab`.
  """
  if config.records or (config.add_to and not config.corpus):
    return []
  return reading.resolve_paths(
    [_pattern(name, workdir) for name in config.corpus]
  )


def _pattern(name: str, workdir: pathlib.Path) -> str:
  """A file, glob or folder for one entry of `corpus`."""
  if name == "-":
    copy = workdir / "stdin.txt"
    with copy.open("wb") as file:
      shutil.copyfileobj(sys.stdin.buffer, file)
    return str(copy)
  if name in datasets.corpora():
    return str(datasets.load_corpus(name))
  return name


def make_text(config: CorpusConfig, paths: Sequence[str]) -> compiled.Text:
  """The text in some files, with how to split it."""
  return compiled.Text(
    paths,
    tokenizer=config.tokenizer,
    lowercase=config.lowercase,
    documents=config.documents,
  )


def added_words(config: CorpusConfig) -> Iterator[list[tuple[str, int]]]:
  """The words and their counts of each work directory of `add_to`."""
  for folder in config.add_to:
    words = vocab.read_vocab(pathlib.Path(folder, "vocab.txt"))
    yield list(zip(words.words, words.counts.tolist(), strict=True))
