"""What `python run.py --experiment=...` and `--sweep=...` do."""

import json
import pathlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax

import experiments
from glove_jax import atomic, metrics
from glove_jax.sweeps import (
  estimate,
  grid,
  plots,
  report,
  results,
  runner,
  search,
)
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.plots import Plot

_ON_A_GPU = 4  # points that train together there, if nothing else is said
_ON_A_LINE = 12  # values of a field, at most


class Request(NamedTuple):
  """What was asked for: the flags of these names."""

  experiment: str | None
  sweep: str | list[dict] | None  # as --sweep has it, or the points
  settings: dict[str, Any]  # fields that were given
  seeds: int
  stanford: str | None
  command: str  # as it was typed


class Plan(NamedTuple):
  """A sweep that can run."""

  points: list[Point]
  trainers: dict[str, runner.Trainer]
  shown: Callable[[list], list[Plot]]
  story: report.Story


def make_plan(request: Request) -> Plan:
  """Checks everything that can be checked before anything runs.

  Raises:
    ValueError: neither experiment nor sweep, no such experiment, or a point
      that no config can be made of.
  """
  if not request.experiment and not request.sweep:
    raise ValueError("Say what to run: --experiment=NAME or --sweep=...")
  if request.experiment:
    module = experiments.load(request.experiment)
  else:
    module = ad_hoc()
  sweep = request.sweep or module.get_sweep()
  sweep = grid.parse(sweep) if isinstance(sweep, str) else sweep
  varied = {name for point in sweep for name in point}
  if request.seeds and "seed" not in varied:
    seeds = grid.param("seed", *range(request.seeds))
    sweep = grid.product(sweep, seeds)
    varied.add("seed")
  if fixed := sorted(varied & request.settings.keys()):
    raise ValueError(
      f"--{fixed[0]} is what the sweep varies: leave it out, or give the "
      "values as --sweep."
    )
  points = grid.make_points(module.get_config() | request.settings, sweep)
  trainers = {}
  if hasattr(module, "get_trainers"):
    trainers = module.get_trainers(request.stanford)
  shown = module.report
  if request.sweep:
    shown = ad_hoc(sweep).report
  about = (module.__doc__ or "").strip()
  title = request.experiment or "sweep"
  return Plan(
    points, trainers, shown, report.Story(title, about, request.command)
  )


def ad_hoc(sweep: grid.Sweep = ()) -> SimpleNamespace:
  """An experiment without a file: a plot over each field that varies."""

  def report(results) -> list[Plot]:
    del results
    names = dict.fromkeys(name for point in sweep for name in point)
    names = [name for name in names if name != "seed"]
    return [_plot_over(name, names, sweep) for name in names]

  return SimpleNamespace(get_config=dict, report=report, __doc__="")


def _plot_over(name: str, names: list[str], sweep: grid.Sweep) -> Plot:
  """Scores over one field; of two fields, a line for each value of the other.

  With more fields than two, each point is a mean over all others; of a field
  with more values than a line can bear, as after a search, there are dots.
  """
  values = [point[name] for point in sweep if name in point]
  others = [other for other in names if other != name]
  title = f"Scores over {name}"
  numbers = all(type(value) in (int, float) for value in values)
  log = numbers and min(values) > 0 and max(values) >= 20 * min(values)
  if numbers and len(set(values)) > _ON_A_LINE:
    return Plot(name, title, "dots", x=name, log=log)
  if len(others) > 1:
    title += ", mean and deviation over the other fields as well as the seeds"
  if not numbers:
    return Plot(name, title, "bars", x=name)
  return Plot(
    name,
    title,
    "lines",
    x=name,
    by=others[0] if len(others) == 1 else None,
    log=log,
  )


class How(NamedTuple):
  """How a sweep or search runs: the flags of these names."""

  together: int = 0
  keep_tables: bool = False
  tensorboard: bool = False
  trials: int = 50
  objective: str = search.SIMILARITY


DEFAULTS = How()


