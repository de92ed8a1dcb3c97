"""Sound inputs for `fuzz.py`, and what a reader of them is.

A sample is sealed after it has been damaged: the damaged text is packed, or put
into an archive with a right checksum, so that damage gets past the outermost
check too. Samples without a seal are damaged as they lie on disk.
"""

import bz2
import functools
import gzip
import io
import lzma
import pathlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import zstandard
from pyarrow import parquet


class Sample(NamedTuple):
  """A sound input."""

  name: str  # of the file to damage
  content: bytes
  seal: Callable[[bytes], bytes] = bytes  # after the damage
  others: Mapping[str, bytes] = {}  # files beside it, by name
  is_refused: bool = False  # although it is sound


class Reader(NamedTuple):
  """A reader, and what it may raise."""

  name: str
  read: Callable[[pathlib.Path], object]  # takes the damaged file
  samples: Callable[[pathlib.Path], Sequence[Sample]]  # takes a new folder
  allowed: tuple[type[Exception], ...] = (ValueError, OSError)
  names_file: bool = True  # in every message


PACKERS = {
  "gz": gzip.compress,
  "bz2": bz2.compress,
  "xz": lzma.compress,
  "zst": zstandard.ZstdCompressor().compress,
}


def remove(path: pathlib.Path) -> None:
  shutil.rmtree(path) if path.is_dir() else path.unlink()


def zipped(data: bytes, name: str = "a.txt", others=()) -> bytes:
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    for other, content in (*others, (name, data)):
      archive.writestr(other, content)
  return file.getvalue()


def tarred(data: bytes) -> bytes:
  file = io.BytesIO()
  with tarfile.open(fileobj=file, mode="w:gz") as archive:
    info = tarfile.TarInfo("a.txt")
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
  return file.getvalue()


def packed(name: str, content: bytes) -> list[Sample]:
  """The content in every packing, damaged within and without."""
  packers = PACKERS | {"zip": zipped}
  found = []
  for ending, pack in packers.items():
    found += [
      Sample(f"{name}.{ending}", content, pack),
      Sample(f"{name}.{ending}", pack(content)),
    ]
  return found


def files(folder: pathlib.Path) -> dict[str, bytes]:
  return {
    path.relative_to(folder).as_posix(): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def of_folder(content: Mapping[str, bytes], seal=None) -> list[Sample]:
  """A sample for each file of a folder."""
  return [
    Sample(
      name, content[name], (seal or {}).get(name, bytes),
      {other: content[other] for other in content if other != name},
    )
    for name in content
  ]  # fmt: skip


def to_parquet(table) -> bytes:
  file = io.BytesIO()
  parquet.write_table(table, file)
  return file.getvalue()


def members(archive: bytes, name: str) -> list[Sample]:
  """A sample for each array of an archive, sealed by a right checksum."""
  with zipfile.ZipFile(io.BytesIO(archive)) as file:
    content = {key: file.read(key) for key in file.namelist()}
  found = []
  for key, data in content.items():
    rest = [(k, v) for k, v in content.items() if k != key]
    seal = functools.partial(zipped, name=key, others=rest)
    found.append(Sample(name, data, seal))
  return found
