"""Sweeps that are shared by processes, and points that are no longer valid."""

import pathlib

import numpy as np
import pytest

from glove_jax.sweeps import command, results, runner
from glove_jax.sweeps.options import SweepConfig
from glove_jax.workdir.lock import Busy, lock


@pytest.fixture
def tiny(tmp_path) -> dict:
  """Settings of a run that takes a moment, over files that may change."""
  folder = tmp_path / "corpus"
  folder.mkdir()
  rng = np.random.default_rng(0)
  lines = (" ".join(rng.choice(list("abcdefgh"), 20)) for _ in range(50))
  (folder / "text.txt").write_text("\n".join(lines))
  (folder / "pairs.tsv").write_text("a\tb\t9\na\tc\t2\nd\te\t1\n")
  return {
    "corpus": [f"{folder}/text.txt"],
    "analogies": [],
    "similarity": [f"{folder}/pairs.tsv"],
    "engine": "rows",
    "dim": 4,
    "epochs": 1,
    "window": 3,
  }


def run(tiny, workdir):
  """Runs two points; returns what is said and the names of trained points."""
  plan = command.make_plan(
    SweepConfig(sweep="x_max=1,10"), tiny, None, command="python run.py"
  )
  before = times(workdir)
  said = []
  assert command.run(plan, SweepConfig(), workdir, said.append) == 0
  after = times(workdir)
  return said, [p for p in after if after[p] != before.get(p)], plan.points


def times(workdir):
  paths = pathlib.Path(workdir).glob("points/*/evaluation.json")
  return {path.parent.name: path.stat().st_mtime_ns for path in paths}


def test_a_finished_sweep_trains_nothing(tiny, tmp_path):
  assert len(run(tiny, tmp_path / "sweep")[1]) == 2
  assert run(tiny, tmp_path / "sweep")[1] == []


@pytest.mark.parametrize("name, text", [
  ("text.txt", "a b c d e f g h " * 60),
  ("pairs.tsv", "a\tb\t1\na\tc\t5\nd\te\t9\n"),
])  # fmt: skip
def test_points_of_a_changed_corpus_or_question_set_are_trained_anew(
  tiny, tmp_path, name, text
):
  run(tiny, tmp_path / "sweep")
  (tmp_path / "corpus" / name).write_text(text)
  said, trained, points = run(tiny, tmp_path / "sweep")
  assert sorted(trained) == sorted(point.name for point in points)
  assert sum("counts or question sets have changed" in s for s in said) == 2


@pytest.mark.parametrize("name", ["training.json", "evaluation.json"])
def test_a_damaged_point_is_trained_anew(tiny, tmp_path, name):
  _, _, points = run(tiny, tmp_path / "sweep")
  path = runner.point_folder(tmp_path / "sweep", points[1]) / name
  path.write_text(path.read_text().replace("1", "2"))
  with pytest.raises(ValueError, match=f"{name} is not as .* run the sweep"):
    results.read_results(points, tmp_path / "sweep")
  said, trained, _ = run(tiny, tmp_path / "sweep")
  assert trained == [points[1].name]
  assert any(f"{name} is not as it was written" in line for line in said)


def test_a_point_that_another_process_trains_is_left_to_it(tiny, tmp_path):
  _, _, points = run(tiny, tmp_path / "whole")
  held = runner.point_folder(tmp_path / "sweep", points[0])
  held.mkdir(parents=True)
  with lock(held):
    said, trained, _ = run(tiny, tmp_path / "sweep")
  assert trained == [points[1].name]
  assert "Another process trains x_max=1." in said
  assert run(tiny, tmp_path / "sweep")[1] == [points[0].name]


def test_a_search_is_of_one_process(tiny, tmp_path):
  pytest.importorskip("optuna")
  config = SweepConfig(search="optuna", sweep="x_max=1..9", trials=1)
  with (
    lock(tmp_path),
    pytest.raises(Busy, match="Another process works in"),
  ):
    command.run_search(config, tiny, None, tmp_path)
  assert not (tmp_path / "study.db").exists()


def test_more_seeds_keep_the_points_of_one(tiny, tmp_path):
  run(tiny, tmp_path / "sweep")
  config = SweepConfig(sweep="x_max=1,10", seeds=2)
  plan = command.make_plan(config, tiny)
  before, said = times(tmp_path / "sweep"), []
  assert command.run(plan, config, tmp_path / "sweep", said.append) == 0
  assert said[0] == "2 of 4 points are done."
  assert len(results.read_results(plan.points, tmp_path / "sweep")) == 4
  after = times(tmp_path / "sweep")
  assert len(after) == 4 and set(before.values()) < set(after.values())


def test_finished_points_do_not_need_their_counts(tiny, tmp_path):
  run(tiny, tmp_path / "sweep")
  runner.atomic.remove(tmp_path / "sweep" / "counts")
  assert run(tiny, tmp_path / "sweep")[1] == []
  assert not (tmp_path / "sweep" / "counts").exists()