def run(
  request: Request,
  workdir: pathlib.Path,
  how: How = DEFAULTS,
  say: Callable[[str], None] = print,
) -> int:
  """Runs a sweep and reports it.

  Returns:
    The exit code: 1 where a point failed.
  """
  plan = make_plan(request)
  workdir.mkdir(parents=True, exist_ok=True)
  save_request(request, workdir)
  options = make_options(how, plan, say)
  failed = runner.run(plan.points, workdir, options)
  write_report(plan, workdir, failed, how, say)
  return 1 if failed else 0


def run_search(
  request: Request,
  workdir: pathlib.Path,
  how: How,
  say: Callable[[str], None] = print,
) -> int:
  """Searches the space that the request's sweep describes, and reports it.

  Returns:
    The exit code: 1 where a point failed.

  Raises:
    ValueError: no space was given.
  """
  if not request.sweep:
    raise ValueError(
      '--search needs what to search: --sweep="x_max=1..300;alpha=0.25..1".'
    )

  def make_points(settings: grid.Settings) -> list[Point]:
    return make_plan(request._replace(sweep=[settings])).points

  points, failed = search.run(
    request.sweep,
    make_points,
    workdir,
    make_options(how, None, say),
    trials=how.trials,
    objective=how.objective,
  )
  tried = [point.varied for point in points]
  request = request._replace(sweep=tried, seeds=0)
  save_request(request, workdir)
  write_report(make_plan(request), workdir, failed, how, say)
  return 1 if failed else 0


def dry_run(
  request: Request, workdir: pathlib.Path, how: How, say: Callable[[str], None]
) -> None:
  """Shows the points of a sweep and how long they may take."""
  points = make_plan(request).points
  say(estimate.format_plan(points, workdir, together(how)))


def make_options(how: How, plan: Plan | None, say) -> runner.Options:
  trainers = plan.trainers if plan else {}
  return runner.Options(together(how), how.keep_tables, trainers, say)


def together(how: How) -> int:
  """How many points train at once: as was said, or what suits the device."""
  default = 1 if jax.default_backend() == "cpu" else _ON_A_GPU
  return how.together or default


def write_report(plan: Plan, workdir, failed, how: How, say) -> None:
  """Writes all that there is to say of a sweep, and says the most of it."""
  rows = report.write(plan.points, plan.shown, workdir, plan.story, failed)
  if rows and not plots.has_matplotlib():
    say(plots.MISSING)
  if rows:
    say((workdir / "results.md").read_text().rstrip())
  if how.tensorboard:
    write_tensorboard(plan.points, workdir)
  say(f"{workdir / 'report.html'} has all results.")
  for name, why in failed.items():
    say(f"failed: {name}: {why} (see {workdir / 'points' / name})")


def write_tensorboard(points: list[Point], workdir: pathlib.Path) -> None:
  """A run in <workdir>/tensorboard for each point that is done."""
  for point in points:
    if not runner.is_done(workdir, point):
      continue
    folder = runner.point_folder(workdir, point)
    row = results.read_row(point, folder)
    scores = results.measures([row], point.varied)
    metrics.write_tensorboard(
      workdir / "tensorboard" / point.name,
      metrics.read_metrics(folder / "metrics.jsonl"),
      {name: row[name] for name in (*point.varied, "seed")},
      {name: row[name] for name in scores},
    )


def rewrite(
  workdir: pathlib.Path, output: str | None, say: Callable[[str], None]
) -> None:
  """Reports again what a sweep has come to, or keeps its results elsewhere.

  Args:
    workdir: of the sweep.
    output: where results.csv, results.md, config.json and the plots are kept;
      None writes the report of the work directory anew.
    say: called with each line of news.

  Raises:
    FileNotFoundError: there is no sweep in the work directory.
  """
  request = load_request(workdir)
  plan = make_plan(request)
  if output is None:
    write_report(plan, workdir, {}, DEFAULTS, say)
    return
  folder = pathlib.Path(output)
  report.keep(plan.points, plan.shown, workdir, folder, request.command)
  say(f"The results are in {folder}.")


def save_request(request: Request, workdir: pathlib.Path) -> None:
  atomic.write_json(workdir / "sweep.json", request._asdict())


def load_request(workdir: pathlib.Path) -> Request:
  path = workdir / "sweep.json"
  if not path.exists():
    raise FileNotFoundError(
      f"There is no sweep in {workdir}: run one with --experiment or --sweep."
    )
  return Request(**json.loads(path.read_text()))
