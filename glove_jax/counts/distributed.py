"""Counts a corpus section by section, with workers that share a file system.

The client cuts the corpus, hands out tasks and adds up. A task reads and writes
files in `<output>.parts` and returns a few facts. All sums are integers, and a
section starts with the tail of the words before it, so the counts are the same
bytes as those of `out_of_core`.

1. Words: one table per section, merged by the client.
2. Pairs: sorted runs of each section (`count_section`), as in `out_of_core`.
3. Ranges of keys (row, column) are merged over all runs (`merge_range`).
4. The merged ranges are cut into the shards of the counts (`write_shard`).

Each task writes one folder or file, whose name contains everything that the
content depends on and which appears atomically. So a task may be run twice,
even at the same time, and a restarted job finds what a killed one finished.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from glove_jax import atomic
from glove_jax.config import CountConfig
from glove_jax.counts import (
  column_files,
  cooccur,
  out_of_core,
  pair_counter,
  spill,
)
from glove_jax.counts.dask_pool import Resources
from glove_jax.counts.out_of_core import Added
from glove_jax.counts.spill import Run, Runs
from glove_jax.text import compiled, reading, word_table
from glove_jax.text.compiled import Text
from glove_jax.text.reading import Position, Section
from glove_jax.text.sections import cut_sections
from glove_jax.text.symbols import END
from glove_jax.text.vocab import Vocab, read_vocab, write_vocab
from glove_jax.text.word_runs import WordRuns

_LEAD_BYTES = 1 << 16  # bytes read before a section to find its tail
_SAMPLED = 1 << 18  # distance of the keys at which ranges may be cut
_RANGE = 1 << 24  # entries that a task merges, about
_DIGITS = 16  # of the hashes in file names
_NO_IDS = np.empty(0, np.int32)

# Yields task(item, resources) for each item, in any order, and starts when the
# first result is requested: `dask_pool.Cluster.map`.
Map = Callable[[Callable[[Any, Resources], Any], Iterable], Iterable]


class Counted(NamedTuple):
  """A section that has been counted."""

  runs: list[Run]
  cuts: list[int]  # a sample of their keys at equal distances
  words: int


class ShardPieces(NamedTuple):
  """The entries of merged runs that form one shard of the counts."""

  index: int
  pieces: list[tuple[Run, int, int]]  # (run, first entry, entry after the last)


def count_words(
  text: Text,
  folder: str | os.PathLike,
  *,
  source: dict,
  min_count: int,
  run: Map,
  progress: Callable[[int], object],
  runs: WordRuns | None = None,
) -> Counter[str]:
  """Like `compiled.count_words`, with workers.

  Args:
    text: the files.
    folder: parts are kept in `<folder>.parts`.
    source: everything that the words depend on, as JSON. The parts of a killed
      count are reused only if its source was equal.
    min_count: as for `compiled.count_words`.
    run: maps tasks over items, in workers.
    progress: called with the number of words counted since its last call.
    runs: bound the memory of the client's table of words.

  Raises:
    OSError: a file cannot be read or written.
  """
  home = _open_home(folder, source, text)
  sections = cut_sections(text.paths)
  for words in run(functools.partial(_count_section_words, home), sections):
    progress(words)
  runs, table = WordRuns() if runs is None else runs, word_table.new()
  for part in sections:
    found = word_table.read(_words_path(home, part))
    room = int(found.size[0]), int(found.ends[found.size[0]])
    table = word_table.merge(runs.make_room(table, *room), found)
  atomic.remove_folder(home.parent)
  return runs.total([table], min_count)


def _count_section_words(
  home: pathlib.Path, section: Section, resources: Resources
) -> int:
  path = _words_path(home, section)
  with contextlib.suppress(Exception):  # missing, or damaged in any way
    return int(word_table.read(path).counts.sum())
  text = _read_text(home)._replace(section=section)
  table = compiled.count_table(text, threads=resources.threads)
  word_table.write(table, path)
  return int(table.counts.sum())


def _words_path(home: pathlib.Path, section: Section) -> pathlib.Path:
  return home / f"words-{_name(section)}.npz"


def count_corpus(
  text: Text,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
  *,
  source: dict,
  added: Sequence[Added] = (),
  run: Map,
  progress: Callable[[int], object],
) -> None:
  """Like `out_of_core.count_corpus`, with workers; writes the same bytes.

  Args:
    text, vocab, folder, config, source, added: as there.
    run: maps tasks over items, in workers.
    progress: called with the number of words counted since its last call.

  Raises:
    ValueError, OSError, OverflowError: as there.
  """
  cooccur.check_vocab_size(len(vocab))
  home = _open_home(folder, source, text)
  write_vocab(vocab, home / "vocab.txt")
  old = Runs(home / "added", source, threads=1, entries=_RANGE)
  out_of_core.add_counts(old, added, config)
  runs, cuts = list(old), _sample(old)
  for section in run(
    functools.partial(count_section, home, config), cut_sections(text.paths)
  ):
    progress(section.words)
    runs += section.runs
    cuts += section.cuts
  merged = _merge(home, config, runs, cuts, run)
  task = functools.partial(write_shard, os.path.abspath(folder), config)
  column_files.write_shards(
    run(task, _cut_shards(merged)),
    folder,
    **out_of_core.manifest_facts(vocab, config),
  )
  atomic.remove_folder(home.parent)


def count_section(
  home: pathlib.Path,
  config: CountConfig,
  section: Section,
  resources: Resources,
) -> Counted:
  """A task: counts the pairs whose later word is in a section, into runs."""
  target = home / f"section-{_name(section)}"
  if not _finished(target):
    text, vocab = _read_text(home), _read_vocab(home)
    budget = _make_budget(config, resources, len(vocab))
    tail = _find_tail(text, vocab, config, section.start)
    with atomic.write_folder(target) as folder:
      runs = Runs(folder, {}, threads=budget.threads, entries=budget.entries)
      for entries, facts in out_of_core.count_parts(
        text._replace(section=section), vocab, config, budget, tail=tail
      ):
        runs.write(entries, **facts)
  finished = _finished(target)
  return Counted(finished, _sample(finished), finished[-1].facts["words"])


def _find_tail(
  text: Text, vocab: Vocab, config: CountConfig, end: Position
) -> list[int]:
  """The ids before a position with which those after it can pair."""
  lead = _LEAD_BYTES
  while end.byte:
    start = Position(end.file)
    if lead < end.byte:
      low = end.byte - lead
      start = reading.find_cut(text.paths, end.file, low, end.byte) or end
    section = text._replace(section=Section(start, end))
    blocks = compiled.read_ids(section, vocab, keep_places=config.keep_places)
    ids = np.concatenate([_NO_IDS, *(block.ids for block in blocks)])
    if not start.byte or len(ids) >= config.window or END in ids:
      return pair_counter.find_tail(ids, config.window).tolist()
    lead *= 8
  return []  # at the start of a file


def _merge(
  home: pathlib.Path,
  config: CountConfig,
  runs: Sequence[Run],
  cuts: list[int],
  run: Map,
) -> list[Run]:
  """Merges runs into one run per range of keys, in the order of the keys.

  The ranges have similar loads because `cuts` samples the keys of all runs.
  With _SAMPLED = 2 and _RANGE = 4:

    keys      run 0: 1 2 5 8, run 1: 2 3 4 9
    samples   1 5 and 2 4, sorted 1 2 4 5; every second after the first is 4
    ranges    0..3: 1 2 and 2 3        4..MAX_KEY: 5 8 and 4 9
  """
  runs = sorted(runs, key=lambda part: part.path)
  names = [(os.fspath(one.path.relative_to(home)), one.size) for one in runs]
  path = home / f"runs-{atomic.fingerprint(names, _DIGITS)}.json"
  atomic.write_json(path, names)
  step = max(1, _RANGE // _SAMPLED)
  cuts = [0, *sorted(set(sorted(cuts)[step::step])), spill.MAX_KEY]
  ranges = itertools.pairwise(cuts)
  merged = run(functools.partial(merge_range, path, config), ranges)
  return [merged_run for _, merged_run in sorted(merged, key=lambda m: m[0])]


def merge_range(
  path: pathlib.Path,
  config: CountConfig,
  keys: tuple[int, int],
  resources: Resources,
) -> tuple[int, Run]:
  """A task: merges a range of keys of all runs; returns (first key, run)."""
  low, high = keys
  target = path.with_name(f"{path.stem}-{low:x}-{high:x}")
  if not _finished(target):
    budget = _make_budget(config, resources, len(_read_vocab(path.parent)))
    merged = spill.merge(
      _read_runs(path), threads=budget.threads, entries=budget.entries,
      low=low, high=high,
    )  # fmt: skip
    with atomic.write_folder(target) as folder:
      spill.write_run(folder, merged, {"done": True})
  return low, _finished(target)[0]


def _cut_shards(merged: Sequence[Run]) -> list[ShardPieces]:
  """Finds the entries of each shard in consecutive runs.

  With shards of 4 entries and runs of 3, 2 and 4:

    shard 0   run 0[0:3], run 1[0:1]
    shard 1   run 1[1:2], run 2[0:3]
    shard 2   run 2[3:4]
  """
  shards: list[ShardPieces] = []
  room = 0
  for run in merged:
    start = 0
    while start < run.size:
      if not room:
        shards.append(ShardPieces(len(shards), []))
        room = column_files.SHARD
      end = min(run.size, start + room)
      shards[-1].pieces.append((run, start, end))
      room -= end - start
      start = end
  return shards


def write_shard(
  folder: str, config: CountConfig, shard: ShardPieces, resources: Resources
) -> column_files.WrittenShard:
  """A task: writes a shard of the counts, in little memory."""
  keys, units = (
    np.concatenate(
      [spill.read(run, suffix, start, end) for run, start, end in shard.pieces]
    )
    for suffix in ("keys", "units")
  )
  columns = out_of_core.to_columns(spill.to_entries(keys, units), config)
  return column_files.write_shard(folder, shard.index, columns)


def _make_budget(
  config: CountConfig, resources: Resources, vocab_size: int
) -> out_of_core.Budget:
  local = dataclasses.replace(config, **resources._asdict())
  return out_of_core.make_budget(local, vocab_size)


def _open_home(
  folder: str | os.PathLike, source: dict, text: Text
) -> pathlib.Path:
  """Creates the folder of all parts of one job; removes those of other jobs.

  Its name depends on what is counted, so a worker still busy with a finished
  job cannot disturb the next one.
  """
  parts = pathlib.Path(os.path.abspath(f"{folder}.parts"))
  home = parts / atomic.fingerprint(source, _DIGITS)
  if not home.exists():
    if parts.exists():
      atomic.remove_folder(parts)
    home.mkdir(parents=True)
  paths = [os.path.abspath(path) for path in text.paths]
  atomic.write_json(home / "text.json", text._replace(paths=paths)[:4])
  return home


@functools.lru_cache(1)
def _read_text(home: pathlib.Path) -> Text:
  return Text(*atomic.read_json(home / "text.json"))


@functools.lru_cache(1)
def _read_vocab(home: pathlib.Path) -> Vocab:
  return read_vocab(home / "vocab.txt")


@functools.lru_cache(1)
def _read_runs(path: pathlib.Path) -> list[Run]:
  names = atomic.read_json(path)
  return [Run(path.parent / name, 0, size, [], {}) for name, size in names]


def _finished(folder: pathlib.Path) -> list[Run]:
  """The runs that a task wrote; [] if they are missing or incomplete."""
  runs = spill.find_runs(folder)
  if runs and runs[-1].facts.get("done"):
    return runs
  if folder.exists():
    atomic.remove_folder(folder)  # the machine went down while it was written
  return []


def _sample(runs: Iterable[Run]) -> list[int]:
  """Every _SAMPLED-th key of each run."""
  return [
    key
    for run in runs
    if run.size
    for key in run.column("keys")[::_SAMPLED].tolist()
  ]


def _name(section: Section) -> str:
  """A file name for a section.

  >>> _name(Section(Position(0, 5), Position(2, 7)))
  '0.5-2.7'
  """
  (file, byte, _), (last_file, last_byte, _) = section
  return f"{file}.{byte}-{last_file}.{last_byte}"
