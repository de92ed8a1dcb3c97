"""Counting in parts, adding counts, and going on after a kill."""

import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from glove_jax import config
from glove_jax.counts import (
  column_files,
  cooccur,
  forecast,
  kernels,
  out_of_core,
  pair_counter,
  spill,
  triplets,
)
from glove_jax.text import compiled, vocab

REPO = pathlib.Path(__file__).parents[2]
NAMES = ("row.npy", "col.npy", "count.npy", "manifest.json")


def make_corpus(path, seed=0, lines=600, words=2000):
  rng = np.random.default_rng(seed)
  ids = np.minimum(rng.zipf(1.2, (lines, 40)), words)
  path.write_text(
    "".join(" ".join(f"w{i}" for i in line) + "\n" for line in ids)
  )
  return compiled.Text([str(path)], "whitespace")


def count(
  text, words, folder, monkeypatch, *, budget=None, added=(), **options
):
  """Counts into a folder, with so many threads and words at a time."""
  options = config.make_config(window=6, **options).count
  if budget:
    limits = out_of_core.Budget(*budget, memory=0)
    monkeypatch.setattr(out_of_core, "make_budget", lambda *_: limits)
  out_of_core.count_corpus(
    text, words, folder, options, source={"text": text.paths}, added=added
  )
  return triplets.read_triplets(folder)


def same_bytes(one, other):
  return all((one / n).read_bytes() == (other / n).read_bytes() for n in NAMES)


@pytest.fixture
def text(tmp_path, monkeypatch):
  monkeypatch.setattr("glove_jax.text.reading.BLOCK_BYTES", 1 << 12)
  return make_corpus(tmp_path / "text.txt")


@pytest.fixture
def words(text):
  return vocab.make_vocab(compiled.count_words(text))


@pytest.mark.parametrize("context", cooccur.CONTEXTS)
@pytest.mark.parametrize("dtype", config.COUNT_DTYPES)
def test_neither_threads_nor_memory_change_a_byte(
  text, words, tmp_path, monkeypatch, context, dtype
):
  parts_written = []
  write = spill.Runs.write
  monkeypatch.setattr(
    spill.Runs,
    "write",
    lambda *args, **facts: parts_written.append(1) or write(*args, **facts),
  )
  options = {"context": context, "count_dtype": dtype}
  whole = tmp_path / "whole"
  found = count(text, words, whole, monkeypatch, budget=(1, 1 << 20), **options)
  lines = pathlib.Path(text.paths[0]).read_text().splitlines()
  documents = vocab.encode(map(str.split, lines), words)
  expected = cooccur.count(documents, len(words), window=6, context=context)
  expected = expected.triplets()
  np.testing.assert_array_equal(found.row, expected.row)
  np.testing.assert_array_equal(found.col, expected.col)
  np.testing.assert_array_equal(found.count, expected.count.astype(dtype))
  for budget in [(2, 1 << 20), (1, 5000), (3, 8000)]:
    parts = tmp_path / f"parts{budget}"
    parts_written.clear()
    count(text, words, parts, monkeypatch, budget=budget, **options)
    assert len(parts_written) > 2 or budget[1] == 1 << 20
    assert same_bytes(whole, parts)
    assert not pathlib.Path(f"{parts}.parts").exists()


def test_more_runs_than_may_be_merged_at_once(
  text, words, tmp_path, monkeypatch
):
  monkeypatch.setattr(spill, "MAX_RUNS", 3)
  count(text, words, tmp_path / "a", monkeypatch, budget=(1, 1 << 20))
  seen = []
  write = spill.Runs.write

  def watched(self, *args, **facts):
    write(self, *args, **facts)
    seen.append(len(self))

  monkeypatch.setattr(spill.Runs, "write", watched)
  count(text, words, tmp_path / "b", monkeypatch, budget=(2, 4000))
  assert len(seen) > 4 and max(seen) < 3
  assert same_bytes(tmp_path / "a", tmp_path / "b")


class Killed(BaseException):
  pass


