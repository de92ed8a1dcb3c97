"""Counts in a random order, cut into batches of one shape."""

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
  """
  num_batches = -(-num_triplets // batch_size)
  calls = -(-num_batches // max_steps)
  steps = -(-num_batches // calls)
  return BatchPlan(calls, steps, -(-num_triplets // (calls * steps)))


class Picks(NamedTuple):
  """Which counts make a stack of batches."""

  place: np.ndarray  # [K, B] int64, of the counts
  mask: np.ndarray  # [K, B] bool, False marks padding


def draw(
  num_triplets: int, batch_size: int, rng: np.random.Generator
) -> Iterator[Picks]:
  """One epoch in an order drawn from rng, as stacks of batches.

  Args:
    num_triplets: N.
    batch_size: the most triplets in a batch.
    rng: draws the order.

  Yields:
    Picks of shape [K, B], the same at every call; `plan_batches` tells K, B
    and the number of stacks.
  """
  plan = plan_batches(num_triplets, batch_size)
  order = rng.permutation(num_triplets)
  ends = np.arange(plan.num_batches + 1) * num_triplets // plan.num_batches
  for stack in np.split(np.arange(plan.num_batches), plan.calls):
    place = ends[stack, None] + np.arange(plan.size)
    mask = place < ends[stack + 1, None]
    yield Picks(order[np.where(mask, place, 0)], mask)


def read(triplets: Triplets, picks: Picks, dtype=np.float32) -> Batch:
  """Reads batches.

  Args:
    triplets: the counts.
    picks: which of them.
    dtype: the type of the counts and the mask.
  """
  place, mask = picks
  return Batch(
    triplets.row[place],
    triplets.col[place],
    np.where(mask, triplets.count[place], 1).astype(dtype),
    mask.astype(dtype),
  )
