"""Which stages of a run are done, with which settings and from what.

A stage is done if its settings, the content of its inputs and its output are
those that it was noted with. A stage that runs again removes what later stages
made, since that was made from what is replaced.
"""

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from glove_jax import atomic, lazy, memory
from glove_jax import config as configs
from glove_jax.config import Config
from glove_jax.workdir.fingerprints import Fingerprints

# What counting does not need.
optimizer_check = lazy.module("glove_jax.training.optimizer_check")


class Stage(NamedTuple):
  """One stage of a run."""

  part: str  # of `Config`: the settings that it adds to those before
  outputs: tuple[str, ...]  # in the work directory; the first is its result


STAGES = {
  "sample": Stage("corpus", ("sample.txt",)),
  "vocab": Stage("vocab", ("vocab.txt",)),
  "counts": Stage("count", ("counts",)),
  "train": Stage("train", ("tables.npz", "checkpoints", "metrics.jsonl")),
  "vectors": Stage("vectors", ("vectors.txt",)),
  "evaluate": Stage("evaluate", ("evaluation.json", "vectors.md")),
}
# Settings that name files, whose content counts.
_PATHS = {
  "corpus", "text_field", "add_to", "records", "records_vocab", "vocab",
  "init_from", "init_gradsq",
}  # fmt: skip
_NOTES, _HASHES = "stages.json", "fingerprints.json"


def settings_of(config: Config, stage: str) -> dict:
  """The settings that the output of a stage depends on.

  Paths are left out: the content of the files counts.

  Args:
    config: of the run.
    stage: one of `STAGES`.

  Returns:
    Settings by name, as they are read back from JSON.
  """
  found: dict = {}
  for name, (part, _) in STAGES.items():
    found |= configs.settings(getattr(config, part))
    if name == stage:
      break
  if "optimizer" in found:
    found["optimizer"] = optimizer_check.describe(config.train)
  for name in _PATHS & found.keys():
    found.pop(name)
  return json.loads(json.dumps(found))  # which makes lists of tuples


class Stages:
  """The stages of one work directory; kept in its `stages.json`.

  Args:
    workdir: the folder.
    say: called with each line of news.
  """

  def __init__(self, workdir: pathlib.Path, say: Callable[[str], object]):
    self._workdir = workdir
    self._say = say
    self._done = read_notes(workdir)
    self._fingerprints = Fingerprints(workdir / _HASHES)

  @contextlib.contextmanager
  def stage(
    self,
    name: str,
    settings: dict,
    inputs: Sequence[str | pathlib.Path] = (),
    check: Callable[[], object] | None = None,
  ) -> Iterator[bool]:
    """Yields whether the stage must run, and notes it as done afterwards.

    Args:
      name: one of `STAGES`.
      settings: all settings that the output depends on, as read from JSON.
      inputs: the files and folders that it is made from, in order.
      check: reads the output of a stage that is done; if it raises a
        ValueError, the output is damaged and the stage runs again.

    Raises:
      ValueError: an input changed while the stage ran; it is not noted.
    """
    hashes = self.hashes(inputs)
    reason = self._reason(name, settings, inputs, hashes)
    if reason is None and check:
      reason = _damage(check)
    if reason is None:
      yield False
      return
    self._invalidate(name, reason)
    memory.trim()  # what the stage before has freed
    start = time.perf_counter()
    yield True
    self._note(name, settings, inputs, hashes)
    self._say(f"{name}: {time.perf_counter() - start:.1f} s")

  def hashes(self, inputs: Sequence[str | pathlib.Path]) -> list[str]:
    """The fingerprints of files and folders."""
    return [self._fingerprints.of(path) for path in inputs]

  def source(
    self, config: Config, stage: str, inputs: Sequence[str | pathlib.Path]
  ) -> dict:
    """All that a stage's output depends on: settings, and content of files."""
    return settings_of(config, stage) | {"inputs": self.hashes(inputs)}

  def _output(self, name: str) -> pathlib.Path:
    return self._workdir / STAGES[name].outputs[0]

  def _reason(self, name, settings, inputs, hashes) -> str | None:
    """Why the stage must run; None if it is done."""
    old, output = self._done.get(name), self._output(name)
    if old is None:
      return ""
    if "output" not in old:
      return "an earlier version of this program made it"
    if old["settings"] != settings:
      return difference(old["settings"], settings)
    if old["inputs"] != hashes:
      return _changed(old, inputs, hashes)
    if not output.exists():
      return "its output is missing"
    if self._fingerprints.of(output) != old["output"]:
      return f"{output} is not as it was written"
    return None

  def _invalidate(self, name: str, reason: str) -> None:
    later = list(STAGES)[list(STAGES).index(name) + 1 :]
    if reason:
      also = ", ".join(stage for stage in later if stage in self._done)
      also = f" (and so {also})" if also else ""
      self._say(f"{name}{also} again: {reason}.")
    for stage in (name, *later):
      self._done.pop(stage, None)
    atomic.write_json(self._workdir / _NOTES, self._done)
    for stage in later:
      for path in STAGES[stage].outputs:
        atomic.remove(self._workdir / path)

  def _note(self, name, settings, inputs, hashes) -> None:
    now = self.hashes(inputs)
    if now != hashes:
      raise ValueError(
        f"The input of {name} changed while it was read "
        f"({_changed(self._notes(settings, inputs, hashes), inputs, now)}): "
        "give the same command again."
      )
    written = {
      "output": self._fingerprints.of(self._output(name)),
      "beside": {
        beside: self._fingerprints.of(self._workdir / beside)
        for beside in STAGES[name].outputs[1:]
        if (self._workdir / beside).is_file()
      },
    }
    self._done[name] = self._notes(settings, inputs, hashes) | written
    atomic.write_json(self._workdir / _NOTES, self._done)

  @staticmethod
  def _notes(settings, inputs, hashes) -> dict:
    paths = [str(path) for path in inputs]
    return {"settings": settings, "inputs": hashes, "paths": paths}