@pytest.mark.parametrize("seed", range(12))
def test_a_count_that_dies_anywhere_goes_on(
  text, words, tmp_path, monkeypatch, seed
):
  """Dies before or after some write; then goes on with other parts."""
  monkeypatch.setattr(spill, "MAX_RUNS", 4)
  monkeypatch.setattr(out_of_core, "_ADDED_ENTRIES", 20_000)
  whole, died = tmp_path / "whole", tmp_path / "died"
  old = make_corpus(tmp_path / "old.txt", seed=1, lines=200)
  count(old, words, tmp_path / "old", monkeypatch)
  added = [out_of_core.Added(tmp_path / "old", np.arange(len(words)))]
  count(text, words, whole, monkeypatch, budget=(1, 1 << 20), added=added)
  rng = np.random.default_rng(seed)
  for _ in range(4):
    with pytest.MonkeyPatch.context() as patch:
      _die_at(patch, int(rng.integers(1, 40)))
      try:
        budget = (int(rng.integers(1, 3)), int(rng.integers(4000, 12_000)))
        count(text, words, died, monkeypatch, budget=budget, added=added)
        break
      except Killed:
        assert not (died / "manifest.json").exists()
  count(text, words, died, monkeypatch, budget=(2, 6000), added=added)
  assert same_bytes(whole, died)


def test_a_death_at_the_end_adds_nothing_twice(
  text, words, tmp_path, monkeypatch
):
  count(text, words, tmp_path / "old", monkeypatch)
  added = [out_of_core.Added(tmp_path / "old", np.arange(len(words)))]
  count(text, words, tmp_path / "whole", monkeypatch, added=added)
  for function in ("write_shard", "_write_header"):
    with pytest.MonkeyPatch.context() as patch:
      patch.setattr(column_files, function, _die)
      with pytest.raises(Killed):
        count(text, words, tmp_path / "died", monkeypatch, added=added)
  count(text, words, tmp_path / "died", monkeypatch, added=added)
  assert same_bytes(tmp_path / "whole", tmp_path / "died")


def _die(*_):
  raise Killed


def _die_at(patch, number):
  """Dies at the `number`th time that a file is written or removed."""
  left = [number]

  def dying(function):
    def wrapper(*args, **kwargs):
      left[0] -= 1
      if left[0] == 0:
        raise Killed
      return function(*args, **kwargs)

    return wrapper

  for owner, name in (
    (spill.atomic, "write_text"),
    (spill, "_remove"),
    (column_files, "write_shard"),
    (os, "replace"),
    (pair_counter.PairCounter, "finish"),
  ):
    patch.setattr(owner, name, dying(getattr(owner, name)))


@pytest.mark.parametrize("sizes", [(0, 0), (0, 5), (1, 1), (50, 70)])
def test_merging_sorted_sums(sizes):
  rng = np.random.default_rng(0)
  lists = [
    (np.sort(rng.choice(90, n, replace=False)), rng.integers(1, 9, n))
    for n in sizes
  ]
  expected = np.zeros(90, np.int64)
  for keys, sums in lists:
    np.add.at(expected, keys, sums)
  out = np.empty(sum(sizes), np.int64), np.empty(sum(sizes), np.int64)
  found = kernels.merge_sums(*lists[0], *lists[1], *out)
  assert out[0][:found].tolist() == np.flatnonzero(expected).tolist()
  assert out[1][:found].tolist() == expected[expected > 0].tolist()


@pytest.mark.parametrize("dtype", config.COUNT_DTYPES)
def test_counts_of_two_corpora_add_up_to_those_of_both(
  tmp_path, monkeypatch, dtype
):
  monkeypatch.setattr(out_of_core, "_ADDED_ENTRIES", 5000)
  one = make_corpus(tmp_path / "one.txt", 1)
  two = make_corpus(tmp_path / "two.txt", 2)
  both = compiled.Text(one.paths + two.paths, "whitespace")
  words = vocab.make_vocab(compiled.count_words(both))
  turned = vocab.Vocab(words.words[::-1], np.ones(len(words)))
  ids = np.arange(len(words), dtype=np.int32)[::-1]
  options = {"count_dtype": dtype}
  count(one, turned, tmp_path / "old", monkeypatch, **options)
  added = [out_of_core.Added(tmp_path / "old", ids)]
  found = count(
    two, words, tmp_path / "sum", monkeypatch, added=added, **options
  )
  expected = count(both, words, tmp_path / "both", monkeypatch, **options)
  np.testing.assert_array_equal(found.row, expected.row)
  np.testing.assert_array_equal(found.col, expected.col)
  if dtype == "float64":
    assert same_bytes(tmp_path / "sum", tmp_path / "both")
  np.testing.assert_allclose(found.count, expected.count, rtol=2.0**-23)


