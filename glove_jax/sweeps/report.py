"""Writes the results of a sweep: tables, plots and one page of HTML."""

import html
import json
import pathlib
import string
from collections.abc import Sequence

from glove_jax import atomic
from glove_jax.sweeps import plots, results, runner
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.results import Row
from glove_jax.sweeps.runner import Plan

_PAGE = pathlib.Path(__file__).parent / "report_template.html"


def write(
  plan: Plan, workdir: pathlib.Path, failed: dict[str, str]
) -> list[Row]:
  """Writes the report of a sweep to its work directory.

  results.csv has one line for each point. results.md, plots/ and report.html
  show means over the seeds.

  Args:
    plan: the points and what to plot of them.
    workdir: the work directory of the sweep.
    failed: one sentence for each point that failed, by name.

  Returns:
    The rows of the points that are done.
  """
  rows = _write_tables(plan, workdir, workdir)
  svgs = _write_plots(plan, rows, workdir / "plots")
  record = read_record(plan.points, workdir)
  page = make_page(plan, rows, svgs, record, failed)
  atomic.write_text(workdir / "report.html", page)
  return rows


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
  rows = _write_tables(plan, workdir, output)
  _write_plots(plan, rows, output)
  record = {"command": plan.record["command"]}
  record |= read_record(plan.points, workdir)
  atomic.write_json(output / "config.json", record)


def _write_tables(plan: Plan, workdir, folder: pathlib.Path) -> list[Row]:
  """Writes results.csv and results.md; returns the rows."""
  rows = results.read_results(plan.points, workdir)
  by = results.varied_names(plan.points)
  atomic.write_text(folder / "results.csv", results.to_csv(rows))
  atomic.write_text(folder / "results.md", results.to_markdown(rows, by))
  return rows


def _write_plots(plan: Plan, rows, folder: pathlib.Path) -> list[str]:
  """Writes the plots as PNG and SVG; returns the SVGs, if any are drawn."""
  if not rows or not plots.has_matplotlib():
    return []
  folder.mkdir(parents=True, exist_ok=True)
  return [plots.write(plot, rows, folder) for plot in plan.plots(rows)]


def read_record(points: Sequence[Point], workdir: pathlib.Path) -> dict:
  """The settings shared by all finished points, and the versions and devices
  used.
  """
  records = [
    atomic.read_json(runner.point_folder(workdir, p) / "config.json")
    for p in points
    if runner.is_done(workdir, p)
  ]
  if not records:
    return {}
  first = records[0]
  shared = {
    name: value
    for name, value in first["settings"].items()
    if all(record["settings"][name] == value for record in records)
  }
  devices = dict.fromkeys(d for r in records for d in r["devices"])
  return {
    "settings": shared,
    "versions": first["versions"],
    "devices": list(devices),
  }


def make_page(
  plan: Plan,
  rows: list[Row],
  svgs: list[str],
  record: dict,
  failed: dict[str, str],
) -> str:
  """Makes one self-contained page, which needs no network.

  Args:
    plan: its name, description and command.
    rows: of the points that are done.
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
  heads, cells = results.to_cells(rows, by) if rows else ([], [])
  page = string.Template(_PAGE.read_text())
  return page.substitute(
    title=html.escape(plan.record["experiment"] or "sweep"),
    about=html.escape(plan.about),
    command=html.escape(plan.record["command"]),
    figures=figures,
    table=_table(heads, cells),
    failed=_failures(failed),
    record=html.escape(json.dumps(record, indent=2)),
  )


def _inline(svg: str) -> str:
  """The <svg> element of an SVG file, without the XML prologue."""
  return svg[svg.index("<svg") :]


def _table(heads, cells) -> str:
  head = "".join(
    f'<th><button type="button">{html.escape(h)}</button></th>' for h in heads
  )
  lines = "\n".join(
    "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>"
    for line in cells
  )
  return f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>"


def _failures(failed: dict[str, str]) -> str:
  if not failed:
    return ""
  lines = "".join(
    f"<li><code>{html.escape(name)}</code>: {html.escape(why)}</li>"
    for name, why in failed.items()
  )
  return f"<h2>Failed points</h2><ul>{lines}</ul>"
