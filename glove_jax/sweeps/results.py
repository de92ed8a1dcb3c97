"""Results of a sweep as rows, and rows as CSV and Markdown."""

import csv
import html
import io
import pathlib
import re
import statistics
from collections.abc import Sequence
from typing import Any

from glove_jax import atomic, metrics
from glove_jax.sweeps import grid, runner
from glove_jax.sweeps.grid import Point

Row = dict[str, Any]

# Column heads and axis labels; other columns are shown by their name.
LABELS = {
  "label": "trained by",
  "google": "Google analogies, accuracy",
  "google_semantic": "Google, semantic",
  "google_syntactic": "Google, syntactic",
  "wordsim353": "WordSim-353, Spearman",
  "simlex999": "SimLex-999, Spearman",
  "google_n": "Google, questions",
  "wordsim353_n": "WordSim-353, pairs",
  "simlex999_n": "SimLex-999, pairs",
  "google_coverage": "Google, coverage",
  "wordsim353_coverage": "WordSim-353, coverage",
  "simlex999_coverage": "SimLex-999, coverage",
  "train_seconds": "training (s)",
  "wall_seconds": "wall time (s)",
  "cost": "cost per count",
  "dim": "dimensions D",
  "window": "window (words)",
  "x_max": "x_max (count)",
  "alpha": "alpha",
  "share": "fraction of the corpus",
  "vocab_size": "vocabulary (words)",
  "num_counts": "non-zero counts",
  "num_points": "seeds",
  "learning_rate": "learning rate",
  "min_count": "count of the rarest word",
  "epochs": "passes over all counts",
}
_COUNTED = ("vocab_size", "num_counts")
SIZES = ("train_seconds", "wall_seconds", *_COUNTED)  # measures of every row


def read_results(points: Sequence[Point], workdir: pathlib.Path) -> list[Row]:
  """Makes a row of each point that is done, in the order of the sweep.

  Returns:
    Rows with `point` (its name), the settings that the sweep varies, `seed`,
    the scores, `cost` of the last pass, `train_seconds` of all passes,
    `wall_seconds` with start and compilation, `vocab_size`, `num_counts`, and
    of each question set `<set>_n`, the questions that the score is of, and
    `<set>_coverage`.
  """
  return [
    read_row(point, runner.point_folder(workdir, point))
    for point in points
    if runner.is_done(workdir, point)
  ]


def read_row(point: Point, folder: pathlib.Path) -> Row:
  """Reads the row of a finished point from its folder.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged.
  """
  if why := runner.damage(folder):
    raise ValueError(f"{why}: run the sweep again.")
  training = atomic.read_json(folder / "training.json")
  results = atomic.read_json(folder / "evaluation.json")
  lines = metrics.read_metrics(folder / "metrics.jsonl")
  try:
    return _make_row(point, training, results, lines)
  except (TypeError, KeyError, AttributeError) as error:
    raise atomic.damaged(folder, error) from error


def _make_row(point: Point, training, results, lines) -> Row:
  varied = {k: _cell(v) for k, v in point.varied.items() if k != "seed"}
  return (
    {"point": point.name}
    | varied
    | {"seed": point.config.train.seed}
    | runner.flat_scores(results)
    | {
      "cost": lines[-1]["cost"] if lines else None,
      "train_seconds": sum(line["seconds"] for line in lines),
      "wall_seconds": training["wall_seconds"],
    }
    | {name: training[name] for name in _COUNTED}
    | _covered(results)
  )


def _covered(results: dict) -> Row:
  """How many questions each score is of, and which fraction that is of all."""
  found = {}
  for name, result in results.items():
    score = result.get("total", result)
    if "seen" in score:
      found[f"{name}_n"] = score["seen"]
      found[f"{name}_coverage"] = score["coverage"]
  return found


