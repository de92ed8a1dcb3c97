"""Counting by sections, in this process, and resuming after a kill."""

import contextlib
import gzip
import itertools
import math
import os

import numpy as np
import pytest

from glove_jax import config
from glove_jax.counts import (
  column_files,
  dask_pool,
  distributed,
  out_of_core,
  triplets,
)
from glove_jax.text import compiled, reading, sections, tokenizers, vocab
from glove_jax.text.word_runs import WordRuns

NAMES = ("row.npy", "col.npy", "count.npy", "manifest.json")
RARE_SPACES = ("  ", "\t", "\n", "\n\n", " \n \n", "\r\n", " \n\t")
SPACES = (" ",) * 60 + RARE_SPACES


def make_text(seed=0, words=2500, spaces=SPACES, size=400):
  rng = np.random.default_rng(seed)
  ids = np.minimum(rng.zipf(1.3, words), size)
  return "".join(f"é{i}{spaces[rng.integers(len(spaces))]}" for i in ids)


def make_config(**options):
  return config.make_config(**{"window": 6, "memory_gb": 2.0} | options).count


RESOURCES = dask_pool.Resources(threads=1, memory_gb=2.0)


def run_here(task, items):
  for item in items:
    yield task(item, RESOURCES)


def count(text, words, folder, run=None, source=None, **options):
  """Counts into a folder: by sections that `run` has done, or all at once."""
  count_corpus, how = out_of_core.count_corpus, {}
  if run:
    count_corpus, how = distributed.count_corpus, {"run": run}
  count_corpus(
    text, words, folder, make_config(**options), source=source or {},
    progress=lambda number: None, **how,
  )  # fmt: skip


def same_bytes(one, other):
  return all((one / n).read_bytes() == (other / n).read_bytes() for n in NAMES)


@pytest.fixture
def small(monkeypatch):
  """Sizes at which a small text has many sections, runs, ranges and shards."""
  monkeypatch.setattr(reading, "BLOCK_BYTES", 100)
  monkeypatch.setattr(sections, "SECTION_BYTES", 1700)
  monkeypatch.setattr(distributed, "_LEAD_BYTES", 5)
  monkeypatch.setattr(distributed, "_SAMPLED", 50)
  monkeypatch.setattr(distributed, "_RANGE", 400)
  monkeypatch.setattr(column_files, "SHARD", 1000)


def few_words(monkeypatch, words):
  budget = out_of_core.Budget(threads=2, max_words=words, memory=0)
  monkeypatch.setattr(out_of_core, "make_budget", lambda *_: budget)
  monkeypatch.setattr(out_of_core.Budget, "entries", 1000)  # merged at once


@pytest.fixture
def paths(tmp_path):
  """A text, a compressed one, one on a single line, an empty one, a short."""
  (tmp_path / "a.txt").write_text(make_text(0))
  with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
    file.write(make_text(1))
  (tmp_path / "c.txt").write_text(make_text(2, spaces=" "))
  (tmp_path / "d.txt").write_text("")
  (tmp_path / "e.txt").write_text("é1 é2\n")
  return [str(path) for path in sorted(tmp_path.glob("?.txt*"))]


def test_sections_are_all_of_the_corpus(small, paths):
  found = sections.cut_sections(paths)
  assert len(found) > 15
  assert found[0].start == reading.Position()
  assert found[-1].end == reading.Position(len(paths))
  for one, other in itertools.pairwise(found):
    assert one.end == other.start
  assert all(part.start.byte == 0 for part in found if part.start.file == 1)
  assert any(part.start.begun for part in found if part.start.file == 2)
  whole = b"".join(block.data for block in reading.read_blocks(paths))
  parts = [
    block for part in found for block in reading.read_blocks(paths, part)
  ]
  assert b"".join(block.data for block in parts) == whole
  assert sections.cut_sections([]) == []


@pytest.mark.parametrize(
  "text, low, expected",
  [
    (b"ab cd\nef gh\n", 1, (0, 6, False)),
    (b"ab cd\nef gh\n", 5, (0, 6, False)),
    (b"ab cd ef", 1, (0, 3, True)),
    (b"ab \t ef", 2, None),  # whether the line was blank so far is not known
    (b"abcdef", 1, None),
    (b"a" * 150 + b"\nb", 1, (0, 151, False)),
    (b"ab cd " + b"e" * 100 + b"\n", 2, (0, 6, True)),
  ],
)
def test_a_cut_is_behind_a_line_or_else_a_word(
  tmp_path, monkeypatch, text, low, expected
):
  monkeypatch.setattr(reading, "BLOCK_BYTES", 100)
  path = tmp_path / "text.txt"
  path.write_bytes(text)
  assert reading.find_cut([str(path)], 0, low, len(text)) == expected


@pytest.mark.parametrize("documents", reading.DOCUMENTS)
@pytest.mark.parametrize("tokenizer", tokenizers.TOKENIZERS)
def test_words_of_sections_are_those_of_all(
  small, paths, tmp_path, tokenizer, documents
):
  text = compiled.Text(paths, tokenizer, documents=documents)
  counted = []
  for min_count, max_bytes in ((1, 1), (3, math.inf)):
    found = distributed.count_words(
      text, tmp_path / "vocab", source={}, min_count=min_count, run=run_here,
      progress=counted.append, runs=WordRuns(max_bytes, tmp_path),
    )  # fmt: skip
    assert found == compiled.count_words(text, min_count=min_count)
    assert not (tmp_path / "vocab.parts").exists()
  assert sum(counted) == 2 * (3 * 2500 + 2)


