"""Sorted runs of counts on disk, and merging them.

A run is a file of increasing int64 keys (row << 32 | column) and a file of
int64 units. A JSON file, which is written last, describes the run: without it
the run is unfinished and is ignored.
"""

import contextlib
import functools
import itertools
import json
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import atomic, memory
from glove_jax.counts import kernels
from glove_jax.counts.pair_counter import Entries, check_overflow
from glove_jax.threads import ordered_map

MAX_RUNS = 64  # as many are merged into one
MAX_KEY = 1 << 62
_ROW_BITS = 32


class Run(NamedTuple):
  """A finished run.

  Attributes:
    path: the path of its files without their suffix.
    first: the lowest number among the runs merged into it; its own number if it
      is not merged.
    size: the number of entries.
    crc32: of its keys, of its units, and of `first`, `size` and `facts`.
    facts: what its writer stored with it.
  """

  path: pathlib.Path
  first: int
  size: int
  crc32: list[int]
  facts: dict

  @property
  def number(self) -> int:
    return int(self.path.name.removeprefix("run-"))

  def file(self, suffix: str) -> pathlib.Path:
    return self.path.with_name(f"{self.path.name}.{suffix}")

  def column(self, suffix: str) -> np.memmap:
    """Maps `keys` or `units` into memory: [size] int64."""
    return np.memmap(self.file(suffix), np.int64, "r")


def find_runs(folder: pathlib.Path) -> list[Run]:
  """The finished runs in a folder, without gaps; removes all others.

  Runs follow each other: each begins where the one before ends. So a run after
  a missing or damaged one is of no use, and a merged run replaces those that it
  was merged from. With runs 0, 1, 2, a merged 3 of 0 to 2, then 4 and 6:

    3 (of 0 to 2), 4     are returned; 0, 1, 2 and 6 are removed
  """
  good = [run for path in sorted(folder.glob("run-*.json"))
          if (run := _read_run(path))]  # fmt: skip
  found: list[Run] = []
  for run in reversed(good):  # a merged run comes after those it replaces
    if not found or run.number < found[-1].first:
      found.append(run)
  found.reverse()
  expected, kept = 0, []
  for run in found:
    if run.first != expected:
      break
    kept.append(run)
    expected = run.number + 1
  names = {run.path.name for run in kept}
  for path in folder.glob("run-*.json"):
    if path.stem not in names:
      _remove(Run(path.with_suffix(""), 0, 0, [], {}))
  return kept


def _read_run(path: pathlib.Path) -> Run | None:
  """Reads a run of which all data is on disk as written; None if it is not."""
  try:
    content = atomic.read_json(path)
    run = Run(path.with_suffix(""), **content)
    return run if run.crc32 == _checksums(run) else None
  except (FileNotFoundError, ValueError, TypeError):
    return None


def _checksums(run: Run) -> list[int]:
  """The CRC-32 of the keys and the units of a run, and of its description."""
  crcs = []
  for suffix in ("keys", "units"):
    crcs.append(0)
    with run.file(suffix).open("rb") as file:
      for block in iter(functools.partial(file.read, 1 << 22), b""):
        crcs[-1] = zlib.crc32(block, crcs[-1])
  return [*crcs, _checksum_facts(run)]


def _checksum_facts(run: Run) -> int:
  facts = json.dumps([run.first, run.size, run.facts], sort_keys=True)
  return zlib.crc32(facts.encode())


def _remove(run: Run) -> None:
  for suffix in ("json", "keys", "units"):
    run.file(suffix).unlink(missing_ok=True)


