"""What `python run.py --experiment=...`, `--sweep=...` and `report` do."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

from glove_jax import atomic, effects
from glove_jax.config import all_settings
from glove_jax.sweeps import (
  estimate,
  folders,
  grid,
  plots,
  report,
  results,
  runner,
  search,
)
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.options import SweepConfig
from glove_jax.sweeps.plots import Plot
from glove_jax.sweeps.runner import Plan
from glove_jax.training import multihost
from glove_jax.training.checks import check_config
from glove_jax.vectors import evaluate
from glove_jax.workdir import inputs
from glove_jax.workdir.lock import lock

_LONGEST_LINE = 12  # values along x; with more, each point is a dot


def make_plan(
  config: SweepConfig,
  settings: dict[str, Any],
  experiment: ModuleType | None = None,
  *,
  sweep: str | grid.Sweep = "",
  command: str = "",
) -> Plan:
  """Checks everything that can be checked before anything runs.

  Args:
    config: which sweep to run.
    settings: settings that all points share; they win over the experiment's.
    experiment: the module of the experiment; None for a sweep without a file.
    sweep: the points, instead of `config.sweep`.
    command: the command line, for the report.

  Raises:
    ValueError: neither an experiment nor a sweep, a setting that is both given
      and varied, or a point that is no valid config.
  """
  chosen = sweep or config.sweep
  if not experiment and not chosen:
    raise ValueError("Say what to run: experiment=NAME or sweep=...")
  module = experiment or _without_file([])
  points = _with_seeds(chosen or module.get_sweep(), config.seeds)
  varied = {name for point in points for name in point}
  if fixed := sorted(varied & settings.keys()):
    raise ValueError(
      f"{fixed[0]} is what the sweep varies: leave it out, or give its values "
      "to sweep="
    )
  get_trainers = getattr(module, "get_trainers", lambda stanford: {})
  return Plan(
    grid.make_points(module.get_config() | settings, points),
    get_trainers(config.stanford),
    _without_file(points).report if chosen else module.report,
    (module.__doc__ or "").strip(),
    {
      "experiment": config.experiment,
      "sweep": chosen,
      "settings": settings,
      "seeds": config.seeds,
      "stanford": config.stanford,
      "command": command,
    },
    getattr(module, "evaluate", None),
  )


def _with_seeds(sweep: str | grid.Sweep, num_seeds: int) -> grid.Sweep:
  """The points of a sweep, each with every seed unless they vary the seed."""
  points = grid.parse(sweep) if isinstance(sweep, str) else sweep
  if not num_seeds or any("seed" in point for point in points):
    return points
  return grid.product(points, grid.param("seed", *range(num_seeds)))


def _without_file(sweep: grid.Sweep) -> SimpleNamespace:
  """An experiment without a file: one plot for each setting that varies."""
  names = dict.fromkeys(name for point in sweep for name in point)
  names = [name for name in names if name not in results.REPEATS]

  def make_plots(rows) -> list[Plot]:
    del rows
    return [_plot_over(name, names, sweep) for name in names]

  return SimpleNamespace(get_config=dict, report=make_plots, __doc__="")


def _plot_over(name: str, names: list[str], sweep: grid.Sweep) -> Plot:
  """The plot of scores over one setting.

  If two settings vary, each value of the other is a line. If more vary, scores
  are means over the others. A setting with many values, as after a search, is
  plotted as dots.
  """
  values = [point[name] for point in sweep if name in point]
  others = [other for other in names if other != name]
  title = f"Scores over {name}"
  numbers = all(type(value) in (int, float) for value in values)
  log = numbers and min(values) > 0 and max(values) >= 20 * min(values)
  if numbers and len(set(values)) > _LONGEST_LINE:
    return Plot(name, title, "dots", x=name, log=log)
  if len(others) > 1:
    title += ", mean and deviation over the other settings and the seeds"
  if not numbers:
    return Plot(name, title, "bars", x=name)
  by = others[0] if len(others) == 1 else None
  return Plot(name, title, "lines", x=name, by=by, log=log)


def main(
  config: SweepConfig,
  settings: dict[str, Any],
  load: Callable[[str], ModuleType],
  workdir: pathlib.Path,
  command: str,
  say: Callable[[str], None],
  named: Iterable[str] = (),
) -> int:
  """Runs a sweep, a search or a dry run.

  Args:
    config: says which, and how.
    settings: settings that all points share.
    load: returns the module of an experiment by its name.
    workdir: the work directory.
    command: the command line, for the report.
    say: called with each line of news.
    named: those of the settings that the user gave by name.

  Returns:
    The exit code: 1 if a point failed.

  Raises:
    ValueError: options that do not fit each other, a setting without effect
      on any point, or as `make_plan`.
    ValueError, OSError: as `check_points`.
  """
  if config.dry_run and multihost.several():
    raise ValueError("A dry run needs one process only: start no others.")
  if config.dry_run and config.search:
    raise ValueError("A search has no plan: it chooses its points as it goes.")
  experiment = load(config.experiment) if config.experiment else None
  if config.search:
    return run_search(config, settings, experiment, workdir, command, say)
  plan = make_plan(config, settings, experiment, command=command)
  varied = {name for point in plan.points for name in point.varied}
  effects.check(
    [all_settings(point.config) for point in plan.points],
    sorted({*named, *(varied if config.sweep else ())}),
  )
  if config.dry_run:
    dry_run(plan, config, workdir, say)
    return 0
  check_points(plan, workdir)
  return run(plan, config, workdir, say)


def run(
  plan: Plan,
  config: SweepConfig,
  workdir: pathlib.Path,
  say: Callable[[str], object] = print,
) -> int:
  """Runs a sweep and reports it.

  Args:
    plan: the points.
    config: how to run them.
    workdir: the work directory.
    say: called with each line of news.

  Returns:
    The exit code: 1 if a point failed.

  Raises:
    ValueError: the folder has a search or results of other points.
  """
  if (workdir / search.STUDY).exists():
    raise ValueError(f"{workdir} has a search: name another workdir.")
  folders.adopt(plan.points, workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  atomic.write_json(workdir / "sweep.json", plan.record)
  keep_up = report.Reports(lambda: report.write(plan, workdir))
  points = runner.Runner(
    workdir, config, plan.trainers, say, plan.evaluate, keep_up
  )
  failed = points.run(plan.points)
  write_report(plan, workdir, say, tensorboard=config.tensorboard)
  return 1 if failed else 0


def check_points(plan: Plan, workdir: pathlib.Path) -> None:
  """Finds mistakes in any point of a sweep before the first one runs.

  Raises:
    OSError: a file of a point is missing or cannot be read.
    ValueError: settings that cannot train, or a damaged file.
  """
  checked = set()  # parts of configs: points share most of them
  for number, point in enumerate(plan.points, 1):
    if folders.is_done(workdir, point):
      continue
    config = point.config
    checks = {
      config.corpus: lambda part: inputs.check(part, workdir),
      config.evaluate: evaluate.check,
    }
    if point.varied.get(grid.LABEL) not in plan.trainers:
      checks[config.train] = check_config
    for part in checks.keys() - checked:
      try:
        checks[part](part)
      except (ValueError, OSError) as error:
        where = f"Point {number} of the sweep ({grid.describe(point.varied)})"
        # Not of the error's own type, which may take other arguments.
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{where}: {error}") from error
      checked.add(part)


def run_search(
  config: SweepConfig,
  settings: dict[str, Any],
  experiment: ModuleType | None,
  workdir: pathlib.Path,
  command: str = "",
  say: Callable[[str], None] = print,
) -> int:
  """Searches the space that `config.sweep` describes, and reports it.

  Args:
    config: which search to run.
    settings, experiment, command: as for `make_plan`.
    workdir: the work directory of the search.
    say: called with each line of news.

  Returns:
    The exit code: 1 if a point failed.

  Raises:
    ValueError: no space was given, no such objective, or another search in
      the work directory.
    ValueError, OSError: as `check_points`.
    Busy: another process searches in the work directory.
  """
  make = functools.partial(
    make_plan, settings=settings, experiment=experiment, command=command
  )

  def tried_plan(tried: list[Point]) -> Plan:
    once = dataclasses.replace(config, seeds=0)  # the points vary the seed
    plan = make(once, sweep=[point.varied for point in tried])
    atomic.write_json(workdir / "sweep.json", plan.record)
    return plan

  first = make(config, sweep=[search.first_values(config.sweep)])
  check_points(first, workdir)
  search.check_objective(first, config)
  workdir.mkdir(parents=True, exist_ok=True)
  with lock(workdir):  # of one process, as a study has no points to share
    study = search.open_study(first, config, workdir)
    keep_up = report.Reports(
      lambda tried: report.write(tried_plan(tried), workdir)
    )
    tried = search.run(
      study,
      lambda values: make(config, sweep=[values]).points,
      runner.Runner(workdir, config, say=say, evaluate=first.evaluate),
      config,
      keep_up,
    )
  plan = tried_plan(tried)
  write_report(plan, workdir, say, tensorboard=config.tensorboard)
  return 1 if folders.read_failures(plan.points, workdir) else 0


def dry_run(
  plan: Plan,
  config: SweepConfig,
  workdir: pathlib.Path,
  say: Callable[[str], None] = print,
) -> None:
  """Shows the points of a sweep and about how long they take."""
  together = runner.num_together(config)
  say(estimate.format_plan(plan.points, workdir, together))


def write_report(
  plan: Plan,
  workdir: pathlib.Path,
  say: Callable[[str], object],
  *,
  tensorboard: bool = False,
) -> None:
  """Writes the tables, plots and page of a sweep, and shows the table."""
  rows = report.write(plan, workdir)
  if rows and not plots.has_matplotlib():
    say(plots.MISSING)
  if rows:
    say((workdir / "results.md").read_text().rstrip())
  if tensorboard:
    report.write_tensorboard(plan.points, workdir)
  num_done, failed = len(rows), folders.read_failures(plan.points, workdir)
  which = (
    "all results"
    if num_done == len(plan.points)
    else (f"the results of {num_done} of {len(plan.points)} points")
  )
  say(f"{workdir / 'report.html'} has {which}.")
  for name, why in failed.items():
    say(f"failed: {name}: {why} (see {workdir / 'points' / name})")


def rewrite(
  workdir: pathlib.Path,
  load: Callable[[str], ModuleType],
  output: str | None = None,
  say: Callable[[str], None] = print,
) -> None:
  """Writes the report of a sweep again, or copies its results elsewhere.

  Args:
    workdir: the work directory of the sweep.
    load: returns the module of an experiment by its name.
    output: a folder for results.csv, results.md, config.json and the plots;
      None writes the report of the work directory.
    say: called with each line of news.

  Raises:
    FileNotFoundError: there is no sweep in the work directory.
    ValueError: its points are of other defaults than those of today.
  """
  plan = read_plan(workdir, load)
  folders.check_known(plan.points, workdir)
  if output is None:
    write_report(plan, workdir, say)
    return
  report.keep(plan, workdir, pathlib.Path(output))
  say(f"The results are in {output}.")


def read_plan(workdir: pathlib.Path, load: Callable[[str], ModuleType]) -> Plan:
  """Makes the plan of the sweep in a work directory again.

  Raises:
    FileNotFoundError: there is no sweep in the work directory.
  """
  path = workdir / "sweep.json"
  if not path.exists():
    raise FileNotFoundError(
      f"There is no sweep in {workdir}: run one with experiment= or sweep=."
    )
  record = atomic.read_json(path)
  name = record["experiment"] or ""
  return make_plan(
    SweepConfig(
      experiment=name,
      seeds=record["seeds"],
      stanford=record["stanford"] or "",
    ),
    record["settings"],
    load(name) if name else None,
    sweep=record["sweep"] or "",
    command=record["command"],
  )
