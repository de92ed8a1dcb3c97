"""Files of tiles, lines and strips, in a folder that outlasts a stopped run.

The manifest, which is written last, has the checksums of the other files. So
these need not be written atomically: what is damaged is cut again.
"""

import os
import pathlib
import zlib
from collections.abc import Iterable

import numpy as np

from glove_jax import atomic, memory
from glove_jax.threads import default_threads, ordered_map
from glove_jax.training.tiles import strips
from glove_jax.training.tiles.layout import Blocks, Lines

# The files of a folder, for fields of `Blocks` and for the fields of `Lines`.
_FILES = {
  "position": "place",
  "pair": "pair",
  "num_counts": "filled",
  "file_index": "at",
}
_LINE_FILES = ("lines_own.npy", "lines_other.npy", "lines_code.npy")
_MANIFEST = "manifest_2.json"  # 2: what an older version left is cut again
_PART = 1 << 24  # bytes of a file that one checksum is about
_READ = 1 << 20  # bytes read at a time


def write(blocks: Blocks) -> None:
  """Writes everything but the tiles; the manifest comes last."""
  arrays = {
    f"{name}.npy": getattr(blocks, field) for field, name in _FILES.items()
  }
  if blocks.lines is not None:
    arrays |= dict(zip(_LINE_FILES, blocks.lines, strict=True))
  facts = {
    "tile_size": blocks.tile_size,
    "num_blocks": blocks.num_blocks,
    "outside": blocks.num_outside,
  }
  names = ["tiles.bin", "facts.json"]
  if blocks.strips is not None:
    start, *written = strips.file_names()
    arrays[start] = blocks.strips.start
    names += written
    facts["core_blocks"] = blocks.strips.core_blocks

  def save(name: str) -> None:
    np.save(blocks.folder / name, arrays[name])
    memory.release(arrays[name])

  list(ordered_map(save, arrays, default_threads()))
  atomic.write_json(blocks.folder / "facts.json", facts)
  checksums = _checksums(blocks.folder, [*names, *arrays])
  atomic.write_json(blocks.folder / _MANIFEST, checksums)


def _checksums(
  folder: pathlib.Path, names: Iterable[str]
) -> dict[str, list[int]]:
  """The CRC-32 of each _PART bytes of files, by name."""

  def checksum(part: tuple[str, int]) -> int:
    name, start = part
    crc = 0
    with open(folder / name, "rb") as file:
      file.seek(start)
      for _ in range(_PART // _READ):
        crc = zlib.crc32(file.read(_READ), crc)
    return crc

  found: dict[str, list[int]] = {name: [] for name in names}
  parts = [
    (name, start)
    for name in found
    for start in range(0, (folder / name).stat().st_size, _PART)
  ]
  sums = ordered_map(checksum, parts, default_threads())
  for (name, _), crc in zip(parts, sums, strict=True):
    found[name].append(crc)
  return found


def is_complete(folder: str | os.PathLike) -> bool:
  """Whether `write` has finished in this folder, and nothing is damaged."""
  folder = pathlib.Path(folder)
  try:
    wanted = atomic.read_json(folder / _MANIFEST)
    return _checksums(folder, wanted) == wanted
  except (OSError, ValueError, TypeError):
    return False


def read(folder: str | os.PathLike) -> Blocks:
  """Reads what `write` wrote; lines and strips are mapped into memory."""
  folder = pathlib.Path(folder)
  facts = atomic.read_json(folder / "facts.json")
  lines = None
  if facts["outside"]:
    maps = (np.load(folder / name, mmap_mode="r") for name in _LINE_FILES)
    lines = Lines(*maps)
  sizes = {name: facts[name] for name in ("tile_size", "num_blocks")}
  core = facts.get("core_blocks")
  return Blocks(
    folder,
    **sizes,
    strips=core and strips.read(folder, **sizes, core_blocks=core),
    num_outside=facts["outside"],
    lines=lines,
    **{
      field: np.load(folder / f"{name}.npy") for field, name in _FILES.items()
    },
  )
