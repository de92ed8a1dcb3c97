"""Counting row by row: hand-worked values, and limits."""

import numpy as np
import pytest

from glove_jax.counts import kernels, pair_counter
from glove_jax.counts.pair_counter import PairCounter
from glove_jax.text.symbols import END, UNKNOWN

UNITS = np.array([2, 2, 1])  # of distances 0 to 2


def counted(counter):
  blocks = list(counter.finish())
  columns = (np.concatenate(column) for column in zip(*blocks, strict=True))
  return list(zip(*(column.tolist() for column in columns), strict=True))


def test_the_example_of_the_kernels():
  ids = np.array([1, 0, 2, END, 0, 1], np.int32)
  places = kernels.Places(
    np.array([0, 2, 4, 5]), np.array([1, 4, 0, 5, 2], np.uint32)
  )
  line = kernels.RowSums(np.zeros(3, np.int64), np.zeros(1, np.uint64))
  row, col, sums = np.zeros((3, 9), np.int64)
  found = kernels.sum_rows(
    ids, 0, places, UNITS, True, True, 1, 2, line, row, col, sums
  )
  assert found == 2 and row[:2].tolist() == [1, 1]
  assert col[:2].tolist() == [0, 2] and sums[:2].tolist() == [4, 1]
  assert not line.sums.any() and not line.seen.any()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_places_are_found_in_slices(threads):
  ids = np.random.default_rng(0).integers(END, 70, 1000).astype(np.int32)
  counter = PairCounter(70, UNITS, threads=threads, max_words=1000)
  starts, positions = counter._find_places(ids)
  assert starts[-1] == len(positions) == np.count_nonzero(ids >= 0)
  for word in range(70):
    found = positions[starts[word] : starts[word + 1]]
    assert found.tolist() == np.flatnonzero(ids == word).tolist()


def test_parts_share_the_pairs_between_them():
  """Those of a later word with one before it are of the later part."""
  counter = PairCounter(3, UNITS, context="right", max_words=4)
  assert counter.add(np.array([0, 1, UNKNOWN], np.int32))
  assert not counter.add(np.array([2, 2], np.int32))
  assert counted(counter) == [(0, 1, 2)]
  assert counter.tail.tolist() == [1, UNKNOWN]
  assert counter.add(np.array([2, END, 2], np.int32))
  assert counted(counter) == [(1, 2, 1)]
  assert counter.tail.tolist() == [2]


def test_rows_are_cut_into_ranges_of_few_entries(monkeypatch):
  monkeypatch.setattr(pair_counter, "ENTRIES", 100)
  ids = np.random.default_rng(0).integers(0, 70, 500).astype(np.int32)
  counter = PairCounter(70, UNITS, max_words=500)
  counter.add(ids)
  sizes = [len(block.row) for block in counter.finish()]
  assert len(sizes) > 10 and max(sizes) <= 100 + 70
  whole = PairCounter(70, UNITS, max_words=500)
  monkeypatch.undo()
  for one in (counter, whole):
    one.tail = np.empty(0, np.int32)
    one.add(ids)
  assert counted(counter) == counted(whole)


def test_a_block_larger_than_memory_is_one_sentence():
  counter = PairCounter(3, UNITS, max_words=4)
  with pytest.raises(ValueError, match="5 words do not fit into memory for 4:"):
    counter.add(np.zeros(5, np.int32))


def test_a_count_ends_if_all_threads_fail(monkeypatch):
  def fill_memory(*_):
    raise MemoryError

  monkeypatch.setattr(pair_counter, "ENTRIES", 1)
  monkeypatch.setattr(kernels, "sum_rows", fill_memory)
  counter = PairCounter(9, UNITS, threads=2, max_words=9)
  counter.add(np.arange(9, dtype=np.int32))
  with pytest.raises(MemoryError):
    list(counter.finish())


def test_a_sum_that_outgrows_64_bits_is_an_error():
  counter = PairCounter(2, np.full(2, 1 << 62), max_words=9)
  counter.add(np.array([0, 1, 0], np.int32))
  with pytest.raises(OverflowError, match="A count exceeds 64 bits"):
    list(counter.finish())