def varied_names(points: Sequence[Point]) -> list[str]:
  """The settings that the sweep varies, without the seed."""
  names = dict.fromkeys(name for point in points for name in point.varied)
  return [name for name in names if name != "seed"]


def mean_rows(rows: Sequence[Row], by: Sequence[str]) -> list[Row]:
  """Averages the rows that have the same values in the columns `by`.

  Returns:
    Rows with the columns `by`, `num_points`, and for each measure `m` its mean
    `m` and standard deviation `m_sd`, which is None for a single point.
  """
  groups: dict[tuple, list[Row]] = {}
  for row in rows:
    groups.setdefault(tuple(row.get(name) for name in by), []).append(row)
  names = measures(rows, by)
  return [
    dict(zip(by, key, strict=True))
    | {"num_points": len(group)}
    | _means(group, names)
    for key, group in groups.items()
  ]


def _means(group: Sequence[Row], names: Sequence[str]) -> Row:
  means = {}
  for name in names:
    values = [row[name] for row in group if row.get(name) is not None]
    several = len(values) > 1
    means[name] = statistics.fmean(values) if values else None
    means[f"{name}_sd"] = statistics.stdev(values) if several else None
  return means


def measures(rows: Sequence[Row], by: Sequence[str]) -> list[str]:
  """The columns of numbers, without those in `by` and the seed."""
  found = {}
  for row in rows:
    found |= {k: None for k, v in row.items() if isinstance(v, (int, float))}
  return [name for name in found if name not in ("seed", *by)]


def to_csv(rows: Sequence[Row]) -> str:
  text = io.StringIO()
  names = list(dict.fromkeys(name for row in rows for name in row))
  writer = csv.DictWriter(text, names, lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()


def to_markdown(rows: Sequence[Row], by: Sequence[str]) -> str:
  """The mean rows as a Markdown table of means ± deviations."""
  heads, cells = to_cells(rows, by)
  rule = ["---"] * len(heads)
  lines = [[_escaped(x) for x in line] for line in (heads, *cells)]
  lines.insert(1, rule)
  return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _escaped(text: str) -> str:
  """Text as a Markdown cell that shows it, without markup or HTML of its own.

  >>> _escaped("a|b <img src=x> [c](d) 0.5_x")
  'a\\\\|b &lt;img src=x&gt; \\\\[c\\\\](d) 0.5_x'
  """
  text = " ".join(html.escape(text, quote=False).split())
  return re.sub(r"([\\`*\[\]|!~]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def to_cells(
  rows: Sequence[Row], by: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
  """Makes the text of a table of the mean rows.

  Sizes and coverages that are equal in all rows are left out.

  Returns:
    The column heads, and the cells of each line.
  """
  means = mean_rows(rows, by)
  names = [n for n in measures(rows, by) if _is_shown(n, rows)]
  heads = [LABELS.get(n, n) for n in (*by, *names, "num_points")]
  cells = [
    [_setting(row[name]) for name in by]
    + [_measure(name, row[name], row[f"{name}_sd"]) for name in names]
    + [str(row["num_points"])]
    for row in means
  ]
  return heads, cells


def _is_shown(name: str, rows: Sequence[Row]) -> bool:
  is_size = _is_counted(name) or name.endswith("_coverage")
  return not is_size or len({row.get(name) for row in rows}) > 1


def _is_counted(name: str) -> bool:
  return name in _COUNTED or name.endswith("_n")


def _setting(value) -> str:
  return "default" if value is None else grid.value_text(value)


def _measure(name: str, mean: float | None, deviation: float | None) -> str:
  if mean is None:
    return "-"
  if _is_counted(name):
    return f"{mean:,.0f}"
  digits = 1 if name.endswith("_seconds") else 4
  text = f"{mean:.{digits}f}"
  return text if deviation is None else f"{text} ± {deviation:.{digits}f}"


def _cell(value):
  """A setting as one cell of a table."""
  return grid.value_text(value) if isinstance(value, (list, tuple)) else value
