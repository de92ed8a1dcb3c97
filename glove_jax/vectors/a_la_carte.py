"""Vectors of new words from a few contexts (Khodak et al., 2018).

The average u_w of the vectors of a word's contexts points where all frequent
words point. One linear map takes it to the word's own vector: A minimises

    sum_w alpha(c_w) |v_w - A u_w|^2

over the words of a run, with a weight alpha of how often each occurs (arXiv
1805.05388). The vector of anything that has contexts, such as a new word or a
word in one author's texts, is then A u.

Contexts are weighted as X counts them, u_w = sum_j X_wj v_j / sum_j X_wj, and
the contexts in a few texts are counted by the same rules. The word itself is
not among its contexts.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.text import tokenizers
from glove_jax.text.symbols import UNK
from glove_jax.vectors.word_vectors import WordVectors

_CHUNK = 1 << 22  # counts that are multiplied at once


class Transform(NamedTuple):
  """A learnt transform, and how contexts are counted for it."""

  vectors: WordVectors  # of the contexts
  matrix: np.ndarray  # [D, D] A
  window: int = 10
  context: str = "symmetric"
  distance_weighting: str = "inverse"
  tokenizer: str = "word"

  def induce(self, word: str, texts: Iterable[str]) -> np.ndarray:
    """The vector of a word, known or new, from texts that contain it.

    Args:
      word: the word, as it is after tokenizing.
      texts: the texts; a window does not cross their ends.

    Returns:
      [D] float32.

    Raises:
      ValueError: the word does not occur, or has no known word around it.
    """
    if isinstance(texts, str):
      raise ValueError("Give a list of texts, not one text.")
    split = tokenizers.make_tokenizer(
      self.tokenizer, lowercase=not self.vectors.is_cased
    )
    total, weight = np.zeros(self.vectors.vector_size), 0.0
    for text in texts:
      for other, share in self._contexts(word, split(text)):
        total += share * self.vectors[other]
        weight += share
    if not weight:
      raise ValueError(
        f"The word {word!r} has no known word around it in these texts: give "
        "texts that contain it, in the case that the tokenizer gives it."
      )
    return (self.matrix @ (total / weight)).astype(np.float32)

  def _contexts(
    self, word: str, tokens: Sequence[str]
  ) -> Iterator[tuple[str, float]]:
    """The known words around each occurrence, and what each adds to X.

    word = x, window = 2, in "a x b UNKNOWN c": (a, 1), (b, 1), (c, 1/2), since
    unknown words are dropped before distances are measured.
    """
    kept = [t for t in tokens if t == word or (t in self.vectors and t != UNK)]
    sides = {"left": (-1,), "right": (1,), "symmetric": (-1, 1)}[self.context]
    for i, token in enumerate(kept):
      if token != word:
        continue
      for side in sides:
        for distance in range(1, self.window + 1):
          j = i + side * distance
          if 0 <= j < len(kept) and kept[j] != word:
            is_near = self.distance_weighting == "inverse"
            yield kept[j], 1 / distance if is_near else 1.0


def learn(
  vectors: WordVectors,
  counts: Sequence[np.ndarray],
  weighting: str | float = "log",
  **rules,
) -> Transform:
  """Learns the transform on the counts that the vectors were trained on.

  Args:
    vectors: V vectors, with how often each word occurs.
    counts: what `glove_jax.count` returned, or row [N], col [N] and count [N],
      as `Triplets`: ids are rows of the vectors.
    weighting: alpha, 'log' for log c_w, which suits small texts, or a number:
      words that occur so often have the weight 1 and others 0.
    **rules: how the counts were counted: window, context, distance_weighting,
      tokenizer. By default as `counts` says, or else the defaults of counting.

  Raises:
    ValueError: the vectors have no counts or other words than the counts, or
      fewer words than dimensions have a weight.

  >>> rng = np.random.default_rng(0)
  >>> words = [f"w{i}" for i in range(50)]
  >>> vectors = WordVectors(words, rng.normal(size=(50, 3)), [9] * 50)
  >>> row, col = np.divmod(np.arange(2500), 50)
  >>> transform = learn(vectors, (row, col, rng.random(2500)))
  >>> transform.matrix.shape
  (3, 3)
  >>> transform.induce("new", ["a w1 new w2"]).shape
  (3,)
  """
  if vectors.counts is None:
    raise ValueError(
      "These vectors do not know how often their words occur: give WordVectors "
      "counts, or take the vectors of a run."
    )
  if weighting == "log":
    alpha = np.log(np.maximum(vectors.counts, 1))
  else:
    alpha = (vectors.counts >= float(weighting)).astype(float)
  if hasattr(counts, "triplets"):  # which know their words and rules
    if vectors.words[: len(counts.vocab)] != counts.vocab.words:
      raise ValueError(
        "counts has other words than vectors, or another order: give the "
        "vectors that were trained on them."
      )
    known = counts.kind.keys() & Transform._fields
    rules = {name: counts.kind[name] for name in known} | rules
    counts = counts.triplets()
  sums, totals = _context_sums(vectors, counts)
  alpha[totals == 0] = 0
  if np.count_nonzero(alpha) < vectors.vector_size:
    raise ValueError(
      f"Only {np.count_nonzero(alpha)} words have a weight, fewer than the "
      f"{vectors.vector_size} dimensions: choose a lower weighting."
    )
  scale = np.sqrt(alpha)[:, None]
  means = sums / np.maximum(totals, 1e-300)[:, None]
  matrix = np.linalg.lstsq(means * scale, vectors.vectors * scale, rcond=None)
  return Transform(vectors, matrix[0].T, **rules)


def _context_sums(vectors, counts) -> tuple[np.ndarray, np.ndarray]:
  """sum_j X_wj v_j [V, D] and sum_j X_wj [V], without j = w."""
  from scipy import sparse  # here, since it takes 0.2 s to import

  num = len(vectors)
  table = np.concatenate([vectors.vectors, np.ones((num, 1))], axis=1)
  sums = np.zeros(table.shape)
  for start in range(0, len(counts[2]), _CHUNK):
    row, col, count = (
      np.asarray(c[start : start + _CHUNK]) for c in counts[:3]
    )
    other = row != col
    shape = (num, num)
    part = (count[other], (row[other], col[other]))
    sums += sparse.csr_matrix(part, shape) @ table
  return sums[:, :-1], sums[:, -1]
