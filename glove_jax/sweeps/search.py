"""Searches: each point is chosen by the results of the earlier ones (optuna).

The study is `study.db` in the work directory. A search that was stopped resumes
it, beginning with the trial that was interrupted. A study keeps its space,
settings and objective. Points are folders, as in a sweep.
"""

import json
import pathlib
import statistics
from collections.abc import Callable
from typing import Any

from glove_jax import config as configs
from glove_jax import lazy
from glove_jax.sweeps import folders, grid, results, runner
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.options import SIMILARITY, SweepConfig
from glove_jax.sweeps.runner import Plan
from glove_jax.vectors import standard

STUDY = "study.db"

# Objectives that are better if they are smaller.
_MINIMISED = ("cost", "train_seconds", "wall_seconds")
# Settings that change what the cost is, beside those of text and counts.
_COSTS = ("x_max", "alpha", "missing", "missing_count", "engine")
_FAILED = "failed"  # marks a trial that ended in an error
_REQUEST = "request"  # what the study searches
_LOG_FROM = 10  # ranges at least this factor wide have a logarithmic scale


def run(
  study,
  make_points: Callable[[grid.Settings], list[Point]],
  point_runner: runner.Runner,
  config: SweepConfig,
  on_trial: Callable[[list[Point]], object] = lambda tried: None,
) -> list[Point]:
  """Tries settings until `config.trials` trials are finished.

  Args:
    study: of `open_study`.
    make_points: the points for the settings of a trial, one for each seed.
    point_runner: trains them, in the work directory of the search.
    config: `sweep`, the space, as field=low..high or field=value,value
      separated by semicolons; `trials`, including those of earlier calls;
      `objective`, a column of the results or 'similarity'.
    on_trial: called after each trial with the points of all finished trials.

  Returns:
    The points of all finished trials.

  Raises:
    ValueError: a space that cannot be read.
  """
  suggest, workdir = read_space(config.sweep), point_runner.workdir
  tried: dict[str, Point] = {}
  for old in _finished(study):
    points = make_points(_read(old.params, suggest))
    tried |= {point.name: point for point in points}
  while len(_finished(study)) < config.trials:
    trial = study.ask()
    settings = {name: ask(trial) for name, ask in suggest.items()}
    point_runner.say(f"trial {trial.number}: {grid.describe(settings)}")
    points = make_points(settings)
    if point_runner.run(points):
      trial.set_user_attr(_FAILED, True)
      study.tell(trial, state=_states().FAIL)
    else:
      study.tell(trial, score(points, workdir, config.objective))
    tried |= {point.name: point for point in points}
    on_trial(list(tried.values()))
  if any(trial.value is not None for trial in study.trials):
    best = grid.describe(_read(study.best_params, suggest))
    value = f"{config.objective} {study.best_value:.4f}"
    point_runner.say(f"best: {best}: {value}")
  return list(tried.values())


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
    ValueError: no space is given, or as `read_space`.
  """
  if not space:
    raise ValueError(
      'search needs what to search: sweep="x_max=1..300;alpha=0.25..1".'
    )
  return {name: ask(_First()) for name, ask in read_space(space).items()}


def check_objective(first: Plan, config: SweepConfig) -> None:
  """Checks, before anything is trained, that there will be such a measure.

  Args:
    first: the plan of a point of the search.
    config: the objective and the space.

  Raises:
    ValueError: there will not, and the message lists the measures; or the space
      has settings with which the cost is another one.
  """
  objective, asked = config.objective, first.points[0].config.evaluate
  if objective == SIMILARITY:
    if not asked.similarity:
      raise ValueError("objective=similarity needs sets: give similarity=.")
    return
  if objective == "cost":
    _check_costs(config.sweep)
  known = list(_MINIMISED)
  for entry in standard.find_sets(asked):
    parts = ["", "_semantic", "_syntactic"]
    ends = parts[:1] if entry.kind == "similarity" else parts
    known += [f"{entry.name}{end}" for end in ends]
  if objective not in known and not first.evaluate:
    raise ValueError(
      f"There is no score {objective!r} to search by: use one of "
      f"{', '.join([SIMILARITY, *known])}."
    )


def _check_costs(space: str) -> None:
  """Refuses settings with which costs cannot be compared."""
  of_training = set(configs.settings(configs.TrainConfig())) - set(_COSTS)
  for name, _ in grid.split(space):
    if name not in of_training:
      raise ValueError(
        f"Costs with different {name} cannot be compared, since it changes "
        "what the cost is: search by a score, or leave it out."
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


def open_study(first: Plan, config: SweepConfig, workdir: pathlib.Path):
  """Opens the study on disk; an interrupted trial goes to its queue's head.

  Args:
    first: the plan of a point of the search.
    config: the space, the objective and the seeds.
    workdir: the work directory of the search.

  Raises:
    ModuleNotFoundError: optuna is not installed.
    ValueError: the study in the work directory is of another search, or there
      are results of a sweep.
  """
  with lazy.needed(
    "search=optuna needs the package optuna: pip install optuna."
  ):
    import optuna
  optuna.logging.set_verbosity(optuna.logging.WARNING)
  path = workdir / STUDY
  if not path.exists():
    folders.adopt([], workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  downwards = config.objective in _MINIMISED
  study = optuna.create_study(
    study_name="search",
    storage=f"sqlite:///{path.resolve()}",
    direction="minimize" if downwards else "maximize",
    load_if_exists=True,
  )
  _check_request(study, _request(first, config), workdir)
  # A new seed each time: else a resumed search repeats its first proposals.
  study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
  for trial in study.get_trials(states=[_states().RUNNING]):
    study.tell(trial.number, state=_states().FAIL)
    study.enqueue_trial(trial.params)
  return study


def _request(first: Plan, config: SweepConfig) -> dict[str, Any]:
  """What must stay the same in a search that goes on."""
  point = first.points[0]
  settings = grid.result_settings(point.config)
  for name in point.varied:
    settings.pop(name, None)
  request = {
    "sweep": config.sweep,
    "objective": config.objective,
    "seeds": config.seeds,
    "experiment": config.experiment,
  }
  return json.loads(json.dumps(request | settings))


def _check_request(study, request: dict, workdir: pathlib.Path) -> None:
  old = study.user_attrs.get(_REQUEST)
  if old is None and not study.trials:
    study.set_user_attr(_REQUEST, request)
    return
  if old is None:
    raise ValueError(
      f"The search in {workdir} is of an earlier version, which did not keep "
      "what it searches: name another workdir."
    )
  for name, value in request.items():
    if old.get(name) != value:
      raise ValueError(
        f"{workdir} has a search with {name}={old.get(name)!r}, not "
        f"{value!r}: give the same settings, or name another workdir."
      )


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
