"""Vectors of two runs in one space."""

import numpy as np
import pytest

from glove_jax.vectors import alignment
from glove_jax.vectors.word_vectors import WordVectors


def make(seed, words, dim=3):
  rng = np.random.default_rng(seed)
  return WordVectors(words, rng.normal(size=(len(words), dim)))


def test_a_rotation_is_undone_but_for_the_words_that_changed():
  old = make(0, [f"w{i}" for i in range(50)])
  turn, _ = np.linalg.qr(make(1, "abc").vectors)
  table = old.vectors @ turn
  table[[3, 4]] = table[[4, 3]]  # these change their meaning
  new = WordVectors([*old.words[:49], "other"], 3 * table, range(50))
  aligned = alignment.align(new, old)
  assert aligned.words == new.words and aligned.counts.tolist()[:2] == [0, 1]
  changed = alignment.stability(old, aligned)
  assert len(changed) == 49
  assert {word for word, _ in changed[:2]} == {"w3", "w4"}
  assert changed[2][1] > 0.98
  anchors = [f"w{i}" for i in range(10, 20)]
  exact = alignment.align(new, old, words=anchors)
  np.testing.assert_allclose(exact["w5"], 3 * old["w5"])
  assert alignment.stability(old, exact, ["w5"]) == [
    ("w5", pytest.approx(1, abs=1e-6))
  ]
  assert exact.similarity("w1", "other") == pytest.approx(
    new.similarity("w1", "other")
  )


def test_what_cannot_be_aligned_is_said():
  with pytest.raises(ValueError, match="3 and of 2 dimensions"):
    alignment.align(make(0, "abcd"), make(0, "abcd", dim=2))
  with pytest.raises(ValueError, match="2 words are too few"):
    alignment.align(make(0, "abcd"), make(0, "cdef"))