@pytest.mark.parametrize(
  "options, max_words",
  [
    ({}, 150),
    ({"documents": "blank_line", "keep_places": True, "context": "left"}, 150),
    ({"documents": "blank_line"}, 1 << 20),
    ({"keep_places": True, "context": "right", "window": 3}, 1 << 20),
    ({"window": 30, "count_dtype": "float64"}, 1 << 20),
  ],
)
def test_counts_of_sections_are_the_same_bytes(
  small, paths, tmp_path, monkeypatch, options, max_words
):
  few_words(monkeypatch, max_words)
  options = dict(options)
  documents = options.pop("documents", "line")
  text = compiled.Text(paths, "whitespace", documents=documents)
  words = vocab.make_vocab(compiled.count_words(text), min_count=3)
  count(text, words, tmp_path / "whole", **options)
  seen = []

  def watched(task, items):
    seen.append([])
    for result in run_here(task, items):
      seen[-1].append(result)
      yield result

  count(text, words, tmp_path / "parts", watched, **options)
  assert same_bytes(tmp_path / "whole", tmp_path / "parts")
  assert not (tmp_path / "parts.parts").exists()
  counted, merged, shards = seen
  assert len(counted) > 15 and len(merged) > 5 and len(shards) > 3
  runs = max(len(section.runs) for section in counted)
  assert runs > 1 if max_words < 1 << 20 else runs == 1
  triplets.verify_triplets(tmp_path / "parts")


def test_added_counts_are_one_more_run(small, paths, tmp_path, monkeypatch):
  monkeypatch.setattr(out_of_core, "_ADDED_ENTRIES", 2000)
  text = compiled.Text(paths[:2], "whitespace")
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, tmp_path / "old")
  added = [out_of_core.Added(tmp_path / "old", np.arange(len(words)))]
  for paths in (text.paths, []):
    text = text._replace(paths=paths)
    arguments = text, words, tmp_path / "here", make_config()
    out_of_core.count_corpus(*arguments, source={}, added=added)
    arguments = text, words, tmp_path / "parts", make_config()
    distributed.count_corpus(
      *arguments, source={}, added=added, run=run_here,
      progress=lambda number: None,
    )  # fmt: skip
    assert same_bytes(tmp_path / "here", tmp_path / "parts")


def test_tasks_that_are_done_twice_do_no_harm(small, paths, tmp_path):
  text = compiled.Text(paths, "whitespace")
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, tmp_path / "whole")
  rng = np.random.default_rng(0)
  write_folder = distributed.atomic.write_folder

  @contextlib.contextmanager
  def at_once(path):
    """Another worker does the same while this one is at it."""
    with write_folder(path) as folder:
      if again:
        again.pop()()
      yield folder

  again = []

  def twice(task, items):
    items = list(items)
    for place in rng.permutation(len(items)):
      again.append(lambda item=items[place]: task(item, RESOURCES))
      yield task(items[place], RESOURCES)
      again.clear()
      task(items[place], RESOURCES)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(distributed.atomic, "write_folder", at_once)
    count(text, words, tmp_path / "parts", twice)
  assert same_bytes(tmp_path / "whole", tmp_path / "parts")


class Killed(BaseException):
  pass


@pytest.mark.parametrize("seed", range(3))
def test_what_a_killed_job_has_finished_is_used(
  small, paths, tmp_path, monkeypatch, seed
):
  """Dies in some task, goes on elsewhere; a lost byte is no finished part."""
  text = compiled.Text(paths, "whitespace")
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, tmp_path / "whole")
  rng = np.random.default_rng(seed)
  total = len(sections.cut_sections(paths))
  counted, dies_at = [], int(rng.integers(3, total + 10))
  write_run = distributed.spill.write_run

  def write_or_die(folder, *arguments):
    counted.append(folder.name.startswith(".section"))
    if len(counted) == dies_at:
      raise Killed
    return write_run(folder, *arguments)

  monkeypatch.setattr(distributed.spill, "write_run", write_or_die)
  with pytest.raises(Killed):
    count(text, words, tmp_path / "parts", run_here)
  assert not (tmp_path / "parts" / "manifest.json").exists()
  home = next((tmp_path / "parts.parts").iterdir())
  finished = sorted(home.glob("section-*"))
  assert len(finished) == min(total, dies_at - 1)
  os.truncate(finished[0] / "run-000000.units", 0)
  counted.clear()
  dies_at = None
  count(text, words, tmp_path / "parts", run_here)
  assert sum(counted) == total - len(finished) + 1
  assert same_bytes(tmp_path / "whole", tmp_path / "parts")


def test_parts_of_another_job_are_not_used(small, paths, tmp_path):
  text = compiled.Text(paths, "whitespace")
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, tmp_path / "whole", window=3)

  def stop(task, items):
    yield from run_here(task, items)
    raise Killed

  with pytest.raises(Killed):
    count(text, words, tmp_path / "parts", stop, {"window": 6})
  old = next((tmp_path / "parts.parts").iterdir())
  count(text, words, tmp_path / "parts", run_here, {"window": 3}, window=3)
  assert same_bytes(tmp_path / "whole", tmp_path / "parts")
  section = sections.cut_sections(paths)[0]
  with pytest.raises(FileNotFoundError):  # a worker that was late to hear of it
    distributed.count_section(old, make_config(), section, RESOURCES)
