"""Files that are there whole or not at all."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO


@contextlib.contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """Opens a file for bytes; it takes its name only when all went well.

  What is written goes to a file beside it, which then replaces `path` in one
  step, so that a reader or a killed run never meets half a file.

  Raises:
    OSError: the folder is missing or cannot be written to.
  """
  folder, name = os.path.split(os.path.abspath(path))
  part = os.path.join(folder, f".{name}.{_token()}.part")
  try:
    with open(part, "wb") as file:
      yield file
      file.flush()
      os.fsync(file.fileno())
    os.replace(part, path)
  except BaseException:
    with contextlib.suppress(OSError):
      os.unlink(part)
    raise


def _token() -> str:
  """A name that no other process has, on any machine that sees the folder."""
  return secrets.token_hex(8)


@contextlib.contextmanager
def write_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Makes a folder to write into; it takes its name only when all went well.

  Where another process has made it meanwhile, its folder stays.

  Raises:
    OSError: the folder around it is missing or cannot be written to.
  """
  path = pathlib.Path(path)
  part = path.parent / f".{path.name}.{_token()}.part"
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
  """Removes a folder; a kill leaves nothing under its name."""
  path = pathlib.Path(path)
  gone = path.rename(path.parent / f".{path.name}.{_token()}.part")
  shutil.rmtree(gone, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a text file whole or not at all."""
  with write_whole(path) as file:
    file.write(text.encode())


def write_json(path: str | os.PathLike, content) -> None:
  """Writes a JSON file, for people to read as well, whole or not at all."""
  write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path: str | os.PathLike) -> Any:
  """The content of a JSON file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it is damaged.
  """
  try:
    return json.loads(pathlib.Path(path).read_text())
  except json.JSONDecodeError as error:
    raise ValueError(
      f"{path} is damaged ({error}): remove it and run again."
    ) from error
