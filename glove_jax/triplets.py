"""Counts as triplets (row, col, count): in memory, on disk, as records.

On disk they are a folder of three `.npy` files, which are read by mapping them
into memory, and `manifest.json`, which is written last: a folder without it is
an unfinished one. Stanford's files of 16-byte records (int32 row, int32 column,
both from 1, float64 count, little-endian) are read and written as well.
"""

import json
import mmap
import os
from typing import NamedTuple

import numpy as np

from glove_jax import files
from glove_jax.cooccur import Counts

RECORD = np.dtype([("row", "<i4"), ("col", "<i4"), ("count", "<f8")])
_COLUMNS = {"row": np.int32, "col": np.int32, "count": np.float64}
_FORMAT = 1
_BLOCK = 1 << 20  # records converted at a time
_CHECKED = 1 << 23  # triplets checked at a time


class Triplets(NamedTuple):
  """Non-zero counts X[row, col] = count."""

  row: np.ndarray  # [N] int32, from 0
  col: np.ndarray  # [N] int32, from 0
  count: np.ndarray  # [N] float64, > 0
  vocab_size: int


def from_counts(counts: Counts) -> Triplets:
  """All non-zero counts, sorted by (row, col)."""
  matrix = counts.matrix()
  lengths = np.diff(matrix.indptr)
  row = np.repeat(np.arange(counts.vocab_size, dtype=np.int32), lengths)
  col = matrix.indices.astype(np.int32, copy=False)
  return Triplets(row, col, matrix.data, counts.vocab_size)


def check(triplets: Triplets) -> Triplets:
  """Returns the triplets unchanged, or says what is wrong with them.

  Accelerators do not: there an id out of range reads another row, or writes
  none, in silence.

  Raises:
    ValueError: no triplets at all, ids outside 0..V-1, or counts that are not
      finite and positive.
  """
  row, col, count, vocab_size = triplets
  if not len(row) == len(col) == len(count):
    raise ValueError(
      f"{len(row)} rows, {len(col)} columns and {len(count)} counts are not as "
      "many of each"
    )
  if not len(row):
    raise ValueError(
      "there are no co-occurrences: no document has two words of the "
      "vocabulary within a window"
    )
  for start in range(0, len(row), _CHECKED):
    part = slice(start, start + _CHECKED)
    for name, ids in (("row", row[part]), ("col", col[part])):
      low, high = int(ids.min()), int(ids.max())
      if low < 0 or high >= vocab_size:
        raise ValueError(
          f"{name} holds the id {low if low < 0 else high}, outside "
          f"0..{vocab_size - 1}: the counts belong to another vocabulary"
        )
    counts = np.asarray(count[part])
    # Comparisons with NaN are false, so a NaN is refused here as well.
    good = (counts > 0) & (counts < np.inf)
    if not good.all():
      place = int(np.argmin(good))
      raise ValueError(
        f"count {start + place} is {counts[place]}: counts must be finite and "
        "positive"
      )
    release(triplets)
  return triplets


def write_triplets(triplets: Triplets, folder: str | os.PathLike) -> None:
  """Writes a folder that `read_triplets` reads.

  Raises:
    OSError: the folder cannot be written.
  """
  os.makedirs(folder, exist_ok=True)
  manifest = os.path.join(folder, "manifest.json")
  if os.path.exists(manifest):
    os.unlink(manifest)  # from here on the folder is unfinished
  for name, dtype in _COLUMNS.items():
    with files.write_whole(os.path.join(folder, f"{name}.npy")) as file:
      np.save(file, np.asarray(getattr(triplets, name), dtype))
  facts = {
    "format": _FORMAT,
    "vocab_size": int(triplets.vocab_size),
    "size": len(triplets.row),
  }
  with files.write_whole(manifest) as file:
    file.write((json.dumps(facts, indent=2) + "\n").encode())


