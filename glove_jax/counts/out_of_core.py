"""Counting a corpus of any size within bounds of memory, and going on after a
kill.

As much text as there is memory for is counted at a time. Where that is not all
of it, the counts of each part become a sorted run on disk, and in the end the
runs are merged. A run also says where in the corpus its part ends, so that a
killed count goes on behind the last finished one. Counts are integers until
they are written, so the parts change no bit.
"""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import config as configs
from glove_jax.config import CountConfig
from glove_jax.counts import cooccur, stanford, triplets
from glove_jax.counts.pair_counter import CELLS, Entries, PairCounter
from glove_jax.counts.spill import Runs
from glove_jax.text import compiled, reading
from glove_jax.text.compiled import Text
from glove_jax.text.vocab import Vocab
from glove_jax.threads import default_threads

_KEY_BYTES = 8 + 12  # in a page, and when it has been summed
_THREAD_BYTES = 8 * CELLS + (80 << 20)  # cells; text, ids and entries at work
_WORD_BYTES = 512  # of a vocabulary, at most, with all tables
_LEAST_KEYS = 1 << 22
_ADDED_ENTRIES = 1 << 22  # at a time; the same in a run that goes on


class Plan(NamedTuple):
  """What counting may use."""

  threads: int
  max_keys: int  # to hold at a time
  memory: float  # bytes, in all


class Added(NamedTuple):
  """Counts from another run, to be added."""

  folder: str | os.PathLike
  ids: np.ndarray  # [its V] int32: its words' ids now, -1 for those left out


