"""What files contain, as short hashes that are remembered.

A stage of a run is valid only for the inputs it was made from. Sizes and times
do not show that: a file may be replaced by one that has both. So inputs are
compared by the hash of their content (XXH3, 128 bits, by the xxhash package:
as fast as memory, where SHA-256 would take longer than counting words does).
A file whose size, times and inode are those of the last reading is not read
again.
"""

import contextlib
import hashlib
import os
import pathlib
import time

import xxhash

from glove_jax import atomic

_SETTLED_NS = 2_000_000_000  # younger files may change within one clock tick


class Fingerprints:
  """Hashes of files, remembered in a JSON file.

  Args:
    path: where they are remembered; None remembers nothing.
  """

  def __init__(self, path: str | os.PathLike | None = None):
    self._path = path
    self._known: dict[str, list] = {}
    if path and os.path.exists(path):
      with contextlib.suppress(ValueError, TypeError):  # it only saves time
        self._known = dict(atomic.read_json(path))

  def of(self, path: str | os.PathLike) -> str:
    """The fingerprint of a file's content, or of a folder's.

    A folder with a `manifest.json`, which has checksums of its other files,
    stands for its content by that manifest and the sizes of the others.

    Raises:
      OSError: the file is missing or cannot be read.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
      return self._of_file(path)
    manifest = path / "manifest.json"
    others = sorted(p for p in path.rglob("*") if p.is_file() and p != manifest)
    digest = xxhash.xxh3_128()
    for other in others:
      name = other.relative_to(path).as_posix()
      content = (
        str(other.stat().st_size) if manifest.exists() else self._of_file(other)
      )
      digest.update(f"{name}\0{content}\0".encode())
    if manifest.exists():
      digest.update(self._of_file(manifest).encode())
    return digest.hexdigest()

  def _of_file(self, path: pathlib.Path) -> str:
    key, state = os.path.abspath(path), _state(path)
    known = self._known.get(key)
    if isinstance(known, list) and known[:-1] == state:
      return known[-1]
    found = hash_file(path)
    settled = time.time_ns() - max(state[1:3]) > _SETTLED_NS
    if settled and _state(path) == state:
      self._known[key] = [*state, found]
      if self._path:
        atomic.write_json(self._path, self._known)
    return found


def hash_file(path: str | os.PathLike) -> str:
  """The XXH3 hash of a file's bytes, 32 hexadecimal digits.

  Raises:
    OSError: the file is missing or cannot be read.
  """
  with open(path, "rb", buffering=0) as file:
    return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()


def _state(path: pathlib.Path) -> list[int]:
  stat = path.stat()
  return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
