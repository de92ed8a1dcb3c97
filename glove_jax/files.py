"""Files that are there whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """Opens a file for bytes; it takes its name only when all went well.

  What is written goes to a file beside it, which then replaces `path` in one
  step, so that a reader or a killed run never meets half a file.

  Raises:
    OSError: the folder is missing or cannot be written to.
  """
  folder, name = os.path.split(os.path.abspath(path))
  part = os.path.join(folder, f".{name}.{os.getpid()}.part")
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


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a text file whole or not at all."""
  with write_whole(path) as file:
    file.write(text.encode())
