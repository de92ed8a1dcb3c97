"""Writes the results of a sweep: tables, plots and one page of HTML."""

import contextlib
import html
import json
import pathlib
import string
import time
from collections.abc import Callable, Sequence

from glove_jax import atomic, metrics
from glove_jax.sweeps import plots, results
from glove_jax.sweeps.folders import is_done, point_folder, read_failures
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.results import Cell, Judgements, Row
from glove_jax.sweeps.runner import Plan

_SHARE = 0.1  # of the time goes to reports while a sweep runs
_PAGE = pathlib.Path(__file__).parent / "report_template.html"


def write(plan: Plan, workdir: pathlib.Path) -> list[Row]:
  """Writes the report of a sweep to its work directory.

  results.csv has one line for each point. results.md, plots/ and report.html
  show means over the seeds, and report.html the points that failed.

  Args:
    plan: the points and what to plot of them.
    workdir: the work directory of the sweep.

  Returns:
    The rows of the points that are done.
  """
  rows, answers = _write_tables(plan, workdir, workdir)
  svgs = _write_plots(plan, rows, answers, workdir / "plots")
  record = read_record(plan.points, workdir)
  failed = read_failures(plan.points, workdir)
  page = make_page(plan, rows, answers, svgs, record, failed)
  atomic.write_text(workdir / "report.html", page)
  return rows


class Reports:
  """Writes a report each time it is called, unless that takes too long."""

  def __init__(self, write: Callable[..., object]):
    self._write, self._next = write, 0.0

  def __call__(self, *given) -> None:
    start = time.monotonic()
    if start >= self._next:
      # Another process may write what is read; the last report says more.
      with contextlib.suppress(OSError, ValueError):
        self._write(*given)
      end = time.monotonic()
      self._next = end + (end - start) / _SHARE


def keep(plan: Plan, workdir: pathlib.Path, output: pathlib.Path) -> None:
  """Copies the results that are worth keeping under version control.

  These are results.csv, results.md, the plots as PNG and SVG, and config.json
  with the command, the settings that all points share, versions and devices.

  Args:
    plan: the points and what to plot of them.
    workdir: the work directory of the sweep.
    output: the folder; it is created if missing.
  """
  output.mkdir(parents=True, exist_ok=True)
  rows, answers = _write_tables(plan, workdir, output)
  _write_plots(plan, rows, answers, output)
  record = {"command": plan.record["command"]}
  record |= read_record(plan.points, workdir)
  atomic.write_json(output / "config.json", record)


def write_tensorboard(points: Sequence[Point], workdir: pathlib.Path) -> None:
  """Writes each finished point to <workdir>/tensorboard, one run a point."""
  for point in points:
    if not is_done(workdir, point):
      continue
    folder = point_folder(workdir, point)
    row = results.read_row(point, folder)
    scores = results.measures([row], point.varied)
    metrics.write_tensorboard(
      workdir / "tensorboard" / point.name,
      metrics.read_metrics(folder / "metrics.jsonl"),
      {name: row[name] for name in (*point.varied, "seed")},
      {name: row[name] for name in scores},
    )


def _write_tables(
  plan: Plan, workdir, folder: pathlib.Path
) -> tuple[list[Row], Judgements]:
  """Writes results.csv and results.md; returns the rows and the answers."""
  rows = results.read_results(plan.points, workdir)
  answers = results.read_answers(plan.points, workdir)
  by = results.varied_names(plan.points)
  atomic.write_text(folder / "results.csv", results.to_csv(rows))
  table = results.to_markdown(rows, by, answers)
  atomic.write_text(folder / "results.md", table)
  return rows, answers


def _write_plots(plan: Plan, rows, answers, folder: pathlib.Path) -> list[str]:
  """Writes the plots as PNG and SVG; returns the SVGs, if any are drawn."""
  if not rows or not plots.has_matplotlib():
    return []
  folder.mkdir(parents=True, exist_ok=True)
  return [plots.write(plot, rows, folder, answers) for plot in plan.plots(rows)]


def read_record(points: Sequence[Point], workdir: pathlib.Path) -> dict:
  """What the finished points share, and what they ran on.

  Returns:
    `settings` that all of them share, `seconds` of all together, and each
    different `versions`, `devices` and `commits`.
  """
  folders = [point_folder(workdir, p) for p in points if is_done(workdir, p)]
  records = [atomic.read_json(folder / "config.json") for folder in folders]
  if not records:
    return {}
  times = [atomic.read_json(folder / "training.json") for folder in folders]
  first = records[0]["settings"]
  shared = {
    name: value
    for name, value in first.items()
    if all(record["settings"].get(name) == value for record in records)
  }
  versions: dict[str, dict] = {}
  for record in records:
    for name, version in record["versions"].items():
      versions.setdefault(name, {})[version] = None
  return {
    "settings": shared,
    "versions": {name: ", ".join(found) for name, found in versions.items()},
    "devices": list(dict.fromkeys(d for r in records for d in r["devices"])),
    "commits": list(dict.fromkeys(r.get("commit") for r in records)),
    "seconds": round(sum(x["wall_seconds"] for x in times), 1),
  }


def make_page(
  plan: Plan,
  rows: list[Row],
  answers: Judgements,
  svgs: list[str],
  record: dict,
  failed: dict[str, str],
) -> str:
  """Makes one self-contained page, which needs no network.

  Args:
    plan: its name, description and command.
    rows: of the points that are done.
    answers: of these points.
    svgs: the plots.
    record: from `read_record`.
    failed: one sentence for each point that failed, by name.
  """
  if svgs:
    figures = "\n".join(f"<figure>{_inline(svg)}</figure>" for svg in svgs)
  else:
    reason = "No point is done yet." if not rows else plots.MISSING
    figures = f"<p>{html.escape(reason)}</p>"
  by = results.varied_names(plan.points)
  heads, cells = results.to_cells(rows, by, answers) if rows else ([], [])
  page = string.Template(_PAGE.read_text())
  return page.substitute(
    title=html.escape(plan.record["experiment"] or "sweep"),
    about=html.escape(plan.about),
    state=_state(len(rows), len(plan.points), len(failed)),
    command=html.escape(plan.record["command"]),
    figures=figures,
    table=_table(heads, cells),
    failed=_failures(failed),
    record=html.escape(json.dumps(record, indent=2)),
  )


def _inline(svg: str) -> str:
  """The <svg> element of an SVG file, without the XML prologue."""
  return svg[svg.index("<svg") :]


def _state(num_done: int, num_points: int, num_failed: int) -> str:
  """How much of the sweep the page shows.

  >>> _state(8, 36, 1)
  '8 of 36 points are done, 1 failed.'
  """
  failed = f", {num_failed} failed" if num_failed else ""
  return f"{num_done} of {num_points} points are done{failed}."


def _table(heads: Sequence[str], cells: Sequence[Sequence[Cell]]) -> str:
  head = "".join(
    f'<th><button type="button">{html.escape(h)}</button></th>' for h in heads
  )
  lines = "\n".join(
    "<tr>" + "".join(map(_cell, line)) + "</tr>" for line in cells
  )
  return f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>"


def _cell(cell: Cell) -> str:
  kind = ' class="low"' if cell.is_low else ""
  return f"<td{kind}>{html.escape(cell.text)}</td>"


def _failures(failed: dict[str, str]) -> str:
  if not failed:
    return ""
  lines = "".join(
    f"<li><code>{html.escape(name)}</code>: {html.escape(why)}</li>"
    for name, why in failed.items()
  )
  return f"<h2>Failed points</h2><ul>{lines}</ul>"