class Runs:
  """The runs in a folder, all of one task.

  Args:
    folder: created if missing.
    task: what is being counted; runs of another task are removed.
    threads: the number of threads that merge.
    entries: the number of entries to hold in memory when merging.
  """

  def __init__(
    self, folder: pathlib.Path, task: dict, *, threads: int, entries: int
  ):
    self._folder = folder
    self._threads = threads
    self._entries = entries
    self._runs: list[Run] = []
    task_file = folder / "task.json"
    is_ours = False
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
      is_ours = atomic.read_json(task_file) == task  # else missing, or damaged
    if is_ours:
      self._runs = find_runs(folder)
      return
    atomic.remove(folder)
    folder.mkdir(parents=True)
    atomic.write_json(task_file, task)

  def __len__(self) -> int:
    return len(self._runs)

  def __iter__(self) -> Iterator[Run]:
    return iter(self._runs)

  @property
  def facts(self) -> dict:
    """The facts of the last run; {} if there is no run."""
    return self._runs[-1].facts if self._runs else {}

  def write(self, entries: Iterable[Entries], **facts) -> None:
    """Writes the next run; merges all runs if there are MAX_RUNS.

    Args:
      entries: blocks, sorted.
      **facts: what to store with the run, as JSON.

    Raises:
      OSError: the run cannot be written.
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
    """Yields the sums of all runs in sorted blocks.

    Raises:
      OverflowError: a count exceeds 64 bits.
    """
    for keys, units in self._merge():
      yield to_entries(keys, units)

  def _merge(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return merge(self._runs, threads=self._threads, entries=self._entries)

  def remove(self) -> None:
    """Removes the folder and all runs in it."""
    atomic.remove(self._folder)


def write_run(
  folder: pathlib.Path,
  blocks: Iterable[tuple[np.ndarray, np.ndarray]],
  facts: dict,
  number: int = 0,
  first: int | None = None,
) -> Run:
  """Writes a run.

  Args:
    folder: the folder of the run.
    blocks: sorted (keys, units), both int64.
    facts: what to store with the run, as JSON.
    number: of the run.
    first: the first run that this one replaces, by default itself.

  Raises:
    OSError: the run cannot be written.
  """
  first = number if first is None else first
  run = Run(folder / f"run-{number:06d}", first, 0, [], facts)
  run.file("json").unlink(missing_ok=True)
  size, crcs = 0, [0, 0]
  with contextlib.ExitStack() as stack:
    files = [
      stack.enter_context(memory.open_to_write(run.file(suffix)))
      for suffix in ("keys", "units")
    ]
    for keys, units in blocks:
      size += len(keys)
      for n, column in enumerate((keys, units)):
        files[n].write(np.ascontiguousarray(column))
        crcs[n] = zlib.crc32(np.ascontiguousarray(column), crcs[n])
    for file in files:  # on disk before their description
      file.flush()
      os.fsync(file.fileno())
  run = run._replace(size=size)
  run = run._replace(crc32=[*crcs, _checksum_facts(run)])
  contents = run._asdict()
  del contents["path"]
  atomic.write_json(run.file("json"), contents)
  return run


def merge(
  runs: Sequence[Run],
  *,
  threads: int,
  entries: int,
  low: int = 0,
  high: int = MAX_KEY,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields the sums of runs in sorted blocks of (keys, units).

  The same range of keys is read from all runs at a time. No file stays open.

  Args:
    runs: the runs to add up.
    threads: the number of threads.
    entries: the number of entries to hold in memory.
    low, high: the range of keys to merge, without `high`.
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
  """Yields positions in all runs that cut them at the same keys.

  The cuts are such that no piece of a run is longer than `step`: the next cut
  is at the smallest key that lies `step` ahead in some run. With step 2:

    keys of run 0   [1, 2, 5, 8]
    keys of run 1   [2, 3, 4, 9]
    from [0, 0]     ahead: 5 and 4  ->  cut before key 4: [2, 2]
    from [2, 2]     ahead: none     ->  cut at the end:   [4, 4]

  So (1, 2) merges with (2, 3), and then (5, 8) with (4, 9).
  """
  columns = [run.column("keys") for run in runs]
  positions, ends = [], []
  for column in columns:
    position, end = np.searchsorted(column, [low, high]).tolist()
    positions.append(position)
    ends.append(end)
    memory.release(column)
  yield positions
  while positions != ends:
    ahead = [
      column[position + step]
      for column, position, end in zip(columns, positions, ends, strict=True)
      if position + step < end
    ]
    limit = min(ahead, default=high)
    # Searching further than a step could read pages from the disk.
    nearby = [
      column[position : min(position + step, end)]
      for column, position, end in zip(columns, positions, ends, strict=True)
    ]
    positions = [
      position + int(np.searchsorted(keys, limit))
      for position, keys in zip(positions, nearby, strict=True)
    ]
    yield positions
    memory.release(*columns)  # the pages of many runs add up


def read(run: Run, suffix: str, start: int, end: int) -> np.ndarray:
  """Reads [end - start] int64 of the `keys` or `units` of a run."""
  return np.fromfile(run.file(suffix), np.int64, end - start, offset=8 * start)


def to_entries(keys: np.ndarray, units: np.ndarray) -> Entries:
  """Unpacks keys.

  >>> keys = np.array([(1 << 32) | 2, (3 << 32) | 0])
  >>> row, col, _ = to_entries(keys, np.array([5, 6]))
  >>> row.tolist(), col.tolist()
  ([1, 3], [2, 0])

  Raises:
    OverflowError: a count exceeds 64 bits.
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
