"""Vectors of sentences: means of the vectors of their words.

Arora et al. (2017) weight each word by its smooth inverse frequency (SIF),
a / (a + p(w)), and then remove the directions that all sentences share. Both
are linear, so that they can be applied to the words once: the means of such
word vectors are the weighted sentence vectors.
"""

from collections.abc import Iterable

import numpy as np

from glove_jax.text import tokenizers
from glove_jax.text.symbols import UNK


def weights(counts: np.ndarray | None, a: float) -> np.ndarray:
  """The SIF weight a / (a + p(w)) of each word.

  Args:
    counts: [V] how often each word occurs, or None.
    a: the constant, 1e-3 to 1e-4 in the paper.

  Returns:
    [V] float64 from 0 to 1.

  Raises:
    ValueError: `a` is not positive, or the counts are unknown.

  >>> weights(np.array([9, 1]), a=0.1).round(2)
  array([0.1, 0.5])
  """
  if not a > 0:
    raise ValueError(f"sif must be greater than 0, got {a}.")
  return a / (a + _probabilities(counts))


def without_common(
  table: np.ndarray, counts: np.ndarray | None, num: int
) -> np.ndarray:
  """Removes the directions that the words of a text share most.

  They are the first eigenvectors of the sum of p(w) v_w v_w^T over all words.
  The paper takes those of the sentence vectors, which are means of words drawn
  from p(w): the same if there are no sentences to look at.

  Args:
    table: [V, D] weighted word vectors.
    counts: [V] how often each word occurs.
    num: how many directions to remove, 1 in the paper.

  Returns:
    [V, D] of the type of `table`.

  Raises:
    ValueError: `num` is not from 0 to D - 1, or the counts are unknown.
  """
  if not 0 <= num < table.shape[1]:
    raise ValueError(
      f"remove must be from 0 to {table.shape[1] - 1}, got {num}: there are "
      f"{table.shape[1]} dimensions, and one must be left."
    )
  exact = table.astype(np.float64)
  moment = (exact * _probabilities(counts)[:, None]).T @ exact
  common = np.linalg.eigh(moment)[1][:, -num:] if num else np.zeros((1, 0))
  return (exact - (exact @ common) @ common.T).astype(table.dtype)


def encode(
  vectors,
  sentences: Iterable[str],
  tokenizer: str = "word",
  lowercase: bool | None = None,
) -> np.ndarray:
  """As `WordVectors.encode`, for any number of sentences."""
  if isinstance(sentences, (bytes, np.ndarray)) or not isinstance(
    sentences, Iterable
  ):
    raise ValueError(f"{type(sentences).__name__} is no list of sentences.")
  lowercase = not vectors.is_cased if lowercase is None else lowercase
  split = tokenizers.make_tokenizer(tokenizer, lowercase=lowercase)
  rows = {word: i for word, i in vectors.index.items() if word != UNK}
  means = []
  for sentence in sentences:
    if not isinstance(sentence, str):
      raise ValueError(
        f"The sentence {sentence!r} is no string: give text, not its words."
      )
    known = [rows[word] for word in split(sentence) if word in rows]
    mean = vectors.vectors[known].mean(axis=0) if known else 0.0
    means.append(np.zeros(vectors.vector_size, vectors.vectors.dtype) + mean)
  return np.array(means).reshape(-1, vectors.vector_size)


def _probabilities(counts: np.ndarray | None) -> np.ndarray:
  if counts is None or not counts.sum() > 0:
    raise ValueError(
      "These vectors do not know how often their words occur: give "
      "WordVectors counts, or read them from a run or a format that has counts."
    )
  return counts / counts.sum()
