"""Vectors of new words from their contexts."""

import numpy as np
import pytest

import glove_jax
from glove_jax.counts import cooccur
from glove_jax.vectors import a_la_carte, word_vectors
from glove_jax.vectors.word_vectors import WordVectors

WORDS = [f"w{i}" for i in range(20)]


@pytest.fixture(scope="module")
def texts():
  rng = np.random.default_rng(0)
  return [" ".join(f"W{i}," for i in rng.integers(22, size=50)) for _ in "abcd"]


@pytest.fixture(scope="module")
def vectors():
  rng = np.random.default_rng(1)
  return WordVectors(WORDS, rng.normal(size=(20, 4)), np.arange(20) + 1)


@pytest.mark.parametrize("context", ["symmetric", "left", "right"])
@pytest.mark.parametrize("distance_weighting", ["inverse", "none"])
def test_contexts_are_counted_as_for_training(
  texts, vectors, context, distance_weighting
):
  rules = {
    "window": 3, "context": context, "distance_weighting": distance_weighting
  }  # fmt: skip
  documents = [
    np.array([i for w in text.split() if (i := int(w[1:-1])) < 20])
    for text in texts
  ]
  matrix = cooccur.count(documents, 20, **rules).matrix().toarray()
  matrix[7, 7] = 0
  expected = matrix[7] @ vectors.vectors / matrix[7].sum()
  made = a_la_carte.Transform(vectors, np.eye(4), **rules)
  np.testing.assert_allclose(made.induce("w7", texts), expected, rtol=1e-5)


def test_a_new_word_keeps_its_place(vectors):
  made = a_la_carte.Transform(vectors, 2 * np.eye(4), window=2)
  got = made.induce("new", ["w1 unknown new, w2 w3 new"])
  # The first has w1 at 1, w2 at 1 and w3 at 2; the second w3 at 1, w2 at 2.
  total = vectors["w1"] + 1.5 * vectors["w2"] + 1.5 * vectors["w3"]
  np.testing.assert_allclose(got, 2 * total / 4, rtol=1e-6)


@pytest.mark.parametrize("weighting", ["log", 5])
def test_the_transform_is_the_weighted_least_squares_fit(vectors, weighting):
  rng = np.random.default_rng(2)
  matrix = rng.random((20, 20)) * (rng.random((20, 20)) < 0.5)
  row, col = np.nonzero(matrix)
  made = a_la_carte.learn(vectors, (row, col, matrix[row, col]), weighting)
  alpha = np.log(vectors.counts)
  if weighting == 5:
    alpha = (vectors.counts >= 5).astype(float)
  np.fill_diagonal(matrix, 0)
  mean = matrix @ vectors.vectors / matrix.sum(axis=1, keepdims=True)
  rest = vectors.vectors - mean @ made.matrix.T
  np.testing.assert_allclose((rest * alpha[:, None]).T @ mean, 0, atol=1e-9)


def test_what_is_missing_is_said(vectors):
  counts = np.array([0]), np.array([1]), np.array([1.0])
  plain = WordVectors(WORDS, vectors.vectors)
  with pytest.raises(ValueError, match="do not know how often"):
    a_la_carte.learn(plain, counts)
  with pytest.raises(ValueError, match="Only 1 words have a weight"):
    a_la_carte.learn(vectors, counts, weighting=1)
  made = a_la_carte.Transform(vectors, np.eye(4))
  with pytest.raises(ValueError, match="'new' has no known word around it"):
    made.induce("new", ["nothing known", "new"])
  with pytest.raises(ValueError, match="Give a list of texts"):
    made.induce("new", "w1 new")


def test_counts_say_their_words_and_how_they_were_counted():
  documents = [["a", "b", "c", "d"], ["b", "d", "a"]]
  counts = glove_jax.count(documents, min_count=1, window=2, quiet=True)
  table = np.random.default_rng(0).normal(size=(4, 2))
  made = WordVectors(counts.vocab.words, table, counts.vocab.counts + 1)
  transform = a_la_carte.learn(made, counts)
  assert transform.window == 2
  assert a_la_carte.learn(made, counts, window=3).window == 3
  plain = a_la_carte.learn(made, counts.triplets())
  np.testing.assert_array_equal(transform.matrix, plain.matrix)
  a_la_carte.learn(word_vectors.with_unk(made), counts)
  for other in (made.subset(made.words[::-1]), made.first(3)):
    with pytest.raises(ValueError, match="other words than vectors"):
      a_la_carte.learn(other, counts)
