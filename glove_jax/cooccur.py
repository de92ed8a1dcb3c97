"""Documents of ids -> windowed co-occurrence counts.

X_ij of Pennington et al. (2014), section 2, counts how often word j occurs in
the context of word i, each occurrence at distance d as 1/d (section 4.2).

The counts are *integers*: 1/d is `unit / d` units, where `unit` is the least
common multiple of 1..window. So no order of summation, no cut into chunks and
no number of threads changes the result by a bit, and counts from parts of a
corpus add up to those of the whole.

How: each pair of a chunk of text becomes one 64-bit key, (left word, right
word, distance). NumPy sorts the keys at some 10^8 a second, without Python's
lock; neighbours that are equal are then summed. Only pairs (left, right) are
counted; the other contexts follow from that matrix R: `symmetric` is R + R^T.
"""

import collections
import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse

CONTEXTS = ("symmetric", "left", "right")
DISTANCE_WEIGHTINGS = ("inverse", "none")

# lcm(1..22) = 232,792,560: beyond it 1/d is rounded to 1 / (16 * lcm(1..22)).
MAX_EXACT_WINDOW = 22
_CHUNK_PAIRS = 1 << 23  # about 200 MB a chunk at work


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
  chunk_pairs: int = _CHUNK_PAIRS,
) -> Counts:
  """Counts which words occur near which.

  Memory is that of the result (about three times, at the end), of
  `threads + 1` chunks and of the document at hand, whatever the size of the
  corpus.

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
    threads: how many threads sort; by default one a CPU, 8 at most.
    progress: called with the number of tokens counted since its last call.
    chunk_pairs: how many pairs to sort at a time; changes no result.

  Raises:
    ValueError: an unknown choice, a window below 1, a vocabulary of one word,
      an id outside -1..V-1, or too many words for 64-bit keys.
    OverflowError: a count outgrows 64 bits.
  """
  _check_choices(context, distance_weighting)
  for name, value, least in (
    ("window", window, 1),
    ("threads", 1 if threads is None else threads, 1),
    ("chunk_pairs", chunk_pairs, 1),
  ):
    if value < least:
      raise ValueError(f"{name} is {value}, but must be at least {least}")
  if vocab_size < 2:
    raise ValueError(
      f"a vocabulary of {vocab_size} word has no pairs to count: lower "
      "min_count, raise max_vocab or add text"
    )
  weights = distance_units(window, distance_weighting)
  chunks = _chunks(documents, vocab_size, window, chunk_pairs)
  right = _count_chunks(chunks, vocab_size, weights, threads, progress)
  if context == "right":
    units = right
  elif context == "left":
    units = right.T.tocsr()
  else:
    units = _add(right, right.T.tocsr())
  return Counts(units, int(weights[0]))


