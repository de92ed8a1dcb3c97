"""Which stages of a run are done, and with which settings."""

import contextlib
import pathlib
import time
from collections.abc import Callable

from glove_jax import atomic

STAGES = ("vocab", "counts", "train", "vectors", "evaluate")


class Stages:
  """Which stages are done, and with which settings; kept in a JSON file."""

  def __init__(self, path: pathlib.Path, say: Callable[[str], None]):
    self._path = path
    self._say = say
    self._done = atomic.read_json(path) if path.exists() else {}

  @contextlib.contextmanager
  def stage(self, name: str, settings: dict, output: pathlib.Path):
    """Yields whether the stage must run, and notes it as done afterwards.

    Args:
      name: one of `STAGES`; where it runs again, so do those after it.
      settings: all that the output depends on, as JSON reads it back.
      output: the file or folder that the stage leaves.
    """
    old = self._done.get(name)
    if old == settings and output.exists():
      yield False
      return
    later = STAGES[STAGES.index(name) + 1 :]
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


def forget(name: str, path: pathlib.Path) -> None:
  """Notes a stage as not done, so that a run does it again."""
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
