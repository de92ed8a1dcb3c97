"""Counting a corpus section by section, by workers that see the same files.

The client cuts the corpus, hands out tasks and sums up; a task reads and writes
files in `<output>.parts`, and answers with a few facts. Sums are of integers,
and a section begins with the tail of the words before it, so the counts are the
same bytes as those of `counting`, whoever counts what.

1. Words: a table of each section, which the client merges.
2. Pairs: sorted runs of each section (`count_section`), as `counting` makes.
3. Ranges of keys (row, column) are merged over all runs (`merge_range`).
4. The merged ranges are cut into the shards of the counts (`write_shard`).

What a task leaves is in a folder or file of its own, which says by its name all
that it depends on, and takes that name when it is whole. So a task may be done
twice, even at once; and what a killed job has finished is found again.
"""

import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from glove_jax import atomic
from glove_jax.config import CountConfig
from glove_jax.counts import cooccur, out_of_core, pair_counter, triplets
from glove_jax.counts import spill as sorted_runs
from glove_jax.counts.dask_pool import Share
from glove_jax.counts.out_of_core import Added
from glove_jax.counts.spill import Run, Runs
from glove_jax.text import compiled, reading
from glove_jax.text import vocab as vocabs
from glove_jax.text.compiled import Text
from glove_jax.text.kernels import END
from glove_jax.text.reading import Position, Section
from glove_jax.text.vocab import Vocab

SECTION_BYTES = 32 << 20
_LEAD_BYTES = 1 << 16  # of text before a section that are read for its tail
_SAMPLED = 1 << 18  # one key of so many says where ranges may be cut
_RANGE = 1 << 24  # entries of all runs that a task merges, about
_NO_IDS = np.empty(0, np.int32)

# Yields what task(item, share) returns for each item, in any order, and starts
# when the first is asked for, as `cluster.Cluster.map` does.
Map = Callable[[Callable[[Any, Share], Any], Iterable], Iterable]


class Counted(NamedTuple):
  """A section that has been counted."""

  runs: list[Run]
  cuts: list[int]  # some of their keys, at equal distances
  words: int


class Shard(NamedTuple):
  """Which entries of merged runs make a shard of the counts."""

  number: int
  pieces: list[tuple[Run, int, int]]  # a run, from where in it, to where


def cut_sections(paths: Sequence[str]) -> list[Section]:
  """Cuts files into sections of about SECTION_BYTES.

  Small files are put together; compressed ones, which cannot be entered in the
  middle, are never cut.

  Raises:
    OSError: a file is missing or cannot be read.
  """
  cuts, filled = [], 0
  for number, path in enumerate(paths):
    size = os.path.getsize(path)
    if not cuts or filled + size > SECTION_BYTES:
      cuts.append(Position(number))
      filled = 0
    filled += size
    if size > SECTION_BYTES and not reading.is_compressed(path):
      cuts += _cut_file(paths, number, size)
  cuts.append(Position(len(paths)))
  return [Section(*pair) for pair in itertools.pairwise(cuts)]


