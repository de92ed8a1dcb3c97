"""Searches: each point is chosen by the results of the earlier ones (optuna).

The study is `study.db` in the work directory. A search that was stopped resumes
it, beginning with the trial that was interrupted. Points are folders, as in a
sweep.
"""

import pathlib
import statistics
from collections.abc import Callable
from typing import Any

from glove_jax.config import EvaluateConfig
from glove_jax.sweeps import grid, results, runner
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.options import SIMILARITY, SweepConfig
from glove_jax.vectors import standard

_FAILED = "failed"  # marks a trial that ended in an error
_LOG_FROM = 10  # ranges at least this factor wide have a logarithmic scale


def run(
  make_points: Callable[[grid.Settings], list[Point]],
  workdir: pathlib.Path,
  config: SweepConfig,
  say: Callable[[str], None],
) -> tuple[list[Point], runner.Failures]:
  """Tries settings until `config.trials` trials are finished.

  Args:
    make_points: the points for the settings of a trial, one for each seed.
    workdir: the work directory of the search.
    config: `sweep`, the space, as field=low..high or field=value,value
      separated by semicolons; `trials`, including those of earlier calls;
      `objective`, a column of the results or 'similarity'.
    say: called with each line of news.

  Returns:
    The points of all finished trials, and one sentence for each that failed.

  Raises:
    ValueError: a space that cannot be read.
    ModuleNotFoundError: optuna is not installed.
  """
  suggest = read_space(config.sweep)
  point_runner = runner.Runner(workdir, config, say=say)
  study, done, failed = _open_study(workdir), [], {}
  for old in _finished(study):
    done += make_points(_read(old.params, suggest))
  while len(_finished(study)) < config.trials:
    trial = study.ask()
    settings = {name: ask(trial) for name, ask in suggest.items()}
    say(f"trial {trial.number}: {grid.describe(settings)}")
    points = make_points(settings)
    failures = point_runner.run(points)
    if failures:
      trial.set_user_attr(_FAILED, True)
      study.tell(trial, state=_states().FAIL)
    else:
      study.tell(trial, score(points, workdir, config.objective))
    done, failed = done + points, failed | failures
  if any(trial.value is not None for trial in study.trials):
    best = grid.describe(_read(study.best_params, suggest))
    say(f"best: {best}: {config.objective} {study.best_value:.4f}")
  return list({point.name: point for point in done}.values()), failed


def read_space(space: str) -> dict[str, Callable[[Any], Any]]:
  """Gives for each setting a function that asks a trial for a value.

  Raises:
    ValueError: no such setting, or a value of a wrong type.
  """
  suggest = {}
  for name, text in grid.split(space):
    if ".." in text:
      suggest[name] = _range(name, text)
    else:
      suggest[name] = _choice(name, text.split(","))
  return suggest


class _First:
  """A trial that gets the first value of each range or choice."""

  def suggest_int(self, name, low, high, log):
    return low

  suggest_float = suggest_int

  def suggest_categorical(self, name, values):
    return values[0]


def first_values(space: str) -> grid.Settings:
  """The first value of each setting in a space.

  >>> first_values("x_max=1..300;dim=50,100")
  {'x_max': 1.0, 'dim': 50}

  Raises:
    ValueError: as `read_space`.
  """
  return {name: ask(_First()) for name, ask in read_space(space).items()}


def check_objective(config: EvaluateConfig, objective: str) -> None:
  """Checks, before anything is trained, that there will be such a score.

  Raises:
    ValueError: there will not; the message lists the scores.
  """
  if objective == SIMILARITY:
    if not config.similarity:
      raise ValueError("objective=similarity needs sets: give similarity=.")
    return
  known = ["cost", *results.SIZES]
  for entry in standard.find_sets(config):
    endings = ["", "_coverage"]
    if entry.kind != "similarity":
      endings += ["_semantic", "_syntactic"]
    known += [f"{entry.name}{ending}" for ending in endings]
  if objective not in known:
    raise ValueError(
      f"There is no score {objective!r} to search by: use one of "
      f"{', '.join([SIMILARITY, *known])}."
    )


def _range(name: str, text: str):
  low, high = (
    grid.parse_value(name, end) for end in text.split("..", maxsplit=1)
  )
  if type(low) not in (int, float) or not low < high:
    raise ValueError(f"{name}={text} is no range of numbers from low to high.")
  log = low > 0 and high >= _LOG_FROM * low

  def ask(trial):
    if type(low) is int:
      return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, low, high, log=log)

  return ask


def _choice(name: str, values: list[str]):
  for value in values:
    grid.parse_value(name, value)

  def ask(trial):
    return grid.parse_value(name, trial.suggest_categorical(name, values))

  return ask


def score(points: list[Point], workdir: pathlib.Path, objective: str) -> float:
  """The mean of the objective over points.

  Raises:
    ValueError: no such score; the message lists the scores.
  """
  rows = results.read_results(points, workdir)
  similarity = _similarity_sets(points[0])
  names = similarity if objective == SIMILARITY else [objective]
  if missing := [name for name in names if name not in rows[0]]:
    known = ", ".join([SIMILARITY, *results.measures(rows, [])])
    raise ValueError(
      f"There is no score {missing[0]!r} to search by: use one of {known}."
    )
  return statistics.fmean(row[name] for row in rows for name in names)


def _similarity_sets(point: Point) -> list[str]:
  return [pathlib.Path(n).stem for n in point.config.evaluate.similarity]


def _open_study(workdir: pathlib.Path):
  """Opens the study on disk; an interrupted trial goes to its queue's head."""
  try:
    import optuna
  except ImportError as error:
    raise ModuleNotFoundError(
      "search=optuna needs the package optuna: pip install optuna."
    ) from error
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  workdir.mkdir(parents=True, exist_ok=True)
  study = optuna.create_study(
    study_name="search",
    storage=f"sqlite:///{workdir.resolve() / 'study.db'}",
    direction="maximize",
    load_if_exists=True,
  )
  # A new seed each time: else a resumed search repeats its first proposals.
  study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
  for trial in study.get_trials(states=[_states().RUNNING]):
    study.tell(trial.number, state=_states().FAIL)
    study.enqueue_trial(trial.params)
  return study


def _states():
  from optuna.trial import TrialState

  return TrialState


def _finished(study) -> list:
  """The trials that ended in a score or an error: none that were cut off."""
  return [
    trial
    for trial in study.trials
    if trial.state == _states().COMPLETE or _FAILED in trial.user_attrs
  ]


def _read(params: dict, suggest) -> grid.Settings:
  """The settings of a finished trial."""
  from optuna.trial import FixedTrial

  return {name: ask(FixedTrial(params)) for name, ask in suggest.items()}