def _check_choices(context: str, distance_weighting: str) -> None:
  for name, value, choices in (
    ("context", context, CONTEXTS),
    ("distance_weighting", distance_weighting, DISTANCE_WEIGHTINGS),
  ):
    if value not in choices:
      raise ValueError(
        f"{name} is {value!r}, but must be one of {', '.join(choices)}"
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


class _Chunk(NamedTuple):
  """Consecutive places of some documents.

  A long document is cut; what follows then starts with the `window` places
  before the cut, so that no pair is lost, with `before` 0, so that none is
  counted twice.
  """

  ids: np.ndarray  # [N] int64, -1 for no word
  before: np.ndarray  # [N] int64, places of the same document to pair with
  tokens: int  # how many places are new


def _chunks(
  documents: Iterable[np.ndarray], vocab_size: int, window: int, pairs: int
) -> Iterator[_Chunk]:
  size = max(1, pairs // window)
  ids: list[np.ndarray] = []
  repeated: list[int] = []  # how many places at the start of each were counted
  room = size
  for number, document in enumerate(documents):
    document = np.asarray(document)
    _check_ids(document, vocab_size, number)
    start = 0
    while len(document) - start > room:
      ids.append(document[max(0, start - window) : start + room])
      repeated.append(min(start, window))
      yield _chunk(ids, repeated)
      start, room, ids, repeated = start + room, size, [], []
    ids.append(document[max(0, start - window) :])
    repeated.append(min(start, window))
    room -= len(document) - start
  if ids:
    yield _chunk(ids, repeated)


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


def _chunk(ids: list[np.ndarray], repeated: list[int]) -> _Chunk:
  lengths = np.array([len(part) for part in ids])
  skip = np.array(repeated)
  flat = np.concatenate(ids).astype(np.int64)
  starts = np.cumsum(lengths) - lengths
  before = np.arange(len(flat)) - np.repeat(starts, lengths)
  before[before < np.repeat(skip, lengths)] = 0
  return _Chunk(flat, before, int(lengths.sum() - skip.sum()))


def _count_chunks(
  chunks: Iterable[_Chunk], vocab_size: int, weights, threads, progress
) -> scipy.sparse.csr_array:
  """The sum of the chunks' counts, with `threads + 1` chunks in flight."""
  threads = threads or min(8, os.cpu_count() or 1)
  # Of 2^k chunks each entry is added k times, not 2^k: equals meet equals.
  sums: dict[int, scipy.sparse.csr_array] = {}
  flying: collections.deque = collections.deque()

  def land():
    tokens, future = flying.popleft()
    part, level = future.result(), 0
    while level in sums:
      part, level = _add(sums.pop(level), part), level + 1
    sums[level] = part
    if progress:
      progress(tokens)

  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    for chunk in chunks:
      future = pool.submit(_count_chunk, chunk, vocab_size, weights)
      flying.append((chunk.tokens, future))
      if len(flying) > threads:
        land()
    while flying:
      land()
  total = scipy.sparse.csr_array((vocab_size, vocab_size), dtype=np.int64)
  for level in sorted(sums):
    total = _add(total, sums.pop(level))
  return total


def _count_chunk(
  chunk: _Chunk, vocab_size: int, weights: np.ndarray
) -> scipy.sparse.csr_array:
  """[V, V] units of the pairs (left, right) of a chunk."""
  id_bits = (vocab_size - 1).bit_length()
  distance_bits = len(weights).bit_length()
  keys = _sorted_keys(chunk, id_bits, distance_bits, len(weights) - 1)
  data = weights[keys & ((1 << distance_bits) - 1)]
  keys >>= distance_bits
  first = np.ones(len(keys), bool)
  np.not_equal(keys[1:], keys[:-1], out=first[1:])
  first = np.flatnonzero(first)
  data = np.add.reduceat(data, first) if len(first) else data
  keys = keys[first]
  rows = np.arange(vocab_size + 1) << id_bits
  result = scipy.sparse.csr_array(
    (
      data,
      (keys & ((1 << id_bits) - 1)).astype(np.int32),
      np.searchsorted(keys, rows),
    ),
    shape=(vocab_size, vocab_size),
  )
  result.has_canonical_format = True
  return result


def _sorted_keys(
  chunk: _Chunk, id_bits: int, distance_bits: int, window: int
) -> np.ndarray:
  """One int64 a pair: left id, right id, distance, from the highest bits."""
  if 2 * id_bits + distance_bits > 63:
    raise ValueError(
      f"a vocabulary of up to 2^{id_bits} words with a window of {window} does "
      "not fit into 64-bit keys: lower max_vocab or window"
    )
  ids, before, _ = chunk
  low = ids << distance_bits
  high = low << id_bits
  no_gaps = ids.min(initial=0) >= 0
  parts = []
  for distance in range(1, min(window, before.max(initial=0)) + 1):
    valid = before[distance:] >= distance
    if not no_gaps:
      valid &= (ids[distance:] >= 0) & (ids[:-distance] >= 0)
    key = (high[:-distance] + low[distance:])[valid]
    key += distance
    parts.append(key)
  keys = np.concatenate(parts) if parts else np.empty(0, np.int64)
  del parts
  keys.sort()
  return keys


def _add(left, right) -> scipy.sparse.csr_array:
  total = left + right
  total.has_canonical_format = True
  if total.nnz and total.data.min() < 0:
    raise OverflowError(
      "a count outgrew 64 bits: use distance_weighting none or a shorter window"
    )
  return total
