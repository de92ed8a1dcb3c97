"""Counts a corpus of any size within a bound of memory; a kill loses little.

Text is counted until memory is full. If that is not all of it, the counts of
each part become a sorted run on disk, and the runs are merged at the end. A run
also stores where in the corpus its part ends, so a killed count resumes after
the last finished run. Counts are integers until they are written, so the parts
do not change the result.
"""

import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.config import CountConfig, check_type
from glove_jax.config import settings as config_settings
from glove_jax.counts import column_files, cooccur, stanford, triplets
from glove_jax.counts.pair_counter import ENTRIES, Entries, PairCounter
from glove_jax.counts.spill import Runs
from glove_jax.memory import machine_memory
from glove_jax.text import compiled, reading
from glove_jax.text.compiled import Text
from glove_jax.text.vocab import Vocab, fingerprint
from glove_jax.text.word_runs import WordRuns
from glove_jax.threads import default_threads, ordered_map

_ID_BYTES = 4 + 4  # a word of the text, and its position
_THREAD_BYTES = (20 << 20) + 64 * ENTRIES  # text and ids; entries
_SHARD_BYTES = 2 * 16 * column_files.SHARD  # one being filled, one written
_MOST_GB = 1e6  # more memory is of no use
_WORD_BYTES = 512  # per word of the vocabulary, at most, in all tables
_ROW_BYTES = 64  # the same in each thread: its row of sums, and its entries
_MIN_WORDS = 1 << 22
_ADDED_ENTRIES = 1 << 22  # at a time; must not change before a resume


class Budget(NamedTuple):
  """The threads and memory that counting may use."""

  threads: int
  max_words: int  # of the text, to hold in memory
  memory: float  # bytes in total

  @property
  def entries(self) -> int:
    """The number of entries of runs to hold in memory when they are merged."""
    return self.max_words // 10  # 80 bytes each


class Added(NamedTuple):
  """Counts of another run, which are added to the new ones."""

  folder: str | os.PathLike
  ids: np.ndarray  # [V of the run] int32: new ids of its words, -1 to drop one


