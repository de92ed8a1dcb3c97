"""Searches: going on, and refusing what would mislead."""

import csv
import sys

import pytest

from glove_jax.sweeps import command, grid, search
from glove_jax.sweeps.options import SweepConfig


def plan(tiny, sweep, **options):
  return command.make_plan(SweepConfig(sweep=sweep, **options), tiny)


def run(plan, workdir):
  return command.run(plan, SweepConfig(), workdir, lambda line: None)


def rows_of(workdir):
  with (workdir / "results.csv").open() as file:
    return list(csv.DictReader(file))


def search_for(tiny, workdir, say, **options):
  return command.run_search(
    SweepConfig(**options), tiny, None, workdir, "python run.py", say
  )


@pytest.mark.parametrize("objective, similarity, message", [
  ("gogle", "pairs.tsv", "no score 'gogle' .* questions_semantic, .* pairs"),
  ("similarity", "", "objective=similarity needs sets"),
])  # fmt: skip
def test_the_objective_of_a_search_is_checked_before_it(
  tiny, tmp_path, objective, similarity, message
):
  config = SweepConfig(
    sweep="x_max=1..9", search="optuna", trials=1, objective=objective
  )
  settings = tiny | ({} if similarity else {"similarity": []})
  with pytest.raises(ValueError, match=message):
    command.run_search(config, settings, None, tmp_path / "w")
  assert not (tmp_path / "w").exists()


def test_a_search_goes_on_with_its_study(tiny, tmp_path):
  optuna = pytest.importorskip("optuna")
  space = "x_max=1..100;bias_init=fit,random"
  said = []

  def search_again(trials, objective="pairs"):
    return search_for(
      tiny, tmp_path, said.append, search="optuna", sweep=space,
      trials=trials, objective=objective,
    )  # fmt: skip

  assert search_again(2) == 0
  assert len(list((tmp_path / "points").iterdir())) == 2
  storage = f"sqlite:///{tmp_path / 'study.db'}"
  study = optuna.load_study(study_name="search", storage=storage)
  cut_off = study.ask()  # as by a kill: its trial is still running
  cut_off.suggest_float("x_max", 1, 100, log=True)
  cut_off.suggest_categorical("bias_init", ["fit", "random"])
  assert search_again(3) == 0
  assert len(list((tmp_path / "points").iterdir())) == 3
  rows = rows_of(tmp_path)
  tried = {float(row["x_max"]) for row in rows}
  assert len(rows) == 3 and cut_off.params["x_max"] in tried
  assert sum(line.startswith("best: x_max=") for line in said) == 2
  command.rewrite(tmp_path, None, say=said.append)
  with pytest.raises(ValueError, match="no score 'googel'"):
    search_again(4, "googel")


@pytest.mark.parametrize("sweep, more, objective, message", [
  ("x_max=1..9", {"epochs": 2}, "pairs", "a search with epochs=1, not 2"),
  ("alpha=0..1", {}, "pairs", "a search with sweep='x_max=1..9', not 'alpha"),
  ("x_max=1..9", {}, "questions", "a search with objective='pairs', not"),
])  # fmt: skip
def test_a_study_keeps_its_space_settings_and_objective(
  tiny, searched, sweep, more, objective, message
):
  before = (searched / "results.csv").read_bytes()
  with pytest.raises(ValueError, match=message):
    search_for(
      tiny | more, searched, print, search="optuna", sweep=sweep, trials=1,
      objective=objective,
    )  # fmt: skip
  assert (searched / "results.csv").read_bytes() == before


def test_a_sweep_and_a_search_refuse_the_folder_of_another(
  tiny, swept, searched
):
  with pytest.raises(ValueError, match="has a search"):
    run(plan(tiny, sweep="x_max=1,10"), searched)
  with pytest.raises(
    ValueError, match=r"of another sweep, such as points/x_max=1_"
  ):
    run(plan(tiny, sweep="x_max=10,30", seeds=2), swept[0])
  with pytest.raises(ValueError, match="of another sweep"):
    search_for(tiny, swept[0], print, sweep="x_max=1..9", trials=1)
  assert len(rows_of(swept[0])) == 4


@pytest.fixture(scope="module")
def searched(tiny, tmp_path_factory):
  """The work directory of a search of one trial."""
  pytest.importorskip("optuna")
  workdir = tmp_path_factory.mktemp("search")
  options = {"sweep": "x_max=1..9", "trials": 1, "objective": "pairs"}
  search_for(tiny, workdir, lambda line: None, search="optuna", **options)
  return workdir


@pytest.mark.parametrize("objective, space, message", [
  ("num_counts", "x_max=1..9", "no score 'num_counts'"),
  ("pairs_coverage", "x_max=1..9", "no score 'pairs_coverage'"),
  ("cost", "dim=4..8;alpha=0..1", "Costs with different alpha"),
  ("cost", "window=2..3", "Costs with different window"),
])  # fmt: skip
def test_only_what_can_be_compared_is_an_objective(
  tiny, tmp_path, objective, space, message
):
  varied = {name for name, _ in grid.split(space)}
  settings = {k: v for k, v in tiny.items() if k not in varied}
  with pytest.raises(ValueError, match=message):
    search_for(settings, tmp_path / "w", print, sweep=space,
               objective=objective)  # fmt: skip
  assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("objective, direction", [
  ("cost", "MINIMIZE"), ("pairs", "MAXIMIZE"),
])  # fmt: skip
def test_a_cost_is_minimised(tiny, tmp_path, objective, direction):
  pytest.importorskip("optuna")
  first = plan(tiny, sweep="learning_rate=0.1")
  config = SweepConfig(sweep="learning_rate=0.1..1", objective=objective)
  assert search.open_study(first, config, tmp_path).direction.name == direction


def test_a_search_without_optuna_or_space(tiny, tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "optuna", None)
  with pytest.raises(ModuleNotFoundError, match="pip install optuna"):
    search_for(tiny, tmp_path, print, sweep="x_max=1,10")
  with pytest.raises(ValueError, match="what to search"):
    search_for(tiny, tmp_path, print)


@pytest.mark.parametrize("space", ["x_max=10..1", "bias_init=fit..random"])
def test_a_search_needs_ranges_of_numbers(space):
  with pytest.raises(ValueError, match="no range of numbers"):
    search.read_space(space)
