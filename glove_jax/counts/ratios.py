"""What the counts say before any model.

Section 3 of Pennington et al. (2014): P_ij = P(j|i) = X_ij / X_i, with X_i the
sum of row i, and the ratios P_ik / P_jk, which tell words k that matter to i
rather than j (much larger than 1) or to j rather than i (much smaller than 1)
from words that tell nothing about the two (about 1).
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from glove_jax.text.vocab import Vocab


def conditional_probabilities(
  counts: scipy.sparse.csr_array,
) -> scipy.sparse.csr_array:
  """P(j|i) = X_ij / sum_k X_ik.

  Args:
    counts: [V, V], as from `Counts.matrix()`.

  Returns:
    [V, V] float64; each row sums to 1, or is empty where X_i is 0.
  """
  totals = np.asarray(counts.sum(axis=1), np.float64).ravel()
  data = counts.data / np.repeat(totals, np.diff(counts.indptr))
  return scipy.sparse.csr_array(
    (data, counts.indices, counts.indptr), shape=counts.shape
  )


def log_counts(counts: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
  """log X_ij for the non-zero X_ij, which is what the model is fitted to.

  A stored 0 is the log of a count of 1; what is not stored has no log.
  """
  return scipy.sparse.csr_array(
    (np.log(counts.data), counts.indices, counts.indptr), shape=counts.shape
  )


def probabilities_of(
  probabilities: scipy.sparse.csr_array,
  vocab: Vocab,
  word: str,
  probes: Sequence[str],
) -> np.ndarray:
  """[K] float64: P(k|word) for each probe word k.

  Raises:
    ValueError: a word is not in the vocabulary, or the matrix is of another.
  """
  if probabilities.shape != (len(vocab), len(vocab)):
    raise ValueError(
      f"probabilities of shape {probabilities.shape} are not those of "
      f"{len(vocab)} words"
    )
  ids = [vocab.id(probe) for probe in probes]
  return probabilities[[vocab.id(word)]].toarray()[0, ids]


def probability_ratios(
  probabilities: scipy.sparse.csr_array,
  vocab: Vocab,
  word_a: str,
  word_b: str,
  probes: Sequence[str],
) -> np.ndarray:
  """P(k|a) / P(k|b) for each probe word k: table 1 of the paper.

  Args:
    probabilities: [V, V], from `conditional_probabilities`.
    vocab: the words of its rows and columns.
    word_a: a, `ice` in the paper.
    word_b: b, `steam` in the paper.
    probes: the words k, `solid`, `gas`, `water`, `fashion` in the paper.

  Returns:
    [K] float64; inf where k was seen near a only, nan where near neither.

  Raises:
    ValueError: a word is not in the vocabulary, or the matrix is of another.
  """
  near_a = probabilities_of(probabilities, vocab, word_a, probes)
  near_b = probabilities_of(probabilities, vocab, word_b, probes)
  with np.errstate(divide="ignore", invalid="ignore"):
    return near_a / near_b


def log_ratios(
  probabilities: scipy.sparse.csr_array,
  vocab: Vocab,
  word_a: str,
  word_b: str,
  probes: Sequence[str],
) -> np.ndarray:
  """log(P(k|a) / P(k|b)), which is what (w_a - w_b) . w~_k should come to.

  As `probability_ratios`; -inf where k was seen near b only.
  """
  ratios = probability_ratios(probabilities, vocab, word_a, word_b, probes)
  with np.errstate(divide="ignore"):
    return np.log(ratios)


def format_ratios(
  probabilities: scipy.sparse.csr_array,
  vocab: Vocab,
  word_a: str,
  word_b: str,
  probes: Sequence[str],
) -> str:
  """Table 1 of the paper as text, for any words: a line a probe word."""
  args = (probabilities, vocab)
  columns = zip(
    probes,
    probabilities_of(*args, word_a, probes),
    probabilities_of(*args, word_b, probes),
    probability_ratios(*args, word_a, word_b, probes),
    strict=True,
  )
  heads = ("k", f"P(k|{word_a})", f"P(k|{word_b})", "ratio")
  width = max(map(len, (*probes, *heads)))
  lines = ["  ".join(head.rjust(width) for head in heads)]
  for probe, near_a, near_b, ratio in columns:
    cells = (probe, f"{near_a:.2e}", f"{near_b:.2e}", f"{ratio:.3g}")
    lines.append("  ".join(cell.rjust(width) for cell in cells))
  return "\n".join(lines)
