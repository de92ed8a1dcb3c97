"""Documents of ids -> windowed co-occurrence counts.

X_ij counts how often word j occurs in the context of word i (section 2 of
Pennington et al., 2014). A pair at distance d adds 1/d (section 4.2).

The counts are *integers*: 1/d is `unit / d` units, where `unit` is the least
common multiple of 1..window. Integer sums are exact, so the result does not
depend on the order of summation, the chunks or the number of threads, and the
counts of parts of a corpus add up to those of the whole.

`pair_counter` does the counting, with compiled loops in threads.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from glove_jax.config import CONTEXTS, DISTANCE_WEIGHTINGS
from glove_jax.counts.pair_counter import (
  Entries,
  PairCounter,
  check_overflow,
)
from glove_jax.counts.triplets import Triplets
from glove_jax.text.symbols import END, UNKNOWN
from glove_jax.text.tokenizers import check_choice
from glove_jax.threads import default_threads

if TYPE_CHECKING:
  from scipy.sparse import csr_array

# lcm(1..22) = 232,792,560. In longer windows 1/d is rounded to a multiple of
# 1 / (16 * lcm(1..22)).
MAX_EXACT_WINDOW = 22
_CHUNK_WORDS = 1 << 17  # added at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
  """Co-occurrence counts in whole units.

  Attributes:
    units: [V, V] int64 csr_array, canonical (sorted, no duplicates, no zeros);
      X_ij = units_ij / unit.
    unit: the number of units in 1.0.
  """

  units: "csr_array"
  unit: int

  @property
  def vocab_size(self) -> int:
    return self.units.shape[0]

  def __add__(self, other: "Counts") -> "Counts":
    """Adds the counts of two parts of a corpus.

    Raises:
      ValueError: the vocabularies or the units differ.
      OverflowError: a count exceeds 64 bits.
    """
    if not isinstance(other, Counts):
      return NotImplemented
    if self.units.shape != other.units.shape:
      raise ValueError(
        f"Counts over {self.vocab_size} and over {other.vocab_size} words "
        "cannot be added: use one vocabulary."
      )
    if self.unit != other.unit:
      raise ValueError(
        f"Counts with {self.unit} and with {other.unit} units in 1.0 cannot be "
        "added: use one window and one distance_weighting."
      )
    return Counts(_add(self.units, other.units), self.unit)

  def matrix(self) -> "csr_array":
    """X: [V, V] float64, each entry the float nearest to the exact count.

    >>> counts = count([np.array([0, 1, 0])], vocab_size=2, window=2)
    >>> counts.matrix().toarray().tolist()
    [[1.0, 2.0], [2.0, 0.0]]
    """
    units = self.units
    return _csr_array(
      (units.data / self.unit, units.indices, units.indptr), shape=units.shape
    )

  def triplets(self) -> Triplets:
    """All non-zero counts, sorted by (row, col): what training reads.

    >>> counts = count([np.array([0, 1, 0])], vocab_size=2, window=2)
    >>> [column.tolist() for column in counts.triplets()[:3]]
    [[0, 0, 1], [0, 1, 0], [1.0, 2.0, 2.0]]
    """
    matrix = self.matrix()
    lengths = np.diff(matrix.indptr)
    row = np.repeat(np.arange(self.vocab_size, dtype=np.int32), lengths)
    col = matrix.indices.astype(np.int32, copy=False)
    return Triplets(row, col, matrix.data, self.vocab_size)


def count(
  documents: Iterable[np.ndarray],
  vocab_size: int,
  *,
  window: int = 10,
  context: str = "symmetric",
  distance_weighting: str = "inverse",
  threads: int | None = None,
  progress: Callable[[int], object] | None = None,
  max_words: int = 1 << 26,
) -> Counts:
  """Counts how often words occur near each other.

  Memory is bounded by the result (three times its size at the end), by
  `max_words` and by one document, whatever the size of the corpus. Counting is
  fastest if ids are ordered by frequency, as those of a `Vocab` are.

  >>> to, be = 0, 1
  >>> counts = count([np.array([to, be, to])], vocab_size=2, window=2)
  >>> counts.unit  # lcm(1, 2): a pair at distance 2 adds one unit
  2
  >>> counts.units.toarray().tolist()
  [[2, 4], [4, 0]]

  Args:
    documents: arrays of ids, with UNKNOWN (-1) at a position without a word
      (see `encode`). No window spans two documents.
    vocab_size: V, at least 2.
    window: the number of positions to each side that are context.
    context: X_ij counts j on both sides of i ('symmetric'), before it ('left')
      or after it ('right', which Stanford's `-symmetric 0` writes).
    distance_weighting: 'inverse' adds 1/d at distance d, exactly for windows up
      to 22; in longer windows 1/d is rounded for d > 22, by less than 2e-10.
      'none' adds 1.
    threads: the number of threads; by default one per CPU.
    progress: called with the number of words counted since its last call.
    max_words: the number of tokens to hold in memory (8 bytes each); does not
      change the result.

  Raises:
    ValueError: an unknown choice, a window below 1, a vocabulary of one word,
      an id outside -1..V-1, or too many words for 64-bit keys.
    OverflowError: a count exceeds 64 bits.
  """
  check_choice("context", context, CONTEXTS)
  check_choice("distance_weighting", distance_weighting, DISTANCE_WEIGHTINGS)
  threads = default_threads() if threads is None else threads
  for name, value in (("window", window), ("threads", threads)):
    if value < 1:
      raise ValueError(f"{name} is {value}, but must be at least 1.")
  check_vocab_size(vocab_size)
  units = distance_units(window, distance_weighting)
  shape = (vocab_size, vocab_size)
  counter = PairCounter(
    vocab_size, units, context=context, threads=threads, max_words=max_words
  )
  total = _csr_array(shape, dtype=np.int64)
  words = max(1, min(_CHUNK_WORDS, max_words // 8))
  for ids in _chunks(documents, vocab_size, words):
    if not counter.add(ids):
      total = _add(total, _matrix(counter.finish(progress), shape))
      counter.add(ids)
  total = _add(total, _matrix(counter.finish(progress), shape))
  return Counts(total, int(units[0]))


def _csr_array(*args, **options) -> "csr_array":
  import scipy.sparse  # which counting to disk does not need

  return scipy.sparse.csr_array(*args, **options)


def _matrix(entries: Iterator[Entries], shape: tuple[int, int]) -> "csr_array":
  """The matrix of sorted entries."""
  parts = list(entries)
  row, col, units = (
    np.concatenate(column) for column in zip(*parts, strict=True)
  )
  starts = np.searchsorted(row, np.arange(shape[0] + 1))
  matrix = _csr_array((units, col, starts), shape=shape)
  matrix.has_canonical_format = True
  return matrix


def check_vocab_size(vocab_size: int) -> None:
  """Raises a ValueError if there are no two words to form a pair."""
  if vocab_size < 2:
    raise ValueError(
      f"A vocabulary of {vocab_size} word has no pairs to count: lower "
      "min_count, raise max_vocab or add text."
    )


def distance_units(window: int, distance_weighting: str) -> np.ndarray:
  """[window + 1] int64: units that a pair adds at each distance d.

  Entry 0 is the units in 1.0.

  For windows up to 22 the unit is lcm(1..window), so each 1/d is whole, and a
  64-bit count can reach 4e10. The unit of a longer window would leave too small
  a range. It is 16 * lcm(1..22) = 3.7e9 instead: 1/d is rounded for most
  d > 22, and a count can reach 2.4e9.

  >>> distance_units(4, "inverse").tolist()  # lcm(1, 2, 3, 4) = 12
  [12, 12, 6, 4, 3]
  """
  if distance_weighting == "none":
    return np.ones(window + 1, np.int64)
  unit = math.lcm(*range(1, min(window, MAX_EXACT_WINDOW) + 1))
  if window > MAX_EXACT_WINDOW:
    unit *= 16
  distance = np.maximum(np.arange(window + 1), 1)
  return (2 * unit + distance) // (2 * distance)  # rounded half up


def _chunks(
  documents: Iterable[np.ndarray], vocab_size: int, words: int
) -> Iterator[np.ndarray]:
  """Joins documents to one stream of ids, with END after each, in pieces."""
  end = np.full(1, END, np.int32)
  parts: list[np.ndarray] = []
  size = 0
  for index, document in enumerate(documents):
    document = np.asarray(document)
    _check_ids(document, vocab_size, index)
    starts = range(0, len(document), words)
    for piece in (*(document[i : i + words] for i in starts), end):
      parts.append(piece.astype(np.int32))
      size += len(piece)
      if size >= words:
        yield np.concatenate(parts)
        parts, size = [], 0
  if parts:
    yield np.concatenate(parts)


def _check_ids(document: np.ndarray, vocab_size: int, index: int) -> None:
  if not len(document):
    return
  if document.ndim != 1 or document.dtype.kind not in "iu":
    raise ValueError(
      f"Document {index} is not a list of ids but {document.dtype} of shape "
      f"{document.shape}: encode it first."
    )
  low, high = document.min(), document.max()
  if low < UNKNOWN or high >= vocab_size:
    raise ValueError(
      f"Document {index} holds the id {high if high >= vocab_size else low}, "
      f"outside 0..{vocab_size - 1} (or -1 for an unknown word)."
    )


def _add(left, right) -> "csr_array":
  total = left + right
  total.has_canonical_format = True
  check_overflow(Entries(total.indices, total.indices, total.data))
  return total
