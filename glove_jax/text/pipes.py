"""Paths that can be read only once, such as standard input."""

import os
import stat

STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def is_pipe(path: str | os.PathLike) -> bool:
  """Whether a path can be read only once: `-`, a pipe, a device."""
  path = os.path.expanduser(os.fspath(path))
  if path in STDIN or path.startswith(("/dev/fd/", "/proc/self/fd/")):
    return True
  try:
    mode = os.stat(path).st_mode
  except OSError:
    return False
  return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def refuse_pipe(path: str | os.PathLike) -> None:
  """Raises a ValueError if a file that is read more than once is a pipe."""
  if is_pipe(path):
    raise ValueError(
      f"{os.fspath(path)} can be read only once, and this file is read more "
      "often: save it to a file first."
    )
