"""Text files -> word counts or ids, with compiled loops in threads.

The results equal those of `reading`, `vocab.count_words` and `vocab.encode`,
which work on lists of tokens; counting words is six times as fast on one core.
"""

import collections
import functools
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.config import DOCUMENTS, TOKENIZERS
from glove_jax.text import kernels, reading, tokenizers, word_table
from glove_jax.text.instructions import check_compiled
from glove_jax.text.vocab import Vocab
from glove_jax.text.word_runs import WordRuns
from glove_jax.text.word_table import WordTable
from glove_jax.threads import borrow, ordered_map


class Text(NamedTuple):
  """Text files and how to read them: the arguments of `read_documents`."""

  paths: Sequence[str]
  tokenizer: str = "word"
  lowercase: bool = True
  documents: str = "line"
  section: reading.Section = reading.Section()  # the part to read


class Ids(NamedTuple):
  """The ids of a block of text."""

  ids: np.ndarray  # [N] int32, with UNKNOWN, and END after each document
  end: reading.Position  # where the next block begins


class Kept:
  """The words of a text, kept when they are counted, to be read as ids.

  So a text that fits in memory is read but once. `read_ids` takes them: they
  can be read once, and their memory is freed on the way.

  Args:
    max_words: of longer texts nothing is kept; 4 bytes each.
  """

  def __init__(self, max_words: int):
    self.max_words = max_words
    self.text: Text | None = None  # whose words they are
    self._tables: list[WordTable] = []
    self._blocks: collections.deque[_Block] = collections.deque()

  def fill(
    self, text: Text, tables: list[WordTable], blocks: Iterable["_Block"]
  ) -> None:
    """Replaces what is kept."""
    self.text, self._tables = text, tables
    self._blocks = collections.deque(blocks)

  def take(
    self, vocab: Vocab, keep_places: bool, threads: int
  ) -> Iterator[Ids]:
    """Yields the ids of the words, as `read_ids`; then nothing is kept."""
    known = word_table.of_words(vocab.words)

    def find_table(table: WordTable) -> np.ndarray:
      ids = np.empty(int(table.size[0]), np.int32)
      spans = word_table.spans_of(table)
      word_table.find_spans(known, table.letters, spans, True, ids)
      return ids

    new_ids = list(ordered_map(find_table, self._tables, threads))

    def find(block: _Block) -> Ids:
      ids = np.empty(len(block.words), np.int32)
      found = word_table.find_words(
        block.words, new_ids[block.table], keep_places, ids
      )
      return Ids(ids[:found], block.end)

    blocks, self._blocks = self._blocks, collections.deque()
    self.text, self._tables = None, []
    taken = (blocks.popleft() for _ in range(len(blocks)))
    yield from ordered_map(find, taken, threads)


class _Block(NamedTuple):
  """The words of a block of text, as they were counted."""

  words: np.ndarray  # [N] int32: indices in a table; END closes a document
  table: int  # which one
  end: reading.Position


def count_words(
  text: Text,
  *,
  min_count: int = 1,
  threads: int = 1,
  progress: Callable[[int], object] | None = None,
  kept: Kept | None = None,
  runs: WordRuns | None = None,
) -> Counter[str]:
  """Counts how often each word occurs, like `vocab.count_words`.

  Args:
    text: the files.
    min_count: words that occur less often are left out; if none is left, the
      most frequent words are returned instead.
    threads: the number of threads.
    progress: called with the number of words counted since its last call.
    kept: receives the words of the text, if they fit.
    runs: bound the memory of the table of words of each thread.

  Raises:
    ValueError, OSError, ImportError: as for `reading.read_documents`.
  """
  runs = WordRuns() if runs is None else runs
  tables = _count_tables(text, threads, progress, kept, runs)
  return runs.total(tables, min_count)


def count_table(text: Text, *, threads: int = 1) -> WordTable:
  """Like `count_words`, for all words, as a table that can be written."""
  tables = _count_tables(text, threads, None, None, WordRuns())
  return functools.reduce(word_table.merge, tables)


def _count_tables(
  text: Text,
  threads: int,
  progress: Callable[[int], object] | None,
  kept: Kept | None,
  runs: WordRuns,
) -> list[WordTable]:
  """Counts words into a table for each thread, and runs."""
  tables = [word_table.new() for _ in range(threads)]
  idle = list(range(threads))
  split = make_splitter(text)
  blocks: list[_Block] = []
  size, keeps = 0, kept is not None

  def count(block: reading.Block) -> tuple[int, _Block]:
    data, spans = split(block)
    words = np.empty(len(spans) if keeps else 0, np.int32)
    with borrow(idle) as number:
      table = runs.make_room(tables[number], len(spans), len(data))
      tables[number] = word_table.add(table, data, spans, words=words)
    num_words = int(np.count_nonzero(spans[:, 0] != spans[:, 1]))
    return num_words, _Block(words, number, block.end)

  for num_words, block in ordered_map(count, _read_blocks(text), threads):
    size += len(block.words)
    # A run has the words of a table, of which others may be kept.
    keeps = keeps and size <= kept.max_words and not runs
    if keeps:
      blocks.append(block)
    else:
      blocks.clear()
    if progress:
      progress(num_words)
  if keeps:
    kept.fill(text, list(tables), blocks)
  return tables


def read_ids(
  text: Text,
  vocab: Vocab,
  *,
  keep_places: bool = False,
  threads: int = 1,
  kept: Kept | None = None,
) -> Iterator[Ids]:
  """Streams the ids of the words of text files, one block at a time.

  Args:
    text: the files.
    vocab: the words and their ids.
    keep_places: unknown words become UNKNOWN (-1); else they are dropped.
    threads: the number of threads.
    kept: from `count_words`; if it has the words of this text, they are taken
      from there, and the files are not read.

  Yields:
    The ids of each block, in order.

  Raises:
    ValueError, OSError, ImportError: as for `reading.read_documents`.
  """
  if kept and kept.text == text:
    yield from kept.take(vocab, keep_places, threads)
    return
  blocks = _read_blocks(text)
  find = make_finder(text, vocab, keep_places=keep_places)
  yield from ordered_map(find, blocks, threads)


def _read_blocks(text: Text) -> Iterator[reading.Block]:
  return reading.read_blocks(text.paths, text.section, tokenizer=text.tokenizer)


def make_finder(
  text: Text, vocab: Vocab, *, keep_places: bool = False
) -> Callable[[reading.Block], Ids]:
  """Makes the function block -> ids that `read_ids` uses."""
  table = word_table.of_words(vocab.words)
  split = make_splitter(text)

  def find(block: reading.Block) -> Ids:
    data, spans = split(block)
    ids = np.empty(len(spans), np.int32)
    found = word_table.find_spans(table, data, spans, keep_places, ids)
    return Ids(ids[:found], block.end)

  return find


def make_splitter(
  text: Text,
) -> Callable[[reading.Block], tuple[np.ndarray, np.ndarray]]:
  """Makes the function block -> (bytes [N] uint8, spans [M, 2] int64).

  SLACK bytes follow the bytes. Both are views of buffers of the calling thread,
  which its next call overwrites.

  Raises:
    ValueError: an unknown tokenizer or kind of documents, or nothing is
      compiled.
  """
  check_compiled()
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
      buffer.data = np.empty(2 * len(data) + word_table.SLACK, np.uint8)
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
  # The other planes are private or unassigned, and take as long as these.
  for point in (*range(0x40000), *range(0xE0000, 0xE1000)):
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
