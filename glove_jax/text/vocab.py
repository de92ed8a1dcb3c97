"""The vocabulary: count words, choose them, read, write and encode.

Words are ordered, and so numbered, by descending count. Ties are ordered as in
Stanford's programs, byte by byte with *signed* bytes (C's `char` on x86). So a
word that starts with a non-ASCII letter precedes the ASCII words, and "aé"
precedes its own prefix "a". The cut at `max_vocab` follows the same order and
is deterministic.

Policies:

- A literal `<unk>` is never in the vocabulary; it is one more unknown word,
  because Stanford's vector files use that name for unknown words. (Stanford's
  `vocab_count` rejects such a corpus.)
- Empty tokens are never words.
- Any other token can be a word, whatever its length (the tokenizers cut at 999
  bytes). A word that contains a newline or a byte-order mark cannot be written.
"""

import dataclasses
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from glove_jax import atomic
from glove_jax.text.pipes import refuse_pipe
from glove_jax.text.reading import Continuation
from glove_jax.text.symbols import (
  BYTE_ORDER_MARK,
  UNK,
  UNKNOWN,
  drop_marks,
)

_NOT_IN_FILES = {"\n": "newline", BYTE_ORDER_MARK: "byte-order mark"}
_FLIP_SIGN = bytes(byte ^ 0x80 for byte in range(256))


@dataclasses.dataclass(frozen=True, eq=False)
class Vocab:
  """Words and their counts; a word's id is its position.

  Attributes:
    words: V words, by id.
    counts: [V] int64, how often each word occurs.

  Raises:
    ValueError: a word occurs twice, the lengths differ, or a count is negative.
  """

  words: tuple[str, ...]
  counts: np.ndarray

  def __post_init__(self):
    object.__setattr__(self, "words", tuple(self.words))
    counts = np.array(self.counts, np.int64)
    counts.setflags(write=False)
    object.__setattr__(self, "counts", counts)
    if counts.shape != (len(self.words),):
      raise ValueError(
        f"{len(self.words)} words need as many counts, not {counts.shape}."
      )
    if (counts < 0).any():
      raise ValueError(f"Counts must not be negative, got {counts.min()}.")
    if len(self.index) != len(self.words):
      word, _ = Counter(self.words).most_common(1)[0]
      raise ValueError(f"The vocabulary holds {word!r} more than once.")

  @functools.cached_property
  def index(self) -> dict[str, int]:
    """The id of each word."""
    return {word: i for i, word in enumerate(self.words)}

  def __len__(self) -> int:
    return len(self.words)

  def __contains__(self, word: object) -> bool:
    return word in self.index

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Vocab):
      return NotImplemented
    return self.words == other.words and np.array_equal(
      self.counts, other.counts
    )

  __hash__ = None

  def id(self, word: str) -> int:
    """The id of a word.

    Raises:
      ValueError: the word is not in the vocabulary.
    """
    if word not in self.index:
      raise ValueError(f"{word!r} is not among the {len(self)} words.")
    return self.index[word]


def count_words(documents: Iterable[list[str]]) -> Counter[str]:
  """Counts how often each token occurs.

  The counters of parts of a corpus add up to that of the whole.

  >>> count_words([["to", "be"], ["not", "to", "be"]])
  Counter({'to': 2, 'be': 2, 'not': 1})

  Raises:
    ValueError: a document is a string, or another thing than a list of words.
  """
  counter: Counter[str] = Counter()
  for document in documents:
    _check_document(document)
    counter.update(document)
  return counter


def _check_document(document: object) -> None:
  if isinstance(document, str | bytes):
    raise ValueError(
      "A document is a list of words, not a string: tokenize it first, for "
      "example with line.split()."
    )
  first = document[:1] if isinstance(document, list | tuple) else ()
  if first and not isinstance(first[0], str):
    kind = type(first[0]).__name__
    raise ValueError(f"A word is a string, not of type {kind}.")


def make_vocab(
  counter: Counter[str], *, min_count: int = 5, max_vocab: int = 0
) -> Vocab:
  """Keeps the words that occur at least `min_count` times, by frequency.

  >>> counter = Counter({"be": 2, "or": 1, "not": 1, "to": 3})
  >>> make_vocab(counter, min_count=2).words
  ('to', 'be')

  Args:
    counter: from `count_words`.
    min_count: the smallest count of a word that is kept.
    max_vocab: the largest number of words to keep; 0 for no limit.

  Raises:
    ValueError: there are no tokens, none is frequent enough, or a limit is
      negative.
  """
  for name, limit in (("min_count", min_count), ("max_vocab", max_vocab)):
    if limit < 0:
      raise ValueError(f"{name} is {limit}, but must not be negative.")
  known = {w: n for w, n in counter.items() if w not in ("", UNK) and n > 0}
  if not known:
    raise ValueError("The corpus is empty: no words were found in it.")
  words = sorted((w for w in known if known[w] >= min_count), key=_byte_order)
  if not words:
    word = max(known, key=known.get)
    raise ValueError(
      f"No word occurs min_count={min_count} times; the most frequent, "
      f"{word[:50]!r}, occurs {known[word]} times: lower min_count."
    )
  counts = np.array([known[word] for word in words])
  # Words of equal counts stay in their order.
  order = np.argsort(-counts, kind="stable")[: max_vocab or None]
  return Vocab(tuple(words[i] for i in order.tolist()), counts[order])


