"""How sure a mean score is, and which means cannot be told from the best.

A score is of some questions, and its mean of some seeds; other questions and
other seeds would give another one. Both are drawn with replacement (Owen, 2007,
for such crossed factors): all points are asked the same drawn questions, so
that differences are paired, and the seeds of each setting are drawn by
themselves. Of few seeds the deviations from their mean are enlarged by
sqrt(S / (S - 1)), so that their variance is not underestimated.

p is twice the share of draws in which a difference from the best mean has the
other sign (Davison & Hinkley, 1997, section 4.2). It is not corrected for the
number of settings, so with many of them some are told from the best by chance.
Questions share words, and seeds are few: intervals are somewhat too narrow.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.sweeps.scores import PEOPLE, Answers
from glove_jax.vectors import intervals

LEVEL = 0.05  # of p, below which a mean is told from the best


class Judged(NamedTuple):
  """What the draws say about the mean of one group of points."""

  low: float  # 95% interval
  high: float
  p: float  # of no difference from the best
  is_best: bool


def judge(
  groups: Sequence[Sequence[Answers]], measure: str
) -> list[Judged | None]:
  """Draws questions and seeds for the mean scores of groups of points.

  >>> right, half = np.ones(40, np.float32), np.tile(np.float32([0, 1]), 20)
  >>> best, other = judge([[{"a": right}], [{"a": half}]], "a")
  >>> best.is_best, other.p < 0.01, 0.3 < other.low < 0.5 < other.high < 0.7
  (True, True, True)

  Args:
    groups: the answers of the points of each group, such as the seeds of one
      setting.
    measure: the column of the score.

  Returns:
    For each group what is known of its mean; None without answers. Groups are
    compared on the questions that both have seen.
  """
  tables = [_table(group, measure) for group in groups]
  known = [i for i, table in enumerate(tables) if table is not None]
  if not known:
    return [None] * len(groups)
  draws = _Draws(tables)
  means = {i: draws.of(i, tables[i].seen) for i in known}
  best = max(known, key=lambda i: draws.mean(i, tables[i].seen))
  out: list[Judged | None] = [None] * len(groups)
  for i in known:
    drawn = means[i][~np.isnan(means[i])]
    if len(drawn):
      low, high = np.percentile(drawn, [2.5, 97.5])
      p = _compare(draws, best, i)
      out[i] = Judged(float(low), float(high), p, i == best)
  return out


class _Table(NamedTuple):
  """The answers of S points to N questions."""

  values: np.ndarray  # [S, N]
  seen: np.ndarray  # [N] bool, by all of them
  people: np.ndarray | None  # [N] of a similarity set


def _table(group: Sequence[Mapping], measure: str) -> _Table | None:
  rows = [answers.get(measure) for answers in group]
  if not rows or any(row is None or row.shape != rows[0].shape for row in rows):
    return None
  values = np.array(rows)
  seen = ~np.isnan(values).any(axis=0)
  if np.count_nonzero(seen) < 2:
    return None
  return _Table(values, seen, group[0].get(measure + PEOPLE))


class _Draws:
  """Means of drawn questions and seeds, the same questions for all groups."""

  def __init__(self, tables: Sequence[_Table | None]):
    self.tables = tables
    self._mask = np.zeros(0, bool)  # of the questions that were drawn last
    self._counts = np.zeros((0, 0), np.float32)
    self._known: dict[tuple[int, bytes], np.ndarray] = {}

  def mean(self, i: int, seen: np.ndarray) -> float:
    """The mean score of a group over the questions of a mask."""
    whole = np.ones((1, np.count_nonzero(seen)), np.float32)
    return float(self._scores(i, seen, whole).mean())

  def of(self, i: int, seen: np.ndarray) -> np.ndarray:
    """[draws] means of group i over the questions of a mask [N]."""
    key = i, np.packbits(seen).tobytes()
    if key in self._known:
      return self._known[key]
    if not np.array_equal(seen, self._mask):
      num = np.count_nonzero(seen)
      counts = intervals.resamples(num, intervals.DRAWS, 0)
      self._counts = np.concatenate([c.astype(np.float32) for c in counts])
      self._mask = seen
    scores = self._scores(i, seen, self._counts)
    rng = np.random.default_rng([i, 1])
    self._known[key] = _draw_seeds(scores, rng)
    return self._known[key]

  def _scores(self, i, seen, counts) -> np.ndarray:
    """[draws, S]: the score of each point in each draw of the questions."""
    table = self.tables[i]
    values = table.values[:, seen]
    if table.people is None:
      return counts @ values.T / values.shape[1]
    people = table.people[seen]
    return np.stack(
      [intervals.resampled(row, people, counts) for row in values], axis=1
    )


def _draw_seeds(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """[draws]: means over seeds that are drawn anew for each draw."""
  draws, num = scores.shape
  mean = scores.mean(axis=1)
  if num == 1:
    return mean
  chosen = rng.integers(num, size=(draws, num))
  moved = np.take_along_axis(scores, chosen, axis=1).mean(axis=1) - mean
  return mean + np.sqrt(num / (num - 1)) * moved


def _compare(draws: _Draws, best: int, other: int) -> float:
  """p of no difference, on the questions that both groups have seen."""
  if best == other:
    return 1.0
  first, second = draws.tables[best], draws.tables[other]
  if first.seen.shape != second.seen.shape:
    return float("nan")  # of other questions
  both = first.seen & second.seen
  if np.count_nonzero(both) < 2:
    return float("nan")
  drawn = draws.of(best, both) - draws.of(other, both)
  drawn = drawn[~np.isnan(drawn)]
  tail = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
  return float(min(1.0, 2 * (tail + 1) / (len(drawn) + 1)))
