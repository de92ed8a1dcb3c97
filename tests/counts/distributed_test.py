"""Counting by sections, in this process, and resuming after a kill."""

import contextlib
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
def small(small_sections, monkeypatch):
  """Sizes at which a small text has many sections, runs, ranges and shards."""
  monkeypatch.setattr(distributed, "_LEAD_BYTES", 5)
  monkeypatch.setattr(distributed, "_SAMPLED", 50)
  monkeypatch.setattr(distributed, "_RANGE", 400)
  monkeypatch.setattr(column_files, "SHARD", 1000)


def few_words(monkeypatch, words):
  budget = out_of_core.Budget(threads=2, max_words=words, memory=0)
  monkeypatch.setattr(out_of_core, "make_budget", lambda *_: budget)
  monkeypatch.setattr(out_of_core.Budget, "entries", 1000)  # merged at once


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