def make_plan(config: CountConfig, vocab_size: int) -> Plan:
  """What to use of the machine.

  Raises:
    ValueError: `memory_gb` is too little for the vocabulary and the threads.
  """
  threads = config.threads or default_threads()
  memory = config.memory_gb * 1e9 or machine_memory() / 2
  fixed = (threads + 1) * _THREAD_BYTES + _WORD_BYTES * vocab_size
  max_keys = int((memory - fixed) // _KEY_BYTES)
  if max_keys < _LEAST_KEYS:
    least = (fixed + _LEAST_KEYS * _KEY_BYTES) / 1e9
    raise ValueError(
      f"memory_gb={memory / 1e9:.2f} is too little to count {vocab_size:,} "
      f"words in {threads} threads, which takes {least:.2f} or more: raise it, "
      "or lower threads or max_vocab"
    )
  return Plan(threads, max_keys, memory)


def machine_memory() -> int:
  """Bytes."""
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def count_corpus(
  text: Text,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
  *,
  source: dict,
  added: Sequence[Added] = (),
  progress: Callable[[int], object] | None = None,
) -> None:
  """Counts which words occur near which, into a folder of triplets.

  Args:
    text: the files; with no paths nothing but `added` is summed.
    vocab: gives the ids.
    folder: for `read_triplets`; parts lie beside it, in `<folder>.parts`.
    config: what to count, and what may be used for it.
    source: all that the counts depend on: parts that a killed count with the
      same has left are used.
    added: counts to add to those of the text.
    progress: called with the number of words counted since its last call.

  Raises:
    ValueError: a vocabulary of one word, too little memory, or added counts
      that are not of the same kind.
    OSError: a file cannot be read or written.
    OverflowError: a count outgrows 64 bits.
  """
  cooccur.check_vocab_size(len(vocab))
  plan = make_plan(config, len(vocab))
  runs = Runs(
    pathlib.Path(f"{folder}.parts"),
    source,
    threads=plan.threads,
    entries=plan.max_keys // 4,
  )
  add_counts(runs, added, config)
  if not runs.facts.get("done"):
    _count_text(text, vocab, folder, config, plan, runs, progress)
  if len(runs):
    _write(runs.merge(), folder, vocab, config)
  runs.remove()


def _count_text(text, vocab, folder, config, plan, runs, progress) -> None:
  """Counts what is not in the runs yet: into one more, or all of it at once."""
  start = reading.Position(*runs.facts.get("end", ()))
  parts = count_parts(
    text._replace(section=reading.Section(start)), vocab, config, plan,
    tail=runs.facts.get("tail", []), progress=progress,
  )  # fmt: skip
  for entries, facts in parts:
    if facts.get("done") and not len(runs):
      _write(entries, folder, vocab, config)
    else:
      runs.write(entries, **runs.facts | facts)


def count_parts(
  text: Text,
  vocab: Vocab,
  config: CountConfig,
  plan: Plan,
  *,
  tail: Sequence[int] = (),
  progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[Iterator[Entries], dict]]:
  """Counts text, as much at a time as there is memory for.

  Args:
    text: the files, and the section of them to count.
    vocab: gives the ids.
    config: what to count.
    plan: what may be used for it.
    tail: ids before the section that its first ones can pair with.
    progress: called with the number of words counted since its last call.

  Yields:
    The sorted counts of each part, and facts: where it `end`s and the `tail`
    there, or, of the last one, that all is `done`.
  """
  ids = compiled.read_ids(
    text, vocab, keep_places=config.keep_places, threads=plan.threads
  )
  end = text.section.start
  with PairCounter(
    len(vocab),
    cooccur.distance_units(config.window, config.distance_weighting),
    context=config.context,
    threads=plan.threads,
    max_keys=plan.max_keys,
  ) as counter:
    counter.tail = np.array(tail, np.int32)
    for block in ids:
      if not counter.add(block.ids):
        facts = {"end": end, "tail": counter.tail.tolist()}
        yield counter.finish(), facts
        counter.add(block.ids)
      end = block.end
      if progress:
        progress(int(np.count_nonzero(block.ids >= 0)))
    yield counter.finish(), {"done": True}


def _write(
  entries: Iterable[Entries],
  folder: str | os.PathLike,
  vocab: Vocab,
  config: CountConfig,
) -> None:
  triplets.write_blocks(
    (to_columns(block, config) for block in entries),
    folder,
    **manifest_facts(vocab, config),
  )


def to_columns(entries: Entries, config: CountConfig) -> tuple[np.ndarray, ...]:
  """Rows, columns and counts of 1.0, as on disk, from counts of units."""
  count = (entries.units / _unit(config)).astype(config.count_dtype)
  return entries.row, entries.col, count


def manifest_facts(vocab: Vocab, config: CountConfig) -> dict:
  """What the manifest of counts says of their kind."""
  kind = {"vocab_size": len(vocab), "unit": _unit(config)}
  return kind | configs.settings(config)


def import_records(
  path: str | os.PathLike,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
) -> None:
  """Makes a folder of triplets from Stanford's records.

  Args:
    path: `cooccurrence.bin` or `cooccurrence.shuf.bin`.
    vocab: the `vocab.txt` that belongs to it.
    folder: for `read_triplets`.
    config: how it was counted.

  Raises:
    OSError: a file cannot be read or written.
    ValueError: the file is truncated, or belongs to another vocabulary.
  """
  triplets.write_blocks(
    (block[:3] for block in stanford.read_record_blocks(path, len(vocab))),
    folder,
    **manifest_facts(vocab, config),
  )


def _unit(config: CountConfig) -> int:
  units = cooccur.distance_units(config.window, config.distance_weighting)
  return int(units[0])


def add_counts(runs: Runs, added: Sequence[Added], config: CountConfig) -> None:
  """Writes the counts to be added that are not in the runs yet.

  Raises:
    ValueError: they are not of the same kind.
    OSError: a file cannot be read or written.
  """
  for number, entries in _added_entries(added, config):
    if number > runs.facts.get("added", 0):
      runs.write([entries], added=number)


def _added_entries(
  added: Sequence[Added], config: CountConfig
) -> Iterator[tuple[int, Entries]]:
  """The counts to be added, some at a time: (number from 1, sorted entries)."""
  number = 0
  for folder, new_ids in added:
    _check_kind(folder, config)
    counts = triplets.read_triplets(folder)
    for start in range(0, len(counts.row), _ADDED_ENTRIES):
      part = slice(start, start + _ADDED_ENTRIES)
      row, col = new_ids[counts.row[part]], new_ids[counts.col[part]]
      units = _whole(counts.count[part], _unit(config), folder)
      triplets.release(counts)
      order = np.lexsort((col, row))
      order = order[(row[order] >= 0) & (col[order] >= 0)]
      number += 1
      yield number, Entries(row[order], col[order], units[order])


def _check_kind(folder: str | os.PathLike, config: CountConfig) -> None:
  """Raises a ValueError where counts were not counted as `config` says."""
  facts = triplets.read_manifest(folder)
  for name in ("window", "context", "distance_weighting"):
    if facts.get(name) != getattr(config, name):
      raise ValueError(
        f"the counts in {os.fspath(folder)!r} cannot be added: their {name} is "
        f"{facts.get(name)}, not {getattr(config, name)}"
      )


def _whole(count: np.ndarray, unit: int, folder) -> np.ndarray:
  """[N] int64 units: exact from float64, to 24 bits from float32."""
  exact = count.astype(np.float64) * unit
  units = np.rint(exact)
  # Stanford's sums are running ones, and so a little off.
  slack = np.maximum(exact * max(np.finfo(count.dtype).eps, 1e-9), 1e-2)
  if (np.abs(exact - units) > slack).any():
    raise ValueError(
      f"the counts in {os.fspath(folder)!r} are not sums of 1/distance within "
      "the window that they are said to have"
    )
  return units.astype(np.int64)
