"""Text files -> word counts or ids, with compiled loops in threads.

The results equal those of `reading`, `vocab.count_words` and `vocab.encode`,
which work on lists of tokens; counting words is six times as fast on one core.
"""

import functools
import os
import queue
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import atomic
from glove_jax.config import DOCUMENTS, TOKENIZERS
from glove_jax.text import kernels, reading, tokenizers
from glove_jax.text.kernels import WordTable
from glove_jax.text.symbols import UNK
from glove_jax.text.vocab import Vocab
from glove_jax.threads import ordered_map

_ONCE = np.zeros(0, np.int64)
_FIRST_WORDS = 1 << 16  # capacity of a new table


class Text(NamedTuple):
  """Text files and how to read them: the arguments of `read_documents`."""

  paths: Sequence[str]
  tokenizer: str = "word"
  lowercase: bool = True
  documents: str = "line"
  section: reading.Section = reading.Section()  # the part to read


class Ids(NamedTuple):
  """The ids of a block of text."""

  ids: (
    np.ndarray
  )  # [N] int32; unknown words are UNKNOWN, and END closes a document
  end: reading.Position  # where the next block begins


def count_words(
  text: Text,
  *,
  min_count: int = 1,
  threads: int = 1,
  progress: Callable[[int], object] | None = None,
) -> Counter[str]:
  """Counts how often each word occurs, like `vocab.count_words`.

  Args:
    text: the files.
    min_count: words that occur less often are left out; if none is left, the
      most frequent words are returned instead.
    threads: the number of threads.
    progress: called with the number of words counted since its last call.

  Raises:
    ValueError, OSError, ImportError: as for `reading.read_documents`.
  """
  table = count_table(text, threads=threads, progress=progress)
  return to_counter(table, min_count)


def count_table(
  text: Text,
  *,
  threads: int = 1,
  progress: Callable[[int], object] | None = None,
) -> WordTable:
  """Like `count_words`, for all words, as a table that can be written."""
  tables: queue.SimpleQueue[WordTable] = queue.SimpleQueue()
  for _ in range(threads):
    tables.put(_new_table(_FIRST_WORDS))
  split = make_splitter(text)

  def count(block: reading.Block) -> int:
    data, spans = split(block)
    table = tables.get()
    tables.put(_add(table, data, spans))
    return int(np.count_nonzero(spans[:, 0] != spans[:, 1]))

  blocks = _read_blocks(text)
  for num_words in ordered_map(count, blocks, threads):
    if progress:
      progress(num_words)
  total = tables.get()
  while not tables.empty():
    total = _merge(total, tables.get())
  return total


def read_ids(
  text: Text,
  vocab: Vocab,
  *,
  keep_places: bool = False,
  threads: int = 1,
) -> Iterator[Ids]:
  """Streams the ids of the words of text files, one block at a time.

  Args:
    text: the files.
    vocab: the words and their ids.
    keep_places: unknown words become UNKNOWN (-1); else they are dropped.
    threads: the number of threads.

  Yields:
    The ids of each block, in order.

  Raises:
    ValueError, OSError, ImportError: as for `reading.read_documents`.
  """
  blocks = _read_blocks(text)
  find = make_finder(text, vocab, keep_places=keep_places)
  yield from ordered_map(find, blocks, threads)


def _read_blocks(text: Text) -> Iterator[reading.Block]:
  return reading.read_blocks(text.paths, text.section, tokenizer=text.tokenizer)


def make_finder(
  text: Text, vocab: Vocab, *, keep_places: bool = False
) -> Callable[[reading.Block], Ids]:
  """Makes the function block -> ids that `read_ids` uses."""
  table = _table_of(vocab)
  split = make_splitter(text)

  def find(block: reading.Block) -> Ids:
    data, spans = split(block)
    ids = np.empty(len(spans), np.int32)
    found = kernels.find_spans(table, data, spans, keep_places, ids)
    return Ids(ids[:found], block.end)

  return find


def make_splitter(
  text: Text,
) -> Callable[[reading.Block], tuple[np.ndarray, np.ndarray]]:
  """Makes the function block -> (bytes [N] uint8, spans [M, 2] int64).

  Both are views of buffers of the calling thread, which its next call
  overwrites.

  Raises:
    ValueError: an unknown tokenizer or kind of documents.
  """
  tokenizers.check_choice("tokenizer", text.tokenizer, TOKENIZERS)
  tokenizers.check_choice("documents", text.documents, DOCUMENTS)
  blank_line = text.documents == "blank_line"
  buffer = threading.local()

  def split(block: reading.Block) -> tuple[np.ndarray, np.ndarray]:
    data = block.data
    if text.lowercase:
      decoded = data.decode("utf-8", "surrogateescape")
      data = decoded.lower().encode("utf-8", "surrogateescape")
    if text.tokenizer == "whitespace":
      data = tokenizers.drop(data, text.tokenizer)
    if len(getattr(buffer, "spans", ())) <= len(data):
      buffer.spans = np.empty((2 * len(data) + 1, 2), np.int64)
      buffer.data = np.empty(2 * len(data), np.uint8)
    copy = buffer.data[: len(data)]  # which can be written to
    copy[:] = np.frombuffer(data, np.uint8)
    arguments = copy, block.begun, blank_line, buffer.spans
    if text.tokenizer == "whitespace":
      found = kernels.split_whitespace(*arguments)
    else:
      found = kernels.split_words(*arguments, _classes())
    return copy, buffer.spans[:found]

  return split


