"""Whether training has diverged."""

import jax
import numpy as np

from glove_jax import memory
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets, chunks
from glove_jax.model import Params

_SAMPLE = 4096  # counts, spread over all of them
_TIMES = 1000
_REMEDY = (
  "Use a smaller learning_rate, and missing=1 and retrofit=1 at most. Existing "
  "checkpoints are kept."
)


def finite_sum(costs: jax.Array, ends: np.ndarray) -> np.ndarray:
  """Sums the costs of a stack.

  Args:
    costs: [K], or [P, K] for P sweep points that train together.
    ends: [K] the last step of each batch.

  Returns:
    The sum: [], or [P].

  Raises:
    FloatingPointError: a cost is infinite or NaN; the message names the step.
      Sweep points that train together do not stop each other.
  """
  costs = np.asarray(costs, np.float64)
  bad = np.flatnonzero(~np.isfinite(costs))
  if costs.ndim == 1 and bad.size:
    raise FloatingPointError(
      f"The cost became {costs[bad[0]]} at step {ends[bad[0]]}. {_REMEDY}"
    )
  return costs.sum(axis=-1)


def highest_cost(triplets: Triplets, config: TrainConfig) -> float:
  """The mean cost of a count above which training has diverged.

  Parameters of 0 predict log X = 0 and cost f(X) (log X)^2, some 1 to 10 for a
  count of a corpus. Training starts below that cost, or near it, and falls. A
  cost 1000 times as high means predictions that are off by 30 times log X. On
  the default corpus with Adagrad, a learning rate of 3, 60 times the default,
  costs 208 in epoch 1 and recovers; with 10 it costs 26,000, and even after 6
  epochs the vectors are worse than zeros. The cost of the first epoch is no
  such measure, because that epoch may have diverged itself.

  Args:
    triplets: the counts; some of them are read.
    config: has x_max and alpha.
  """
  count = _sample(triplets.count).astype(np.float64)
  x_max = config.resolved.x_max
  weight = np.minimum(1, (count / x_max) ** config.alpha)
  # At least 1: the logarithm of a count of 1 is 0.
  return _TIMES * max(1.0, float(np.mean(weight * np.log(count) ** 2)))


def check_cost(line: dict, highest: float) -> None:
  """Raises a FloatingPointError if the cost of an epoch is above the highest.

  Args:
    line: the metrics of the epoch.
    highest: from `highest_cost`.
  """
  if line["cost"] > highest:
    raise FloatingPointError(
      f"Training has diverged: the cost of pass {line['epoch']} is "
      f"{line['cost']:.3g} a count, more than {_TIMES} times that of vectors "
      f"of 0. {_REMEDY}"
    )


def check_params(
  params: Params, triplets: Triplets, config: TrainConfig, highest: float
) -> None:
  """Raises a FloatingPointError if the last steps have diverged.

  The cost of a step is taken before its update, so the cost of an epoch does
  not show what the last step did.

  Args:
    params: what was trained.
    triplets: the counts; some of them are read.
    config: has x_max and alpha.
    highest: from `highest_cost`.
  """
  row, col, count = map(_sample, triplets[:3])
  word, context, word_bias, context_bias = (
    np.asarray(table)[ids].astype(np.float64)
    for table, ids in zip(params, (row, col, row, col), strict=True)
  )
  prediction = np.einsum("nd,nd->n", word, context) + word_bias + context_bias
  weight = np.minimum(1, (count / config.resolved.x_max) ** config.alpha)
  cost = np.mean(weight * (prediction - np.log(count)) ** 2)
  if not cost <= highest:
    raise FloatingPointError(
      f"Training has diverged: its parameters cost {cost:.3g} a count. "
      f"{_REMEDY}"
    )


def _sample(column: np.ndarray) -> np.ndarray:
  """About _SAMPLE entries of a column at equal distances.

  It reads part by part, since a page of a mapped file brings its neighbours
  with it.
  """
  step, found = max(1, len(column) // _SAMPLE), []
  for part in chunks(len(column), slice(None)):
    first = part.start + -part.start % step
    found.append(np.array(column[first : part.stop : step]))
    memory.release(column[part])
  return np.concatenate(found)
