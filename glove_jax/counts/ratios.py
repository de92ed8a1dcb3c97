"""Probabilities and their ratios, from the counts alone.

Section 3 of Pennington et al. (2014): P_ij = P(j|i) = X_ij / X_i, where X_i is
the sum of row i. The ratio P_ik / P_jk is much larger than 1 for words k that
are related to i but not to j, much smaller than 1 for the reverse, and about 1
for words related to both or to neither.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from glove_jax.text.vocab import Vocab


def conditional_probabilities(
  counts: scipy.sparse.csr_array,
) -> scipy.sparse.csr_array:
  """P(j|i) = X_ij / sum_k X_ik.

  >>> counts = scipy.sparse.csr_array([[0.0, 3, 1], [3, 0, 3], [1, 3, 0]])
  >>> conditional_probabilities(counts).toarray().tolist()
  [[0.0, 0.75, 0.25], [0.5, 0.0, 0.5], [0.25, 0.75, 0.0]]

  Args:
    counts: [V, V], from `Counts.matrix()`.

  Returns:
    [V, V] float64; each row sums to 1, or is empty if X_i is 0.
  """
  totals = np.asarray(counts.sum(axis=1), np.float64).ravel()
  data = counts.data / np.repeat(totals, np.diff(counts.indptr))
  return scipy.sparse.csr_array(
    (data, counts.indices, counts.indptr), shape=counts.shape
  )


def probabilities_of(
  probabilities: scipy.sparse.csr_array,
  vocab: Vocab,
  word: str,
  probes: Sequence[str],
) -> np.ndarray:
  """P(k|word) for each probe word k.

  >>> vocab = Vocab(("a", "b", "c"), [1, 1, 1])
  >>> counts = scipy.sparse.csr_array([[0.0, 3, 1], [3, 0, 3], [1, 3, 0]])
  >>> probabilities = conditional_probabilities(counts)
  >>> probabilities_of(probabilities, vocab, "a", ["b", "c"]).tolist()
  [0.75, 0.25]

  Args:
    probabilities: [V, V], from `conditional_probabilities`.
    vocab: the words of the rows and columns.
    word: a word of the vocabulary.
    probes: K words of the vocabulary.

  Returns:
    [K] float64.

  Raises:
    ValueError: a word is not in the vocabulary, or the matrix belongs to
      another vocabulary.
  """
  if probabilities.shape != (len(vocab), len(vocab)):
    raise ValueError(
      f"Probabilities of shape {probabilities.shape} are not those of "
      f"{len(vocab)} words."
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

  >>> vocab = Vocab(("a", "b", "c"), [1, 1, 1])
  >>> counts = scipy.sparse.csr_array([[0.0, 3, 1], [3, 0, 3], [1, 3, 0]])
  >>> probabilities = conditional_probabilities(counts)
  >>> probability_ratios(probabilities, vocab, "a", "b", ["c"]).tolist()
  [0.5]

  Args:
    probabilities: [V, V], from `conditional_probabilities`.
    vocab: the words of the rows and columns.
    word_a: the word a, 'ice' in the paper.
    word_b: the word b, 'steam' in the paper.
    probes: K words k; 'solid', 'gas', 'water' and 'fashion' in the paper.

  Returns:
    [K] float64; inf if k occurs near a only, nan if near neither.

  Raises:
    ValueError: a word is not in the vocabulary, or the matrix belongs to
      another vocabulary.
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
  """log(P(k|a) / P(k|b)), which (w_a - w_b) . w~_k approximates.

  >>> vocab = Vocab(("a", "b", "c"), [1, 1, 1])
  >>> counts = scipy.sparse.csr_array([[0.0, 3, 1], [3, 0, 3], [1, 3, 0]])
  >>> probabilities = conditional_probabilities(counts)
  >>> log_ratios(probabilities, vocab, "a", "b", ["c"]).round(3).tolist()
  [-0.693]

  Args and errors are those of `probability_ratios`.

  Returns:
    [K] float64; -inf if k occurs near b only.
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
  """Formats table 1 of the paper for any words, one line per probe word.

  >>> vocab = Vocab(("a", "b", "c"), [1, 1, 1])
  >>> counts = scipy.sparse.csr_array([[0.0, 3, 1], [3, 0, 3], [1, 3, 0]])
  >>> probabilities = conditional_probabilities(counts)
  >>> print(format_ratios(probabilities, vocab, "a", "b", ["c"]))
       k  P(k|a)  P(k|b)   ratio
       c  2.50e-01  5.00e-01     0.5

  Args and errors are those of `probability_ratios`.
  """
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
