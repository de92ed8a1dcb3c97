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
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import atomic
from glove_jax.counts import kernels
from glove_jax.counts.pair_counter import Entries, check_overflow
from glove_jax.threads import ordered_map

MAX_RUNS = 64  # more are merged into one
MAX_KEY = 1 << 62
_ROW_BITS = 32


class Run(NamedTuple):
  """A finished run.

  Attributes:
    path: of its files, without what follows the dot.
    first: it holds all that the runs of the numbers `first` to its own held.
    size: how many entries it has.
    facts: what its writer wanted to know again.
  """

  path: pathlib.Path
  first: int
  size: int
  facts: dict

  @property
  def number(self) -> int:
    return int(self.path.name.removeprefix("run-"))

  def file(self, suffix: str) -> pathlib.Path:
    return self.path.with_name(f"{self.path.name}.{suffix}")

  def column(self, suffix: str) -> np.memmap:
    """`keys` or `units`: [size] int64, in memory only where it is looked at."""
    return np.memmap(self.file(suffix), np.int64, "r")


def find_runs(folder: pathlib.Path) -> list[Run]:
  """The runs in a folder, without those that later ones hold again."""
  found: list[Run] = []
  for path in sorted(folder.glob("run-*.json")):
    run = Run(path.with_suffix(""), **json.loads(path.read_text()))
    if any(size != 8 * run.size for size in _sizes(run)):
      break  # the machine went down before all of it was on the disk
    while found and found[-1].number >= run.first:
      _remove(found.pop())
    found.append(run)
  return found


def _sizes(run: Run) -> list[int]:
  paths = [run.file(suffix) for suffix in ("keys", "units")]
  return [path.stat().st_size if path.exists() else -1 for path in paths]


def _remove(run: Run) -> None:
  for suffix in ("json", "keys", "units"):
    run.file(suffix).unlink(missing_ok=True)


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
      self._runs = find_runs(folder)
      return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    atomic.write_json(task_file, task)

  def __len__(self) -> int:
    return len(self._runs)

  def __iter__(self) -> Iterator[Run]:
    return iter(self._runs)

  @property
  def facts(self) -> dict:
    """What was to be known again of the last run; {} where there is none."""
    return self._runs[-1].facts if self._runs else {}

  def write(self, entries: Iterable[Entries], **facts) -> None:
    """Writes the next run.

    Raises:
      OSError: it cannot be written.
    """
    number = self._runs[-1].number + 1 if self._runs else 0
    keys = ((_keys(block), block.units) for block in entries)
    self._runs.append(write_run(self._folder, keys, facts, number))
    if len(self._runs) == MAX_RUNS:
      old, first = self._runs, self._runs[0].first
      merged = write_run(
        self._folder, self._merge(), self.facts, number + 1, first
      )
      self._runs = [merged]
      for run in old:
        _remove(run)

  def merge(self) -> Iterator[Entries]:
    """The sums of all runs, sorted, some at a time.

    Raises:
      OverflowError: a count outgrew 64 bits.
    """
    for keys, units in self._merge():
      yield to_entries(keys, units)

  def _merge(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return merge(self._runs, threads=self._threads, entries=self._entries)

  def remove(self) -> None:
    """Removes the folder and all runs in it."""
    (self._folder / "task.json").unlink()  # what a kill leaves is no run now
    shutil.rmtree(self._folder)


def write_run(
  folder: pathlib.Path,
  blocks: Iterable[tuple[np.ndarray, np.ndarray]],
  facts: dict,
  number: int = 0,
  first: int | None = None,
) -> Run:
  """Writes a run of blocks of (keys, units).

  Raises:
    OSError: it cannot be written.
  """
  first = number if first is None else first
  run = Run(folder / f"run-{number:06d}", first, 0, facts)
  run.file("json").unlink(missing_ok=True)
  size = 0
  with (
    run.file("keys").open("wb") as key_file,
    run.file("units").open("wb") as unit_file,
  ):
    for keys, units in blocks:
      keys.tofile(key_file)
      units.tofile(unit_file)
      size += len(keys)
  contents = {"first": first, "size": size, "facts": facts}
  atomic.write_json(run.file("json"), contents)
  return run._replace(size=size)


def merge(
  runs: Sequence[Run],
  *,
  threads: int,
  entries: int,
  low: int = 0,
  high: int = MAX_KEY,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """The sums of runs, sorted, some at a time: (keys, units).

  A range of keys is read of each run at a time, so that no file stays open.

  Args:
    runs: what to add up.
    threads: how many merge.
    entries: how many to hold at a time.
    low, high: only the keys from `low` to below `high`.
  """
  runs = [run for run in runs if run.size]
  step = max(1, entries // (threads + 2) // max(1, len(runs)))

  def merge_range(cuts: tuple[list[int], list[int]]):
    parts = [
      [read(run, suffix, start, end) for suffix in ("keys", "units")]
      for run, start, end in zip(runs, *cuts, strict=True)
      if end > start
    ]
    while len(parts) > 1:
      pairs = zip(parts[::2], parts[1::2], strict=False)
      odd = parts[len(parts) // 2 * 2 :]
      parts = [_merge_two(*pair) for pair in pairs] + odd
    return parts[0]

  cuts = itertools.pairwise(_cuts(runs, step, low, high))
  yield from ordered_map(merge_range, cuts, threads)


def _cuts(
  runs: Sequence[Run], step: int, low: int, high: int
) -> Iterator[list[int]]:
  """Where in each run the ranges to merge begin and end."""
  columns = [run.column("keys") for run in runs]
  places, ends = [], []
  for column in columns:
    place, end = np.searchsorted(column, [low, high]).tolist()
    places.append(place)
    ends.append(end)
    _release(column)
  yield places
  while places != ends:
    ahead = [
      column[place + step]
      for column, place, end in zip(columns, places, ends, strict=True)
      if place + step < end
    ]
    limit = min(ahead, default=high)
    # Not beyond a step, for pages farther on may have to come from the disk.
    places = [
      place
      + int(np.searchsorted(column[place : min(place + step, end)], limit))
      for column, place, end in zip(columns, places, ends, strict=True)
    ]
    yield places
    for column in columns:
      _release(column)


def _release(column: np.memmap) -> None:
  """Gives back the memory of what was looked at: of many runs it adds up."""
  column._mmap.madvise(mmap.MADV_DONTNEED)


def read(run: Run, suffix: str, start: int, end: int) -> np.ndarray:
  """[end - start] int64: some of the `keys` or `units` of a run."""
  return np.fromfile(run.file(suffix), np.int64, end - start, offset=8 * start)


def to_entries(keys: np.ndarray, units: np.ndarray) -> Entries:
  """Entries from keys.

  Raises:
    OverflowError: a count outgrew 64 bits.
  """
  row = (keys >> _ROW_BITS).astype(np.int32)
  return check_overflow(Entries(row, keys.astype(np.int32), units))


def _keys(entries: Entries) -> np.ndarray:
  return entries.row.astype(np.int64) << _ROW_BITS | entries.col


def _merge_two(left, right) -> list[np.ndarray]:
  size = len(left[0]) + len(right[0])
  merged = [np.empty(size, np.int64), np.empty(size, np.int64)]
  size = kernels.merge_sums(*left, *right, *merged)
  return [column[:size] for column in merged]
