"""Files and folders that are written whole or not at all.

A killed run leaves no half-written file under a final name, and a reader never
sees one.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from glove_jax import memory

# Errors of opening a file that do not say that it is damaged.
_OF_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@contextlib.contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """Opens a binary file that appears at `path` only if the block succeeds.

  The bytes go to a hidden file in the same folder, which then replaces `path`
  in one step.

  Raises:
    OSError: the folder is missing or not writable.
    ValueError: the path is that of a pipe or a device.
  """
  if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
    raise ValueError(f"{os.fspath(path)} is a pipe or a device: name a file.")
  folder, name = os.path.split(os.path.abspath(path))
  part = os.path.join(folder, f".{name}.{_token()}.part")
  try:
    with _renamed(part, path):
      with memory.open_to_write(part) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
      os.replace(part, path)
  except BaseException:
    with contextlib.suppress(OSError):
      os.unlink(part)
    raise


@contextlib.contextmanager
def _renamed(part: str, path: str | os.PathLike) -> Iterator[None]:
  """Errors about a hidden file name the file that it would become."""
  try:
    yield
  except OSError as error:
    if error.filename != part:
      raise
    raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _token() -> str:
  """A random name, unique among all machines that share the folder."""
  return secrets.token_hex(8)


@contextlib.contextmanager
def write_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a new folder, which appears at `path` only if the block succeeds.

  If another process created `path` in the meantime, that folder stays.

  Raises:
    OSError: the parent folder is missing or not writable.
  """
  path = pathlib.Path(path)
  part = path.parent / f".{path.name}.{_token()}.part"
  with _renamed(str(part), path):
    part.mkdir()
  try:
    yield part
    try:
      part.rename(path)
    except OSError:
      if not path.exists():
        raise
  finally:
    shutil.rmtree(part, ignore_errors=True)


def remove_folder(path: str | os.PathLike) -> None:
  """Removes a folder; a killed removal leaves nothing under its name."""
  path = pathlib.Path(path)
  hidden = path.rename(path.parent / f".{path.name}.{_token()}.part")
  shutil.rmtree(hidden, ignore_errors=True)


def remove(path: str | os.PathLike) -> None:
  """Removes a file or a folder, if it is there; a kill leaves no part of it."""
  path = pathlib.Path(path)
  if path.is_dir() and not path.is_symlink():
    remove_folder(path)
  else:
    path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a UTF-8 text file atomically."""
  with write_whole(path) as file:
    file.write(text.encode())


def write_json(path: str | os.PathLike, content) -> None:
  """Writes an indented JSON file atomically."""
  write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: str | os.PathLike) -> Any:
  """Reads a JSON file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: the file is damaged.
  """
  data = pathlib.Path(path).read_bytes()
  try:
    return json.loads(data)
  except (ValueError, RecursionError) as error:
    raise damaged(path, error) from error


def damaged(path: str | os.PathLike, why: object) -> ValueError:
  """The error that a file is damaged, with the way out."""
  return ValueError(f"{path} is damaged ({why}): remove it and run again.")


@contextlib.contextmanager
def reading(damaged: Callable[[str], str]) -> Iterator[None]:
  """Turns errors of the content of a file into a ValueError.

  Damaged files make NumPy and zipfile raise almost anything. Errors of this
  machine, such as too little memory, stay as they are.

  >>> with reading(lambda reason: f"a.npz is damaged ({reason})."):
  ...   raise KeyError("no such array")
  Traceback (most recent call last):
  ValueError: a.npz is damaged ('no such array').

  Args:
    damaged: makes a sentence of the reason.
  """
  try:
    yield
  except Exception as error:
    is_of_machine = isinstance(error, (MemoryError, PermissionError))
    if is_of_machine or getattr(error, "errno", None) in _OF_MACHINE:
      raise
    reason = str(error).rstrip(".") or type(error).__name__
    raise ValueError(damaged(reason)) from error


def fingerprint(content, digits: int = 8) -> str:
  """Hashes JSON content, such as settings, for use in a file name.

  The order of the keys does not matter.

  >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
  True

  Args:
    content: what `json.dumps` accepts.
    digits: the number of hexadecimal digits, at most 64.
  """
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:digits]


def remove_parts(folder: str | os.PathLike) -> None:
  """Removes what killed processes left half-written in a folder."""
  for part in pathlib.Path(folder).rglob(".*.part"):
    remove(part)
