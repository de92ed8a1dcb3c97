"""Sorted runs of counts on disk, and merging them.

A run is two files, of int64 keys (row << 32 | column) that rise, and of int64
units. A third, in JSON, is written last and says what the run holds: without it
the run is unfinished and is none.
"""

import itertools
import json
import mmap
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from glove_jax import files, pair_kernels
from glove_jax.pairs import Entries, check_overflow
from glove_jax.parallel import ordered_map

MAX_RUNS = 64  # more are merged into one
_ROW_BITS = 32


class Run(NamedTuple):
  """A finished run.

  Attributes:
    name: of its files, without what follows the dot.
    first: it holds all that the runs of the numbers `first` to its own held.
    size: how many entries it has.
    facts: what its writer wanted to know again.
  """

  name: str
  first: int
  size: int
  facts: dict


class Runs:
  """The runs in a folder, which belong to one task.

  Args:
    folder: where; it is made where it is missing.
    task: what is being counted; runs of another task are removed.
    threads: how many merge.
    entries: how many to hold at a time when merging.
  """

  def __init__(
    self, folder: pathlib.Path, task: dict, *, threads: int, entries: int
  ):
    self._folder = folder
    self._threads = threads
    self._entries = entries
    self._runs: list[Run] = []
    task_file = folder / "task.json"
    if task_file.exists() and json.loads(task_file.read_text()) == task:
      self._find()
      return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files.write_text(task_file, json.dumps(task, indent=2) + "\n")

  def _find(self) -> None:
    for path in sorted(self._folder.glob("run-*.json")):
      run = Run(path.stem, **json.loads(path.read_text()))
      if any(size != 8 * run.size for size in self._sizes(run)):
        break  # the machine went down before all of it was on the disk
      while self._runs and _number(self._runs[-1].name) >= run.first:
        self._remove(self._runs.pop())
      self._runs.append(run)

  def _sizes(self, run: Run) -> list[int]:
    paths = [self._folder / f"{run.name}.{end}" for end in ("keys", "units")]
    return [path.stat().st_size if path.exists() else -1 for path in paths]

  def __len__(self) -> int:
    return len(self._runs)

  @property
  def facts(self) -> dict:
    """What was to be known again of the last run; {} where there is none."""
    return self._runs[-1].facts if self._runs else {}

  def write(self, entries: Iterable[Entries], **facts) -> None:
    """Writes the next run.

    Raises:
      OSError: it cannot be written.
    """
    number = _number(self._runs[-1].name) + 1 if self._runs else 0
    keys = ((_keys(block), block.units) for block in entries)
    self._runs.append(self._write(number, number, keys, facts))
    if len(self._runs) == MAX_RUNS:
      old, first = self._runs, self._runs[0].first
      merged = self._write(number + 1, first, self._merge(), self.facts)
      self._runs = [merged]
      for run in old:
        self._remove(run)

  def _write(self, number: int, first: int, blocks, facts: dict) -> Run:
    name, size = f"run-{number:06d}", 0
    (self._folder / f"{name}.json").unlink(missing_ok=True)
    with (
      (self._folder / f"{name}.keys").open("wb") as key_file,
      (self._folder / f"{name}.units").open("wb") as unit_file,
    ):
      for keys, units in blocks:
        keys.tofile(key_file)
        units.tofile(unit_file)
        size += len(keys)
    run = Run(name, first, size, facts)
    contents = {"first": first, "size": size, "facts": facts}
    files.write_text(
      self._folder / f"{name}.json", json.dumps(contents, indent=2) + "\n"
    )
    return run

  def _remove(self, run: Run) -> None:
    for suffix in ("json", "keys", "units"):
      (self._folder / f"{run.name}.{suffix}").unlink(missing_ok=True)

  def merge(self) -> Iterator[Entries]:
    """The sums of all runs, sorted, some at a time.

    Raises:
      OverflowError: a count outgrew 64 bits.
    """
    for keys, units in self._merge():
      row = (keys >> _ROW_BITS).astype(np.int32)
      yield check_overflow(Entries(row, keys.astype(np.int32), units))

  def _merge(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The sums of all runs: (keys, units).

    A range of keys is read of each run at a time, so that no file stays open.
    """
    yield from ordered_map(
      self._merge_range, itertools.pairwise(self._cuts()), self._threads
    )

  def _cuts(self) -> Iterator[list[int]]:
    """Where in each run the ranges to merge begin and end."""
    runs = [run for run in self._runs if run.size]
    keys = [
      np.memmap(self._folder / f"{run.name}.keys", np.int64, "r")
      for run in runs
    ]
    ends = [len(column) for column in keys]
    places = [0] * len(runs)
    step = max(1, self._entries // (self._threads + 2) // max(1, len(runs)))
    yield places
    while places != ends:
      ahead = [
        column[place + step]
        for column, place in zip(keys, places, strict=True)
        if place + step < len(column)
      ]
      if ahead:
        high = min(ahead)
        places = [
          place + int(np.searchsorted(column[place : place + step], high))
          for column, place in zip(keys, places, strict=True)
        ]
      else:
        places = ends
      yield places
      for column in keys:
        column._mmap.madvise(mmap.MADV_DONTNEED)

  def _merge_range(
    self, cuts: tuple[list[int], list[int]]
  ) -> tuple[np.ndarray, np.ndarray]:
    runs = [run for run in self._runs if run.size]
    parts = [
      [self._read(run, suffix, start, end) for suffix in ("keys", "units")]
      for run, start, end in zip(runs, *cuts, strict=True)
      if end > start
    ]
    while len(parts) > 1:
      pairs = zip(parts[::2], parts[1::2], strict=False)
      odd = parts[len(parts) // 2 * 2 :]
      parts = [_merge_two(*pair) for pair in pairs] + odd
    return parts[0]

  def _read(self, run: Run, suffix: str, start: int, end: int) -> np.ndarray:
    path = self._folder / f"{run.name}.{suffix}"
    return np.fromfile(path, np.int64, end - start, offset=8 * start)

  def remove(self) -> None:
    """Removes the folder and all runs in it."""
    (self._folder / "task.json").unlink()  # what a kill leaves is no run now
    shutil.rmtree(self._folder)


def _number(name: str) -> int:
  return int(name.removeprefix("run-"))


def _keys(entries: Entries) -> np.ndarray:
  return entries.row.astype(np.int64) << _ROW_BITS | entries.col


def _merge_two(left, right) -> list[np.ndarray]:
  size = len(left[0]) + len(right[0])
  merged = [np.empty(size, np.int64), np.empty(size, np.int64)]
  size = pair_kernels.merge_sums(*left, *right, *merged)
  return [column[:size] for column in merged]
