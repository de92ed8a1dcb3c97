"""Default work directories: readable, and never shared by two corpora."""

import json

import pytest

from glove_jax import config
from glove_jax.workdir import names


def default(**settings) -> str:
  return str(names.default_workdir(config.make_config(**settings).corpus))


@pytest.mark.parametrize(
  "corpus, name",
  [
    ("enwiki_sample", "runs/enwiki_sample"),
    (["enwiki_sample", "sotu"], "runs/enwiki_sample+sotu"),
    ("wiki.en.txt", "runs/wiki.en"),
    ("a/wiki.fr.txt.gz", "runs/wiki.fr"),
    ("wiki.de", "runs/wiki.de"),
    ("-", "runs/stdin"),
    ("/dev/fd/63", "runs/pipe"),
  ],
)
def test_one_file_gives_its_name(corpus, name):
  assert default(corpus=corpus) == name


def test_several_sources_give_a_name_and_a_hash(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  found = [
    default(corpus="books/*.txt"),
    default(corpus="books/*.txt.gz"),
    default(corpus=["a.txt", "b.txt"]),
    default(corpus=["a.txt", "c.txt"]),
    default(corpus="a.txt", add_to="runs/b"),
    default(corpus="a b.txt"),
    default(corpus="a.txt"),
  ]
  assert len({*found}) == len(found)
  assert found[0].startswith("runs/books-") and "*" not in "".join(found)


def test_a_name_that_another_corpus_has_taken_is_left_alone(
  monkeypatch, tmp_path
):
  monkeypatch.chdir(tmp_path)
  folder = tmp_path / "runs" / "wiki"
  folder.mkdir(parents=True)
  record = {"settings": {"corpus": ["one/wiki.txt"]}}
  (folder / "config.json").write_text(json.dumps(record))
  assert default(corpus="one/wiki.txt") == "runs/wiki"
  assert default(corpus="two/wiki.txt").startswith("runs/wiki-")


def test_sweeps_are_told_apart_by_points_and_settings():
  one = names.sweep_workdir("", "x_max=1,10", {"dim": 5})
  assert one == names.sweep_workdir("", "x_max=1,10", {"dim": 5, "threads": 2})
  assert one != names.sweep_workdir("", "x_max=1,11", {"dim": 5})
  assert one != names.sweep_workdir("", "x_max=1,10", {"dim": 6})
  assert one.name.startswith("sweep-")
  assert str(names.sweep_workdir("x_max", "", {"dim": 5})) == "runs/x_max"