def test_words_left_out_of_added_counts(tmp_path, monkeypatch):
  text = make_corpus(tmp_path / "text.txt", words=50)
  words = vocab.make_vocab(compiled.count_words(text))
  old = count(text, words, tmp_path / "old", monkeypatch)
  fewer = vocab.Vocab(words.words[1:], words.counts[1:])
  ids = np.arange(len(words), dtype=np.int32) - 1
  added = [out_of_core.Added(tmp_path / "old", ids)]
  nothing = compiled.Text([])
  found = count(nothing, fewer, tmp_path / "new", monkeypatch, added=added)
  kept = (old.row > 0) & (old.col > 0)
  np.testing.assert_array_equal(found.row, old.row[kept] - 1)
  np.testing.assert_array_equal(found.count, old.count[kept])


def test_counts_name_their_vocabulary(text, words, tmp_path, monkeypatch):
  count(text, words, tmp_path / "counts", monkeypatch)
  triplets.check_vocab(tmp_path / "counts", vocab.fingerprint(words))
  other = vocab.Vocab(words.words, words.counts + 1)
  with pytest.raises(ValueError, match="are of another vocabulary"):
    triplets.check_vocab(tmp_path / "counts", vocab.fingerprint(other))


@pytest.mark.parametrize(
  "options, message",
  [
    ({"context": "left"}, "their context is symmetric, not left"),
    ({"distance_weighting": "none"}, "their distance_weighting is inverse"),
  ],
)
def test_counts_of_another_kind_are_not_added(
  tmp_path, monkeypatch, options, message
):
  text = make_corpus(tmp_path / "text.txt", words=50)
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, tmp_path / "old", monkeypatch)
  added = [out_of_core.Added(tmp_path / "old", np.arange(len(words)))]
  with pytest.raises(ValueError, match=message):
    count(text, words, tmp_path / "a", monkeypatch, added=added, **options)


def test_counts_of_another_window_than_is_said_are_not_added(parity, tmp_path):
  words = vocab.read_vocab(parity / "vocab.txt")
  folder, ids = tmp_path / "records", np.arange(len(words))
  for window, good in ((5, True), (4, False)):
    options = config.make_config(window=window).count
    records = parity / "cooccur_symmetric.bin"
    out_of_core.import_records(records, words, folder, options)
    added = [out_of_core.Added(folder, ids)]
    arguments = compiled.Text([]), words, tmp_path / "sum", options
    if good:
      out_of_core.count_corpus(*arguments, source={}, added=added)
      theirs = triplets.read_triplets(folder)
      ours = triplets.read_triplets(tmp_path / "sum")
      np.testing.assert_array_equal(ours.col, theirs.col)
      np.testing.assert_allclose(ours.count, theirs.count, rtol=2.0**-23)
    else:
      with pytest.raises(ValueError, match="are not sums of 1/distance within"):
        out_of_core.count_corpus(*arguments, source={}, added=added)


def test_too_little_memory_is_one_sentence():
  with pytest.raises(ValueError, match=r"memory_gb=0.10 is too small to count"):
    out_of_core.make_budget(config.make_config(memory_gb=0.1).count, 1000)


def test_the_forecast_is_near_the_truth(text, words, tmp_path, monkeypatch):
  options = config.make_config(window=6, memory_gb=2.0).count
  line = forecast.forecast(text, words, tmp_path / "counts", options)
  found = count(text, words, tmp_path / "counts", monkeypatch)
  expected = float(line.split()[1])
  assert 0.5 < expected / len(found.row) < 2
  assert "in 1 part:" in line and "2.0 GB of memory" in line


def test_a_full_disk_is_one_sentence(text, words, tmp_path, monkeypatch):
  monkeypatch.setattr(
    forecast.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000)
  )
  options = config.make_config(window=6, memory_gb=2.0).count
  with pytest.raises(OSError, match=r"Counting needs about .* GB of disk"):
    forecast.forecast(text, words, tmp_path / "counts", options)


@pytest.mark.slow
def test_memory_stays_within_its_bound(tmp_path):
  """A separate process stays within memory_gb plus 0.4 GB for the program."""
  ids = np.random.default_rng(0).integers(0, 100_000, (150_000, 40))
  text = tmp_path / "text.txt"
  text.write_text("".join(" ".join(map(str, line)) + "\n" for line in ids))
  command = [
    sys.executable, REPO / "run.py", "count", f"--corpus={text}",
    f"--workdir={tmp_path}/run", "--window=2", "--memory_gb=0.41",
    "--threads=2",
  ]  # fmt: skip
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
  assert process.returncode == 0
  assert "in 1 part:" not in output and "0.4 GB of memory" in output
  assert usage.ru_maxrss * 1024 < 0.81e9
