"""Counts in Stanford's files of 16-byte records.

A record is an int32 row and an int32 column, both from 1, and a float64 count,
little-endian. `cooccur` writes records sorted, `shuffle` in random order.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from glove_jax import atomic
from glove_jax.counts.triplets import Triplets, check, release

RECORD = np.dtype([("row", "<i4"), ("col", "<i4"), ("count", "<f8")])
_BLOCK = 1 << 20  # records converted at a time
_SHUFFLED = 1 << 23  # records shuffled in memory at a time, about
_MAX_SCATTERED = 60  # files


def read_records(
  path: str | os.PathLike, vocab_size: int | None = None
) -> Triplets:
  """Reads Stanford's 16-byte records, in the order of the file.

  Args:
    path: such as `cooccurrence.bin` or `cooccurrence.shuf.bin`.
    vocab_size: V; by default the highest id in the file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: the file is truncated or empty, or a record is invalid.
  """
  blocks = list(read_record_blocks(path, vocab_size))
  *columns, sizes = zip(*blocks, strict=True)
  return Triplets(*map(np.concatenate, columns), max(sizes))


def read_record_blocks(
  path: str | os.PathLike, vocab_size: int | None = None
) -> Iterator[Triplets]:
  """Like `read_records`, in blocks of records."""
  if not os.path.exists(path):
    raise FileNotFoundError(f"Records {os.fspath(path)!r}: no such file.")
  size = os.path.getsize(path)
  if size % RECORD.itemsize:
    raise ValueError(
      f"{path} is truncated: {size} bytes are not a whole number of "
      f"{RECORD.itemsize}-byte records."
    )
  with open(path, "rb") as file:
    for start in range(0, max(size, 1), _BLOCK * RECORD.itemsize):
      records = np.fromfile(file, RECORD, _BLOCK)
      row, col = records["row"] - 1, records["col"] - 1
      found = 1 + max(int(row.max(initial=0)), int(col.max(initial=0)))
      block = Triplets(row, col, records["count"], vocab_size or found)
      try:
        yield check(block)
      except ValueError as error:
        first = start // RECORD.itemsize
        raise ValueError(f"{path}, from record {first} on: {error}") from error


def write_records(triplets: Triplets, path: str | os.PathLike) -> None:
  """Writes Stanford's 16-byte records, in the order of the triplets.

  Raises:
    OSError: the file cannot be written.
  """
  with atomic.write_whole(path) as file:
    for block in _record_blocks(triplets):
      file.write(block)


def _record_blocks(triplets: Triplets) -> Iterator[np.ndarray]:
  for start in range(0, len(triplets.row), _BLOCK):
    block = slice(start, start + _BLOCK)
    records = np.empty(len(triplets.row[block]), RECORD)
    records["row"] = triplets.row[block] + 1
    records["col"] = triplets.col[block] + 1
    records["count"] = triplets.count[block]
    release(triplets)
    yield records


def write_shuffled_records(
  triplets: Triplets, path: str | os.PathLike, *, seed: int = 0
) -> None:
  """Writes Stanford's records in a random order that `seed` determines.

  Each record goes to a random one of several temporary files, which are then
  shuffled in memory one by one. Memory holds about 8 million records, and more
  only if there are over 500 million in all.

  Args:
    triplets: the counts.
    path: the file to write.
    seed: of the random order.

  Raises:
    OSError: a file cannot be written.
  """
  rng = np.random.default_rng(seed)
  num_files = min(_MAX_SCATTERED, 1 + len(triplets.row) // _SHUFFLED)
  with contextlib.ExitStack() as stack:
    folder = os.path.dirname(os.path.abspath(path))
    scattered = [
      stack.enter_context(tempfile.TemporaryFile(dir=folder))
      for _ in range(num_files)
    ]
    for records in _record_blocks(triplets):
      target = rng.integers(num_files, size=len(records))
      for index, file in enumerate(scattered):
        file.write(records[target == index])
    output = stack.enter_context(atomic.write_whole(path))
    for file in scattered:
      file.seek(0)
      records = np.frombuffer(bytearray(file.read()), RECORD)
      rng.shuffle(records)
      output.write(records)
