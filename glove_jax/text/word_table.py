"""A hash table of words: spans of bytes -> counts or ids, in compiled loops.

Words are hashed and compared 8 bytes at a time. Most of the time would be spent
waiting for memory, so a loop asks for what the next words need some words
ahead. All loops release Python's lock.
"""

import os
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import uint64

from glove_jax import atomic, memory, native
from glove_jax.text.instructions import load_bytes, prefetch
from glove_jax.text.symbols import END, UNK

SLACK = 8  # bytes that must follow a text, since 8 are loaded at a time
ONCE = np.zeros(0, np.int64)
NOWHERE = np.zeros(0, np.int32)
_FIRST_WORDS = 1 << 16  # capacity of a new table
_FAR, _NEAR, _NEXT = 16, 8, 4  # words ahead, see `_look_ahead`
_INDEX = uint64(0xFFFFFFFF)


class WordTable(NamedTuple):
  """A hash table of words; words of equal hashes are compared byte by byte.

  A slot holds the upper half of a word's hash and the word's index plus 1. With
  the words "to" and "be":

    letters = "tobe", ends = [0, 2, 4, ...], counts = [2, 1, ...], size = [2]
    slots[hash("be") % 2^k] = upper half of hash("be") | 2
  """

  slots: np.ndarray  # [2^k] uint64, 0 if empty; at most half are used
  counts: np.ndarray  # [2^(k-1)] int64
  ends: np.ndarray  # [2^(k-1) + 1] int64: word i is letters[ends[i]:ends[i+1]]
  letters: np.ndarray  # [bytes + SLACK] uint8
  size: np.ndarray  # [1] int64, the number of words


def new(words: int = 0, letters: int = 0) -> WordTable:
  """An empty table for up to `words` words, a power of two."""
  words = words or _FIRST_WORDS
  return WordTable(
    slots=np.zeros(2 * words, np.uint64),
    counts=np.zeros(words, np.int64),
    ends=np.zeros(words + 1, np.int64),
    letters=np.zeros(max(letters, 16 * words) + SLACK, np.uint8),
    size=np.zeros(1, np.int64),
  )


def of_words(words: Iterable[str]) -> WordTable:
  """A table of distinct words, in their order, with counts of 0."""
  letters = [word.encode("utf-8", "surrogateescape") for word in words]
  ends = np.cumsum([0, *map(len, letters)])
  table = new(1 << len(letters).bit_length(), int(ends[-1]))
  joined = np.frombuffer(b"".join(letters), np.uint8)
  return _fill(table, np.zeros(len(letters), np.int64), ends, joined)


def add(table: WordTable, data, spans, counts=ONCE, words=NOWHERE) -> WordTable:
  """Counts spans into a table.

  Args:
    table: modified in place.
    data: [N] uint8, the text, with SLACK bytes after it.
    spans: [M, 2] int64, as in `kernels`; empty ones are skipped.
    counts: [M] int64, how much each span adds; by default 1.
    words: [M] int32, receives the index of each span in the table, END for an
      empty one; [0] receives nothing.

  Returns:
    The table, or a larger copy if it was full. Indices do not change.
  """
  done = 0
  while True:
    done = count_spans(table, data, spans, counts, done, words)
    if done == len(spans):
      return table
    table = _grow(table)


def merge(table: WordTable, other: WordTable) -> WordTable:
  """Adds the counts of another table, as `add`."""
  size = int(other.size[0])
  return add(table, other.letters, spans_of(other), other.counts[:size])


def spans_of(table: WordTable) -> np.ndarray:
  """[M, 2] int64: where in its letters the words of a table are."""
  ends = table.ends[: int(table.size[0]) + 1]
  return np.stack([ends[:-1], ends[1:]], axis=1)


def hashes(table: WordTable) -> np.ndarray:
  """The hashes of the words of a table: [M] uint64."""
  return _hash_spans(table.letters, spans_of(table), 0)[: int(table.size[0])]


