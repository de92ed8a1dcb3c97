"""The vocabulary: counting words, cutting, reading, writing, encoding.

Order, and so the ids: by count descending, then as Stanford's programs order
equal counts, which is byte by byte *with signed bytes* (C's `char` on x86):
a word that starts with a non-ASCII letter stands before the ASCII ones, and a
word stands after its own continuation where that goes on with such a letter.
The cut at `max_vocab` follows the same order, so it is deterministic.

Policies:

- A literal `<unk>` is left out of the vocabulary, so it is one more unknown
  word: vector files in Stanford's format keep that name for unknown words.
  (Stanford's `vocab_count` refuses such a corpus.)
- Empty tokens are never words.
- Any other token may be a word, whatever its length (the tokenizers of
  `corpus` cut at 999 bytes); one that holds a newline cannot be written.
"""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import repeat

import numpy as np

from glove_jax import atomic
from glove_jax.text.reading import Continuation

UNK = "<unk>"
_FLIP_SIGN = bytes(byte ^ 0x80 for byte in range(256))


@dataclasses.dataclass(frozen=True, eq=False)
class Vocab:
  """Words, their ids (places) and their counts.

  Attributes:
    words: the word of each id.
    counts: [V] int64, how often each word occurs.
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
        f"{len(self.words)} words need as many counts, not {counts.shape}"
      )
    if len(self.index) != len(self.words):
      word, _ = Counter(self.words).most_common(1)[0]
      raise ValueError(f"the vocabulary holds {word!r} more than once")

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
    """The id of `word`; a ValueError where it is not in the vocabulary."""
    if word not in self.index:
      raise ValueError(f"{word!r} is not among the {len(self)} words")
    return self.index[word]


def count_words(documents: Iterable[list[str]]) -> Counter[str]:
  """How often each token occurs. Counters of parts of a corpus add up."""
  counter: Counter[str] = Counter()
  for document in documents:
    counter.update(document)
  return counter


def make_vocab(
  counter: Counter[str], *, min_count: int = 5, max_vocab: int = 0
) -> Vocab:
  """The words that occur at least `min_count` times, the most frequent first.

  Args:
    counter: from `count_words`.
    min_count: the least count of a word that is kept.
    max_vocab: how many words to keep at most; 0 for no limit.

  Raises:
    ValueError: no tokens at all, none frequent enough, or a negative limit.
  """
  for name, limit in (("min_count", min_count), ("max_vocab", max_vocab)):
    if limit < 0:
      raise ValueError(f"{name} is {limit}, but must not be negative")
  known = {w: n for w, n in counter.items() if w not in ("", UNK) and n > 0}
  if not known:
    raise ValueError("the corpus is empty: no words were found in it")
  kept = [(w, n) for w, n in known.items() if n >= min_count]
  if not kept:
    word = max(known, key=known.get)
    raise ValueError(
      f"no word occurs min_count={min_count} times: the most frequent, "
      f"{word[:50]!r}, occurs {known[word]} times; lower min_count"
    )
  kept.sort(key=lambda item: (-item[1], _byte_order(item[0])))
  if max_vocab:
    kept = kept[:max_vocab]
  words, counts = zip(*kept, strict=True)
  return Vocab(words, np.array(counts))


def _byte_order(word: str) -> bytes:
  """Sorts as C's signed chars do, the closing 0 of the string included."""
  return (_to_bytes(word) + b"\0").translate(_FLIP_SIGN)


def _to_bytes(word: str) -> bytes:
  return word.encode("utf-8", "surrogateescape")


def write_vocab(vocab: Vocab, path: str | os.PathLike) -> None:
  """Writes Stanford's `vocab.txt`, a line `word count` a word.

  The file is there whole or not at all.

  Raises:
    ValueError: a word holds a newline.
    OSError: the file cannot be written.
  """
  for word in vocab.words:
    if "\n" in word:
      raise ValueError(f"{word[:50]!r} holds a newline: vocab.txt cannot")
  lines = (
    b"%b %d\n" % (_to_bytes(word), count)
    for word, count in zip(vocab.words, vocab.counts.tolist(), strict=True)
  )
  with atomic.write_whole(path) as file:
    file.writelines(lines)


def read_vocab(path: str | os.PathLike) -> Vocab:
  """Reads Stanford's `vocab.txt`; ids are the line numbers from 0.

  A line is read from the right, so that a word with a space in it survives.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a line is not `word count`, a word comes twice, or there are no
      words.
  """
  if not os.path.exists(path):
    raise FileNotFoundError(f"vocabulary {os.fspath(path)!r}: no such file")
  words, counts = [], []
  with open(path, "rb") as file:
    for number, line in enumerate(file, 1):
      word, _, count = line.rpartition(b" ")
      try:
        counts.append(int(count))
      except ValueError:
        word = b""
      if not word:
        raise ValueError(f"{path}, line {number}: expected `word count`")
      words.append(word.decode("utf-8", "surrogateescape"))
  if not words:
    raise ValueError(f"{path} holds no words")
  return Vocab(tuple(words), np.array(counts))


def encode(
  documents: Iterable[list[str]], vocab: Vocab, *, keep_places: bool = False
) -> Iterator[np.ndarray]:
  """Documents of tokens -> documents of ids.

  Args:
    documents: from `read_documents`; a `Continuation` is put together with the
      document that it goes on with.
    vocab: gives the ids.
    keep_places: unknown words become -1, so that the words around them stay as
      far apart as they were; without it they are dropped, as Stanford does.

  Yields:
    int32 arrays, one a document, possibly empty.
  """
  parts: list[np.ndarray] = []
  for document in documents:
    if parts and not isinstance(document, Continuation):
      yield parts[0] if len(parts) == 1 else np.concatenate(parts)
      parts = []
    found = map(vocab.index.get, document, repeat(-1))
    ids = np.fromiter(found, np.int32, len(document))
    parts.append(ids if keep_places else ids[ids >= 0])
  if parts:
    yield parts[0] if len(parts) == 1 else np.concatenate(parts)
