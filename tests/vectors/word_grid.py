"""Vectors of words on a grid, so that analogies come out exactly."""

import numpy as np

from glove_jax.vectors.word_vectors import WordVectors

QUESTIONS = {
  "family": [
    ("man", "king", "Woman", "Queen"),
    ("king", "man", "queen", "woman"),
    ("man", "king", "woman", "apple"),
  ],
  "gram1-plural": [("man", "king", "woman", "xyzzy")],
  "gram2": [("prince", "king", "princess", "queen")],
}


def grid() -> WordVectors:
  """Words on a grid of sex and rank, so that analogies come out exactly."""
  places = {
    "man": [1, 0, 0],
    "woman": [1, 1, 0],
    "king": [1, 0, 2],
    "queen": [1, 1, 2],
    "prince": [1, 0, 1],
    "princess": [1, 1, 1],
    "apple": [-3, 1, -1],
  }
  return WordVectors(list(places), np.array(list(places.values()), "f4"))
