"""Counts as triplets (row, col, count), in memory and on disk.

On disk they are a folder of `column_files`, which are mapped into memory.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax import memory
from glove_jax.counts import column_files
from glove_jax.threads import default_threads, ordered_map

_CHUNK = 1 << 23  # triplets read at a time


class Triplets(NamedTuple):
  """Non-zero counts X[row, col] = count."""

  row: np.ndarray  # [N] int32, from 0
  col: np.ndarray  # [N] int32, from 0
  count: np.ndarray  # [N] float32 or float64, > 0
  vocab_size: int


def check(triplets: Triplets, rows: slice = slice(None)) -> Triplets:
  """Returns the triplets unchanged if they are valid.

  Ids are checked here because accelerators do not: an out-of-range id is
  silently clamped on gather and dropped on scatter.

  Args:
    triplets: N counts.
    rows: which of the N triplets to check, by default all.

  Raises:
    ValueError: there are no triplets, the columns are no arrays of numbers, an
      id lies outside 0..V-1, or a count is not finite and positive.
  """
  check_types(triplets)
  row, col, count, vocab_size = triplets
  if not len(row) == len(col) == len(count):
    raise ValueError(
      f"The columns differ in length: {len(row)} rows, {len(col)} columns and "
      f"{len(count)} counts."
    )
  if not len(row):
    raise ValueError(
      "There are no co-occurrences: no document has two words of the "
      "vocabulary within a window."
    )

  def check_part(part: slice) -> None:
    for name, ids in (("row", row[part]), ("col", col[part])):
      low, high = int(ids.min()), int(ids.max())
      if low < 0 or high >= vocab_size:
        raise ValueError(
          f"{name} holds the id {low if low < 0 else high}, outside "
          f"0..{vocab_size - 1}: the counts belong to another vocabulary."
        )
    counts = np.asarray(count[part])
    # Comparisons with NaN are false, so this rejects a NaN as well.
    if not (counts.min() > 0 and counts.max() < np.inf):
      offset = int(np.argmin((counts > 0) & (counts < np.inf)))
      raise ValueError(
        f"count {part.start + offset} is {counts[offset]}: counts must be "
        "finite and positive."
      )
    release(triplets, part)

  for _ in ordered_map(check_part, chunks(len(row), rows), default_threads()):
    pass
  return triplets


def check_types(triplets: Triplets) -> None:
  """Checks that triplets are arrays of numbers, whatever these are.

  Raises:
    ValueError: they are not.
  """
  if not isinstance(triplets, Triplets):
    raise ValueError(
      "Counts must be Triplets(row, col, count, vocab_size), not of type "
      f"{type(triplets).__name__}."
    )
  for name, kinds in (("row", "iu"), ("col", "iu"), ("count", "iuf")):
    column = getattr(triplets, name)
    if not isinstance(column, np.ndarray) or column.dtype.kind not in kinds:
      what = "numbers" if name == "count" else "integers"
      raise ValueError(f"{name} must be a NumPy array of {what}.")


def chunks(size: int, rows: slice) -> Iterator[slice]:
  """Cuts the selected ones of `size` triplets into slices of _CHUNK."""
  start, stop, _ = rows.indices(size)
  for begin in range(start, stop, _CHUNK):
    yield slice(begin, min(begin + _CHUNK, stop))


def write_triplets(
  triplets: Triplets,
  folder: str | os.PathLike,
  *,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Writes a folder that `read_triplets` reads.

  Args:
    triplets: in any order.
    folder: created if missing.
    count_dtype: 'float32', or 'float64' for exact counts.
    **facts: further entries of the manifest.

  Raises:
    OSError: the folder cannot be written.
  """
  size = column_files.SHARD
  blocks = (
    tuple(column[start : start + size] for column in triplets[:3])
    for start in range(0, len(triplets.row), size)
  )
  facts |= {"vocab_size": int(triplets.vocab_size)}
  column_files.write_blocks(blocks, folder, count_dtype=count_dtype, **facts)


def read_triplets(folder: str | os.PathLike) -> Triplets:
  """Maps the triplets that `write_triplets` wrote into memory.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: the files are damaged or do not belong together.
  """
  columns, vocab_size = column_files.read(folder)
  return Triplets(*columns, vocab_size)


def verify_triplets(folder: str | os.PathLike) -> None:
  """Reads all counts and compares them with their checksums.

  One thread reads about a GB, or 80 million counts, a second from memory.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: a shard differs from what was written.
  """
  column_files.verify(folder)


def check_vocab(folder: str | os.PathLike, fingerprint: str) -> None:
  """Checks that counts were made with a vocabulary.

  Args:
    folder: of counts. Counts that do not name their vocabulary pass.
    fingerprint: of the vocabulary beside them, from `vocab.fingerprint`.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: the counts are of another vocabulary, or damaged.
  """
  facts = column_files.read_manifest(folder)
  if facts.get("vocab", fingerprint) != fingerprint:
    beside = os.path.join(os.path.dirname(os.path.abspath(folder)), "vocab.txt")
    raise ValueError(
      f"The counts in {os.fspath(folder)!r} are of another vocabulary than "
      f"{beside}: count again there."
    )


def release(triplets: Triplets, part: slice = slice(None)) -> None:
  """Drops the resident pages of counts that are mapped from disk.

  The counts stay valid: their pages are read again on the next access.

  Args:
    triplets: N counts.
    part: which of the N, by default all. A thread names those that it has read,
      since other threads still read the others.
  """
  memory.release(*(column[part] for column in triplets[:3]))