@native.loop
def copy_words(table, order, ends, letters):
  """Copies words of a table, in some order.

  Args:
    table: the words.
    order: [M] int64, indices of words.
    ends: [M + 1] int64, the output: word i is letters[ends[i]:ends[i + 1]].
    letters: uint8, the output.
  """
  ends[0] = 0
  for i, word in enumerate(order):
    first, last = table.ends[word], table.ends[word + 1]
    ends[i + 1] = ends[i] + last - first
    _copy(table.letters, first, last, letters, ends[i])


def _grow(old: WordTable) -> WordTable:
  size = int(old.size[0])
  ends = old.ends[: size + 1]
  table = new(2 * len(old.counts), 2 * len(old.letters))
  return _fill(table, old.counts[:size], ends, old.letters[: ends[-1]])


def _fill(table: WordTable, counts, ends, letters) -> WordTable:
  table.counts[: len(counts)] = counts
  table.ends[: len(ends)] = ends
  table.letters[: len(letters)] = letters
  table.size[0] = len(counts)
  _fill_slots(table)
  return table


def write(table: WordTable, path: str | os.PathLike) -> None:
  """Writes the words and counts of a table atomically.

  Raises:
    OSError: the file cannot be written.
  """
  size = int(table.size[0])
  ends = table.ends[: size + 1]
  with atomic.write_whole(path) as file:
    arrays = {
      "counts": table.counts[:size],
      "ends": ends,
      "letters": table.letters[: ends[-1]],
    }
    memory.write_arrays(file, arrays)


def read(path: str | os.PathLike) -> WordTable:
  """Reads a table that `write` wrote.

  Raises:
    OSError: the file cannot be read.
  """
  with np.load(path) as saved:
    counts, ends, letters = (saved[n] for n in ("counts", "ends", "letters"))
    table = new(1 << len(counts).bit_length(), len(letters))
    return _fill(table, counts, ends, letters)


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


@native.loop
def count_spans(table, data, spans, counts, begin, words):
  """Counts words into a table until it is full; the loop of `add`.

  Args:
    table, data, spans, counts, words: as there.
    begin: the first span to count.

  Returns:
    The span at which to resume once the table has grown; M when done.
  """
  codes = _hash_spans(data, spans, begin)
  for i in range(begin, len(spans)):
    _look_ahead(table, codes, i - begin)
    start, end = spans[i, 0], spans[i, 1]
    word = np.int64(END)
    if start != end:
      code = codes[i - begin]
      slot = _find(table, data, start, end, code)
      if table.slots[slot] == 0:
        size = table.size[0]
        first = table.ends[size]
        last = first + end - start
        if size == len(table.counts) or last + SLACK > len(table.letters):
          return i
        _copy(data, start, end, table.letters, first)
        table.ends[size + 1] = last
        table.counts[size] = 0
        table.size[0] = size + 1
        table.slots[slot] = _entry(code, size)
      word = _word_at(table, slot)
      table.counts[word] += counts[i] if len(counts) else 1
    if len(words):
      words[i] = word
  return len(spans)


@native.loop
def find_spans(table, data, spans, keep_places, ids):
  """Looks up the ids of words.

  Args:
    table: the words; the index of a word is its id.
    data: [N] uint8, the text, with SLACK bytes after it.
    spans: [M, 2] int64.
    keep_places: whether unknown words become UNKNOWN; else they are dropped.
    ids: [M] int32, the output; a document ends with END.

  Returns:
    The number of ids.
  """
  codes = _hash_spans(data, spans, np.int64(0))
  found = 0
  for i in range(len(spans)):
    _look_ahead(table, codes, i)
    start, end = spans[i, 0], spans[i, 1]
    if start == end:
      ids[found] = END
      found += 1
      continue
    word = _word_at(table, _find(table, data, start, end, codes[i]))
    if word >= 0 or keep_places:  # an empty slot yields -1, UNKNOWN
      ids[found] = word
      found += 1
  return found


