"""Documents of ids -> windowed co-occurrence counts.

X_ij of Pennington et al. (2014), section 2, counts how often word j occurs in
the context of word i, each occurrence at distance d as 1/d (section 4.2).

The counts are *integers*: 1/d is `unit / d` units, where `unit` is the least
common multiple of 1..window. So no order of summation, no cut into chunks and
no number of threads changes the result by a bit, and counts from parts of a
corpus add up to those of the whole.

`pairs` does the counting, by compiled loops in threads.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import scipy.sparse

from glove_jax.config import CONTEXTS, DISTANCE_WEIGHTINGS
from glove_jax.counts.pair_counter import (
  CELLS,
  Entries,
  PairCounter,
  check_overflow,
)
from glove_jax.text.kernels import END
from glove_jax.text.reading import check_choice
from glove_jax.threads import default_threads

# lcm(1..22) = 232,792,560: beyond it 1/d is rounded to 1 / (16 * lcm(1..22)).
MAX_EXACT_WINDOW = 22
_CHUNK_WORDS = 1 << 17  # handed to a thread at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
  """Co-occurrence counts in whole units.

  Attributes:
    units: [V, V] int64 csr_array, canonical (sorted, nothing twice, no zeros);
      X_ij = units_ij / unit.
    unit: how many units are 1.0.
  """

  units: scipy.sparse.csr_array
  unit: int

  @property
  def vocab_size(self) -> int:
    return self.units.shape[0]

  def __add__(self, other: "Counts") -> "Counts":
    """Counts of two parts of a corpus, together.

    Raises:
      ValueError: the vocabularies or the units differ.
      OverflowError: a count outgrows 64 bits.
    """
    if not isinstance(other, Counts):
      return NotImplemented
    if self.units.shape != other.units.shape:
      raise ValueError(
        f"counts over {self.vocab_size} and over {other.vocab_size} words "
        "cannot be added: use one vocabulary"
      )
    if self.unit != other.unit:
      raise ValueError(
        f"counts with {self.unit} and with {other.unit} units per 1.0 cannot "
        "be added: use one window and one distance weighting"
      )
    return Counts(_add(self.units, other.units), self.unit)

  def matrix(self) -> scipy.sparse.csr_array:
    """X: [V, V] float64, each entry the float nearest to the exact count."""
    units = self.units
    return scipy.sparse.csr_array(
      (units.data / self.unit, units.indices, units.indptr), shape=units.shape
    )


def count(
  documents: Iterable[np.ndarray],
  vocab_size: int,
  *,
  window: int = 10,
  context: str = "symmetric",
  distance_weighting: str = "inverse",
  threads: int | None = None,
  progress: Callable[[int], object] | None = None,
  max_keys: int = 1 << 26,
  max_cells: int = CELLS,
) -> Counts:
  """Counts which words occur near which.

  Memory is that of the result (about three times, at the end), of `max_keys`
  and of the document at hand, whatever the size of the corpus. Counting is
  fastest where ids are in the order of frequency, as those of a `Vocab` are.

  Args:
    documents: arrays of ids, -1 for a place without a word (see `encode`); no
      window crosses from one to the next.
    vocab_size: V, at least 2.
    window: how many places to each side are context.
    context: X_ij counts j on both sides of i (`symmetric`), before it (`left`)
      or after it (`right`, what Stanford's `-symmetric 0` writes).
    distance_weighting: `inverse` counts 1/d at distance d, exactly up to a
      window of 22; in longer ones 1/d for d > 22 is rounded, by less than
      2e-10. `none` counts 1.
    threads: how many threads count; by default one a CPU.
    progress: called with the number of tokens counted since its last call.
    max_keys: how many pairs (8 bytes each, and 12 at the end) to hold at a
      time; changes no result.
    max_cells: how many pairs of frequent words to count densely; changes no
      result.

  Raises:
    ValueError: an unknown choice, a window below 1, a vocabulary of one word,
      an id outside -1..V-1, or too many words for 64-bit keys.
    OverflowError: a count outgrows 64 bits.
  """
  check_choice("context", context, CONTEXTS)
  check_choice("distance_weighting", distance_weighting, DISTANCE_WEIGHTINGS)
  threads = default_threads() if threads is None else threads
  for name, value in (("window", window), ("threads", threads)):
    if value < 1:
      raise ValueError(f"{name} is {value}, but must be at least 1")
  check_vocab_size(vocab_size)
  units = distance_units(window, distance_weighting)
  shape = (vocab_size, vocab_size)
  total = scipy.sparse.csr_array(shape, dtype=np.int64)
  counter = PairCounter(
    vocab_size, units, context=context, threads=threads, max_keys=max_keys,
    max_cells=max_cells,
  )  # fmt: skip
  words = max(1, min(_CHUNK_WORDS, max_keys // (8 * window)))
  with counter:
    for ids in _chunks(documents, vocab_size, words):
      if not counter.add(ids):
        total = _add(total, _matrix(counter.finish(), shape))
        counter.add(ids)
      if progress:
        progress(int(np.count_nonzero(ids != END)))
    total = _add(total, _matrix(counter.finish(), shape))
  return Counts(total, int(units[0]))


def _matrix(
  entries: Iterator[Entries], shape: tuple[int, int]
) -> scipy.sparse.csr_array:
  """The matrix with these entries, which are sorted."""
  parts = list(entries)
  row, col, units = (
    np.concatenate(column) for column in zip(*parts, strict=True)
  )
  starts = np.searchsorted(row, np.arange(shape[0] + 1))
  matrix = scipy.sparse.csr_array((units, col, starts), shape=shape)
  matrix.has_canonical_format = True
  return matrix


def check_vocab_size(vocab_size: int) -> None:
  """Raises a ValueError where there are no two words to make a pair."""
  if vocab_size < 2:
    raise ValueError(
      f"a vocabulary of {vocab_size} word has no pairs to count: lower "
      "min_count, raise max_vocab or add text"
    )


def distance_units(window: int, distance_weighting: str) -> np.ndarray:
  """[window + 1] int64: units of a pair at each distance; at 0, those of 1.0.

  Up to a window of 22 the unit is lcm(1..window), so that each 1/d is whole; a
  count has room for 4e10 times 1.0 then. A longer window would leave too little
  room, so its unit is 16 * lcm(1..22) = 3.7e9: 1/d is then rounded for most
  d > 22, and a count has room for 2.4e9.
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
  """One stream of ids in which each document ends with END, in pieces."""
  parts: list[np.ndarray] = []
  size = 0
  for number, document in enumerate(documents):
    document = np.asarray(document)
    _check_ids(document, vocab_size, number)
    for start in range(0, len(document), words):
      parts.append(document[start : start + words].astype(np.int32))
      size += len(parts[-1])
      if size >= words:
        yield np.concatenate(parts)
        parts, size = [], 0
    parts.append(np.full(1, END, np.int32))
  if parts:
    yield np.concatenate(parts)


def _check_ids(document: np.ndarray, vocab_size: int, number: int) -> None:
  if not len(document):
    return
  if document.ndim != 1 or document.dtype.kind not in "iu":
    raise ValueError(
      f"document {number} is not a list of ids but {document.dtype} of shape "
      f"{document.shape}: encode it first"
    )
  low, high = document.min(), document.max()
  if low < -1 or high >= vocab_size:
    raise ValueError(
      f"document {number} holds the id {high if high >= vocab_size else low}, "
      f"outside 0..{vocab_size - 1} (and -1 for no word)"
    )


def _add(left, right) -> scipy.sparse.csr_array:
  total = left + right
  total.has_canonical_format = True
  check_overflow(Entries(total.indices, total.indices, total.data))
  return total
