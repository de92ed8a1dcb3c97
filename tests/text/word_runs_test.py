"""Words beyond a bound of memory go to disk, and no count is lost."""

import time
from collections import Counter

import numpy as np
import pytest

from glove_jax.text import compiled, reading, vocab, word_runs, word_table


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  rng = np.random.default_rng(0)
  words = [
    f"{'x' * (i % 40)}{i}" for i in (1000 / rng.random(20_000)).astype(int)
  ]
  path = tmp_path_factory.mktemp("text") / "text.txt"
  path.write_text("\n".join(" ".join(words[i::100]) for i in range(100)))
  return compiled.Text([str(path)], "whitespace")


@pytest.fixture(autouse=True)
def small(monkeypatch):
  monkeypatch.setattr(reading, "BLOCK_BYTES", 5000)
  monkeypatch.setattr(word_table, "_FIRST_WORDS", 16)
  monkeypatch.setattr(word_runs, "_LEAST_BYTES", 10_000)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("max_bytes, num_runs", [(1, 20), (200_000, 2)])
def test_a_bound_of_memory_does_not_change_counts(
  text, tmp_path, max_bytes, num_runs, threads
):
  want = compiled.count_words(text)
  assert len(want) > 5000
  runs, kept = word_runs.WordRuns(max_bytes, tmp_path), compiled.Kept(1 << 20)
  found = compiled.count_words(text, threads=threads, runs=runs, kept=kept)
  assert found == want and len(runs) >= num_runs
  assert kept.text is None  # indices in tables that are gone
  assert not list(tmp_path.iterdir())


def test_the_vocabulary_is_the_same_bytes(text, tmp_path):
  """Also with rare words left out, range by range."""
  words = [
    vocab.make_vocab(compiled.count_words(text, min_count=5, runs=runs))
    for runs in (None, word_runs.WordRuns(1, tmp_path))
  ]
  assert 0 < len(words[0]) < 5000 and words[0] == words[1]


def test_words_of_equal_hashes_are_told_apart(monkeypatch, tmp_path):
  """Runs order words by their hashes, and nothing else tells words apart."""
  monkeypatch.setattr(
    word_table, "hashes", lambda table: np.full(table.size[0], 7, np.uint64)
  )
  runs, total = word_runs.WordRuns(1, tmp_path), Counter()
  for words in (["a", "b"], ["b", "c"], ["c", "a", "d"]):
    table = word_table.of_words(words)
    table.counts[: len(words)] = range(1, len(words) + 1)
    total.update(dict(zip(words, range(1, len(words) + 1), strict=True)))
    assert not runs.make_room(table, 99, 99).size[0]
  assert runs.total([word_table.new()]) == total


def test_one_table_in_memory_needs_no_disk(text, tmp_path):
  runs = word_runs.WordRuns(1 << 30, tmp_path / "absent")
  assert compiled.count_words(text, runs=runs) and not len(runs)
  assert not (tmp_path / "absent").exists()


def test_a_count_ends_if_all_threads_fail(text, monkeypatch):
  def fill_disk(*_):
    raise OSError("No space left on device")

  def make_slow(text):
    """The first block comes last, when the other threads have failed."""
    split, waits = make_splitter(text), iter([0.2])
    return lambda block: (time.sleep(next(waits, 0)), split(block))[1]

  make_splitter = compiled.make_splitter
  monkeypatch.setattr(compiled, "make_splitter", make_slow)
  monkeypatch.setattr(word_runs.WordRuns, "make_room", fill_disk)
  with pytest.raises(OSError, match="No space left"):
    compiled.count_words(text, threads=2)
