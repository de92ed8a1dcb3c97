"""Vectors of several times or authors in one space.

Two runs, even on one text, give vectors that differ by a rotation at least:
cosines within each run mean something, cosines between them do not. The
rotation that best maps the shared words of one run to those of the other
(orthogonal Procrustes: Schoenemann, 1966; Hamilton et al., 2016, for change of
meaning) makes them comparable.
"""

from collections.abc import Iterable

import numpy as np

from glove_jax.vectors.word_vectors import WordVectors


def align(
  vectors: WordVectors, to: WordVectors, words: Iterable[str] | None = None
) -> WordVectors:
  """Rotates vectors to those of another run.

  Lengths and cosines among the vectors stay as they are.

  Args:
    vectors: the vectors to rotate.
    to: the vectors of the other run, of as many dimensions.
    words: the words that are to match, such as those whose meaning does not
      change; by default all words that both have.

  Returns:
    The rotated vectors of the same words.

  Raises:
    ValueError: other dimensions, or fewer shared words than dimensions.

  >>> rng = np.random.default_rng(0)
  >>> old = WordVectors("abcdef", rng.normal(size=(6, 3)))
  >>> turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
  >>> new = WordVectors("abcdef", 2 * old.vectors @ turn)
  >>> np.allclose(align(new, old).vectors, 2 * old.vectors)
  True
  """
  from scipy import linalg  # here, since it takes 0.2 s to import

  if vectors.vector_size != to.vector_size:
    raise ValueError(
      f"Vectors of {vectors.vector_size} and of {to.vector_size} dimensions "
      "cannot be aligned: train both with the same dim."
    )
  chosen = shared(vectors, to) if words is None else list(words)
  if len(chosen) < vectors.vector_size:
    raise ValueError(
      f"{len(chosen)} words are too few to align vectors of "
      f"{vectors.vector_size} dimensions: take texts that share more words."
    )
  both = _unit(vectors, chosen), _unit(to, chosen)
  rotation, _ = linalg.orthogonal_procrustes(*both)
  table = vectors.vectors.astype(np.float64) @ rotation
  table = table.astype(vectors.vectors.dtype)
  return WordVectors(vectors.words, table, vectors.counts)


def shared(first: WordVectors, second: WordVectors) -> list[str]:
  """The words that both have."""
  return [word for word in first.index if word in second]


def stability(
  first: WordVectors, second: WordVectors, words: Iterable[str] | None = None
) -> list[tuple[str, float]]:
  """How far each word kept its meaning: its cosine with itself.

  Args:
    first: vectors.
    second: vectors aligned to the first.
    words: the words to compare; by default all that both have.

  Returns:
    (word, cosine), the most changed first.

  >>> old = WordVectors("ab", np.eye(2))
  >>> stability(old, WordVectors("ba", np.array([[1, 1], [1, 0]])))[1]
  ('a', 1.0)
  """
  words = shared(first, second) if words is None else list(words)
  cosines = np.einsum("nd,nd->n", _unit(first, words), _unit(second, words))
  order = np.argsort(cosines, kind="stable")
  return [(words[i], float(cosines[i])) for i in order]


def _unit(vectors: WordVectors, words: list[str]) -> np.ndarray:
  return vectors.unit[[vectors.id(word) for word in words]].astype(np.float64)
