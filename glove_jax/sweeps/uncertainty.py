"""How sure a mean score is, and which means cannot be told from the best.

A score is of some questions, and its mean of some seeds; other questions and
other seeds would give another one. Questions are drawn with replacement, the
same for all points, so that differences are paired. To the mean score of the
drawn questions is added what drawing seeds changes: deviations of seeds from
the mean of their setting, drawn from those of all settings, since three seeds
are too few to know how much one setting varies. S seeds deviate too little from
their own mean, which sqrt(S / (S - 1)) corrects.

p is that of no difference from the best mean, `intervals.p_value` of the draws.
It is not corrected for the number of settings, so with many of them some are
told from the best by chance. Questions share words, so that intervals are
somewhat too narrow.
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
    if interval := intervals.percentiles(means[i]):
      out[i] = Judged(*interval, _compare(draws, best, i), i == best)
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
    self._deviations = np.concatenate(
      [np.zeros(0), *(self._deviate(i) for i, t in enumerate(tables) if t)]
    )  # [seeds of all groups]

  def mean(self, i: int, seen: np.ndarray) -> float:
    """The mean score of a group over the questions of a mask."""
    return float(self._seeds(i, seen).mean())

  def of(self, i: int, seen: np.ndarray) -> np.ndarray:
    """[draws] means of group i over the questions of a mask [N]."""
    key = i, np.packbits(seen).tobytes()
    if key in self._known:
      return self._known[key]
    if not np.array_equal(seen, self._mask):
      num = np.count_nonzero(seen)
      counts = intervals.resamples(num, intervals.DRAWS)
      self._counts = np.concatenate([c.astype(np.float32) for c in counts])
      self._mask = seen
    scores = self._scores(i, seen, self._counts)
    self._known[key] = scores.mean(axis=1) + self._draw_seeds(i)
    return self._known[key]

  def _draw_seeds(self, i: int) -> np.ndarray | float:
    """[draws]: what other seeds change of the mean of group i."""
    if not len(self._deviations):
      return 0.0
    shape = intervals.DRAWS, len(self.tables[i].values)
    rng = np.random.default_rng([i, 1])
    return rng.choice(self._deviations, shape).mean(axis=1)

  def _deviate(self, i: int) -> np.ndarray:
    """[S]: the deviations of the seeds of group i; none of a single seed."""
    scores = self._seeds(i, self.tables[i].seen)
    num = len(scores)
    if num == 1 or np.isnan(scores).any():
      return np.zeros(0)
    return np.sqrt(num / (num - 1)) * (scores - scores.mean())

  def _seeds(self, i: int, seen: np.ndarray) -> np.ndarray:
    """[S]: the score of each seed of group i over the questions of a mask."""
    whole = np.ones((1, np.count_nonzero(seen)), np.float32)
    return self._scores(i, seen, whole)[0]

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
  return intervals.p_value(draws.of(best, both) - draws.of(other, both))