def fixed_vocab(
  path: str | os.PathLike, counter: Counter[str], *, max_vocab: int = 0
) -> Vocab:
  """The words of a file, in its order, with their counts in a corpus.

  A word that does not occur in the corpus has the count 0.

  Args:
    path: a `vocab.txt`; the counts in it are ignored, and so is `<unk>`.
    counter: from `count_words`.
    max_vocab: keep only this many words, the first; 0 for no limit.

  Raises:
    FileNotFoundError, ValueError: as `read_vocab`; or no word of the file
      occurs in the corpus.
  """
  words = [word for word in read_vocab(path).words if word != UNK]
  words = words[: max_vocab or None]
  counts = [counter[word] for word in words]
  if not any(counts):
    raise ValueError(f"None of the words of {path} occurs in the corpus.")
  return Vocab(tuple(words), np.array(counts))


def _byte_order(word: str) -> bytes:
  """A sort key: C's signed chars, with the terminating 0 of the string."""
  return (_to_bytes(word) + b"\0").translate(_FLIP_SIGN)


def _to_bytes(text: str) -> bytes:
  try:
    return text.encode("utf-8", "surrogateescape")
  except UnicodeEncodeError as error:
    near = text[max(0, error.start - 9) : error.end + 9]
    raise ValueError(
      f"{near!r} holds {text[error.start]!r}, which is half of a character: "
      "replace it, as word.encode('utf-8', 'replace').decode() does."
    ) from error


def write_vocab(vocab: Vocab, path: str | os.PathLike) -> None:
  """Writes Stanford's `vocab.txt` atomically: one line `word count` per word.

  Raises:
    ValueError: a word is empty, or contains a newline or a byte-order mark.
    OSError: the file cannot be written.
  """
  if "" in vocab:
    raise ValueError("A word is empty, which vocab.txt cannot represent.")
  joined = "".join(vocab.words)
  for character, name in _NOT_IN_FILES.items():
    if character in joined:
      word = next(word for word in vocab.words if character in word)
      raise ValueError(
        f"{word[:50]!r} holds a {name}, which vocab.txt cannot represent."
      )
  with atomic.write_whole(path) as file:
    file.write(_lines(vocab))


def fingerprint(vocab: Vocab) -> str:
  """32 hexadecimal digits that identify words and their counts.

  Counts carry those of their vocabulary, so that no reader pairs them with the
  words of another one. They are the first of the SHA-256 of `vocab.txt`.

  >>> fingerprint(Vocab(("to", "be"), [2, 2]))[:8]
  'a95c0e54'
  """
  return hashlib.sha256(_lines(vocab)).hexdigest()[:32]


def _lines(vocab: Vocab) -> bytes:
  """The lines of vocab.txt."""
  pairs = zip(vocab.words, vocab.counts.tolist(), strict=True)
  return _to_bytes("".join([f"{word} {count}\n" for word, count in pairs]))


def read_vocab(path: str | os.PathLike) -> Vocab:
  """Reads Stanford's `vocab.txt`; ids are the line numbers from 0.

  Each line is split at its last space, so a word may contain spaces. Byte-order
  marks are dropped.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: a line is not `word count`, a word occurs twice, or there are no
      words.
  """
  refuse_pipe(path)
  if not os.path.exists(path):
    raise FileNotFoundError(f"Vocabulary {os.fspath(path)!r}: no such file.")
  words, counts = [], []
  with open(path, "rb") as file:
    for number, line in enumerate(file, 1):
      word, _, count = drop_marks(line).rpartition(b" ")
      try:
        counts.append(int(count))
      except ValueError:
        word = b""
      if not word:
        raise ValueError(f"{path}, line {number}: expected `word count`.")
      words.append(word.decode("utf-8", "surrogateescape"))
  if not words:
    raise ValueError(f"{path} holds no words.")
  try:
    return Vocab(tuple(words), np.array(counts))
  except (ValueError, OverflowError) as error:
    raise ValueError(f"{path} is no vocabulary: {error}") from error


def encode(
  documents: Iterable[list[str]], vocab: Vocab, *, keep_places: bool = False
) -> Iterator[np.ndarray]:
  """Documents of tokens -> documents of ids.

  >>> vocab = Vocab(("to", "be"), [2, 2])
  >>> [ids.tolist() for ids in encode([["to", "be"], ["not", "to"]], vocab)]
  [[0, 1], [0]]

  Args:
    documents: from `read_documents`; a `Continuation` is joined to the document
      that it continues.
    vocab: the words and their ids.
    keep_places: unknown words become UNKNOWN (-1), which preserves the
      distances between the words around them. Without it they are dropped, as
      Stanford's programs do.

  Yields:
    One int32 array per document, possibly empty.

  Raises:
    ValueError: a document is a string, not a list of words.
  """
  parts: list[np.ndarray] = []
  for document in documents:
    if parts and not isinstance(document, Continuation):
      yield parts[0] if len(parts) == 1 else np.concatenate(parts)
      parts = []
    _check_document(document)
    found = map(vocab.index.get, document, repeat(UNKNOWN))
    ids = np.fromiter(found, np.int32, len(document))
    parts.append(ids if keep_places else ids[ids >= 0])
  if parts:
    yield parts[0] if len(parts) == 1 else np.concatenate(parts)
