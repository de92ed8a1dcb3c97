"""Pairs that never occur, for the engines dense and rows.

With `missing`, the whole objective is J plus `model.missing_loss` of all pairs
that were not counted. A batch of B of the N counts stands for B / N of both.

- dense computes the second part exactly, from all V * V pairs.
- rows estimates it from a sample: M words and M contexts, and all M * M pairs
  of them. The estimate is unbiased, see `sampled_loss`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Batch, Params
from glove_jax.training.engine import Loss

_MAX_DENSE_WORDS = 1 << 14  # 2^28 pairs of words


def dense_loss(loss: Loss, triplets: Triplets, config: TrainConfig) -> Loss:
  """Adds the exact cost of all uncounted pairs to a loss.

  Args:
    loss: (params, batch) -> J of the batch.
    triplets: the N counts.
    config: has `missing` and `missing_count`.

  Raises:
    ValueError: there are too many words to visit all pairs in every step.
  """
  size, num_counts = triplets.vocab_size, len(triplets.row)
  if size > _MAX_DENSE_WORDS:
    raise ValueError(
      f"The dense engine visits all pairs of {size:,} words in every step with "
      f"missing={config.missing}: use engine=blocked, or at most "
      f"{_MAX_DENSE_WORDS:,} words."
    )
  uncounted = np.ones((size, size), bool)
  uncounted[triplets.row, triplets.col] = False

  def whole_loss(params: Params, batch: Batch):
    missing = model.missing_loss(
      _predict_all(params),
      missing=config.missing,
      missing_count=config.missing_count,
      mask=uncounted,
    )
    return loss(params, batch) + jnp.sum(batch.mask) / num_counts * missing

  return whole_loss


class SampledBatch(NamedTuple):
  """A `Batch` of B counts, with a sample of M words and M contexts.

  The first B entries of `row` and `col` are the counts, the other M the sample.
  """

  row: jax.Array  # [B + M] int32
  col: jax.Array  # [B + M] int32
  count: jax.Array  # [B] float
  mask: jax.Array  # [B] float
  factor: jax.Array  # [M, M] float, of each pair of the sample; 0 if counted


def sampled_loss(loss: Loss, num_counts: int, config: TrainConfig) -> Callable:
  """Adds an unbiased estimate of the cost of uncounted pairs to a loss.

  Words are drawn with probability p_i and contexts with q_j. All M * M pairs
  (i, j) of the sample that were not counted are divided by their expected
  number, M p_i M q_j. The mean of their sum is then the sum over all uncounted
  pairs, of which the batch takes the share B / N.

  Args:
    loss: (params, batch) -> J of the batch.
    num_counts: N.
    config: has `missing` and `missing_count`.

  Returns:
    (params, SampledBatch) -> cost.
  """

  def whole_loss(params: Params, batch: SampledBatch):
    row, col = batch.row, batch.col
    size = batch.count.size
    counted = Batch(row[:size], col[:size], batch.count, batch.mask)
    words, contexts = row[size:], col[size:]
    sample = Params(
      params.word[words],
      params.context[contexts],
      params.word_bias[words],
      params.context_bias[contexts],
    )
    missing = model.missing_loss(
      _predict_all(sample),
      missing=config.missing,
      missing_count=config.missing_count,
      mask=batch.factor,
    )
    return loss(params, counted) + jnp.sum(batch.mask) / num_counts * missing

  return whole_loss


class Sampler:
  """Draws words and contexts: half by their number of counts, half evenly.

  p_i = 1/2 n_i / N + 1/2 / V for a word with n_i of the N counts, and q_j
  likewise. Frequent words have more to learn, and the second half bounds 1 / p.
  """

  def __init__(self, triplets: Triplets, batch_size: int):
    """Computes the probabilities, and sorts all counted pairs: 8 * N bytes.

    Args:
      triplets: N counts.
      batch_size: B, the counts in a batch. A sample has about as many pairs.
    """
    self.size = max(1, math.isqrt(batch_size))
    self._vocab_size = triplets.vocab_size
    self.probabilities = [
      0.5 * np.bincount(ids, minlength=self._vocab_size) / len(ids)
      + 0.5 / self._vocab_size
      for ids in (triplets.row, triplets.col)
    ]
    self._pairs = np.sort(self._pair(triplets.row, triplets.col))

  def add(self, batches: Batch, rng: np.random.Generator) -> SampledBatch:
    """Adds a sample to each of K batches: [K, B] -> [K, B + M]."""
    shape = (len(batches.row), self.size)
    row, col = (
      np.sort(rng.choice(len(p), shape, p=p)).astype(np.int32)
      for p in self.probabilities
    )
    p, q = self.probabilities
    number = (self.size * p[row])[:, :, None] * (self.size * q[col])[:, None]
    counted = self._is_counted(row[:, :, None], col[:, None])
    return SampledBatch(
      np.concatenate([batches.row, row], axis=1),
      np.concatenate([batches.col, col], axis=1),
      batches.count,
      batches.mask,
      np.where(counted, 0, 1 / number).astype(batches.count.dtype),
    )

  def _is_counted(self, row: np.ndarray, col: np.ndarray) -> np.ndarray:
    pair = self._pair(row, col)
    index = np.searchsorted(self._pairs, pair)
    return self._pairs[np.minimum(index, len(self._pairs) - 1)] == pair

  def _pair(self, row, col) -> np.ndarray:
    """One number for each pair (i, j): i * V + j."""
    return np.asarray(row, np.int64) * self._vocab_size + col


def _predict_all(params: Params) -> jax.Array:
  """The model of log X for all pairs of some words and contexts: [R, S]."""
  return (
    params.word @ params.context.T
    + params.word_bias[:, None]
    + params.context_bias
  )