def _cut_file(paths: Sequence[str], number: int, size: int) -> list[Position]:
  pieces = -(-size // SECTION_BYTES)
  lows = [size * piece // pieces for piece in range(1, pieces)]
  cuts = {reading.find_cut(paths, number, low, size) for low in lows}
  return sorted(cut for cut in cuts if cut and cut.byte < size)


def count_words(
  text: Text,
  folder: str | os.PathLike,
  *,
  source: dict,
  min_count: int,
  run: Map,
  progress: Callable[[int], object],
) -> Counter[str]:
  """As `tokens.count_words`, by workers.

  Args:
    text: the files.
    folder: parts lie beside it, in `<folder>.parts`.
    source: all that the words depend on: parts that a killed count with the
      same has left are used.
    min_count: as for `tokens.count_words`.
    run: has the workers do it.
    progress: called with the number of words counted since its last call.

  Raises:
    OSError: a file cannot be read or written.
  """
  home = _open_home(folder, source, text)
  sections = cut_sections(text.paths)
  for words in run(functools.partial(_count_section_words, home), sections):
    progress(words)
  table = compiled.read_tables(_words_path(home, part) for part in sections)
  atomic.remove_folder(home.parent)
  return compiled.to_counter(table, min_count)


def _count_section_words(
  home: pathlib.Path, section: Section, share: Share
) -> int:
  path = _words_path(home, section)
  if not path.exists():
    text = _read_text(home)._replace(section=section)
    table = compiled.count_table(text, threads=share.threads)
    compiled.write_table(table, path)
  return int(compiled.read_tables([path]).counts.sum())


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
  """As `counting.count_corpus`, by workers; the same bytes.

  Args:
    text, vocab, folder, config, source, added: as there.
    run: has the workers do it.
    progress: called with the number of words counted since its last call.

  Raises:
    ValueError, OSError, OverflowError: as there.
  """
  cooccur.check_vocab_size(len(vocab))
  home = _open_home(folder, source, text)
  vocabs.write_vocab(vocab, home / "vocab.txt")
  old = Runs(home / "added", source, threads=1, entries=_RANGE)
  out_of_core.add_counts(old, added, config)
  found, cuts = list(old), _sample(old)
  for part in run(
    functools.partial(count_section, home, config), cut_sections(text.paths)
  ):
    progress(part.words)
    found += part.runs
    cuts += part.cuts
  merged = _merge(home, config, found, cuts, run)
  task = functools.partial(write_shard, os.path.abspath(folder), config)
  triplets.write_shards(
    run(task, _cut_shards(merged)),
    folder,
    **out_of_core.manifest_facts(vocab, config),
  )
  atomic.remove_folder(home.parent)


def count_section(
  home: pathlib.Path, config: CountConfig, section: Section, share: Share
) -> Counted:
  """Counts the pairs whose later word is in a section, into runs."""
  target = home / f"section-{_name(section)}"
  if not _finished(target):
    text, vocab = _read_text(home), _read_vocab(home)
    plan = _make_plan(config, share, len(vocab))
    tail = _find_tail(text, vocab, config, section.start)
    words = []
    with atomic.write_folder(target) as folder:
      made = Runs(folder, {}, threads=plan.threads, entries=plan.max_keys // 4)
      for entries, facts in out_of_core.count_parts(
        text._replace(section=section), vocab, config, plan,
        tail=tail, progress=words.append,
      ):  # fmt: skip
        made.write(entries, **facts, words=sum(words))
  found = _finished(target)
  return Counted(found, _sample(found), found[-1].facts["words"])


def _find_tail(
  text: Text, vocab: Vocab, config: CountConfig, end: Position
) -> list[int]:
  """Ids before a place in the corpus that those behind it can pair with."""
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
  return []  # a file begins


def _merge(
  home: pathlib.Path,
  config: CountConfig,
  found: Sequence[Run],
  cuts: list[int],
  run: Map,
) -> list[Run]:
  """Has the runs merged: into runs of ranges of keys, in their order."""
  found = sorted(found, key=lambda run: run.path)
  listed = [(os.fspath(run.path.relative_to(home)), run.size) for run in found]
  text = json.dumps(listed)
  path = home / f"runs-{_digest(text)}.json"
  atomic.write_text(path, text)
  step = max(1, _RANGE // _SAMPLED)
  cuts = [0, *sorted(set(sorted(cuts)[step::step])), sorted_runs.MAX_KEY]
  ranges = itertools.pairwise(cuts)
  merged = run(functools.partial(merge_range, path, config), ranges)
  return [part for _, part in sorted(merged, key=lambda item: item[0])]


def merge_range(
  path: pathlib.Path, config: CountConfig, keys: tuple[int, int], share: Share
) -> tuple[int, Run]:
  """Merges a range of keys of the runs in a list: (its first key, the run)."""
  low, high = keys
  target = path.with_name(f"{path.stem}-{low:x}-{high:x}")
  if not _finished(target):
    plan = _make_plan(config, share, len(_read_vocab(path.parent)))
    merged = sorted_runs.merge(
      _read_runs(path), threads=plan.threads, entries=plan.max_keys // 4,
      low=low, high=high,
    )  # fmt: skip
    with atomic.write_folder(target) as folder:
      sorted_runs.write_run(folder, merged, {"done": True})
  return low, _finished(target)[0]


def _cut_shards(merged: Sequence[Run]) -> list[Shard]:
  """Where the entries of each shard are in runs that follow each other."""
  shards: list[Shard] = []
  room = 0
  for run in merged:
    start = 0
    while start < run.size:
      if not room:
        shards.append(Shard(len(shards), []))
        room = triplets.SHARD
      end = min(run.size, start + room)
      shards[-1].pieces.append((run, start, end))
      room -= end - start
      start = end
  return shards


def write_shard(
  folder: str, config: CountConfig, shard: Shard, share: Share
) -> triplets.Shard:
  """Writes a shard of the counts; what it takes of memory is little."""
  keys, units = (
    np.concatenate(
      [
        sorted_runs.read(run, suffix, start, end)
        for run, start, end in shard.pieces
      ]
    )
    for suffix in ("keys", "units")
  )
  columns = out_of_core.to_columns(sorted_runs.to_entries(keys, units), config)
  return triplets.write_shard(folder, shard.number, columns)


def _make_plan(
  config: CountConfig, share: Share, vocab_size: int
) -> out_of_core.Plan:
  own = dataclasses.replace(config, **share._asdict())
  return out_of_core.make_plan(own, vocab_size)


def _open_home(
  folder: str | os.PathLike, source: dict, text: Text
) -> pathlib.Path:
  """The folder for all parts of one job; those of another are removed.

  It is named by what is counted: a worker that has not heard that its job is
  over, and another has begun, does no harm.
  """
  parts = pathlib.Path(os.path.abspath(f"{folder}.parts"))
  home = parts / _digest(json.dumps(source, sort_keys=True))
  if not home.exists():
    if parts.exists():
      atomic.remove_folder(parts)
    home.mkdir(parents=True)
  paths = [os.path.abspath(path) for path in text.paths]
  atomic.write_text(
    home / "text.json", json.dumps(text._replace(paths=paths)[:4]) + "\n"
  )
  return home


@functools.lru_cache(1)
def _read_text(home: pathlib.Path) -> Text:
  return Text(*json.loads((home / "text.json").read_text()))


@functools.lru_cache(1)
def _read_vocab(home: pathlib.Path) -> Vocab:
  return vocabs.read_vocab(home / "vocab.txt")


@functools.lru_cache(1)
def _read_runs(path: pathlib.Path) -> list[Run]:
  listed = json.loads(path.read_text())
  return [Run(path.parent / name, 0, size, {}) for name, size in listed]


def _finished(folder: pathlib.Path) -> list[Run]:
  """The runs that a task has left; [] where they are not all there."""
  found = sorted_runs.find_runs(folder)
  if found and found[-1].facts.get("done"):
    return found
  if folder.exists():
    atomic.remove_folder(folder)  # the machine went down while it was written
  return []


def _sample(found: Iterable[Run]) -> list[int]:
  return [
    key
    for run in found
    if run.size
    for key in run.column("keys")[::_SAMPLED].tolist()
  ]


def _name(section: Section) -> str:
  (file, byte, _), (last_file, last_byte, _) = section
  return f"{file}.{byte}-{last_file}.{last_byte}"


def _digest(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()[:16]