def read_triplets(folder: str | os.PathLike) -> Triplets:
  """Reads what `write_triplets` wrote, mapped into memory.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: its files are damaged or do not belong together.
  """
  manifest = os.path.join(folder, "manifest.json")
  if not os.path.exists(manifest):
    raise FileNotFoundError(
      f"{os.fspath(folder)!r} holds no finished counts (no manifest.json): "
      "count the corpus first"
    )
  try:
    with open(manifest, encoding="utf-8") as file:
      facts = json.load(file)
    size, vocab_size = int(facts["size"]), int(facts["vocab_size"])
    if facts["format"] != _FORMAT:
      raise ValueError(f"format {facts['format']} is not {_FORMAT}")
    arrays = [
      _load(os.path.join(folder, f"{name}.npy"), size, dtype)
      for name, dtype in _COLUMNS.items()
    ]
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"the counts in {os.fspath(folder)!r} are damaged, count again: {error}"
    ) from error
  return Triplets(*arrays, vocab_size)


def _load(path: str, size: int, dtype) -> np.ndarray:
  # An empty file cannot be mapped.
  array = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)
  if array.shape != (size,) or array.dtype != dtype:
    raise ValueError(
      f"{path} holds {array.dtype} {array.shape}, not {np.dtype(dtype)} {size}"
    )
  return array


def by_row(triplets: Triplets) -> tuple[Triplets, np.ndarray]:
  """The triplets sorted by row, and where each row starts.

  Returns:
    triplets whose rows never fall (the same arrays if they were so), and
    [V + 1] int64: row i is starts[i] to starts[i + 1].
  """
  lengths = np.zeros(triplets.vocab_size, np.int64)
  is_sorted, last = True, 0
  for start in range(0, len(triplets.row), _CHECKED):
    row = triplets.row[start : start + _CHECKED]
    is_sorted &= last <= row[0] and bool((row[1:] >= row[:-1]).all())
    last = row[-1]
    lengths += np.bincount(row, minlength=triplets.vocab_size)
    release(triplets)
  if not is_sorted:
    order = np.argsort(triplets.row, kind="stable")
    columns = (column[order] for column in triplets[:3])
    triplets = Triplets(*columns, triplets.vocab_size)
  return triplets, np.append(0, np.cumsum(lengths))


def release(triplets: Triplets) -> None:
  """Gives back the memory of counts that are mapped from disk.

  They stay as they are, and are read again where they are next used.
  """
  for column in triplets[:3]:
    if isinstance(column, np.memmap):
      column._mmap.madvise(mmap.MADV_DONTNEED)


def read_records(
  path: str | os.PathLike, vocab_size: int | None = None
) -> Triplets:
  """Reads Stanford's 16-byte records, in the order of the file.

  Args:
    path: `cooccurrence.bin`, `cooccurrence.shuf.bin` or the like.
    vocab_size: V; by default the highest id in the file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is truncated or empty, or its records are none.
  """
  if not os.path.exists(path):
    raise FileNotFoundError(f"records {os.fspath(path)!r}: no such file")
  size = os.path.getsize(path)
  if size % RECORD.itemsize:
    raise ValueError(
      f"{path} is truncated: {size} bytes are no whole number of "
      f"{RECORD.itemsize}-byte records"
    )
  records = np.fromfile(path, RECORD)
  row, col = (
    np.subtract(records[name], 1, dtype=np.int32) for name in ("row", "col")
  )
  if vocab_size is None:
    vocab_size = 1 + max(int(row.max(initial=0)), int(col.max(initial=0)))
  try:
    return check(Triplets(row, col, records["count"].copy(), vocab_size))
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def write_records(triplets: Triplets, path: str | os.PathLike) -> None:
  """Writes Stanford's 16-byte records, in the order of the triplets.

  Raises:
    OSError: the file cannot be written.
  """
  with files.write_whole(path) as file:
    for start in range(0, len(triplets.row), _BLOCK):
      block = slice(start, start + _BLOCK)
      records = np.empty(len(triplets.row[block]), RECORD)
      records["row"] = triplets.row[block] + 1
      records["col"] = triplets.col[block] + 1
      records["count"] = triplets.count[block]
      file.write(records.tobytes())
