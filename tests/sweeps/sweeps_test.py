"""Experiments: running, resuming, failing and reporting a sweep."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import run_py

import experiments
from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.sweeps import (
  command,
  grid,
  plots,
  report,
  results,
  runner,
)
from glove_jax.sweeps.options import SweepConfig
from glove_jax.training import loop
from glove_jax.vectors import formats
from glove_jax.workdir import artifacts, pipeline, provenance


def plan(tiny, sweep="x_max=1,10", experiment=None, **options):
  config = SweepConfig(sweep=sweep or "", **options)
  return command.make_plan(
    config, tiny, experiment, command="python run.py --sweep"
  )


def run(plan, workdir, say=lambda line: None, **options):
  return command.run(plan, SweepConfig(**options), workdir, say)


def rows_of(workdir):
  with (workdir / "results.csv").open() as file:
    return list(csv.DictReader(file))


def flags(tiny):
  return [
    f"--{name}={','.join(v) if isinstance(v, list) else v}"
    for name, v in tiny.items()
  ]


def test_every_point_leaves_its_folder(swept):
  workdir, _ = swept
  assert len(list((workdir / "counts").iterdir())) == 1
  folders = list((workdir / "points").iterdir())
  assert len(folders) == 4
  for folder in folders:
    names = {path.name for path in folder.iterdir() if path.name[0] != "."}
    assert names == {
      "config.json", "source.json", "metrics.jsonl", "training.json",
      "answers.npz", "evaluation.json",
    }  # fmt: skip


def test_results_are_written_in_every_form(swept):
  workdir, said = swept
  rows = rows_of(workdir)
  assert [row["x_max"] for row in rows] == ["1.0", "1.0", "10.0", "10.0"]
  assert [row["seed"] for row in rows] == ["0", "1", "0", "1"]
  assert all(-1 <= float(row["pairs"]) <= 1 for row in rows)
  table = (workdir / "results.md").read_text().splitlines()
  assert len(table) == 4 and "±" in table[-1] and "\n".join(table) in said


def test_the_report_is_one_page_that_needs_no_network(swept):
  page = (swept[0] / "report.html").read_text()
  assert page.count("<svg") == 1 and "python run.py --sweep" in page
  assert "src=" not in page and "@import" not in page
  assert page.count("<tr>") == 3
  assert (swept[0] / "plots" / "x_max.png").stat().st_size > 1000


def test_a_finished_sweep_runs_nothing_again(swept, tiny, monkeypatch):
  monkeypatch.setattr(loop, "train", None)
  said = []
  assert run(plan(tiny, seeds=2), swept[0], said.append) == 0
  assert said[0] == "4 of 4 points are done."


def test_the_report_is_written_after_every_point(tiny, tmp_path, monkeypatch):
  right, seen = loop.train, []

  def train(*args, **kwargs):
    path = tmp_path / "results.csv"
    seen.append(len(rows_of(tmp_path)) if path.exists() else 0)
    return right(*args, **kwargs)

  monkeypatch.setattr(loop, "train", train)
  monkeypatch.setattr(report, "_SHARE", 1e9)
  assert run(plan(tiny, sweep="x_max=1,10,100"), tmp_path) == 0
  assert seen == [0, 1, 2]


def test_every_point_says_what_it_ran_on(swept):
  for folder in (swept[0] / "points").iterdir():
    record = atomic.read_json(folder / "config.json")
    assert record["devices"] and record["versions"]["jax"]
    assert record["commit"] == provenance.commit()
    assert atomic.read_json(folder / "training.json")["wall_seconds"] > 0


def test_tables_and_page_show_what_a_score_is_of(tiny, tmp_path):
  pairs = tmp_path / "rare.tsv"
  pairs.write_text("w1\tw2\t9\nw3\tw40\t2\nx\ty\t1\nx\tz\t1\ny\tz\t2\n")
  said = []
  settings = tiny | {"similarity": [str(pairs)]}
  run(plan(settings), tmp_path / "w", said.append)
  table = (tmp_path / "w" / "results.md").read_text()
  assert table.count("2 (40.0%)") == 2
  assert sum("(2 of 5)" in line for line in said) == 2
  assert (tmp_path / "w" / "report.html").read_text().count('class="low"') == 2


def test_results_can_be_kept_elsewhere(swept, tmp_path):
  command.rewrite(swept[0], None, tmp_path / "kept", lambda line: None)
  names = {path.name for path in (tmp_path / "kept").iterdir()}
  assert {"results.csv", "results.md", "config.json"} < names
  record = json.loads((tmp_path / "kept" / "config.json").read_text())
  assert record["settings"]["dim"] == 8 and "x_max" not in record["settings"]
  with pytest.raises(FileNotFoundError, match="no sweep"):
    command.rewrite(tmp_path, None)


def test_a_sweep_of_an_earlier_version_is_read(swept, tiny, tmp_path):
  record = atomic.read_json(swept[0] / "sweep.json")
  record |= {"experiment": None, "stanford": None, "seeds": 2}
  atomic.write_json(tmp_path / "sweep.json", record)
  again = command.read_plan(tmp_path, experiments.load)
  assert again.points == plan(tiny, seeds=2).points


def test_a_failed_point_stops_no_other(tiny, tmp_path, monkeypatch):
  right = loop.train

  def fails(counts, config, **kwargs):
    if config.x_max == 1:
      raise FloatingPointError("The cost became nan.")
    return right(counts, config, **kwargs)

  monkeypatch.setattr(loop, "train", fails)
  said = []
  assert run(plan(tiny), tmp_path, said.append) == 1
  assert sum(line.startswith("failed: x_max=1-") for line in said) == 1
  (failed,) = (tmp_path / "points").glob("x_max=1-*")
  assert "FloatingPointError" in (failed / "error.txt").read_text()
  assert "The cost became nan." in (tmp_path / "report.html").read_text()
  assert "  failed: x_max=1: The cost became nan." in said
  again = []
  command.rewrite(tmp_path, None, say=again.append)
  assert again[-2].endswith("has the results of 1 of 2 points.")
  assert again[-1].startswith("failed: x_max=1-")
  page = (tmp_path / "report.html").read_text()
  assert "The cost became nan." in page
  assert "1 of 2 points are done, 1 failed." in page
  monkeypatch.setattr(loop, "train", right)
  assert run(plan(tiny), tmp_path, said.append) == 0
  assert not (failed / "error.txt").exists()
  assert len(rows_of(tmp_path)) == 2


def test_a_missing_corpus_is_said_of_each_point(tiny, tmp_path):
  settings = tiny | {"corpus": ["nowhere.txt"]}
  said = []
  assert run(plan(settings), tmp_path, said.append) == 1
  at_once = [line for line in said if line.startswith("  failed: ")]
  last = [line for line in said if line.startswith("failed: ")]
  for lines in (at_once, last):
    assert sum("nowhere.txt" in line for line in lines) == 2


@pytest.mark.parametrize("sweep, message", [
  ("corpus={corpus},nowhere.txt", "Point 2 .*nowhere.txt': no such file"),
  ("similarity={pairs},nowhere.tsv", "Point 2 .*no evaluation file nowhere"),
  ("optimizer=adagrad,adagard", "Point 2 .*no optimizer 'adagard'"),
])  # fmt: skip
def test_all_points_are_checked_before_the_first_runs(
  tiny, tmp_path, sweep, message
):
  names = {"corpus": tiny["corpus"][0], "pairs": tiny["similarity"][0]}
  sweep = sweep.format(**names)
  settings = {k: v for k, v in tiny.items() if k != sweep.partition("=")[0]}
  with pytest.raises((ValueError, OSError), match=message):
    command.main(
      SweepConfig(sweep=sweep), settings, None, tmp_path / "w", "run.py", print
    )
  assert not (tmp_path / "w").exists()


def test_errors_of_any_form_name_their_point(tiny, tmp_path, monkeypatch):
  monkeypatch.setattr(command.evaluate, "check", lambda _: b"\xff".decode())
  with pytest.raises(ValueError, match=r"Point 1 .*can't decode byte"):
    command.main(
      SweepConfig(sweep="x_max=1,10"), tiny, None, tmp_path, "run.py", print
    )


def test_points_that_may_train_together_do(tiny, tmp_path, monkeypatch):
  calls = []

  def together(counts, configs, on_epoch=None):
    calls.append([config.x_max for config in configs])
    costs = [1.0 + i for i in range(len(configs))]
    on_epoch({"step": 1, "epoch": 1, "cost": costs, "seconds": 3.0})
    return [loop.train(counts, config) for config in configs]

  monkeypatch.setattr(runner, "train_together", together)
  monkeypatch.setattr(runner, "can_train_together", lambda configs: True)
  settings = {name: tiny[name] for name in tiny if name != "dim"}
  points = plan(settings, sweep="x_max=1,10,100;dim=4,8")
  assert run(points, tmp_path, together=2) == 0
  assert calls == [[1.0, 10.0], [1.0, 10.0]]
  rows = rows_of(tmp_path)
  (second,) = [r for r in rows if r["x_max"] == "10.0" and r["dim"] == "4"]
  assert second["cost"] == "2.0" and second["train_seconds"] == "1.5"


def test_one_program_trains_as_well_as_one_by_one(tiny, tmp_path):
  """With train_together itself: one point of two has a cost that explodes."""
  tiny = tiny | {"epochs": 3}
  points = plan(tiny, sweep="learning_rate=0.05,1e30")
  assert run(points, tmp_path, together=2) == 1
  (row,) = rows_of(tmp_path)
  assert run(plan(tiny, sweep="learning_rate=0.05"), tmp_path / "alone") == 0
  (other,) = rows_of(tmp_path / "alone")
  assert float(row["cost"]) == pytest.approx(float(other["cost"]), rel=1e-3)


def test_a_point_and_a_run_of_the_same_settings_give_the_same_vectors(
  tiny, tmp_path
):
  settings = tiny | {"dtype": "float64", "engine": "rows", "unk": True}
  points = plan(settings, sweep="x_max=10")
  assert run(points, tmp_path / "sweep", keep_tables=True) == 0
  (folder,) = (tmp_path / "sweep" / "points").iterdir()
  config = configs.make_config(**settings, x_max=10)
  vectors = artifacts.read_vectors(folder, config.vectors)
  formats.write_stanford_text(vectors, tmp_path / "vectors.txt")
  result = pipeline.Pipeline(config, tmp_path / "run", lambda line: None).run()
  assert (tmp_path / "vectors.txt").read_bytes() == (
    tmp_path / "run" / "vectors.txt"
  ).read_bytes()
  assert result.evaluation == atomic.read_json(folder / "evaluation.json")


def test_seeds_do_not_train_together():
  sweep = grid.product(grid.param("x_max", 1, 10), grid.param("seed", 0, 1, 2))
  seeds = [
    {point.config.train.seed for point in batch}
    for batch in runner.batches(grid.make_points({}, sweep), together=4)
  ]
  assert sorted(seeds, key=min) == [{0}, {1}, {2}]


def test_points_that_train_together_are_those_that_train_alone(tiny, tmp_path):
  settings = tiny | {"products": "float32"}
  points = plan(settings, sweep="x_max=1,10", seeds=2)
  assert run(points, tmp_path / "many", together=4, keep_tables=True) == 0
  assert run(points, tmp_path / "alone", keep_tables=True) == 0
  for point in points.points:
    many, alone = (
      formats.read_tables(
        runner.point_folder(tmp_path / name, point) / "tables.npz"
      )[0]
      for name in ("many", "alone")
    )
    np.testing.assert_allclose(many.word, alone.word, atol=1e-4)


@pytest.mark.parametrize(
  "error", [RuntimeError("RESOURCE_EXHAUSTED: out of memory"), MemoryError()]
)
def test_too_little_memory_for_all_trains_one_by_one(
  tiny, tmp_path, monkeypatch, error
):
  def together(counts, configs, on_epoch=None):
    raise error

  monkeypatch.setattr(runner, "train_together", together)
  monkeypatch.setattr(runner, "can_train_together", lambda configs: True)
  said = []
  assert run(plan(tiny), tmp_path, said.append, together=2) == 0
  assert any("one by one" in line for line in said)


def test_counts_are_shared_by_what_they_depend_on():
  points = grid.make_points(
    {}, grid.product(grid.param("window", 2, 3), grid.param("dim", 4, 8))
  )
  groups = [
    [p.config.count.window for p in g] for g in runner.by_counts(points)
  ]
  assert groups == [[2, 2], [3, 3]]


def test_a_dry_run_makes_nothing(tiny, tmp_path):
  workdir, said = tmp_path / "none", []
  command.dry_run(plan(tiny), SweepConfig(), workdir, said.append)
  assert "2 points on 1 sets of counts" in said[0]
  assert "by speeds measured on 2 CPU cores" in said[0]
  assert list(tmp_path.iterdir()) == []


def test_a_plan_estimates_from_the_points_that_are_done(swept, tiny):
  said = []
  points = plan(tiny, sweep="x_max=1,10,30", seeds=2)
  command.dry_run(points, SweepConfig(), swept[0], said.append)
  assert "by the 4 points that are done" in said[0]
  assert said[0].count("(done)") == 4


def test_a_flag_that_the_sweep_varies_is_refused(tiny):
  with pytest.raises(ValueError, match="dim is what the sweep varies"):
    plan(tiny, sweep="dim=4,8")


def test_a_killed_sweep_goes_on(tiny, tmp_path):
  sweep = ",".join(map(str, range(1, 9)))
  line = [
    sys.executable, run_py.REPO / "run.py", f"--sweep=x_max={sweep}",
    *flags(tiny), f"--workdir={tmp_path}",
  ]  # fmt: skip
  with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
    while len(done := list(tmp_path.glob("points/*/evaluation.json"))) < 2:
      assert process.poll() is None
      time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
  before = {path: path.stat().st_mtime_ns for path in done}
  again = run_py.run(*line[2:])
  assert again.returncode == 0, again.stderr
  assert int(again.stdout.split()[0]) >= 2
  assert {path: path.stat().st_mtime_ns for path in done} == before
  assert len(rows_of(tmp_path)) == 8


@pytest.mark.parametrize("name", experiments.NAMES)
def test_every_experiment_is_valid(name):
  module = experiments.load(name)
  points = grid.make_points(module.get_config(), module.get_sweep())
  assert len(points) > 1
  assert f"--experiment={name}" in module.__doc__
  columns = set(results.LABELS) | {key for p in points for key in p.varied}
  for plot in module.report([]):
    assert {plot.x, *plot.measures} <= columns


def test_stanford_needs_its_programs(tiny):
  module = experiments.load("stanford")
  with pytest.raises(ValueError, match="needs stanford="):
    plan({}, sweep=None, experiment=module, stanford="nowhere")


def test_points_can_be_read_by_tensorboard(swept, tiny):
  pytest.importorskip("tensorboardX")
  workdir, _ = swept
  report.write_tensorboard(plan(tiny, seeds=2).points, workdir)
  runs = list((workdir / "tensorboard").iterdir())
  assert len(runs) == 4
  for folder in runs:
    (events,) = folder.iterdir()
    content = events.read_bytes()
    for name in (b"train/cost", b"pairs", b"_hparams_", b"x_max"):
      assert name in content


def test_without_matplotlib_there_are_tables(swept, tiny, monkeypatch):
  monkeypatch.setitem(sys.modules, "matplotlib", None)
  said = []
  assert run(plan(tiny, seeds=2), swept[0], said.append) == 0
  assert plots.MISSING in said
  assert plots.MISSING in (swept[0] / "report.html").read_text()


@pytest.mark.parametrize(
  "given, message",
  [
    (["--search=optuna"], "--search needs what to search"),
    (["--dry_run"], "--experiment=NAME or --sweep"),
    (["--search=optuna", "--dry_run"], "A search has no plan"),
    (["--sweep=x_mox=1"], "There is no setting 'x_mox'"),
    (["--experiment=stanford"], "needs --stanford"),
  ],
)
def test_a_mistake_is_one_sentence(given, message, tmp_path):
  done = run_py.run(f"--workdir={tmp_path}", *given)
  assert done.returncode == 1 and message in done.stderr
  assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
