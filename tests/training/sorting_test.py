"""Triplets of any order become sorted ones; duplicates are summed."""

import numpy as np
import pytest

from glove_jax import config, memory
from glove_jax.counts import triplets
from glove_jax.training import loop, sorting
from glove_jax.training.together import train_together


def make(row, col, count=(1.5, 1.5, 0.25), vocab_size=3):
  return triplets.Triplets(
    np.array(row, np.int32),
    np.array(col, np.int32),
    np.array(count, np.float64),
    vocab_size,
  )


def assert_same(a, b):
  for left, right in zip(a[:3], b[:3], strict=True):
    np.testing.assert_array_equal(left, right)
    assert left.dtype == right.dtype
  assert a.vocab_size == b.vocab_size


def test_by_row_sorts_and_finds_the_rows():
  made = make(row=(2, 0, 2), col=(0, 1, 1), count=(1.0, 2.0, 3.0))
  found, starts = sorting.by_row(made)
  assert_same(found, make(row=(0, 2, 2), col=(1, 0, 1), count=(2.0, 1.0, 3.0)))
  assert starts.tolist() == [0, 1, 1, 3]
  again, _ = sorting.by_row(found)
  assert again is found  # sorted already


def test_shares_of_rows_add_up_to_all_of_them():
  made = make(row=(0, 2, 1), col=(0, 1, 1))
  sums = []
  for rows in (slice(0, 2), slice(2, 3)):
    sorting.by_row(made, rows, lambda part: sums.append(part) or part)
  total = sum(sums)
  assert total.tolist() == [1, 1, 1, 1]  # three rows, one fall
  _, starts = sorting.by_row(made, slice(0, 2), lambda _: total)
  assert starts.tolist() == [0, 1, 2, 3]


def test_a_fall_between_two_chunks_is_seen(monkeypatch):
  monkeypatch.setattr(triplets, "_CHUNK", 2)
  found, starts = sorting.by_row(make([1, 2, 0], [0, 1, 1]))
  assert found.row.tolist() == [0, 1, 2]
  assert starts.tolist() == [0, 1, 2, 3]
  in_order = make([0, 1, 2], [0, 1, 1])
  assert sorting.by_row(in_order)[0] is in_order
  assert sorting.sum_duplicates(in_order) is in_order


def test_counts_in_order_are_returned_unchanged():
  ordered = make([0, 0, 2], [1, 2, 0])
  assert sorting.sum_duplicates(ordered) is ordered


@pytest.mark.parametrize(
  "read", [triplets.check, sorting.sum_duplicates, sorting.by_row]
)
def test_a_chunk_releases_its_own_pages(read, monkeypatch):
  """Not those of all counts, which other threads read."""
  monkeypatch.setattr(triplets, "_CHUNK", 3)
  released = []
  monkeypatch.setattr(memory, "release", lambda *a: released.append(a))
  counts = make(*[range(1, 9)] * 3, vocab_size=9)
  read(counts)
  assert len(released) == 3
  for i, column in enumerate(counts[:3]):
    read_once = np.sort(np.concatenate([arrays[i] for arrays in released]))
    np.testing.assert_array_equal(read_once, column)


@pytest.mark.parametrize("shares", [[3], [0, 3], [1, 2], [2, 1]])
def test_duplicates_are_summed_whoever_sees_them(shares):
  """Also a pair whose two counts are in the shares of two processes."""
  doubled = make([2, 1, 1], [0, 2, 2])
  seen, start = [], 0
  for size in shares:
    rows = slice(start, start + size)
    sorting.sum_duplicates(doubled, rows, lambda n: seen.append(n) or n)
    start += size
  total = sum(seen)
  for rows in (slice(0, 1), slice(1, 3)):
    found = sorting.sum_duplicates(doubled, rows, lambda _: total)
    assert_same(found, make([1, 2], [2, 0], [1.75, 1.5]))


@pytest.mark.parametrize("placed", ["before", "after"])
def test_a_pair_split_between_shares_is_noticed(placed):
  doubled = make([0, 0, 1], [1, 1, 0])
  rows = slice(0, 1) if placed == "before" else slice(1, 3)
  seen = []
  sorting.sum_duplicates(doubled, rows, lambda n: seen.append(n) or n)
  assert seen[0].tolist() == [int(placed == "after")]


@pytest.mark.parametrize("engine", ["dense", "rows", "blocked"])
@pytest.mark.parametrize("together", [False, True])
def test_every_engine_sums_duplicates(engine, together):
  """Halves of counts in any order train as the counts do."""
  if together and engine != "blocked":
    return
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((30, 30)) < 0.5)
  count = rng.integers(1, 50, len(row)).astype(np.float64)
  whole = make(row, col, count, 30)
  order = rng.permutation(2 * len(row))
  halves = make(
    np.tile(row, 2)[order], np.tile(col, 2)[order],
    np.tile(count / 2, 2)[order], 30,
  )  # fmt: skip
  settings = config.make_config(
    engine=engine, dim=4, epochs=2, batch_size=100, growth=[], tile_size=8,
    min_fill=0.5,
  ).train  # fmt: skip
  train = (
    (lambda counts: train_together(counts, [settings, settings])[0])
    if together
    else (lambda counts: loop.train(counts, settings))
  )
  for a, b in zip(train(whole), train(halves), strict=True):
    np.testing.assert_array_equal(a, b)
