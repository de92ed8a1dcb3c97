"""More distinct words than memory holds: tables of words that go to disk.

A table that would grow beyond its bound becomes a run: its words in the order
of their hashes, in a file. At the end all runs are merged, one range of hashes
at a time. A range holds all counts of its words, so no count is lost or
rounded, and neither the bound nor the number of threads changes the result.
"""

import functools
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import memory
from glove_jax.text import word_table
from glove_jax.text.word_table import WordTable

_GROWING = 4  # what a table may need, while it grows or is written
_WORD_BYTES = 64  # at most, of a word in a table that need not grow
_LEAST_BYTES = 1 << 20  # of a table of a range of hashes


class _Run(NamedTuple):
  """The words of a table, in the order of their hashes, in a file."""

  hashes: np.ndarray  # [M] uint64
  counts: np.ndarray  # [M] int64
  ends: np.ndarray  # [M + 1] int64: word i is letters[ends[i]:ends[i + 1]]
  letters: np.ndarray  # [bytes] uint8


class WordRuns:
  """The runs of one pass over words, which can use several tables.

  Args:
    max_bytes: the memory of one table, also while it grows; by default any. A
      table needs 3 MB, and 100 bytes for each distinct word of a block.
    folder: on the disk that holds the runs; None is where temporary files go.

  Example:
    >>> runs = WordRuns(max_bytes=1)
    >>> table = word_table.of_words(["to", "be"])
    >>> table.counts[:2] = 2, 1
    >>> table = runs.make_room(table, num_words=9, num_letters=9)
    >>> int(table.size[0]), runs.total([table])
    (0, Counter({'to': 2, 'be': 1}))
  """

  def __init__(
    self, max_bytes: float = math.inf, folder: str | os.PathLike | None = None
  ):
    self._max_bytes, self._folder = max_bytes, folder
    self._runs: list[_Run] = []

  def __len__(self) -> int:
    return len(self._runs)

  def make_room(
    self, table: WordTable, num_words: int, num_letters: int
  ) -> WordTable:
    """Returns the table, or a new one if it might grow beyond the bound.

    Args:
      table: its words become a run if there is no room.
      num_words: how many words may be added next.
      num_letters: their bytes.
    """
    size = int(table.size[0])
    room = len(table.letters) - word_table.SLACK - int(table.ends[size])
    if size + num_words <= len(table.counts) and num_letters <= room:
      return table
    if _GROWING * _num_bytes(table) <= self._max_bytes:
      return table
    self._write(table)
    return word_table.new()

  def total(
    self, tables: Sequence[WordTable], min_count: int = 1
  ) -> Counter[str]:
    """The words of all runs and of some tables, with their counts.

    Args:
      tables: are used up.
      min_count: words that occur less often may be left out.
    """
    num_bytes = _GROWING * sum(map(_num_bytes, tables))
    if not self._runs and num_bytes <= len(tables) * self._max_bytes:
      whole = functools.reduce(word_table.merge, tables)
      return word_table.to_counter(whole, min_count)
    for table in tables:
      self._write(table)
    found: Counter[str] = Counter()
    for table in self._merged():
      found.update(word_table.to_counter(table, min_count))
    return found

  def _write(self, table: WordTable) -> None:
    size = int(table.size[0])
    if not size:
      return
    num_bytes = 8 * (3 * size + 1) + int(table.ends[size])
    file = memory.scratch(num_bytes, np.uint8, self._folder)
    hashes, counts, ends, letters = np.split(
      file, 8 * np.cumsum([size, size, size + 1])
    )
    run = _Run(hashes.view("u8"), counts.view("i8"), ends.view("i8"), letters)
    found = word_table.hashes(table)
    order = np.argsort(found)
    run.hashes[:] = found[order]
    run.counts[:] = table.counts[order]
    word_table.copy_words(table, order, *map(np.asarray, run[2:]))
    memory.release(file)
    self._runs.append(run)

  def _merged(self) -> Iterator[WordTable]:
    """Yields tables that together hold each word once."""
    num_words = sum(len(run.hashes) for run in self._runs)
    num_bytes = num_words * _WORD_BYTES
    num_bytes += sum(len(run.letters) for run in self._runs)
    num_parts = max(
      1, math.ceil(num_bytes / max(self._max_bytes, _LEAST_BYTES))
    )
    ends = [part * 2**64 // num_parts for part in range(1, num_parts)]
    cuts = [
      [0, *np.searchsorted(run.hashes, np.array(ends, np.uint64)), None]
      for run in self._runs
    ]
    for part in range(num_parts):
      yield _add_up(
        [
          _cut(run, slice(*cut[part : part + 2]))
          for run, cut in zip(self._runs, cuts, strict=True)
        ]
      )


def _cut(run: _Run, words: slice) -> _Run:
  """Some of the words of a run."""
  hashes, counts = run.hashes[words], run.counts[words]
  ends = run.ends[words.start : words.start + len(hashes) + 1]
  return _Run(hashes, counts, ends, run.letters[ends[0] : ends[-1]])


def _add_up(runs: Sequence[_Run]) -> WordTable:
  """A table of the words of some runs."""
  num_words = sum(len(run.hashes) for run in runs)
  num_letters = sum(len(run.letters) for run in runs)
  table = word_table.new(1 << num_words.bit_length(), num_letters)
  for run in runs:
    ends = run.ends - run.ends[0]
    letters = np.append(run.letters, np.zeros(word_table.SLACK, np.uint8))
    spans = np.stack([ends[:-1], ends[1:]], axis=1)
    table = word_table.add(table, letters, spans, np.array(run.counts))
    memory.release(*run)
  return table


def _num_bytes(table: WordTable) -> int:
  return sum(array.nbytes for array in table)
