"""What code a result was made by."""

import contextlib
import functools
import importlib.metadata
import pathlib
import platform
import subprocess


@functools.cache
def versions() -> dict[str, str]:
  """The versions of Python and of the packages that a result depends on."""
  found = {"python": platform.python_version()}
  for name in ("jax", "jaxlib", "optax", "numpy", "scipy", "gensim"):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found


@functools.cache
def commit() -> str | None:
  """The commit of this code, with + if files of it differ; None if unknown."""
  folder = pathlib.Path(__file__).parents[2]
  if not (folder / ".git").exists():
    return None  # installed, perhaps inside of another repository
  try:
    head, changes = (
      subprocess.run(
        ["git", "-C", folder, *words], capture_output=True, text=True,
        check=True, timeout=20,
      ).stdout.strip()
      for words in (
        ["rev-parse", "--short=12", "HEAD"],
        ["status", "--porcelain", "--untracked-files=no"],
      )
    )  # fmt: skip
  except (OSError, subprocess.SubprocessError):
    return None
  return head + "+" * bool(changes)
