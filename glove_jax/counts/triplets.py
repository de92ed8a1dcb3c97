"""Counts as triplets (row, col, count): in memory and on disk.

On disk they are a folder of three `.npy` files, a column each, which are read
by mapping them into memory, and `manifest.json`, which is written last: a
folder without it is an unfinished one. A column is one file, so that counts are
never too many files to open; *shards*, ranges of all three columns, are what
can be checked or fetched alone. The manifest lists them with their rows and
checksums.
"""

import contextlib
import json
import math
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from glove_jax import atomic
from glove_jax.counts.cooccur import Counts

COUNT_DTYPES = ("float32", "float64")
_COLUMNS = ("row", "col", "count")
_FORMAT = 2
SHARD = 1 << 22  # triplets
_HEADER = 128  # bytes before a column of a .npy file
_CHECKED = 1 << 23  # triplets checked at a time


class Triplets(NamedTuple):
  """Non-zero counts X[row, col] = count."""

  row: np.ndarray  # [N] int32, from 0
  col: np.ndarray  # [N] int32, from 0
  count: np.ndarray  # [N] float32 or float64, > 0
  vocab_size: int


class Shard(NamedTuple):
  """A shard that has been written."""

  facts: dict[str, Any]  # what the manifest says of it
  total: float  # the sum of its counts


def from_counts(counts: Counts) -> Triplets:
  """All non-zero counts, sorted by (row, col)."""
  matrix = counts.matrix()
  lengths = np.diff(matrix.indptr)
  row = np.repeat(np.arange(counts.vocab_size, dtype=np.int32), lengths)
  col = matrix.indices.astype(np.int32, copy=False)
  return Triplets(row, col, matrix.data, counts.vocab_size)


def check(triplets: Triplets, rows: slice = slice(None)) -> Triplets:
  """Returns the triplets unchanged, or says what is wrong with them.

  Accelerators do not: there an id out of range reads another row, or writes
  none, in silence.

  Args:
    triplets: the counts.
    rows: which of them to check.

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
  first, last, _ = rows.indices(len(row))
  for start in range(first, last, _CHECKED):
    part = slice(start, min(start + _CHECKED, last))
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


def write_triplets(
  triplets: Triplets,
  folder: str | os.PathLike,
  *,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Writes a folder that `read_triplets` reads.

  Args:
    triplets: what to write, in any order.
    folder: is made where it is missing.
    count_dtype: 'float32', or 'float64' for counts to their last bit.
    **facts: what else the manifest is to say of them.

  Raises:
    OSError: the folder cannot be written.
  """
  blocks = (
    tuple(column[start : start + SHARD] for column in triplets[:3])
    for start in range(0, len(triplets.row), SHARD)
  )
  facts |= {"vocab_size": int(triplets.vocab_size)}
  write_blocks(blocks, folder, count_dtype=count_dtype, **facts)


