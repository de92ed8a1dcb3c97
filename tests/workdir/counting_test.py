"""The stages up to the counts: what they read, and how often."""

import numpy as np
import pytest

from glove_jax import config
from glove_jax.counts import out_of_core, process_pool
from glove_jax.text import compiled
from glove_jax.workdir.counting import Counting
from glove_jax.workdir.pipeline import Pipeline


@pytest.fixture
def reads(monkeypatch):
  """A list that grows with each reading of a whole text."""
  found = []
  read = compiled._read_blocks

  def watched(text):
    found.append(text)
    return read(text)

  monkeypatch.setattr(compiled, "_read_blocks", watched)
  return found


@pytest.fixture
def run(tmp_path):
  text = tmp_path / "text.txt"
  text.write_text("a b a b c a b c\n" * 9)
  made = config.make_config(corpus=str(text), window=2)
  return Pipeline(made, tmp_path / "run", say=lambda line: None)


def test_a_text_that_fits_in_memory_is_read_once(run, reads):
  words, counts = run.count()
  assert words.words == ("a", "b", "c") and len(counts.row) == 8
  assert len(reads) == 1


def test_words_of_a_text_that_changed_are_not_used(
  run, reads, tmp_path, monkeypatch
):
  count = Counting.count

  def change_and_count(*args):
    (tmp_path / "text.txt").write_text("c b c\n" * 9)
    return count(*args)

  monkeypatch.setattr(Counting, "count", change_and_count)
  with pytest.raises(ValueError, match="The input of counts changed while"):
    run.count()
  assert len(reads) == 2


@pytest.mark.parametrize("fits", [True, False])
def test_processes_here_count_what_does_not_fit_in_memory(
  run, tmp_path, monkeypatch, fits
):
  started, start = [], process_pool._start
  monkeypatch.setattr(
    process_pool, "_start", lambda: started.append(start()) or started[-1]
  )
  monkeypatch.setattr(out_of_core, "fits", lambda config, words: fits)
  made = config.make_config(
    corpus=str(tmp_path / "text.txt"), window=2, dask="local:2", threads=2
  )
  other = Pipeline(made, tmp_path / "other", say=lambda line: None)
  (_, want), (_, found) = run.count(), other.count()
  assert bool(started) != fits
  for a, b in zip(want[:3], found[:3], strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_vocabulary_that_was_added_is_not_taken_for_a_given_one(tmp_path):
  old, text = tmp_path / "old.txt", tmp_path / "text.txt"
  old.write_text("a b " * 9)
  text.write_text("b c " * 9)

  def words_of(workdir, corpus, **settings):
    made = config.make_config(corpus=str(corpus), window=2, **settings)
    run = Pipeline(made, tmp_path / workdir, say=lambda line: None)
    return run.count()[0].words

  words_of("old", old)
  added = words_of("run", text, add_to=str(tmp_path / "old"))
  assert set(added) == {"a", "b", "c"}
  given = words_of("run", text, vocab=str(tmp_path / "old" / "vocab.txt"))
  assert given == ("a", "b")
