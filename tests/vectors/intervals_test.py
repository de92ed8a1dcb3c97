"""Intervals and paired tests, against scipy and by hand."""

import numpy as np
import pytest
from scipy import stats

from glove_jax.vectors import intervals

DRAWS = 20_000


def test_the_interval_of_an_accuracy_is_scipys():
  answers = np.repeat([1.0, 0.0], [30, 70])
  expected = stats.bootstrap(
    (answers,), np.mean, method="percentile", n_resamples=DRAWS, rng=1
  ).confidence_interval
  found = intervals.accuracy_interval(30, 100, DRAWS)
  assert found == pytest.approx(list(expected), abs=0.011)
  assert found == intervals.accuracy_interval(30, 100, DRAWS)


def test_the_interval_of_nothing():
  assert intervals.accuracy_interval(0, 0) is None
  assert intervals.accuracy_difference(np.zeros(0, bool), np.zeros(0)) is None
  assert intervals.spearman_interval(np.ones(3), np.arange(3)) is None
  same = np.ones(3)
  assert intervals.spearman_difference(same, same, np.arange(3)) is None


def correlated(rng, num=60):
  """Two rankings with ties, the second noisier, and the scores."""
  scores = rng.integers(0, 10, num).astype(float)
  first = np.round(scores + rng.normal(0, 2, num), 1)
  return first, np.round(scores + rng.normal(0, 8, num)), scores


def test_spearmans_rho_is_scipys():
  first, second, scores = correlated(np.random.default_rng(1))
  for ranking in (first, second, -scores):
    expected = stats.spearmanr(ranking, scores).statistic
    assert intervals.spearman(ranking, scores) == pytest.approx(expected, 1e-12)


def test_the_interval_of_spearmans_rho_is_scipys():
  first, _, scores = correlated(np.random.default_rng(0))
  expected = stats.bootstrap(
    (first, scores),
    lambda x, y: stats.spearmanr(x, y).statistic,
    paired=True,
    vectorized=False,
    method="percentile",
    n_resamples=2000,
    rng=1,
  ).confidence_interval
  found = intervals.spearman_interval(first, scores, DRAWS)
  assert found == pytest.approx(list(expected), abs=0.02)


def all_resamples(num, draws):
  return np.concatenate(list(intervals.resamples(num, draws)))


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
  expected = all_resamples(7, 50)
  monkeypatch.setattr(intervals, "_CHUNK", 20)
  np.testing.assert_array_equal(all_resamples(7, 50), expected)


def test_ranks_of_resamples_are_those_of_sorting():
  rng = np.random.default_rng(3)
  values = rng.integers(0, 6, 30).astype(float)
  counts = all_resamples(30, 50)
  assert (counts.sum(axis=1) == 30).all()
  ranks = intervals.ranks(values, counts)
  for row, count in zip(ranks, counts, strict=True):
    items = np.repeat(np.arange(30), count)
    np.testing.assert_allclose(row[items], stats.rankdata(values[items]))


def test_rho_of_each_resample_is_scipys():
  first, _, scores = correlated(np.random.default_rng(4))
  counts = all_resamples(len(scores), 20)
  found = intervals.resampled(first, scores, counts)
  for rho, count in zip(found, counts, strict=True):
    items = np.repeat(np.arange(len(scores)), count)
    expected = stats.spearmanr(first[items], scores[items]).statistic
    assert rho == pytest.approx(expected)


def test_mcnemar_by_hand():
  # Six questions are right in one model only, one in the other only:
  # p = 2 (C(7,0) + C(7,1)) / 2^7 = 16 / 128.
  first = np.array([True] * 6 + [False] + [True] * 3)
  second = np.array([False] * 6 + [True] + [True] * 3)
  found = intervals.accuracy_difference(first, second)
  assert found["p"] == pytest.approx(16 / 128)
  assert found["difference"] == pytest.approx(0.5)
  assert found["seen"] == 10
  back = intervals.accuracy_difference(second, first)
  assert back["p"] == found["p"] and back["difference"] == -0.5
  low, high = found["interval"]
  assert low < 0.5 < high


def test_the_interval_of_a_paired_difference_is_scipys():
  rng = np.random.default_rng(0)
  first, second = rng.random(200) < 0.6, rng.random(200) < 0.5
  expected = stats.bootstrap(
    (first.astype(float) - second,),
    np.mean,
    method="percentile",
    n_resamples=DRAWS,
    rng=1,
  ).confidence_interval
  found = intervals.accuracy_difference(first, second, DRAWS)
  assert found["interval"] == pytest.approx(list(expected), abs=0.011)


def test_a_better_ranking_is_told_from_a_worse_one():
  first, second, scores = correlated(np.random.default_rng(5), num=200)
  found = intervals.spearman_difference(first, second, scores)
  expected = (
    stats.spearmanr(first, scores).statistic
    - stats.spearmanr(second, scores).statistic
  )
  assert found["difference"] == pytest.approx(expected)
  assert found["p"] == pytest.approx(2 / 1001) and found["interval"][0] > 0
  back = intervals.spearman_difference(second, first, scores)
  assert back["p"] == found["p"]
  assert back["interval"] == pytest.approx(
    [-x for x in found["interval"][::-1]]
  )


def test_rankings_of_one_quality_do_not_differ():
  # Equal in law: p is small in about one of twenty cases, no oftener.
  rng = np.random.default_rng(6)
  small = 0
  for _ in range(40):
    scores = rng.normal(size=80)
    first, second = scores + rng.normal(size=(2, 80))
    found = intervals.spearman_difference(first, second, scores, draws=200)
    small += found["p"] < 0.05
  assert small <= 6
