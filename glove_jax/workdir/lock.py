"""A work directory: one process at a time, and none left empty by an error."""

import contextlib
import json
import os
import pathlib
import socket
import sys
from collections.abc import Iterator

import filelock

from glove_jax import atomic

_LOCK, _HOLDER = ".lock", ".lock.json"


class Busy(OSError):
  """Another process works in the folder."""


@contextlib.contextmanager
def lock(folder: str | os.PathLike, *, wait: bool = False) -> Iterator[None]:
  """Holds a folder for this process; the end of the process frees it.

  The lock is the operating system's (flock), so that a killed process leaves
  none behind. Beside it stands who holds it, for the message.

  Args:
    folder: an existing folder.
    wait: whether to wait for another process to end, or to refuse at once.

  Raises:
    Busy: another process holds the folder.
    OSError: the folder cannot be written to.
  """
  folder = pathlib.Path(folder)
  held = filelock.FileLock(folder / _LOCK, timeout=-1 if wait else 0)
  try:
    held.acquire()
  except filelock.Timeout:
    raise Busy(
      f"Another process works in {folder}{_holder(folder)}: wait for it, stop "
      "it, or name another work directory."
    ) from None
  try:
    holder = {
      "pid": os.getpid(),
      "host": socket.gethostname(),
      "command": " ".join(sys.argv),
    }
    (folder / _HOLDER).write_text(json.dumps(holder) + "\n")
    yield
  finally:
    with contextlib.suppress(OSError):
      (folder / _HOLDER).unlink()
    held.release()


def _holder(folder: pathlib.Path) -> str:
  """Who holds it, in brackets; nothing if it cannot be read."""
  try:
    holder = json.loads((folder / _HOLDER).read_text())
    return f" (process {holder['pid']} on {holder['host']})"
  except (OSError, ValueError, KeyError, TypeError):
    return ""


@contextlib.contextmanager
def new_folder(folder: pathlib.Path) -> Iterator[None]:
  """Creates a folder; after an error it goes again if nothing was written."""
  is_new = not folder.exists()
  folder.mkdir(parents=True, exist_ok=True)
  try:
    yield
  except BaseException:
    if is_new and {path.name for path in folder.iterdir()} <= {_LOCK}:
      atomic.remove(folder)
    raise