@functools.cache
def _classes() -> np.ndarray:
  """[0x110000] uint8: the class of each code point for `word`."""
  classes = np.zeros(sys.maxunicode + 1, np.uint8)
  for point in range(sys.maxunicode + 1):
    character = chr(point)
    if character.isalnum():
      classes[point] = kernels.WORD
    elif unicodedata.category(character)[0] == "M":
      classes[point] = kernels.MARK
  for character in tokenizers.JOINERS:
    classes[ord(character)] = kernels.JOINER
  for character in tokenizers.INVISIBLE:
    classes[ord(character)] = kernels.DROPPED
  return classes


def write_table(table: WordTable, path: str | os.PathLike) -> None:
  """Writes the words and counts of a table atomically.

  Raises:
    OSError: the file cannot be written.
  """
  size = int(table.size[0])
  ends = table.ends[: size + 1]
  with atomic.write_whole(path) as file:
    np.savez(
      file, counts=table.counts[:size], ends=ends,
      letters=table.letters[: ends[-1]],
    )  # fmt: skip


def read_tables(paths: Iterable[str | os.PathLike]) -> WordTable:
  """Sums tables that `write_table` wrote.

  Raises:
    OSError: a file cannot be read.
  """
  total = _new_table(_FIRST_WORDS)
  for path in paths:
    with np.load(path) as saved:
      ends, counts = saved["ends"], saved["counts"]
      spans = np.stack([ends[:-1], ends[1:]], axis=1)
      total = _add(total, saved["letters"], spans, counts)
  return total


def _fill(table: WordTable, counts, ends, letters) -> WordTable:
  table.counts[: len(counts)] = counts
  table.ends[: len(ends)] = ends
  table.letters[: len(letters)] = letters
  table.size[0] = len(counts)
  kernels.fill_slots(table)
  return table


def _new_table(words: int, letters: int = 0) -> WordTable:
  """An empty table for up to `words` words, a power of two."""
  return WordTable(
    slots=np.zeros(2 * words, np.uint64),
    counts=np.zeros(words, np.int64),
    ends=np.zeros(words + 1, np.int64),
    letters=np.empty(max(letters, 16 * words), np.uint8),
    size=np.zeros(1, np.int64),
  )


def _add(table: WordTable, data, spans, counts=_ONCE) -> WordTable:
  """Counts spans into a table; returns it, or a larger copy if it was full."""
  done = 0
  while True:
    done = kernels.count_spans(table, data, spans, counts, done)
    if done == len(spans):
      return table
    table = _grow(table)


def _grow(old: WordTable) -> WordTable:
  size = int(old.size[0])
  ends = old.ends[: size + 1]
  table = _new_table(2 * len(old.counts), 2 * len(old.letters))
  return _fill(table, old.counts[:size], ends, old.letters[: ends[-1]])


def _merge(table: WordTable, other: WordTable) -> WordTable:
  size = int(other.size[0])
  spans = np.stack([other.ends[:size], other.ends[1 : size + 1]], axis=1)
  return _add(table, other.letters, spans, other.counts[:size])


def to_counter(table: WordTable, min_count: int = 1) -> Counter[str]:
  """The words of a table that occur `min_count` times, as in `count_words`."""
  counts = table.counts[: table.size[0]]
  kept = np.flatnonzero(counts >= min(min_count, counts.max(initial=0)))
  found = _words(table, kept, counts)
  if set(found) == {UNK}:  # not a word: return the next most frequent
    found = _words(table, np.arange(len(counts)), counts)
  return found


def _words(
  table: WordTable, chosen: np.ndarray, counts: np.ndarray
) -> Counter[str]:
  letters = table.letters[: table.ends[table.size[0]]].tobytes()
  starts, ends = table.ends[chosen].tolist(), table.ends[chosen + 1].tolist()
  return Counter(
    {
      letters[start:end].decode("utf-8", "surrogateescape"): count
      for start, end, count in zip(
        starts, ends, counts[chosen].tolist(), strict=True
      )
    }
  )


def _table_of(vocab: Vocab) -> WordTable:
  """A table of the words of a vocabulary, indexed by their ids."""
  words = [word.encode("utf-8", "surrogateescape") for word in vocab.words]
  letters = np.frombuffer(b"".join(words), np.uint8)
  table = _new_table(1 << len(words).bit_length(), len(letters))
  ends = np.cumsum([0, *(len(word) for word in words)])
  return _fill(table, np.zeros(len(words), np.int64), ends, letters)