def refuse_own(path: str | os.PathLike) -> None:
  """Refuses to write a file that a run has made in its work directory.

  Raises:
    ValueError: the file is one of a run's.
  """
  path = pathlib.Path(path).expanduser()
  outputs = {name for stage in STAGES.values() for name in stage.outputs}
  is_own = path.name in outputs | {_NOTES, _HASHES, "config.json"}
  if is_own and (path.parent / _NOTES).is_file():
    raise ValueError(
      f"{path} belongs to the run in {path.parent}: name another file."
    )


def is_workdir(path: str | os.PathLike) -> bool:
  """Whether a path is the folder of a run, or of counts that were saved."""
  return any(pathlib.Path(path, n).is_file() for n in (_NOTES, "vocab.txt"))


def read_notes(workdir: str | pathlib.Path) -> dict[str, dict]:
  """The stages that are done in a work directory.

  Raises:
    ValueError: `stages.json` is damaged.
  """
  path = pathlib.Path(workdir, _NOTES)
  notes = atomic.read_json(path) if path.exists() else {}
  if not isinstance(notes, dict) or not all(map(_is_note, notes.values())):
    raise atomic.damaged(path, "it is not as it was written")
  return notes


def _is_note(note: object) -> bool:
  if not isinstance(note, dict) or "output" not in note:
    return isinstance(note, dict)  # of an earlier version
  kinds = {"settings": dict, "inputs": list, "paths": list}
  return (
    isinstance(note.get("beside", {}), dict)
    and all(isinstance(note.get(name), kind) for name, kind in kinds.items())
    and len(note["inputs"]) == len(note["paths"])
  )


def is_valid(workdir: str | pathlib.Path, name: str) -> bool:
  """Whether the output of a stage, if it is there, is that of a finished stage.

  A folder without `stages.json`, such as a point of a sweep, has no unfinished
  stages.
  """
  path = pathlib.Path(workdir, _NOTES)
  return not path.exists() or name in read_notes(workdir)


def is_as_written(workdir: str | pathlib.Path, name: str, output: str) -> bool:
  """Whether a file that a stage wrote is there, unchanged.

  Args:
    workdir: the folder.
    name: one of `STAGES`. If it is not noted as done, any file is accepted.
    output: one of the stage's outputs.
  """
  path = pathlib.Path(workdir, output)
  note = read_notes(workdir).get(name, {})
  known = note.get("beside", {}) | {STAGES[name].outputs[0]: note.get("output")}
  wanted = known.get(output)
  return path.is_file() and wanted in (None, Fingerprints().of(path))


def invalidate(workdir: str | pathlib.Path, name: str) -> None:
  """Notes a stage as not done, so that the next run does it again."""
  done = read_notes(workdir)
  if done.pop(name, None) is not None:
    atomic.write_json(pathlib.Path(workdir, _NOTES), done)


def _damage(check: Callable[[], object]) -> str | None:
  try:
    check()
  except ValueError as error:
    return str(error).rstrip(".")
  return None


def difference(old: dict, new: dict) -> str:
  """Which settings differ, and how.

  >>> difference({"dim": 50, "x_max": 10}, {"dim": 100, "x_max": 10})
  'dim was 50 and is now 100'
  """
  return "; ".join(
    f"{name} was {old.get(name)} and is now {new.get(name)}"
    for name in sorted({*old, *new})
    if old.get(name) != new.get(name)
  )


def _changed(old: dict, inputs, hashes: list[str]) -> str:
  """Which inputs are not what they were."""
  paths = [str(path) for path in inputs]
  if len(paths) != len(old["paths"]):
    return (
      f"there were {len(old['paths'])} inputs and now there are {len(paths)}"
    )
  return ", ".join(
    f"{now} has changed" if now == before else f"{before} is now {now}"
    for before, now, old_hash, new_hash in zip(
      old["paths"], paths, old["inputs"], hashes, strict=True
    )
    if old_hash != new_hash
  )
