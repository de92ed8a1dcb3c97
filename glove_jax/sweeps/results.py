"""Results of a sweep as rows, and rows as CSV, JSON lines and Markdown."""

import csv
import io
import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from glove_jax import metrics
from glove_jax.sweeps import grid, runner
from glove_jax.sweeps.grid import Point

Row = dict[str, Any]

# Heads of columns in tables and labels of axes; others keep their own name.
LABELS = {
  "label": "what trains",
  "google": "Google analogies, accuracy",
  "google_semantic": "Google, semantic",
  "google_syntactic": "Google, syntactic",
  "wordsim353": "WordSim-353, Spearman",
  "simlex999": "SimLex-999, Spearman",
  "google_coverage": "Google, share asked",
  "wordsim353_coverage": "WordSim-353, share asked",
  "simlex999_coverage": "SimLex-999, share asked",
  "train_seconds": "training (s)",
  "wall_seconds": "wall time (s)",
  "cost": "cost per count",
  "dim": "dimensions D",
  "window": "window (words)",
  "x_max": "x_max (count)",
  "alpha": "alpha",
  "share": "share of the corpus",
  "vocab_size": "vocabulary (words)",
  "num_counts": "non-zero counts",
  "num_points": "seeds",
  "learning_rate": "learning rate",
  "min_count": "count of the rarest word",
  "epochs": "passes over all counts",
}
_COUNTED = ("vocab_size", "num_counts")


def read_results(points: Sequence[Point], workdir: pathlib.Path) -> list[Row]:
  """A row for each point that is done, in the order of the sweep.

  A row holds `point` (its name), what the sweep varies, `seed`, the scores,
  `cost` of the last pass, `train_seconds` of all passes, `wall_seconds` with
  the start, `vocab_size`, `num_counts`, and the coverage of each set.
  """
  return [
    read_row(point, runner.point_folder(workdir, point))
    for point in points
    if runner.is_done(workdir, point)
  ]


def read_row(point: Point, folder: pathlib.Path) -> Row:
  """The row of a finished point in its folder."""
  training = _read_json(folder / "training.json")
  results = _read_json(folder / "evaluation.json")
  lines = metrics.read_metrics(folder / "metrics.jsonl")
  varied = {k: _plain(v) for k, v in point.varied.items() if k != "seed"}
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
    | {f"{name}_coverage": _coverage(r) for name, r in results.items()}
  )


def _coverage(result: dict) -> float:
  return result.get("total", result)["coverage"]


def varied_names(points: Sequence[Point]) -> list[str]:
  """What the sweep varies, but for the seed."""
  names = dict.fromkeys(name for point in points for name in point.varied)
  return [name for name in names if name != "seed"]


def mean_rows(rows: Sequence[Row], by: Sequence[str]) -> list[Row]:
  """Rows that are alike in `by` as one: means and standard deviations.

  Returns:
    Rows of the columns `by`, `num_points`, and for each measure `m` its mean
    `m` and its standard deviation `m_sd`, which is None for one point alone.
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
  made = {}
  for name in names:
    values = [row[name] for row in group if row.get(name) is not None]
    several = len(values) > 1
    made[name] = statistics.fmean(values) if values else None
    made[f"{name}_sd"] = statistics.stdev(values) if several else None
  return made


def measures(rows: Sequence[Row], by: Sequence[str]) -> list[str]:
  """The columns of numbers that are neither in `by` nor the seed."""
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


def to_jsonl(rows: Sequence[Row]) -> str:
  return "".join(json.dumps(row) + "\n" for row in rows)


def to_markdown(rows: Sequence[Row], by: Sequence[str]) -> str:
  """The mean rows as a Markdown table: mean and, of several, ± deviation."""
  heads, cells = to_cells(rows, by)
  lines = [heads, ["---"] * len(heads), *cells]
  return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def to_cells(
  rows: Sequence[Row], by: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
  """Heads and cells of a table of the mean rows, as text.

  Sizes and coverages that are the same in all rows are left out.
  """
  means = mean_rows(rows, by)
  names = [n for n in measures(rows, by) if _tells(n, rows)]
  heads = [LABELS.get(n, n) for n in (*by, *names, "num_points")]
  cells = [
    [_setting(row[name]) for name in by]
    + [_measure(name, row[name], row[f"{name}_sd"]) for name in names]
    + [str(row["num_points"])]
    for row in means
  ]
  return heads, cells


def _tells(name: str, rows: Sequence[Row]) -> bool:
  is_fact = name in _COUNTED or name.endswith("_coverage")
  return not is_fact or len({row.get(name) for row in rows}) > 1


def _setting(value) -> str:
  return "default" if value is None else grid.value_text(value)


def _measure(name: str, mean: float | None, deviation: float | None) -> str:
  if mean is None:
    return "-"
  if name in _COUNTED:
    return f"{mean:,.0f}"
  digits = 1 if name.endswith("_seconds") else 4
  text = f"{mean:.{digits}f}"
  return text if deviation is None else f"{text} ± {deviation:.{digits}f}"


def _plain(value):
  """A setting as a cell: a list as one text."""
  return grid.value_text(value) if isinstance(value, (list, tuple)) else value


def _read_json(path: pathlib.Path) -> dict:
  return json.loads(path.read_text())
