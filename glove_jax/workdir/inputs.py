"""The files that a run reads: its corpus, added counts, Stanford's records."""

import glob
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

from glove_jax import atomic
from glove_jax.config import CorpusConfig
from glove_jax.counts import triplets
from glove_jax.text import compiled, datasets, records, sources, vocab
from glove_jax.workdir import stages
from glove_jax.workdir.fingerprints import Fingerprints

Say = Callable[[str], object]


def check(config: CorpusConfig, workdir: pathlib.Path) -> None:
  """Finds mistakes in a config before anything is written.

  Raises:
    FileNotFoundError: a name is no file, glob, folder or named corpus, or a
      folder of `add_to` or another file is missing.
    ValueError: settings that do not fit each other, a vocabulary that cannot be
      read, or a run that is to be added to itself, or twice.
  """
  folders = [os.path.realpath(folder) for folder in config.add_to]
  for folder, path in zip(config.add_to, folders, strict=True):
    if folders.count(path) > 1:
      raise ValueError(
        f"add_to names {folder} twice, which would add its counts twice: name "
        "it once."
      )
    _check_added(folder, workdir)
  if config.records and not config.records_vocab:
    raise ValueError("records needs records_vocab=vocab.txt, its words.")
  if config.records and config.vocab:
    raise ValueError("vocab is not for records: records_vocab has their words.")
  if config.records and not os.path.exists(config.records):
    raise FileNotFoundError(f"There is no file {config.records!r} of records.")
  for path in filter(None, (config.records_vocab, config.vocab)):
    vocab.read_vocab(path)
  for name in () if config.records else config.corpus:
    path = os.path.expanduser(name)
    if not (
      name in datasets.corpora()
      or sources.is_pipe(path)
      or os.path.exists(path)
      or any(glob.iglob(path, recursive=True))
    ):
      raise FileNotFoundError(
        f"Corpus {name!r}: no such file, folder or glob match."
      )


def _check_added(folder: str, workdir: pathlib.Path) -> None:
  if os.path.realpath(folder) == os.path.realpath(workdir):
    raise ValueError(
      f"A run cannot be added to itself ({folder}): name another workdir."
    )
  if not (
    pathlib.Path(folder, "counts", "manifest.json").exists()
    and pathlib.Path(folder, "vocab.txt").exists()
    and stages.is_valid(folder, "counts")
  ):
    raise FileNotFoundError(
      f"There are no finished counts in {folder}, a folder of add_to: count "
      f"there first, with workdir={folder}."
    )
  words = vocab.read_vocab(pathlib.Path(folder, "vocab.txt"))
  triplets.check_vocab(pathlib.Path(folder, "counts"), vocab.fingerprint(words))
  triplets.verify_triplets(pathlib.Path(folder, "counts"))


def corpus_paths(
  config: CorpusConfig, workdir: pathlib.Path, say: Say = print
) -> list[str]:
  """Finds the files of the corpus.

  What can be read only once, such as standard input, is needed twice, so it is
  copied to the work directory; so is the text in files of records. What is in
  the work directory itself is never part of a folder or glob.

  Args:
    config: the corpus, and what is used beside or instead of it.
    workdir: the work directory of the run.
    say: called with each line of news.

  Returns:
    Paths of text files; none if all counts come from `add_to` or `records`.

  Raises:
    FileNotFoundError: a name is no file, glob, folder or named corpus.
    ValueError: a file is no text, or has no `text_field`; or a pipe is empty.
    OSError, ImportError: a file cannot be read, or a copy not be written.
  """
  if config.records or (config.add_to and not config.corpus):
    return []
  paths = sources.resolve(
    [_find(name, workdir, say) for name in config.corpus],
    exclude=[workdir],
    records=bool(config.text_field),
    say=say,
  )
  if config.text_field:
    return [_extract(path, config.text_field, workdir, say) for path in paths]
  return paths


def _find(name: str, workdir: pathlib.Path, say: Say) -> str:
  """A file, glob or folder for one entry of `corpus`."""
  if sources.is_pipe(name):
    return sources.keep(name, workdir)
  if name not in datasets.corpora():
    return name
  if os.path.isfile(name):
    say(f"Corpus {name!r} is the file of this name, not the named corpus.")
    return name
  if os.path.exists(name):
    say(f"Corpus {name!r} is the named corpus; the folder is ./{name}.")
  return datasets.load_corpus(name)


def _extract(path: str, field: str, workdir: pathlib.Path, say: Say) -> str:
  """The text file of a field of a file of records; written if it is not."""
  name = atomic.fingerprint([os.path.abspath(path), field])
  text = workdir / f"text-{name}.txt"
  notes = text.with_suffix(".json")
  prints = Fingerprints(workdir / "fingerprints.json")
  source = prints.of(path)
  if text.exists() and _read_notes(notes) == [source, prints.of(text)]:
    return str(text)
  number = records.extract_field(path, field, text)
  if prints.of(path) != source:
    raise ValueError(
      f"{path} changed while it was read: give the same command again."
    )
  atomic.write_json(notes, [source, prints.of(text)])
  say(f"{path}: {number:,} texts are in its field {field!r}.")
  return str(text)


def _read_notes(path: pathlib.Path) -> object:
  try:
    return atomic.read_json(path)
  except (OSError, ValueError):
    return None  # missing or damaged: the text is written again


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
