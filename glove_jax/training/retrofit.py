"""Mittens' term for the engines dense and rows.

With `retrofit`, the objective is J plus `model.retrofit_loss` of all R words
that start from given vectors; the target r of a word is the sum of its two
vectors there. A batch of B of the N counts stands for B / N of both.

- dense computes the second part exactly.
- rows estimates it from a sample of P of the R words, without bias.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.model import Batch, Params
from glove_jax.training.engine import Loss, Stack
from glove_jax.training.starts import Start

_SHARE = 8  # a batch of B counts has a sample of up to B / 8 words


def targets(start: Start) -> tuple[np.ndarray, np.ndarray]:
  """What the words are kept near.

  Returns:
    [R] int32, the words that have a target, and [R, D], their targets.

  Raises:
    ValueError: no word has two given vectors.
  """
  total = np.asarray(start.params.word) + np.asarray(start.params.context)
  words = np.flatnonzero(~np.isnan(total[:, 0])).astype(np.int32)
  if not words.size:
    raise ValueError("retrofit needs words whose two vectors init gives.")
  return words, total[words]


def dense_loss(
  loss: Loss, start: Start, num_counts: int, config: TrainConfig
) -> Loss:
  """Adds Mittens' term of all words to a loss.

  Args:
    loss: (params, batch) -> cost.
    start: has the targets.
    num_counts: N.
    config: has `retrofit`.
  """
  words, target = targets(start)

  def whole_loss(params: Params, batch: Batch):
    pulled = model.retrofit_loss(
      params.word[words],
      params.context[words],
      jnp.asarray(target, params.word.dtype),
      retrofit=config.retrofit,
    )
    return loss(params, batch) + jnp.sum(batch.mask) / num_counts * pulled

  return whole_loss


class PulledBatch(NamedTuple):
  """A batch, with a sample of P words to keep near their targets.

  The last P entries of `row` and of `col` are the sample, and those before are
  the rows and columns of the batch.
  """

  row: jax.Array  # [B + P] int32
  col: jax.Array  # [B + P] int32
  batch: Batch  # or `uncounted.SampledBatch`; without its row and col
  target: jax.Array  # [P, D]


def sampled_loss(
  loss: Loss, num_words: int, num_counts: int, config: TrainConfig
) -> Loss:
  """Adds an unbiased estimate of Mittens' term to a loss.

  A sample of P of the R words stands for all of them, so that each of its words
  weighs R / P. The batch takes the share B / N of the sum.

  Args:
    loss: (params, batch) -> cost.
    num_words: R.
    num_counts: N.
    config: has `retrofit`.

  Returns:
    (params, PulledBatch) -> cost.
  """

  def whole_loss(params: Params, pulled: PulledBatch):
    size = len(pulled.target)
    batch = pulled.batch._replace(
      row=pulled.row[:-size], col=pulled.col[:-size]
    )
    term = model.retrofit_loss(
      params.word[pulled.row[-size:]],
      params.context[pulled.col[-size:]],
      pulled.target,
      retrofit=config.retrofit * num_words / size,
    )
    return loss(params, batch) + jnp.sum(batch.mask) / num_counts * term

  return whole_loss


class Sampler:
  """Draws P of the R words that have a target, evenly, for each batch."""

  def __init__(self, start: Start, batch_size: int, dtype):
    """Finds the targets.

    Args:
      start: has them.
      batch_size: B.
      dtype: of the targets.
    """
    self.words, target = targets(start)
    self._target = target.astype(dtype)
    self._size = min(len(self.words), max(1, batch_size // _SHARE))

  def add(self, stack: Stack, rng: np.random.Generator) -> PulledBatch:
    """Adds a sample to each of K batches: [K, B] -> [K, B + P]."""
    number = len(self.words)
    picks = np.stack(
      [rng.choice(number, self._size, replace=False) for _ in stack.row]
    )
    words = self.words[picks]
    return PulledBatch(
      np.concatenate([stack.row, words], axis=1),
      np.concatenate([stack.col, words], axis=1),
      stack._replace(row=(), col=()),
      self._target[picks],
    )
