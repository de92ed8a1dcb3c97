"""Writes the results of a sweep down: tables, plots and one page of HTML."""

import html
import json
import pathlib
import string
from collections.abc import Callable, Sequence
from typing import NamedTuple

from glove_jax import atomic
from glove_jax.sweeps import plots, results, runner
from glove_jax.sweeps.grid import Point
from glove_jax.sweeps.plots import Plot
from glove_jax.sweeps.results import Row

_PAGE = pathlib.Path(__file__).parent / "report_template.html"


class Story(NamedTuple):
  """What a report tells beside the results."""

  title: str
  about: str  # the experiment's docstring
  command: str  # what made the results


def write(
  points: Sequence[Point],
  shown: Callable[[list[Row]], list[Plot]],
  workdir: pathlib.Path,
  story: Story,
  failed: dict[str, str],
) -> list[Row]:
  """Writes all that there is to say of a sweep into its work directory.

  results.csv and results.jsonl (a line a point), results.md (a line for what
  differs in more than the seed), plots/, report.html.

  Returns:
    The rows.
  """
  rows = results.read_results(points, workdir)
  by = results.varied_names(points)
  write_tables(rows, by, workdir)
  drawn = write_plots(rows, shown, workdir / "plots")
  record = read_record(points, workdir)
  page = make_page(rows, by, drawn, story, record, failed)
  atomic.write_text(workdir / "report.html", page)
  return rows


def write_tables(rows, by, folder: pathlib.Path) -> None:
  atomic.write_text(folder / "results.csv", results.to_csv(rows))
  atomic.write_text(folder / "results.jsonl", results.to_jsonl(rows))
  atomic.write_text(folder / "results.md", results.to_markdown(rows, by))


def write_plots(rows, shown, folder: pathlib.Path) -> list[str]:
  """Writes the plots, PNG and SVG; returns the SVGs, none of no results."""
  if not rows or not plots.has_matplotlib():
    return []
  folder.mkdir(parents=True, exist_ok=True)
  return [plots.write(plot, rows, folder) for plot in shown(rows)]


def keep(points, shown, workdir, output: pathlib.Path, command: str) -> None:
  """Copies what is worth keeping under version control: no page, no PNG twice.

  results.csv, results.md, the plots as PNG and SVG, and config.json: the
  settings that all points share, the command, versions and devices.
  """
  output.mkdir(parents=True, exist_ok=True)
  rows = results.read_results(points, workdir)
  by = results.varied_names(points)
  atomic.write_text(output / "results.csv", results.to_csv(rows))
  atomic.write_text(output / "results.md", results.to_markdown(rows, by))
  write_plots(rows, shown, output)
  record = {"command": command} | read_record(points, workdir)
  atomic.write_json(output / "config.json", record)


def read_record(points: Sequence[Point], workdir: pathlib.Path) -> dict:
  """Settings that all finished points share, and versions and devices."""
  records = [
    json.loads((runner.point_folder(workdir, p) / "config.json").read_text())
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


def make_page(rows, by, drawn, story: Story, record, failed) -> str:
  """One self-contained page; nothing in it asks the network."""
  if drawn:
    figures = "\n".join(f"<figure>{_inline(svg)}</figure>" for svg in drawn)
  else:
    reason = "No point is done yet." if not rows else plots.MISSING
    figures = f"<p>{html.escape(reason)}</p>"
  heads, cells = results.to_cells(rows, by) if rows else ([], [])
  page = string.Template(_PAGE.read_text())
  return page.substitute(
    title=html.escape(story.title),
    about=html.escape(story.about),
    command=html.escape(story.command),
    figures=figures,
    table=_table(heads, cells),
    failed=_failures(failed),
    record=html.escape(json.dumps(record, indent=2)),
  )


def _inline(svg: str) -> str:
  """An SVG file as an element of a page: without the XML prologue."""
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
