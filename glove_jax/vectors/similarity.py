"""Word pairs: how well cosines agree with the scores that people gave."""

from collections.abc import Sequence

import numpy as np

from glove_jax.vectors import intervals
from glove_jax.vectors.analogy import fold, ratio
from glove_jax.vectors.sets import Pair
from glove_jax.vectors.word_vectors import WordVectors


def evaluate_similarity(vectors: WordVectors, pairs: Sequence[Pair]) -> dict:
  """Spearman's rank correlation of cosines with people's scores.

  Equal values share the mean of their ranks, as in `scipy.stats.spearmanr`.

  Args:
    vectors: the vectors.
    pairs: two words and a score each, see `sets.read_similarity`.

  Returns:
    A dict of kind "similarity", see `glove_jax.vectors.evaluate`.

  Raises:
    ValueError: the vectors are not finite.

  >>> table = np.array([[1, 0], [1, 1], [0, 1]])
  >>> vectors = WordVectors(["cat", "dog", "car"], table)
  >>> pairs = [Pair("cat", "dog", 9.0), Pair("cat", "car", 2.0)]
  >>> round(evaluate_similarity(vectors, pairs)["spearman"], 6)
  1.0
  """
  return score(cosines(vectors, pairs), pairs)


def cosines(
  vectors: WordVectors,
  pairs: Sequence[Pair],
  lowercase: bool | None = None,
) -> np.ndarray:
  """[N] float64: the cosine of each pair, NaN without both vectors.

  Args:
    vectors: the vectors.
    pairs: as for `evaluate_similarity`.
    lowercase: as for `analogy.fold`.
  """
  change, get = fold(vectors, lowercase), vectors.index.get
  rows = [get(change(word), -1) for pair in pairs for word in pair[:2]]
  rows = np.array(rows, np.int64).reshape(-1, 2)
  seen = (rows >= 0).all(axis=1)
  out = np.full(len(rows), np.nan)
  first, second = vectors.unit[rows[seen].T].astype(np.float64)
  out[seen] = np.einsum("ij,ij->i", first, second)
  return out


def score(cosine: np.ndarray, pairs: Sequence[Pair]) -> dict:
  """The result of a set from the cosines [N] of its pairs, NaN if unseen."""
  seen = ~np.isnan(cosine)
  people = np.array([pair[2] for pair in pairs], np.float64)
  num = int(np.count_nonzero(seen))
  return {
    "kind": "similarity",
    "spearman": intervals.spearman(cosine[seen], people[seen]),
    "seen": num,
    "all": len(pairs),
    "coverage": ratio(num, len(pairs)),
  }
