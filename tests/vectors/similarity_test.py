"""Similarity: hand-worked correlations, and scipy's."""

import numpy as np
import pytest
from scipy import stats
from word_grid import grid

from glove_jax.vectors import similarity
from glove_jax.vectors.sets import Pair
from glove_jax.vectors.word_vectors import WordVectors


def test_spearman_by_hand():
  # The cosines rank 3, 2, 1 and people's scores 2, 3, 1, so that rho is
  # 1 - 6 * (1 + 1 + 0) / (3 * 8) = 0.5. The fourth pair is not seen.
  pairs = [
    Pair("Man", "woman", 2.0),  # cosine 0.71
    Pair("man", "princess", 3.0),  # 0.58
    Pair("man", "king", 1.0),  # 0.45
    Pair("man", "xyzzy", 9.0),
  ]
  result = similarity.evaluate_similarity(grid(), pairs)
  assert result["spearman"] == pytest.approx(0.5)
  assert (result["seen"], result["all"]) == (3, 4)
  assert result["coverage"] == 0.75


def test_ties_are_those_of_scipy():
  rng = np.random.default_rng(0)
  made = WordVectors([f"w{i}" for i in range(9)], rng.integers(-1, 2, (9, 4)))
  pairs = [
    Pair(f"w{i}", f"w{j}", float(rng.integers(3)))
    for i in range(9)
    for j in range(i)
  ]
  ids = np.array([[int(w[1:]) for w in pair[:2]] for pair in pairs])
  first, second = made.unit[ids.T].astype(np.float64)
  ranks = stats.rankdata(np.einsum("ij,ij->i", first, second))
  other = stats.rankdata([pair.score for pair in pairs])
  expected = np.corrcoef(ranks, other)[0, 1]
  result = similarity.evaluate_similarity(made, pairs)
  assert result["spearman"] == pytest.approx(expected)


def test_equal_scores_have_no_correlation():
  pairs = [Pair("man", "king", 1.0), Pair("man", "queen", 1.0)]
  assert similarity.evaluate_similarity(grid(), pairs)["spearman"] is None


def test_a_vocabulary_that_knows_no_pair():
  made = WordVectors(["x", "y"], np.eye(2))
  result = similarity.evaluate_similarity(made, [Pair("a", "b", 1.0)])
  assert result["spearman"] is None and result["seen"] == 0


def test_cased_vectors_are_asked_as_the_pairs_are_written():
  words = [word.title() for word in grid().words]
  made = WordVectors(words, grid().vectors)
  pairs = [Pair("Man", "King", 1.0), Pair("man", "Queen", 2.0)]
  assert similarity.evaluate_similarity(made, pairs)["seen"] == 1
  pairs = [Pair("Man", "King", 1.0), Pair("man", "Queen", 2.0)]
  assert similarity.evaluate_similarity(grid(), pairs)["seen"] == 2
