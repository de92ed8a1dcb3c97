"""Counts together with their words: what `glove_jax.count` returns."""

import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse

from glove_jax import config as configs
from glove_jax import effects
from glove_jax.config import VectorsConfig, make_part
from glove_jax.counts import column_files, ratios, triplets
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.text import vocab as vocabs
from glove_jax.text.vocab import Vocab
from glove_jax.training import sorting
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts, stages

# What the manifest of a folder says of the kind of counts.
KIND = ("window", "context", "distance_weighting", "keep_places", "unit")


class Cooccurrences:
  """X, the co-occurrence counts of V words, with the words.

  Attributes:
    vocab: the words and how often each occurs (0 if that is not known); a word
      is row and column `vocab.id(word)` of X.
    kind: the settings by which X was counted, such as `window`, if known.

  >>> counts = from_matrix([[0, 3, 1], [3, 0, 3], [1, 3, 0]], ["a", "b", "c"])
  >>> counts
  Cooccurrences(3 words, 6 counts)
  >>> counts.vocab.words
  ('b', 'a', 'c')
  >>> counts.ratios("a", "b", ["c"]).tolist()
  [0.5]
  """

  def __init__(self, counts: Triplets, vocab: Vocab, kind: dict | None = None):
    """Keeps counts and words.

    Args:
      counts: valid; sorted here by (row, col), since records may be shuffled.
      vocab: the words.
      kind: the settings by which they were counted.
    """
    self.vocab = vocab
    self.kind = kind or {}
    counts = sorting.sum_duplicates(counts)
    self._counts = counts._replace(
      row=_read_only(counts.row),
      col=_read_only(counts.col),
      count=_read_only(counts.count),
    )

  def __repr__(self) -> str:
    num_words, num_counts = len(self.vocab), len(self._counts.row)
    return f"Cooccurrences({num_words} words, {num_counts} counts)"

  def triplets(self) -> Triplets:
    """The non-zero X_ij as columns i, j and X_ij, sorted by (i, j).

    The arrays are read-only, since these counts are made of them.
    """
    return self._counts

  def matrix(self) -> scipy.sparse.csr_array:
    """X: [V, V]. It is read-only; `matrix().copy()` can be changed."""
    row, col, count, vocab_size = self._counts
    starts = np.searchsorted(row, np.arange(vocab_size + 1))
    return scipy.sparse.csr_array(
      (count, col, starts), shape=(vocab_size, vocab_size)
    )

  def ratios(
    self, word_a: str, word_b: str, probes: Sequence[str]
  ) -> np.ndarray:
    """[K] P(k|a) / P(k|b) for K probe words k, as in table 1 of the paper.

    Args:
      word_a: 'ice' in the paper.
      word_b: 'steam' in the paper.
      probes: 'solid', 'gas', 'water' and 'fashion' in the paper.

    Returns:
      inf for a word that occurs near a only, nan if near neither.

    Raises:
      ValueError: a word is not in the vocabulary.
    """
    probabilities = ratios.conditional_probabilities(self.matrix())
    probes = [probes] if isinstance(probes, str) else probes
    return ratios.probability_ratios(
      probabilities, self.vocab, word_a, word_b, probes
    )

  def vectors(self, params: Params, **settings) -> WordVectors:
    """The word vectors of trained parameters.

    Args:
      params: trained on these counts.
      **settings: `vectors`, `unk` and the others of `VectorsConfig`. The
        default is w + w~; with `missing`, `fit` has `context_weight=0.3`.

    Raises:
      ValueError: the parameters are of another number of words, or an unknown
        setting.
    """
    config = make_part(VectorsConfig, settings)
    effects.check([configs.settings(config)], settings)
    return self.combined(params, config)

  def combined(self, params: Params, config: VectorsConfig) -> WordVectors:
    """As `vectors`, with the settings as a config."""
    if not isinstance(params, Params):
      raise ValueError(
        f"params is of type {type(params).__name__}: give what train returns."
      )
    if len(params.word) != len(self.vocab):
      raise ValueError(
        f"params has {len(params.word)} words and these counts have "
        f"{len(self.vocab)}: give params that were trained on them."
      )
    known = self.vocab.counts if self.vocab.counts.any() else None
    return artifacts.make_vectors(self.vocab.words, params, config, known)

  def save(self, folder: str | os.PathLike) -> None:
    """Writes the words and counts to a folder, as a run does.

    They are `vocab.txt` and `counts/`, which `load` reads and `add_to` takes.

    Raises:
      ValueError: a run has worked in the folder, or a word has a line break.
      OSError: the folder cannot be written.
    """
    folder = pathlib.Path(folder).expanduser()
    if stages.read_notes(folder):
      raise ValueError(f"{folder} belongs to a run: name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    vocabs.write_vocab(self.vocab, folder / "vocab.txt")
    triplets.write_triplets(
      self._counts,
      folder / "counts",
      count_dtype=str(self._counts.count.dtype),
      vocab=vocabs.fingerprint(self.vocab),
      **self.kind,
    )

  @classmethod
  def load(cls, folder: str | os.PathLike) -> "Cooccurrences":
    """Reads what `save` wrote, or the counts of a run; X stays on disk.

    Raises:
      FileNotFoundError: there are no finished counts in the folder.
      ValueError: they are damaged, or of other words.
    """
    folder = pathlib.Path(folder).expanduser()
    counts = artifacts.read_counts(folder)
    facts = column_files.read_manifest(folder / "counts")
    kind = {name: facts[name] for name in KIND if name in facts}
    return cls(counts, vocabs.read_vocab(folder / "vocab.txt"), kind)


def from_matrix(matrix, words: Sequence[str] | None = None) -> Cooccurrences:
  """Takes a matrix as counts: of words, items, genes or codes.

  Entries of the same cell are summed and zeros are dropped. Training is fastest
  if frequent words come first, so the words are sorted by their sum of counts,
  unless they are already: `vocab.words` has the order.

  >>> counts = from_matrix([[0, 1], [1, 4]], ["rare", "frequent"])
  >>> counts.vocab.words, counts.matrix().toarray().tolist()
  (('frequent', 'rare'), [[4.0, 1.0], [1.0, 0.0]])

  Args:
    matrix: [V, V] with X_ij >= 0: a sparse matrix of SciPy, an array, or a
      data frame, whose columns may be in another order than its rows.
    words: the V words; by default the index of a data frame.

  Raises:
    ValueError: the matrix is not square, has another number of words, has an
      entry that is negative or not finite, or has none; or a word occurs twice,
      or a data frame has other columns than rows.
  """
  matrix = _aligned(matrix)
  if words is None:
    words = getattr(matrix, "index", None)
  if words is None or callable(words):
    is_text = isinstance(matrix, list | tuple)  # or may be meant as such
    hint = " If its rows are sentences, give their words as strings." * is_text
    raise ValueError(
      "words is missing: give the word of each row of matrix." + hint
    )
  if isinstance(words, str) or not isinstance(words, Iterable):
    raise ValueError(f"words must be a list of strings, got {words!r:.80}.")
  words = list(words)
  _check_order(matrix, words)
  table = _summed(matrix)
  if not table.nnz:
    raise ValueError("matrix has no counts: all its entries are 0.")
  if table.shape != (len(words), len(words)):
    raise ValueError(
      f"A matrix of shape {table.shape} does not fit {len(words)} words: it "
      "needs a row and a column for each."
    )
  for word in words:
    if not isinstance(word, str):
      raise ValueError(f"The word {word!r} is no string: give str only.")
  _check_positive(table, words)
  totals = np.asarray(table.sum(axis=1)).ravel()
  if (np.diff(totals) > 0).any():
    order = np.argsort(-totals, kind="stable")
    table = table[order][:, order].tocsr()
    words = [words[i] for i in order]
  table.sort_indices()
  lengths = np.diff(table.indptr)
  row = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
  col = table.indices.astype(np.int32, copy=False)
  counts = triplets.check(Triplets(row, col, table.data, len(words)))
  return Cooccurrences(counts, Vocab(tuple(words), np.zeros(len(words))))


def _read_only(column: np.ndarray) -> np.ndarray:
  column = column.view()
  column.setflags(write=False)
  return column


def _aligned(matrix):
  """A data frame with its columns in the order of its rows.

  Rows or columns that have no names, but the numbers 0 to V - 1, are in order.
  """
  if not (hasattr(matrix, "columns") and hasattr(matrix, "iloc")):
    return matrix
  rows, cols = list(matrix.index), list(matrix.columns)
  unnamed = list(range(len(rows)))
  if cols in (rows, unnamed) or rows == unnamed:
    return matrix
  if sorted(map(str, rows)) != sorted(map(str, cols)):
    raise ValueError(
      "matrix has other columns than rows: it needs a row and a column for "
      "each word."
    )
  # A table that was read from a file has texts on one side for numbers.
  place = {str(name): i for i, name in enumerate(cols)}
  return matrix.iloc[:, [place[str(name)] for name in rows]]


def _check_order(matrix, words: list[str]) -> None:
  """Refuses words that a data frame has in another order."""
  for side, what in (("index", "rows"), ("columns", "columns")):
    names = getattr(matrix, side, ())
    names = [] if callable(names) else list(map(str, names))
    if names != words and sorted(names) == sorted(map(str, words)):
      raise ValueError(
        f"words has another order than the {what} of matrix: give both in one "
        "order."
      )


def _summed(matrix) -> scipy.sparse.csr_array:
  """The matrix without duplicates and zeros, as float32 or float64."""
  if matrix is None or isinstance(matrix, str):
    raise ValueError(f"matrix must be a table of numbers, got {matrix!r:.80}.")
  if np.ma.is_masked(matrix):
    raise ValueError(
      "matrix has masked entries: give matrix.filled(0), if they are no counts."
    )
  try:
    if not scipy.sparse.issparse(matrix):
      matrix = _dense(matrix)
    table = scipy.sparse.coo_array(matrix)
    if table.dtype.kind == "c":
      raise TypeError("they are complex")
    is_float32 = table.dtype == np.float32
    table = table.astype(np.float32 if is_float32 else np.float64).tocsr()
  except (TypeError, ValueError) as error:
    why = str(error).rstrip(".")
    why = "its rows differ in length" if "inhomogeneous" in why else why
    raise ValueError(f"matrix is no matrix of numbers ({why}).") from error
  table.sum_duplicates()
  table.eliminate_zeros()
  return table


def _dense(matrix) -> np.ndarray:
  """An array of a type that SciPy knows; it has no half floats, nor objects.

  A data frame whose columns may have missing values holds objects.
  """
  array = np.asarray(matrix)
  is_known = array.dtype.kind in "biufcUS" and array.dtype != np.float16
  return array if is_known else array.astype(np.float64)


def _check_positive(table: scipy.sparse.csr_array, words: list[str]) -> None:
  good = (table.data > 0) & (table.data < np.inf)
  if not good.all():
    at = int(np.argmin(good))
    i = int(np.searchsorted(table.indptr, at, side="right")) - 1
    j = int(table.indices[at])
    raise ValueError(
      f"The count of {words[i]!r} with {words[j]!r} is {table.data[at]}: "
      "counts must be positive and finite."
    )
