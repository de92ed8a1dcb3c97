"""Every count once an epoch, in one shape, in an order the seed decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glove_jax.counts.triplets import Triplets
from glove_jax.training import batches


def make_triplets(size):
  position = np.arange(size)
  return Triplets(
    position.astype(np.int32),
    (position + 7).astype(np.int32),
    position + 1.0,
    size + 7,
  )


def epoch(size, batch_size, seed=0):
  triplets, rng = make_triplets(size), np.random.default_rng(seed)
  return [
    batches.read(triplets, picks)
    for picks in batches.draw(size, batch_size, rng)
  ]


@given(st.integers(1, 3000), st.integers(1, 500), st.integers(1, 9))
def test_a_plan_is_full_to_within_one_triplet(size, batch_size, max_steps):
  plan = batches.plan_batches(size, batch_size, max_steps)
  assert plan.size <= batch_size and plan.steps <= max_steps
  assert 0 <= plan.num_batches * plan.size - size < 2 * plan.num_batches
  assert plan.calls * max_steps * batch_size >= size


@given(st.integers(1, 400), st.integers(1, 50))
def test_every_triplet_is_seen_once(size, batch_size):
  stacks = epoch(size, batch_size)
  real = [np.flatnonzero(s.mask) for s in stacks]
  rows = [s.row.ravel()[r] for s, r in zip(stacks, real, strict=True)]
  np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(size))
  for stack in stacks:
    kept = stack.mask == 1
    np.testing.assert_array_equal(stack.count[kept], stack.row[kept] + 1)
    np.testing.assert_array_equal(stack.col[kept], stack.row[kept] + 7)
    assert (stack.count[~kept] == 1).all()


def test_one_shape_and_type_an_epoch():
  stacks = epoch(1000, 3)
  assert len(stacks) == 2
  assert {field.shape for stack in stacks for field in stack} == {(167, 3)}
  assert [f.dtype.name for f in stacks[0]] == [
    "int32", "int32", "float32", "float32"
  ]  # fmt: skip


@pytest.mark.parametrize("seed, same", [(0, True), (1, False)])
def test_the_order_is_the_seeds(seed, same):
  first, second = epoch(100, 10), epoch(100, 10, seed)
  assert np.array_equal(first[0].row, second[0].row) == same
  assert not np.array_equal(first[0].row.ravel(), np.arange(100))
