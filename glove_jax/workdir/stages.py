"""Which stages of a run are done, and with which settings."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator

from glove_jax import atomic

# Each stage in order, and the part of `Config` that it adds to the settings
# that its output depends on.
STAGES = {
  "vocab": "vocab",
  "counts": "count",
  "train": "train",
  "vectors": "vectors",
  "evaluate": "evaluate",
}


class Stages:
  """The stages that are done, with their settings; kept in a JSON file."""

  def __init__(self, path: pathlib.Path, say: Callable[[str], None]):
    """Reads the file.

    Args:
      path: the file, `stages.json`; it need not exist.
      say: called with each line of news.

    Raises:
      ValueError: the file is damaged.
    """
    self._path = path
    self._say = say
    self._done = atomic.read_json(path) if path.exists() else {}

  @contextlib.contextmanager
  def stage(
    self, name: str, settings: dict, output: pathlib.Path
  ) -> Iterator[bool]:
    """Yields whether the stage must run, and records it as done afterwards.

    A stage that runs again invalidates the stages after it.

    Args:
      name: one of `STAGES`.
      settings: everything that the output depends on, as JSON reads it back.
      output: the file or folder that the stage writes.
    """
    old = self._done.get(name)
    if old == settings and output.exists():
      yield False
      return
    names = list(STAGES)
    later = names[names.index(name) + 1 :]
    if old is not None:
      also = ", ".join(stage for stage in later if stage in self._done)
      also = f" (and so {also})" if also else ""
      self._say(f"{name}{also} again: {_difference(old, settings)}.")
    for stage in (name, *later):
      self._done.pop(stage, None)
    atomic.write_json(self._path, self._done)
    start = time.perf_counter()
    yield True
    self._done[name] = settings
    atomic.write_json(self._path, self._done)
    self._say(f"{name}: {time.perf_counter() - start:.1f} s")


def invalidate(name: str, path: pathlib.Path) -> None:
  """Marks a stage as not done, so that the next run repeats it."""
  done = atomic.read_json(path) if path.exists() else {}
  done.pop(name, None)
  atomic.write_json(path, done)


def _difference(old: dict, new: dict) -> str:
  changed = [
    f"{name} was {old.get(name)} and is now {new[name]}"
    for name in new
    if old.get(name) != new[name]
  ]
  return "; ".join(changed) or "its output is missing"