def write_blocks(
  blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
  folder: str | os.PathLike,
  *,
  vocab_size: int,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Writes triplets that come as (row, col, count) blocks of any size.

  The files are the same bytes whatever the blocks' sizes.

  Raises:
    OSError: the folder cannot be written.
  """
  shards = (
    write_shard(folder, number, shard)
    for number, shard in enumerate(_shards(blocks, _dtypes(count_dtype)))
  )
  write_shards(
    shards, folder, vocab_size=vocab_size, count_dtype=count_dtype, **facts
  )


def write_shards(
  shards: Iterable[Shard],
  folder: str | os.PathLike,
  *,
  vocab_size: int,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Makes a folder of the shards that `write_shard` writes meanwhile.

  Args:
    shards: all of them, in any order; each is written when, or before, it is
      taken from here, by whoever sees the folder.
    folder, vocab_size, count_dtype, facts: as for `write_blocks`.

  Raises:
    OSError: the folder cannot be written.
  """
  os.makedirs(folder, exist_ok=True)
  manifest = os.path.join(folder, "manifest.json")
  with contextlib.suppress(FileNotFoundError):
    os.unlink(manifest)  # from here on the folder is unfinished
  with _new_columns(folder) as columns:
    done = sorted(shards, key=lambda shard: shard.facts["start"])
    size = sum(shard.facts["size"] for shard in done)
    for column, dtype in zip(columns, _dtypes(count_dtype), strict=True):
      _write_header(column, dtype, size)
  facts = {"format": _FORMAT, "vocab_size": vocab_size, "size": size} | facts
  total = math.fsum(shard.total for shard in done)
  facts |= {"count_dtype": count_dtype, "total": total}
  facts["shards"] = [shard.facts for shard in done]
  atomic.write_json(manifest, facts)


def _dtypes(count_dtype: str) -> tuple[np.dtype, ...]:
  return np.dtype(np.int32), np.dtype(np.int32), np.dtype(count_dtype)


def _path(folder: str | os.PathLike, name: str) -> str:
  return os.path.join(folder, f"{name}.npy")


def _part_path(folder: str | os.PathLike, name: str) -> str:
  return _path(folder, f".{name}.part")


@contextlib.contextmanager
def _new_columns(folder: str | os.PathLike) -> Iterator[list[BinaryIO]]:
  """Files for the columns, which take their names when all went well."""
  parts = {_part_path(folder, name): _path(folder, name) for name in _COLUMNS}
  try:
    with contextlib.ExitStack() as stack:
      yield [stack.enter_context(open(part, "wb")) for part in parts]
    for part, path in parts.items():
      os.replace(part, path)
  except BaseException:
    for part in parts:
      with contextlib.suppress(OSError):
        os.unlink(part)
    raise


def _shards(blocks, dtypes) -> Iterator[list[np.ndarray]]:
  """The blocks as columns of `SHARD` each, but for the last."""
  shard = [np.empty(SHARD, dtype) for dtype in dtypes]
  filled = 0
  for block in blocks:
    start = 0
    while start < len(block[0]):
      number = min(SHARD - filled, len(block[0]) - start)
      for column, values in zip(shard, block, strict=True):
        column[filled : filled + number] = values[start : start + number]
      start, filled = start + number, filled + number
      if filled == SHARD:
        yield shard
        filled = 0
  if filled:
    yield [column[:filled] for column in shard]


def write_shard(
  folder: str | os.PathLike, number: int, columns: Sequence[np.ndarray]
) -> Shard:
  """Writes the shard of this number into a folder that `write_shards` makes.

  Args:
    folder: the folder.
    number: from 0; each but the last has `SHARD` triplets.
    columns: its rows, columns and counts, in their types on disk.

  Raises:
    OSError: it cannot be written, or `write_shards` is not at work.
  """
  start, checksums = number * SHARD, {}
  for name, values in zip(_COLUMNS, columns, strict=True):
    # For writing only: to read as well would have NFS write back whole pages,
    # and with them old bytes of the neighbour's.
    file = os.open(_part_path(folder, name), os.O_WRONLY)
    with open(file, "wb") as column:
      column.seek(_HEADER + start * values.itemsize)
      column.write(values)
    checksums[name] = zlib.crc32(values)
  row, _, count = columns
  facts = {
    "start": start,
    "size": len(row),
    "rows": [int(row.min()), int(row.max())],
    "crc32": checksums,
  }
  return Shard(facts, float(count.sum(dtype=np.float64)))


def _write_header(file: BinaryIO, dtype, size: int) -> None:
  header = {
    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
    "fortran_order": False,
    "shape": (size,),
  }
  file.seek(0)
  np.lib.format.write_array_header_1_0(file, header)
  assert file.tell() == _HEADER


def read_triplets(folder: str | os.PathLike) -> Triplets:
  """Reads what `write_triplets` wrote, mapped into memory.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: its files are damaged or do not belong together.
  """
  facts = read_manifest(folder)
  with _damage(folder):
    dtypes = (np.int32, np.int32, np.dtype(facts["count_dtype"]))
    arrays = [
      _load(_path(folder, name), int(facts["size"]), dtype)
      for name, dtype in zip(_COLUMNS, dtypes, strict=True)
    ]
    return Triplets(*arrays, int(facts["vocab_size"]))


def read_manifest(folder: str | os.PathLike) -> dict[str, Any]:
  """What the manifest of counts says of them.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: the manifest is damaged, or of another format.
  """
  manifest = os.path.join(folder, "manifest.json")
  if not os.path.exists(manifest):
    raise FileNotFoundError(
      f"{os.fspath(folder)!r} holds no finished counts (no manifest.json): "
      "count the corpus first"
    )
  with _damage(folder), open(manifest, encoding="utf-8") as file:
    facts = json.load(file)
    if facts["format"] != _FORMAT:
      raise ValueError(f"format {facts['format']} is not {_FORMAT}")
    return facts


@contextlib.contextmanager
def _damage(folder: str | os.PathLike) -> Iterator[None]:
  try:
    yield
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"the counts in {os.fspath(folder)!r} are damaged, count again: {error}"
    ) from error


def _load(path: str, size: int, dtype) -> np.ndarray:
  # An empty file cannot be mapped.
  array = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)
  if array.shape != (size,) or array.dtype != dtype:
    raise ValueError(
      f"{path} holds {array.dtype} {array.shape}, not {np.dtype(dtype)} {size}"
    )
  return array


def verify_triplets(folder: str | os.PathLike) -> None:
  """Reads all counts and compares them with their checksums.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: a shard is not as it was written.
  """
  triplets = read_triplets(folder)
  with _damage(folder):
    for shard in read_manifest(folder)["shards"]:
      part = slice(shard["start"], shard["start"] + shard["size"])
      for name in _COLUMNS:
        values = getattr(triplets, name)[part]
        if zlib.crc32(values) != shard["crc32"][name]:
          raise ValueError(
            f"{name}.npy is not as it was written from triplet "
            f"{part.start} to {part.stop - 1}"
          )
      release(triplets)


def by_row(
  triplets: Triplets,
  rows: slice = slice(None),
  reduce: Callable[[np.ndarray], np.ndarray] = lambda array: array,
) -> tuple[Triplets, np.ndarray]:
  """The triplets sorted by row, and where each row starts.

  Args:
    triplets: the counts.
    rows: which of them this process looks at.
    reduce: sums an array over the processes.

  Returns:
    triplets whose rows never fall (the same arrays if they were so), and
    [V + 1] int64: row i is starts[i] to starts[i + 1].
  """
  lengths = np.zeros(triplets.vocab_size, np.int64)
  falls, (first, last, _) = 0, rows.indices(len(triplets.row))
  for start in range(first, last, _CHECKED):
    row = triplets.row[start : min(start + _CHECKED, last)]
    before = triplets.row[max(0, start - 1)]
    falls += int(before > row[0]) + int((row[1:] < row[:-1]).sum())
    lengths += np.bincount(row, minlength=triplets.vocab_size)
    release(triplets)
  sums = reduce(np.append(lengths, falls))
  if sums[-1]:
    order = np.argsort(triplets.row, kind="stable")
    columns = (column[order] for column in triplets[:3])
    triplets = Triplets(*columns, triplets.vocab_size)
  return triplets, np.append(0, np.cumsum(sums[:-1]))


def release(triplets: Triplets) -> None:
  """Gives back the memory of counts that are mapped from disk.

  They stay as they are, and are read again where they are next used.
  """
  for column in triplets[:3]:
    if isinstance(column, np.memmap):
      column._mmap.madvise(mmap.MADV_DONTNEED)
