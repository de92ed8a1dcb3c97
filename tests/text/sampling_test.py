"""Samples of a corpus: documents drawn with replacement."""

import collections

import pytest

from glove_jax import config as configs
from glove_jax.text import content, sampling


def draw(path, **settings):
  """The documents of a sample, in lines."""
  config = configs.make_config(**settings).corpus
  output = path.parent / "sample.txt"
  sampling.write_sample([str(path)], config, output)
  text = output.read_bytes().removeprefix(content.TEXT_MARK).decode()
  return [line for line in text.split("\n") if line]


@pytest.fixture
def text(tmp_path):
  """600 documents; the last line has no end."""
  path = tmp_path / "text.txt"
  path.write_text("\n\n".join(f"w{i} more" for i in range(600)))
  return path


@pytest.mark.parametrize("documents", configs.DOCUMENTS)
def test_documents_are_drawn_with_replacement(text, documents):
  known = {f"w{i} more" for i in range(600)}
  drawn = draw(text, bootstrap=1, documents=documents)
  assert len(drawn) == 600 and set(drawn) < known
  times = collections.Counter(collections.Counter(drawn).values())
  assert 600 - sum(times.values()) == pytest.approx(600 / 2.718, rel=0.1)
  assert times[1] == pytest.approx(600 / 2.718, rel=0.15) and times[3] > 20
  assert drawn == draw(text, bootstrap=1, documents=documents)
  assert sorted(drawn) != sorted(draw(text, bootstrap=2, documents=documents))


def test_a_share_is_drawn_first(text):
  half = draw(text, share=0.5)
  drawn = draw(text, share=0.5, bootstrap=1)
  assert set(drawn) < set(half) and len(drawn) == len(half)


def test_one_document_cannot_be_drawn(tmp_path):
  path = tmp_path / "one.txt"
  path.write_text("a b c\n")
  with pytest.raises(ValueError, match="the text has 1: see documents"):
    draw(path, bootstrap=1)


def test_runs_without_it_are_those_of_before():
  part = configs.make_config().corpus
  assert "bootstrap" not in configs.settings(part)
  part = configs.make_config(bootstrap=3).corpus
  assert configs.settings(part)["bootstrap"] == 3
