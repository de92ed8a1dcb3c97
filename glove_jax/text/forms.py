"""What Python code has in hand as text -> files, texts, or lists of words.

`recognise` says which of the three it is. `number_words` reads lists of words
once: it numbers each new word, and keeps 4 bytes a word. When the vocabulary
is known, `encode` maps these numbers to the ids of its words.
"""

import array
import glob
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from glove_jax.text import datasets
from glove_jax.text.symbols import UNKNOWN
from glove_jax.text.vocab import Vocab

_SHOWN = 60  # characters of a text in a message
_LOOKED_AT = 100  # strings that are looked at to find names of files


class Source(NamedTuple):
  """Text that has been recognised."""

  kind: str  # 'files', 'texts' or 'words'
  items: Iterable  # paths; strings; or lists of words


class Numbered(NamedTuple):
  """Documents of N words in all, numbered in the order of first occurrence."""

  counter: Counter[str]  # how often each word occurs, by number
  numbers: np.ndarray  # [N] int32
  ends: list[int]  # where each document ends in `numbers`


def recognise(sentences: Any, text_field: str = "") -> Source:
  """Says what `sentences` holds, from its kind and its first item.

  >>> recognise([["I", "like", "NLP"]]).kind
  'words'
  >>> recognise(["I like NLP", "and deep learning"]).kind
  'texts'

  Args:
    sentences: a path, glob or named corpus, or a list of them; strings, each a
      text; lists of words; or, with `text_field`, a table or dicts that have
      their text there. The last three may be any iterable, such as a generator,
      a column of a data frame or of a Hugging Face dataset. Missing values
      (None, NaN) are skipped.
    text_field: the name of the field.

  Returns:
    The kind, and the items; what an iterable yields is not kept.

  Raises:
    FileNotFoundError: a single string is no path.
    ValueError: `sentences` is empty or of another kind; also while the items
      are read.
  """
  if isinstance(sentences, str | os.PathLike):
    return Source("files", [_path(sentences)])
  if hasattr(sentences, "columns") and hasattr(sentences, "shape"):
    sentences = _column(sentences, text_field)
    text_field = ""
  if isinstance(sentences, Mapping):
    raise ValueError(
      f"sentences is a dict with the keys {_names(sentences)}: give one of its "
      f"values, such as data[{next(iter(sentences), 'train')!r}]."
    )
  if isinstance(sentences, bytes) or not isinstance(sentences, Iterable):
    raise ValueError(
      f"sentences is of type {type(sentences).__name__}: give lists of words, "
      "texts, or files."
    )
  if hasattr(sentences, "with_format"):  # of Hugging Face: items as dicts
    sentences = sentences.with_format(None)
  if hasattr(sentences, "to_pylist"):  # of Arrow
    sentences = (item.as_py() for item in sentences)
  items = filter(_is_there, sentences)
  first = next(items, None)
  if first is None:
    raise ValueError(
      "sentences is empty: give lists of words, texts, or files."
    )
  if isinstance(sentences, list | tuple) and _are_paths(sentences):
    return Source("files", [os.fspath(path) for path in sentences])
  items = itertools.chain([first], items)
  if isinstance(first, os.PathLike):  # as folder.glob("*.txt") yields
    return Source("files", [os.fspath(path) for path in items])
  if isinstance(first, Mapping):
    return Source("texts", _check_texts(_fields(items, text_field)))
  if isinstance(first, str):
    return Source("texts", _check_texts(items))
  return Source("words", _check_documents(items))


def _path(path: str | os.PathLike) -> str:
  name = os.fspath(path)
  if isinstance(path, str) and not _is_path(path) and len(path.split()) > 1:
    raise FileNotFoundError(
      f"There is no file {_short(path)}: put a text itself into a list, [text]."
    )
  return name


def _is_path(name: str) -> bool:
  if name in datasets.corpora() or name == "-":
    return True
  path = os.path.expanduser(name)
  return os.path.exists(path) or any(glob.iglob(path, recursive=True))


def _are_paths(items: list | tuple) -> bool:
  """Whether a list holds files; ValueError if only some strings are names."""
  if any(isinstance(item, os.PathLike) for item in items):
    return True
  looked_at = [
    item
    for item in items[:_LOOKED_AT]
    if isinstance(item, str) and len(item) < 256 and "\n" not in item
  ]
  paths = [item for item in looked_at if _is_path(item)]
  others = [item for item in looked_at if item not in paths]
  if paths and others:
    raise ValueError(
      f"sentences holds {_short(paths[0])}, which is a file, and "
      f"{_short(others[0])}, which is none: give files only, or texts only."
    )
  return len(paths) == len(items)


