"""Three columns of counts as a folder of files: row, col and count.

Each column is one `.npy` file, however long, which is read by memory mapping.
Beside them is `manifest.json`. The manifest is written last: a folder without
it is unfinished. *Shards* are ranges of all three columns that can be written,
checked or fetched alone. The manifest lists their rows and checksums.
"""

import contextlib
import functools
import itertools
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from glove_jax import atomic, memory
from glove_jax.threads import default_threads, ordered_map

_COLUMNS = ("row", "col", "count")
_FORMAT = 2
SHARD = 1 << 22  # counts
_HEADER = 128  # bytes before the data of a .npy file
_sync = getattr(os, "fdatasync", os.fsync)


class WrittenShard(NamedTuple):
  """A shard that has been written."""

  facts: dict[str, Any]  # its entry in the manifest
  total: float  # the sum of its counts


def write_blocks(
  blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
  folder: str | os.PathLike,
  *,
  vocab_size: int,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Writes triplets that arrive as (row, col, count) blocks of any size.

  The sizes of the blocks do not change the files.

  Args:
    blocks: columns of equal length each.
    folder: created if missing.
    vocab_size: V.
    count_dtype: 'float32', or 'float64' for exact counts.
    **facts: further entries of the manifest.

  Raises:
    OSError: the folder cannot be written.
  """
  shards = enumerate(_shards(blocks, _dtypes(count_dtype)))
  # A thread writes a shard while the next one is being filled.
  written = ordered_map(lambda shard: write_shard(folder, *shard), shards, 1)
  write_shards(
    written, folder, vocab_size=vocab_size, count_dtype=count_dtype, **facts
  )


def write_shards(
  shards: Iterable[WrittenShard],
  folder: str | os.PathLike,
  *,
  vocab_size: int,
  count_dtype: str = "float32",
  **facts,
) -> None:
  """Creates a folder whose shards `write_shard` writes in the meantime.

  Args:
    shards: all shards, in any order. Any process that sees the folder may write
      a shard, while this iterator is being advanced.
    folder, vocab_size, count_dtype, facts: as for `write_blocks`.

  Raises:
    OSError: the folder cannot be written.
  """
  os.makedirs(folder, exist_ok=True)
  manifest = os.path.join(folder, "manifest.json")
  with contextlib.suppress(FileNotFoundError):
    os.unlink(manifest)  # the folder is unfinished from now on
  with _new_columns(folder) as columns:
    done = sorted(shards, key=lambda shard: shard.facts["start"])
    size = sum(shard.facts["size"] for shard in done)
    for column, dtype in zip(columns, _dtypes(count_dtype), strict=True):
      _write_header(column, dtype, size)
  facts = {"format": _FORMAT, "vocab_size": vocab_size, "size": size} | facts
  total = math.fsum(shard.total for shard in done)
  facts |= {"count_dtype": count_dtype, "total": total}
  facts["shards"] = [shard.facts for shard in done]
  atomic.write_json(manifest, facts | {"crc32": _checksum(facts)})


def _checksum(facts: dict[str, Any]) -> int:
  """The CRC-32 of a manifest, without this entry."""
  rest = {name: value for name, value in facts.items() if name != "crc32"}
  return zlib.crc32(json.dumps(rest, sort_keys=True).encode())


def _dtypes(count_dtype: str) -> tuple[np.dtype, ...]:
  return np.dtype(np.int32), np.dtype(np.int32), np.dtype(count_dtype)


def _path(folder: str | os.PathLike, name: str) -> str:
  return os.path.join(folder, f"{name}.npy")


def _part_path(folder: str | os.PathLike, name: str) -> str:
  return _path(folder, f".{name}.part")


@contextlib.contextmanager
def _new_columns(folder: str | os.PathLike) -> Iterator[list[BinaryIO]]:
  """Opens the column files, which get their names if the block succeeds."""
  parts = {_part_path(folder, name): _path(folder, name) for name in _COLUMNS}
  try:
    with contextlib.ExitStack() as stack:
      files = [stack.enter_context(open(part, "wb")) for part in parts]
      yield files
      for file in files:  # on disk before the manifest that vouches for them
        file.flush()
        os.fsync(file.fileno())
    for part, path in parts.items():
      os.replace(part, path)
  except BaseException:
    for part in parts:
      with contextlib.suppress(OSError):
        os.unlink(part)
    raise


def _shards(blocks, dtypes) -> Iterator[list[np.ndarray]]:
  """Regroups blocks into columns of SHARD triplets; the last may be shorter.

  Two shards take turns: one is valid until the one after the next is filled.
  """
  turns = itertools.cycle(
    [memory.lazy_zeros(SHARD, dtype) for dtype in dtypes] for _ in range(2)
  )
  shard, filled = next(turns), 0
  for block in blocks:
    start = 0
    while start < len(block[0]):
      size = min(SHARD - filled, len(block[0]) - start)
      for column, values in zip(shard, block, strict=True):
        column[filled : filled + size] = values[start : start + size]
      start, filled = start + size, filled + size
      if filled == SHARD:
        yield shard
        shard, filled = next(turns), 0
  if filled:
    yield [column[:filled] for column in shard]


def write_shard(
  folder: str | os.PathLike, index: int, columns: Sequence[np.ndarray]
) -> WrittenShard:
  """Writes one shard into a folder while `write_shards` is running on it.

  Args:
    folder: the folder.
    index: from 0; every shard but the last has SHARD triplets.
    columns: rows, columns and counts, with the dtypes of the files.

  Raises:
    OSError: the shard cannot be written, or `write_shards` is not running.
  """
  start = index * SHARD

  def write(named_column: tuple[str, np.ndarray]) -> int:
    name, values = named_column
    # Write-only: if the file were readable too, NFS would write back whole
    # pages, and with them outdated bytes of the neighbouring shard.
    file = os.open(_part_path(folder, name), os.O_WRONLY)
    with memory.open_to_write(file) as column:
      column.seek(_HEADER + start * values.itemsize)
      column.write(values)
      column.flush()
      _sync(file)  # now, so that little is left to wait for at the end
    return zlib.crc32(values)

  named = list(zip(_COLUMNS, columns, strict=True))
  checksums = ordered_map(write, named, threads=len(named))
  row, _, count = columns
  facts = {
    "start": start,
    "size": len(row),
    "rows": [int(row.min()), int(row.max())],
    "crc32": dict(zip(_COLUMNS, checksums, strict=True)),
  }
  return WrittenShard(facts, float(count.sum(dtype=np.float64)))


def _write_header(file: BinaryIO, dtype, size: int) -> None:
  file.seek(0)
  memory.write_header(file, size, dtype)
  assert file.tell() == _HEADER


def read(folder: str | os.PathLike) -> tuple[list[np.ndarray], int]:
  """Maps the columns of a folder into memory.

  Returns:
    The three columns [N], and V.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: the files are damaged or do not belong together.
  """
  facts = read_manifest(folder)
  with _reading(folder):
    columns = zip(_COLUMNS, _dtypes(facts["count_dtype"]), strict=True)
    arrays = [
      _load(_path(folder, name), facts["size"], dtype)
      for name, dtype in columns
    ]
    return arrays, int(facts["vocab_size"])


def read_manifest(folder: str | os.PathLike) -> dict[str, Any]:
  """Reads the manifest of a folder of counts.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: the manifest is damaged, or of another format.
  """
  manifest = os.path.join(folder, "manifest.json")
  if not os.path.exists(manifest):
    raise FileNotFoundError(
      f"{os.fspath(folder)!r} holds no finished counts (no manifest.json): "
      "count the corpus first."
    )
  with _reading(folder):
    facts = atomic.read_json(manifest)
    if facts["format"] != _FORMAT:
      raise ValueError(f"format {facts['format']} is not {_FORMAT}")
    if facts.get("crc32", _checksum(facts)) != _checksum(facts):
      raise ValueError("manifest.json differs from what was written")
    return facts


def _reading(folder: str | os.PathLike):
  """Names the folder in errors that say that its files are damaged."""
  return atomic.reading(
    lambda reason: (
      f"The counts in {os.fspath(folder)!r} are damaged, count again: "
      f"{reason}. If that does not help, remove the folder first."
    )
  )


def _load(path: str, size: int, dtype) -> np.ndarray:
  # An empty file cannot be memory-mapped.
  array = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)
  if array.shape != (size,) or array.dtype != dtype:
    raise ValueError(
      f"{path} holds {array.dtype} {array.shape}, not {np.dtype(dtype)} {size}."
    )
  return array


def verify(folder: str | os.PathLike) -> None:
  """Reads all columns and compares them with their checksums.

  Raises:
    FileNotFoundError: the folder is missing or unfinished.
    ValueError: a shard differs from what was written.
  """
  read(folder)  # checks sizes and types
  facts = read_manifest(folder)
  with _reading(folder):
    sizes = [dtype.itemsize for dtype in _dtypes(facts["count_dtype"])]
    pieces = [
      (name, size, shard)
      for shard in facts["shards"]
      for name, size in zip(_COLUMNS, sizes, strict=True)
    ]
    function = functools.partial(_verify_piece, folder)
    list(ordered_map(function, pieces, default_threads()))


def _verify_piece(
  folder: str | os.PathLike, piece: tuple[str, int, dict]
) -> None:
  """Raises a ValueError if a column of a shard differs from its checksum."""
  name, itemsize, shard = piece
  start, end = shard["start"], shard["start"] + shard["size"]
  with open(_path(folder, name), "rb") as file:  # faster than a memory map
    file.seek(_HEADER + start * itemsize)
    values = file.read(shard["size"] * itemsize)
  if zlib.crc32(values) != shard["crc32"][name]:
    raise ValueError(
      f"{name}.npy differs from what was written, somewhere in triplets "
      f"{start} to {end - 1}."
    )
