import math

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.counts import cooccur, ratios
from glove_jax.text import vocab

WORDS = vocab.Vocab(("I", "like", "deep", "learning"), [1, 1, 1, 1])


@pytest.fixture
def probabilities():
  counts = cooccur.count([[0, 1, 2, 3]], 4, window=1)
  return ratios.conditional_probabilities(counts.matrix())


def test_hand_worked_probabilities(probabilities):
  assert probabilities.toarray().tolist() == [
    [0, 1, 0, 0],
    [0.5, 0, 0.5, 0],
    [0, 0.5, 0, 0.5],
    [0, 0, 1, 0],
  ]
  near_like = ratios.probabilities_of(
    probabilities, WORDS, "like", ["I", "deep"]
  )
  assert near_like.tolist() == [0.5, 0.5]
  assert near_like[0] / near_like[1] == 1


def test_hand_worked_ratios(probabilities):
  args = (probabilities, WORDS, "I", "deep", ["like", "learning", "I"])
  quotients = ratios.probability_ratios(*args)
  np.testing.assert_array_equal(quotients, [2, 0, np.nan])
  logs = ratios.log_ratios(*args)
  np.testing.assert_array_equal(logs, [math.log(2), -np.inf, np.nan])
  back = ratios.probability_ratios(
    probabilities, WORDS, "deep", "I", ["learning"]
  )
  assert back.tolist() == [np.inf]


def test_log_of_a_ratio_of_a_half():
  p = scipy.sparse.csr_array(np.array([[0.0, 0.3], [0.0, 0.6]]))
  words = vocab.Vocab(("a", "b"), [1, 1])
  (log_ratio,) = ratios.log_ratios(p, words, "a", "b", ["b"])
  assert log_ratio == pytest.approx(-0.693, abs=5e-4)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=20), max_size=5))
def test_rows_sum_to_one_or_are_empty(documents):
  x = cooccur.count(documents, 6, window=3).matrix()
  p = ratios.conditional_probabilities(x)
  totals = p.sum(axis=1)
  expected = (x.sum(axis=1) > 0).astype(float)
  np.testing.assert_allclose(totals, expected, rtol=1e-14)
  assert (p.data > 0).all() and p.nnz == x.nnz


def test_probabilities_leave_the_counts_alone():
  x = cooccur.count([[0, 1, 1]], 2, window=1).matrix()
  before = x.toarray()
  ratios.conditional_probabilities(x)
  np.testing.assert_array_equal(x.toarray(), before)


def test_format_ratios_has_a_line_a_word(probabilities):
  text = ratios.format_ratios(
    probabilities, WORDS, "I", "deep", ["like", "learning"]
  )
  lines = [line.split() for line in text.splitlines()]
  assert lines == [
    ["k", "P(k|I)", "P(k|deep)", "ratio"],
    ["like", "1.00e+00", "5.00e-01", "2"],
    ["learning", "0.00e+00", "5.00e-01", "0"],
  ]


@pytest.mark.parametrize(
  "words", [("ice", "deep", ["like"]), ("I", "ice", []), ("I", "deep", ["ice"])]
)
def test_unknown_words_are_named(probabilities, words):
  with pytest.raises(ValueError, match="'ice' is not among the 4 words"):
    ratios.probability_ratios(probabilities, WORDS, *words)


def test_a_matrix_of_another_vocabulary_is_refused(probabilities):
  other = vocab.Vocab(("a", "b"), [1, 1])
  with pytest.raises(ValueError, match="are not those of 2 words"):
    ratios.probability_ratios(probabilities, other, "a", "b", ["a"])