def _column(table: Any, field: str) -> Any:
  names = list(getattr(table, "column_names", table.columns))
  if field not in names:
    what = f"has no column {field!r}" if field else "is a table"
    raise ValueError(
      f"sentences {what}; its columns are {_names(names)}: give one by "
      "text_field."
    )
  return table[field]


def _fields(records: Iterable, field: str) -> Iterator[Any]:
  for record in records:
    if not isinstance(record, Mapping) or field not in record:
      names = _names(record) if isinstance(record, Mapping) else "not there"
      what = f"has no {field!r}" if field else "is a dict"
      raise ValueError(
        f"An item of sentences {what}; its fields are {names}: give the one "
        "with the text by text_field."
      )
    yield record[field]


def _check_texts(texts: Iterable) -> Iterator[str]:
  """Yields texts; a list of single words is an error, found at its end."""
  several, text = False, ""
  for text in filter(_is_there, texts):
    if not isinstance(text, str):
      raise ValueError(
        f"An item of sentences is {text!r:.80}, others are strings: give texts "
        "only, or lists of words only."
      )
    several = several or len(text.split(None, 1)) > 1
    yield text
  if not several:
    raise ValueError(
      f"sentences holds single words, such as {_short(text)}: give a list of "
      "lists of words, whole texts, or files that exist."
    )


def _check_documents(documents: Iterable) -> Iterator[Iterable]:
  for document in documents:
    if isinstance(document, str | bytes | Mapping) or not isinstance(
      document, Iterable
    ):
      raise ValueError(
        f"An item of sentences is {document!r:.80}: give lists of words only, "
        "or texts only."
      )
    if isinstance(document, set | frozenset):
      raise ValueError(
        "A document of sentences is a set, whose words have no order: give "
        "lists of words."
      )
    yield document


def _is_there(item: object) -> bool:
  """Whether an item is a value: None, NaN and pandas' NA are not."""
  if item is None or (isinstance(item, float) and item != item):
    return False
  return type(item).__name__ not in ("NAType", "NaTType")


def _names(names: Iterable) -> str:
  return ", ".join(map(str, itertools.islice(names, 10))) or "none"


def _short(text: str) -> str:
  return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def number_words(documents: Iterable[Iterable[str]]) -> Numbered:
  """Reads documents once, and numbers their words.

  >>> number_words([["to", "be"], ["not", "to", "be"]]).numbers.tolist()
  [0, 1, 2, 0, 1]

  Raises:
    ValueError: a word is no string.
  """
  index: defaultdict[str, int] = defaultdict()
  index.default_factory = index.__len__
  numbers, ends = array.array("i"), []
  for document in documents:
    try:
      numbers.extend(map(index.__getitem__, document))
    except TypeError as error:
      raise ValueError(
        f"A document of sentences holds what is no word: {document!r:.80}"
      ) from error
    ends.append(len(numbers))
  _check_words(index)
  numbers = np.array(numbers, np.int32)
  counts = np.bincount(numbers, minlength=len(index)).tolist()
  counter = Counter(dict(zip(map(str, index), counts, strict=True)))
  return Numbered(counter, numbers, ends)


def _check_words(words: Iterable) -> None:
  for word in words:
    if not isinstance(word, str):
      raise ValueError(
        f"The word {word!r} is of type {type(word).__name__}: give strings, "
        f"such as {str(word)!r}."
      )


def encode(
  numbered: Numbered, vocab: Vocab, *, keep_places: bool = False
) -> Iterator[np.ndarray]:
  """Documents of ids, as `vocab.encode` makes them from lists of words.

  >>> numbered = number_words([["to", "be"], ["not", "to"]])
  >>> [ids.tolist() for ids in encode(numbered, Vocab(("to", "be"), [2, 1]))]
  [[0, 1], [0]]

  Args:
    numbered: the documents.
    vocab: the words and their ids.
    keep_places: whether other words become UNKNOWN (-1); else they are dropped.
  """
  ids_of = [vocab.index.get(word, UNKNOWN) for word in numbered.counter]
  ids_of = np.array(ids_of, np.int32)
  for start, end in itertools.pairwise([0, *numbered.ends]):
    ids = ids_of[numbered.numbers[start:end]]
    yield ids if keep_places else ids[ids >= 0]
