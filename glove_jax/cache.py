"""The folder of what is fetched, extracted or compiled once."""

import hashlib
import os
import pathlib
import tempfile


def cache_folder() -> str:
  """The cache: `$GLOVE_JAX_CACHE` or `~/.cache/glove_jax`.

  It holds corpora, evaluation sets and compiled programs, and may not exist
  yet. `~` at the start of the variable is the home folder.

  >>> os.path.isabs(cache_folder())
  True

  Raises:
    FileNotFoundError: the user has no home folder.
  """
  named = os.environ.get("GLOVE_JAX_CACHE") or "~/.cache/glove_jax"
  folder = os.path.expanduser(named)
  if folder.startswith("~"):
    raise FileNotFoundError(
      f"The cache {named!r} needs a home folder, and there is none: set "
      "GLOVE_JAX_CACHE to a folder."
    )
  return folder


def kind_of_cpu() -> str:
  """A short name for CPUs that run each other's programs; "" if unknown.

  >>> len(kind_of_cpu()) in (0, 8)
  True
  """
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text()
  except OSError:
    return ""
  names = ("model name", "flags", "Features", "CPU implementer", "CPU part")
  lines = sorted({x for x in text.splitlines() if x.startswith(names)})
  return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def make_writable(folder: str | os.PathLike) -> None:
  """Makes a folder of the cache, unless it is there.

  Raises:
    OSError: it cannot be written to.
  """
  try:
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
      pass
  except OSError as error:
    raise OSError(
      f"The cache cannot be written to ({error}): set GLOVE_JAX_CACHE to a "
      "folder that can."
    ) from error
