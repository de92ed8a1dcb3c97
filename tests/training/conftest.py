"""Fixtures that several test files of this room share."""

import numpy as np
import pytest

from glove_jax.counts import triplets


@pytest.fixture(scope="module")
def counts():
  """Counts of 40 words, 4 in 10 pairs of which occur."""
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((40, 40)) < 0.4)
  count = np.exp(rng.normal(1, 1, len(row)))
  return triplets.Triplets(row.astype("i4"), col.astype("i4"), count, 40)
