"""Confidence intervals by the bootstrap, and paired tests.

Resamples draw the questions or the word pairs of a set with replacement
(Efron & Tibshirani, 1993). Questions of one section share words, so that they
are not quite independent: intervals and p-values of analogies are somewhat
too narrow and too small.
"""

from collections.abc import Iterator

import numpy as np

LEVEL = 0.95
DRAWS = 1000
_SEED = 0  # of all draws, so that equal answers have equal intervals
_CHUNK = 1 << 21  # items of resamples held at once


def accuracy_interval(
  correct: int, seen: int, draws: int = DRAWS
) -> list[float] | None:
  """The percentile interval of correct / seen.

  The number of right answers in a resample of `seen` answers is binomial, so
  that it is drawn directly.

  Args:
    correct: the number of right answers.
    seen: the number of answers.
    draws: the number of resamples.

  Returns:
    [low, high], or None if nothing was answered.
  """
  if not seen:
    return None
  rng = np.random.default_rng(_SEED)
  return percentiles(rng.binomial(seen, correct / seen, draws) / seen)


def accuracy_difference(
  first: np.ndarray, second: np.ndarray, draws: int = DRAWS
) -> dict | None:
  """Compares the right answers of two models to the same questions.

  `p` is the p-value of the exact McNemar test, whose null hypothesis is that a
  question only one model answers rightly is equally likely to be either's.

  Args:
    first: [N] bool, the questions that one model answers rightly.
    second: [N] bool, the same of the other.
    draws: the number of paired resamples, for the interval.

  Returns:
    {"difference": first - second, "interval": [low, high], "p", "seen": N}, or
    None without questions.

  >>> right = np.array([True] * 9 + [False])
  >>> round(accuracy_difference(right, ~right)["p"], 4)
  0.0215
  """
  if not len(first):
    return None
  from scipy import stats  # here, since it takes 0.4 s to import

  gained = int(np.count_nonzero(first & ~second))
  lost = int(np.count_nonzero(second & ~first))
  num = len(first)
  shares = np.array([gained, lost, num - gained - lost]) / num
  drawn = np.random.default_rng(_SEED).multinomial(num, shares, draws)
  p = 1.0
  if gained + lost:
    p = stats.binomtest(gained, gained + lost, 0.5).pvalue
  return {
    "difference": (gained - lost) / num,
    "interval": percentiles((drawn[:, 0] - drawn[:, 1]) / num),
    "p": float(p),
    "seen": num,
  }


def spearman_interval(
  first: np.ndarray, second: np.ndarray, draws: int = DRAWS
) -> list[float] | None:
  """The percentile interval of Spearman's rho.

  Args:
    first: [N] values.
    second: [N] values.
    draws: the number of resamples.

  Returns:
    [low, high], or None if rho is not defined.
  """
  if spearman(first, second) is None:
    return None
  counts = resamples(len(first), draws)
  return percentiles(
    np.concatenate([resampled(first, second, part) for part in counts])
  )


def spearman_difference(
  first: np.ndarray,
  second: np.ndarray,
  scores: np.ndarray,
  draws: int = DRAWS,
) -> dict | None:
  """Compares two models' rank correlations with the same scores.

  Both correlations are computed from the same resamples of the pairs; `p` is
  `p_value` of their differences.

  Args:
    first: [N] the cosines of one model.
    second: [N] those of the other.
    scores: [N] of people.
    draws: the number of resamples.

  Returns:
    {"difference": first - second, "interval": [low, high], "p", "seen": N}, or
    None if one of the correlations is not defined.
  """
  ours, theirs = spearman(first, scores), spearman(second, scores)
  if ours is None or theirs is None:
    return None
  drawn = np.concatenate(
    [
      resampled(first, scores, counts) - resampled(second, scores, counts)
      for counts in resamples(len(scores), draws)
    ]
  )
  return {
    "difference": ours - theirs,
    "interval": percentiles(drawn),
    "p": p_value(drawn),
    "seen": len(scores),
  }


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
  """Spearman's rho: the correlation of ranks, of which equal values share one.

  Returns:
    A float, or None for fewer than two values or values that are all equal.

  >>> round(spearman(np.array([1, 2, 3]), np.array([5, 5, 7])), 6)
  0.866025
  """
  if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
    return None
  once = np.ones((1, len(first)), np.int64)
  return float(resampled(first, second, once)[0])


def resamples(num: int, draws: int) -> Iterator[np.ndarray]:
  """How often each of `num` items is in each resample.

  Yields:
    [some of the draws, num] int, as many at once as fit in about 100 MiB.
  """
  rng = np.random.default_rng(_SEED)
  step = max(1, _CHUNK // num)
  for start in range(0, draws, step):
    rows = min(step, draws - start)
    items = rng.integers(num, size=(rows, num)) + num * np.arange(rows)[:, None]
    counts = np.bincount(items.ravel(), minlength=rows * num)
    yield counts.reshape(rows, num)


def resampled(
  first: np.ndarray, second: np.ndarray, counts: np.ndarray
) -> np.ndarray:
  """Spearman's rho in resamples.

  Args:
    first: [N] values.
    second: [N] values.
    counts: [draws, N], of `resamples`.

  Returns:
    [draws] float64; NaN where rho is not defined.
  """
  x, y = ranks(first, counts), ranks(second, counts)
  mean = (len(first) + 1) / 2  # of the ranks of any resample
  x -= mean
  y -= mean
  cross, xx, yy = (
    np.einsum("ij,ij,ij->i", counts, a, b) for a, b in ((x, y), (x, x), (y, y))
  )
  with np.errstate(invalid="ignore", divide="ignore"):
    return cross / np.sqrt(xx * yy)


def ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
  """The mean rank of each value in each resample, without sorting resamples.

  Equal values share the mean of their ranks. A value whose group begins after
  `before` items and has `size` items has the rank before + (size + 1) / 2:

    values 5 3 5, drawn 1, 2 and 0 times, are 3 3 5 when sorted
    -> ranks 3, 1.5, 3

  Args:
    values: [N].
    counts: [draws, N], how often each value is in each resample.

  Returns:
    [draws, N] float64; those of values that were not drawn mean nothing.
  """
  order = np.argsort(values, kind="stable")
  ordered = values[order]
  starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
  size = np.add.reduceat(counts[:, order], starts, axis=1)  # [draws, groups]
  mean = np.cumsum(size, axis=1) - (size - 1) / 2
  group = np.empty(len(values), np.int64)
  group[order] = np.repeat(
    np.arange(len(starts)), np.diff(starts, append=len(values))
  )
  return mean[:, group]


def percentiles(drawn: np.ndarray) -> list[float] | None:
  """The percentile interval [low, high] of resamples; None if all are NaN."""
  drawn = drawn[~np.isnan(drawn)]
  if not len(drawn):
    return None
  tail = 50 * (1 - LEVEL)
  low, high = np.percentile(drawn, [tail, 100 - tail])
  return [float(low), float(high)]


def p_value(drawn: np.ndarray) -> float:
  """p of no difference, from differences in resamples; NaN is left out.

  It is twice the share of resamples in which the difference has the other sign
  or is 0, with one more counted (Davison & Hinkley, 1997, section 4.2), so that
  it is at least 2 / (draws + 1).

  >>> p_value(np.array([0.5] * 9 + [-0.1] * 90))
  0.2
  """
  drawn = drawn[~np.isnan(drawn)]
  tail = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
  return float(min(1.0, 2 * (tail + 1) / (len(drawn) + 1)))
