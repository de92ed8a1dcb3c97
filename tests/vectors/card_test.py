"""Model cards: for people, and for the Hub's own reader."""

import numpy as np
import pytest

from glove_jax.vectors import card
from glove_jax.vectors.word_vectors import WordVectors

SCORE = {"correct": 3, "seen": 6, "all": 12, "accuracy": 0.5, "coverage": 0.5}
RESULTS = {
  "google": {"kind": "analogies", "total": SCORE},
  "men": {
    "kind": "similarity", "spearman": 0.5, "seen": 28, "all": 40,
    "coverage": 0.7, "interval": [0.1, 0.8],
  },
  "rw": {"kind": "similarity", "spearman": 0.5, "seen": 103, "all": 103,
    "coverage": 1.0},
  "none": {"kind": "similarity", "spearman": None, "seen": 1, "all": 9,
    "coverage": 0.1},
}  # fmt: skip


@pytest.fixture
def vectors():
  return WordVectors(["a|b", "c"], np.eye(2), [3, 1])


def test_the_hub_reads_a_card(vectors, tmp_path):
  hub = pytest.importorskip("huggingface_hub")
  text = card.of_vectors(vectors, 'my "model"', license="mit", results=RESULTS)
  read = hub.ModelCard(text)
  assert read.data.license == "mit" and read.data.library_name == "glove_jax"
  assert read.data.model_name == 'my "model"'
  measured = {
    (r.dataset_name, r.metric_type): r.metric_value
    for r in read.data.eval_results
  }
  assert measured == {
    ("google", "accuracy"): 0.5, ("google", "coverage"): 0.5,
    ("men", "spearman"): 0.5, ("men", "coverage"): 0.7,
    ("rw", "spearman"): 0.5, ("rw", "coverage"): 1.0,
  }  # fmt: skip


def test_scores_come_with_intervals_and_coverage(vectors):
  text = card.of_vectors(vectors, "m", results=RESULTS)
  assert "| google (accuracy) | 50.00% | 16.67% to 83.33% | 6 of 12 |" in text
  assert "| men (Spearman) | 0.5000 | 0.1000 to 0.8000 | 28 of 40 |" in text
  # tanh(atanh(.5) -+ 1.96 * 1.03 / 10)
  assert "| rw (Spearman) | 0.5000 | 0.3341 to 0.6359 | 103 of 103" in text
  assert "none (" not in text


def test_an_unspecified_licence_is_said_and_not_in_the_head(vectors):
  text = card.of_vectors(vectors, "m")
  assert "| licence | unspecified |" in text
  assert "license:" not in text
  assert "a\\|b, c" in text and "| occurrences of these words | 4 |" in text
  assert card.is_card(text) and not card.is_card("# A page")