@native.loop
def find_words(words, new_ids, keep_places, ids):
  """Replaces indices in one table by ids.

    words [1, 0, END], new_ids [UNKNOWN, 7]  ->  [7, END]; with places also -1

  Args:
    words: [M] int32, from `add`.
    new_ids: int32, the id of each word of the table, or UNKNOWN.
    keep_places, ids: as for `find_spans`.

  Returns:
    The number of ids.
  """
  found = 0
  for word in words:
    code = new_ids[uint64(word)] if word >= 0 else np.int32(word)
    if word < 0 or code >= 0 or keep_places:
      ids[found] = code
      found += 1
  return found


@native.loop
def _fill_slots(table):
  """Fills the empty slots of a table with all of its words."""
  for word in range(table.size[0]):
    start, end = table.ends[word], table.ends[word + 1]
    code = _hash(table.letters, start, end)
    slot = _find(table, table.letters, start, end, code)
    table.slots[slot] = _entry(code, word)


@native.helper
def _copy(data, start, end, letters, first):
  """Copies the bytes of a word; numba compiles a slice for a second longer."""
  for i in range(end - start):
    letters[first + i] = data[start + i]


@native.helper
def _look_ahead(table, codes, i):
  """Loads what the words after word i will need into the cache, in two steps.

  First the slot that the hash of a word names, then what is known of the word
  in that slot, which most often is the same.
  """
  mask = uint64(len(table.slots) - 1)
  prefetch(table.slots, np.int64(codes[uint64(i + _FAR)] & mask))
  word = _word_at(table, codes[uint64(i + _NEAR)] & mask)
  prefetch(table.ends, word)
  prefetch(table.counts, word)
  word = _word_at(table, codes[uint64(i + _NEXT)] & mask)
  prefetch(table.letters, table.ends[uint64(max(word, 0))])


@native.helper
def _word_at(table, slot):
  """The index of the word in a slot, -1 if it is empty."""
  return np.int64(table.slots[slot] & _INDEX) - 1


@native.helper
def _entry(code, word):
  return (code & ~_INDEX) | uint64(word + 1)


@native.loop
def _hash_spans(data, spans, begin):
  """[M - begin + _FAR] uint64: the hashes of spans, and zeros."""
  codes = np.zeros(len(spans) - begin + _FAR, np.uint64)
  for i in range(begin, len(spans)):
    if spans[i, 0] != spans[i, 1]:
      codes[i - begin] = _hash(data, spans[i, 0], spans[i, 1])
  return codes


@native.helper
def _hash(data, start, end):
  """A 64-bit hash, of which the low bits choose the slot."""
  code = uint64(end - start)
  while end - start > 8:
    code = _mix(code ^ load_bytes(data, uint64(start)))
    start += 8
  return _mix(_mix(code ^ _last(data, start, end)))


@native.helper
def _mix(code):
  code *= uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
  return code ^ (code >> uint64(32))


@native.helper
def _last(data, start, end):
  """The last 1 to 8 bytes of a word, with zeros after them."""
  unused = uint64(64 - 8 * (end - start))
  return load_bytes(data, uint64(start)) << unused >> unused


@native.helper
def _find(table, data, start, end, code):
  """The slot that holds the word, or the empty slot where it belongs."""
  mask = uint64(len(table.slots) - 1)
  slot = code & mask
  while table.slots[slot] != 0:
    is_near = (table.slots[slot] ^ code) >> uint64(32) == 0
    if is_near and _equal(table, _word_at(table, slot), data, start, end):
      return slot
    slot = (slot + uint64(1)) & mask
  return slot


@native.helper
def _equal(table, word, data, start, end):
  first, last = table.ends[word], table.ends[word + 1]
  if last - first != end - start:
    return False
  while end - start > 8:
    letters = load_bytes(table.letters, uint64(first))
    if letters != load_bytes(data, uint64(start)):
      return False
    first, start = first + 8, start + 8
  return _last(table.letters, first, last) == _last(data, start, end)
