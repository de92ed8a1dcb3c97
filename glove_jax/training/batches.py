"""Counts in random order, cut into batches of one shape."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax.counts.triplets import Triplets
from glove_jax.model import Batch


class BatchPlan(NamedTuple):
  """How an epoch is cut: `calls` stacks of `steps` batches of `size`."""

  calls: int
  steps: int
  size: int

  @property
  def num_batches(self) -> int:
    return self.calls * self.steps


def plan_batches(
  num_triplets: int, batch_size: int, max_steps: int = 256
) -> BatchPlan:
  """Cuts an epoch into batches of one shape, all full to within one triplet.

  Args:
    num_triplets: N.
    batch_size: the most triplets in a batch.
    max_steps: the most batches in a stack.

  Example:
    A thousand triplets in batches of at most 300: four batches of 250.

    >>> plan_batches(1000, 300)
    BatchPlan(calls=1, steps=4, size=250)
  """
  num_batches = -(-num_triplets // batch_size)
  calls = -(-num_batches // max_steps)
  steps = -(-num_batches // calls)
  return BatchPlan(calls, steps, -(-num_triplets // (calls * steps)))


class Picks(NamedTuple):
  """Which counts make up a stack of K batches."""

  position: np.ndarray  # [K, B] int64, into the triplets
  mask: np.ndarray  # [K, B] bool, False marks padding


def draw(
  num_triplets: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Picks]:
  """One epoch in random order, as stacks of batches.

  Args:
    num_triplets: N.
    batch_size: the most triplets in a batch.
    rng: draws the order.

  Yields:
    Picks of one shape [K, B]. `plan_batches` has K, B and the number of stacks.

  Example:
    Five triplets in two batches of at most 3: the first has one of padding.

    >>> (picks,) = draw(5, 3, np.random.default_rng(0))
    >>> print(picks.mask.astype(int))
    [[1 1 0]
     [1 1 1]]
    >>> print(np.sort(picks.position[picks.mask]))
    [0 1 2 3 4]
  """
  plan = plan_batches(num_triplets, batch_size)
  order = rng.permutation(num_triplets)
  ends = np.arange(plan.num_batches + 1) * num_triplets // plan.num_batches
  for stack in np.split(np.arange(plan.num_batches), plan.calls):
    rank = ends[stack, None] + np.arange(plan.size)
    mask = rank < ends[stack + 1, None]
    yield Picks(order[np.where(mask, rank, 0)], mask)


def read(triplets: Triplets, picks: Picks, dtype=np.float32) -> Batch:
  """Reads a stack of batches [K, B].

  Args:
    triplets: the counts.
    picks: which of them.
    dtype: the type of the counts and the mask.
  """
  position, mask = picks
  return Batch(
    triplets.row[position],
    triplets.col[position],
    np.where(mask, triplets.count[position], 1).astype(dtype),
    mask.astype(dtype),
  )