def make_budget(config: CountConfig, vocab_size: int) -> Budget:
  """The budget of a config, by default one thread per CPU and half the memory.

  Raises:
    ValueError: `memory_gb` is too small for the vocabulary and the threads.
  """
  threads = config.threads or default_threads()
  memory = _memory(config)
  per_thread = _THREAD_BYTES + _ROW_BYTES * vocab_size
  fixed = _SHARD_BYTES + _WORD_BYTES * vocab_size + (threads + 1) * per_thread
  max_words = int((memory - fixed) // _ID_BYTES)
  if max_words < _MIN_WORDS:
    least = (fixed + _MIN_WORDS * _ID_BYTES) / 1e9
    raise ValueError(
      f"memory_gb={memory / 1e9:.2f} is too small to count {vocab_size:,} "
      f"words in {threads} threads, which needs {least:.2f} or more: raise it, "
      "or lower threads or max_vocab."
    )
  return Budget(threads, max_words, memory)


def fits(config: CountConfig, words: Vocab) -> bool:
  """Whether a text with these words can be counted in one part, in memory.

  Raises:
    ValueError: as `make_budget`.
  """
  budget = make_budget(config, len(words))
  return int(words.counts.sum()) <= budget.max_words


def max_kept(config: CountConfig) -> int:
  """How many words of a text to keep while its words are counted.

  With what counting pairs adds, they take half of the memory; the other half is
  for the table of words.
  """
  return int(_memory(config) / 2 // _ID_BYTES)


def word_runs(config: CountConfig, folder: str | os.PathLike) -> WordRuns:
  """Bounds the tables of all words, one for each thread: see `max_kept`.

  Args:
    config: the memory and threads to use.
    folder: on the disk that has the words beyond the bound.
  """
  threads = config.threads or default_threads()
  return WordRuns(_memory(config) / 2 / threads, folder)


def _memory(config: CountConfig) -> float:
  return min(config.memory_gb, _MOST_GB) * 1e9 or machine_memory() / 2


def count_corpus(
  text: Text,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
  *,
  source: dict,
  added: Sequence[Added] = (),
  kept: compiled.Kept | None = None,
  progress: Callable[[int], object] | None = None,
) -> None:
  """Counts how often words occur near each other, into a folder of triplets.

  Args:
    text: the files; without paths only `added` is summed.
    vocab: the words and their ids.
    folder: written for `read_triplets`; parts are kept in `<folder>.parts`.
    config: what to count, and the memory and threads to use.
    source: everything that the counts depend on, as JSON. The parts of a killed
      count are reused only if its source was equal.
    added: counts to add to those of the text.
    kept: the words of the text, if they were kept when they were counted.
    progress: called with the number of words counted since its last call.

  Raises:
    ValueError: a vocabulary of one word, too little memory, or added counts of
      another kind.
    OSError: a file cannot be read or written.
    OverflowError: a count exceeds 64 bits.
  """
  check_type(config, CountConfig)
  cooccur.check_vocab_size(len(vocab))
  budget = make_budget(config, len(vocab))
  runs = Runs(
    pathlib.Path(f"{folder}.parts"),
    source,
    threads=budget.threads,
    entries=budget.entries,
  )
  add_counts(runs, added, config)
  if not runs.facts.get("done"):
    _count_text(text, vocab, folder, config, budget, runs, kept, progress)
  if len(runs):
    _write(runs.merge(), folder, vocab, config)
  runs.remove()


def _count_text(
  text, vocab, folder, config, budget, runs, kept, progress
) -> None:
  """Counts the text after the last run: into runs, or directly if it fits."""
  start = reading.Position(*runs.facts.get("end", ()))
  parts = count_parts(
    text._replace(section=reading.Section(start)), vocab, config, budget,
    tail=runs.facts.get("tail", []), kept=kept, progress=progress,
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
  budget: Budget,
  *,
  tail: Sequence[int] = (),
  kept: compiled.Kept | None = None,
  progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[Iterator[Entries], dict]]:
  """Counts text in parts that fit into memory.

  Args:
    text: the files, and the section of them to count.
    vocab: the words and their ids.
    config: what to count.
    budget: the threads and memory to use.
    tail: ids before the section with which its first ones can pair.
    kept: the words of the section, if they were kept when they were counted.
    progress: called with the number of words counted since its last call.

  Yields:
    (entries, facts) of each part: its sorted counts, and the `end` of the part
    with the `tail` of ids there and the number of `words` up to it. The facts
    of the last part are `done`, and `words`.
  """
  ids = compiled.read_ids(
    text, vocab, keep_places=config.keep_places, threads=budget.threads,
    kept=kept,
  )  # fmt: skip
  end, words = text.section.start, 0
  counter = PairCounter(
    len(vocab),
    cooccur.distance_units(config.window, config.distance_weighting),
    context=config.context,
    threads=budget.threads,
    max_words=budget.max_words,
  )
  counter.tail = np.array(tail, np.int32)
  for block in ids:
    if not counter.add(block.ids):
      facts = {"end": end, "tail": counter.tail.tolist(), "words": words}
      yield counter.finish(progress), facts
      counter.add(block.ids)
    end = block.end
    words += int(np.count_nonzero(block.ids >= 0))
  yield counter.finish(progress), {"done": True, "words": words}


def _write(
  entries: Iterable[Entries],
  folder: str | os.PathLike,
  vocab: Vocab,
  config: CountConfig,
) -> None:
  columns = functools.partial(to_columns, config=config)
  column_files.write_blocks(
    ordered_map(columns, entries, threads=1),
    folder,
    **manifest_facts(vocab, config),
  )


def to_columns(entries: Entries, config: CountConfig) -> tuple[np.ndarray, ...]:
  """Converts units to the columns on disk: rows, columns and counts."""
  count = np.empty(len(entries.units), config.count_dtype)
  np.divide(entries.units, _unit(config), out=count, casting="same_kind")
  return entries.row, entries.col, count


def manifest_facts(vocab: Vocab, config: CountConfig) -> dict:
  """The entries of the manifest that describe the kind of counts."""
  kind = {"vocab_size": len(vocab), "vocab": fingerprint(vocab)}
  kind["unit"] = _unit(config)
  return kind | config_settings(config)


def import_records(
  path: str | os.PathLike,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
) -> None:
  """Converts Stanford's records to a folder of triplets.

  Args:
    path: `cooccurrence.bin` or `cooccurrence.shuf.bin`.
    vocab: the vocabulary of the records.
    folder: written for `read_triplets`.
    config: how the records were counted.

  Raises:
    OSError: a file cannot be read or written.
    ValueError: the file is truncated, or belongs to another vocabulary.
  """
  column_files.write_blocks(
    (block[:3] for block in stanford.read_record_blocks(path, len(vocab))),
    folder,
    **manifest_facts(vocab, config),
  )


def _unit(config: CountConfig) -> int:
  units = cooccur.distance_units(config.window, config.distance_weighting)
  return int(units[0])


def add_counts(runs: Runs, added: Sequence[Added], config: CountConfig) -> None:
  """Writes added counts as runs, except those that are in the runs already.

  Args:
    runs: the runs of this count.
    added: counts to add.
    config: the settings of the count.

  Raises:
    ValueError: the counts are of another kind.
    OSError: a file cannot be read or written.
  """
  for number, entries in _added_entries(added, config):
    if number > runs.facts.get("added", 0):
      runs.write([entries], added=number)


def _added_entries(
  added: Sequence[Added], config: CountConfig
) -> Iterator[tuple[int, Entries]]:
  """Yields added counts in blocks: (number from 1, sorted entries)."""
  number = 0
  for folder, new_ids in added:
    _check_kind(folder, config)
    counts = triplets.read_triplets(folder)
    for start in range(0, len(counts.row), _ADDED_ENTRIES):
      part = slice(start, start + _ADDED_ENTRIES)
      row, col = new_ids[counts.row[part]], new_ids[counts.col[part]]
      units = _to_units(counts.count[part], _unit(config), folder)
      triplets.release(counts)
      order = np.lexsort((col, row))
      order = order[(row[order] >= 0) & (col[order] >= 0)]
      number += 1
      yield number, Entries(row[order], col[order], units[order])


def _check_kind(folder: str | os.PathLike, config: CountConfig) -> None:
  """Raises a ValueError if counts differ in kind from those of `config`."""
  facts = column_files.read_manifest(folder)
  for name in ("window", "context", "distance_weighting"):
    if facts.get(name) != getattr(config, name):
      raise ValueError(
        f"The counts in {os.fspath(folder)!r} cannot be added: their {name} is "
        f"{facts.get(name)}, not {getattr(config, name)}."
      )


def _to_units(count: np.ndarray, unit: int, folder) -> np.ndarray:
  """[N] int64 units: exact for float64 counts, to 24 bits for float32."""
  exact = count.astype(np.float64) * unit
  units = np.rint(exact)
  # Stanford's running sums carry small rounding errors.
  slack = np.maximum(exact * max(np.finfo(count.dtype).eps, 1e-9), 1e-2)
  if (np.abs(exact - units) > slack).any():
    raise ValueError(
      f"The counts in {os.fspath(folder)!r} are not sums of 1/distance within "
      "the window of their manifest."
    )
  return units.astype(np.int64)
