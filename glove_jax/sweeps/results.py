"""Results of a sweep as rows, and rows as CSV and Markdown."""

import csv
import functools
import html
import io
import math
import pathlib
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from glove_jax import atomic, metrics
from glove_jax import config as configs
from glove_jax.sweeps import grid, scores, uncertainty
from glove_jax.sweeps.folders import ANSWERS, damage, is_done, point_folder
from glove_jax.sweeps.grid import LABEL, Point
from glove_jax.sweeps.scores import Answers

Row = dict[str, Any]
Judgements = Mapping[str, Answers]  # the answers of points, by name

REPEATS = ("seed", "bootstrap")  # settings that repeat a point, see `mean_rows`
LOW_COVERAGE = 0.5  # scores of a smaller part of a set are shown in grey

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
  "period": "period, accuracy",
  "period_majority": "the largest period",
  "party": "party, accuracy",
  "party_majority": "the larger party",
  "length_frequency": "length and frequency, Spearman",
  "along_mean": "along the mean",
  "length_frequency_rest": "the same without the mean",
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
  "num_points": "runs",
  "bootstrap": "draw of the documents",
  "learning_rate": "learning rate",
  "min_count": "count of the rarest word",
  "epochs": "passes over all counts",
}
_COUNTED = ("vocab_size", "num_counts")


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
    read_row(point, point_folder(workdir, point))
    for point in points
    if is_done(workdir, point)
  ]


def read_answers(points: Sequence[Point], workdir: pathlib.Path) -> Judgements:
  """The answers of the points that are done, by the name of the point."""
  return {
    point.name: scores.read_answers(point_folder(workdir, point) / ANSWERS)
    for point in points
    if is_done(workdir, point)
  }


def read_row(point: Point, folder: pathlib.Path) -> Row:
  """Reads the row of a finished point from its folder.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged.
  """
  if why := damage(folder):
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
    | scores.flat(results)
    | {
      "cost": _known(lines[-1]["cost"]) if lines else None,
      "train_seconds": sum(line["seconds"] for line in lines),
      "wall_seconds": training["wall_seconds"],
    }
    | {name: training[name] for name in _COUNTED}
    | scores.covered(results)
  )


def _known(cost: float) -> float | None:
  """A cost; None for the NaN of a program that has none."""
  return None if math.isnan(cost) else cost


def varied_names(points: Sequence[Point]) -> list[str]:
  """The settings that have a column in tables.

  These are the settings that the sweep varies, but for `REPEATS` and for those
  that follow from the label.
  """
  names = dict.fromkeys(name for point in points for name in point.varied)
  return [
    name
    for name in names
    if name not in REPEATS and (name == LABEL or not _follows(name, points))
  ]


def _follows(name: str, points: Sequence[Point]) -> bool:
  """Whether all points of each label have one value of a setting."""
  values: dict[str, set] = {}
  for point in points:
    if LABEL not in point.varied:
      return False
    value = repr(point.varied.get(name))
    values.setdefault(point.varied[LABEL], set()).add(value)
  return all(len(found) == 1 for found in values.values())


def mean_rows(
  rows: Sequence[Row], by: Sequence[str], answers: Judgements | None = None
) -> list[Row]:
  """Averages the rows that have the same values in the columns `by`.

  Args:
    rows: of points.
    by: columns of settings.
    answers: of the points, for intervals and comparisons.

  Returns:
    Rows with the columns `by`, `num_points`, and for each measure `m` its mean
    `m` and standard deviation `m_sd`, which is None for a single point. With
    answers, a score `m` also has the 95% interval `m_low` and `m_high`, `m_p`,
    the p-value of no difference from the best mean, and `m_is_best`.
  """
  groups: dict[tuple, list[Row]] = {}
  for row in rows:
    groups.setdefault(tuple(row.get(name) for name in by), []).append(row)
  names = measures(rows, by)
  means = [
    dict(zip(by, key, strict=True))
    | {"num_points": len(group)}
    | _means(group, names)
    for key, group in groups.items()
  ]
  if answers:
    given = [
      [answers.get(row["point"], {}) for row in group]
      for group in groups.values()
    ]
    for name in names:
      for mean, found in zip(
        means, uncertainty.judge(given, name), strict=True
      ):
        if found:
          mean |= {f"{name}_{k}": v for k, v in found._asdict().items()}
  return means


def _means(group: Sequence[Row], names: Sequence[str]) -> Row:
  means = {}
  for name in names:
    values = [row[name] for row in group if row.get(name) is not None]
    several = len(values) > 1
    means[name] = statistics.fmean(values) if values else None
    means[f"{name}_sd"] = statistics.stdev(values) if several else None
  return means


def measures(rows: Sequence[Row], by: Sequence[str]) -> list[str]:
  """The columns of numbers, without those in `by` and `REPEATS`."""
  found = {}
  for row in rows:
    found |= {k: None for k, v in row.items() if isinstance(v, (int, float))}
  return [name for name in found if name not in (*REPEATS, *by)]


def to_csv(rows: Sequence[Row]) -> str:
  text = io.StringIO()
  names = list(dict.fromkeys(name for row in rows for name in row))
  writer = csv.DictWriter(text, names, lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  return text.getvalue()


class Cell(NamedTuple):
  """The text of one cell of a table."""

  text: str
  is_low: bool = False  # a score of few of the questions of a set


def to_markdown(
  rows: Sequence[Row], by: Sequence[str], answers: Judgements | None = None
) -> str:
  """The mean rows as a Markdown table, see `to_cells`."""
  heads, cells = to_cells(rows, by, answers)
  rule = ["---"] * len(heads)
  lines = [heads, *([cell.text for cell in line] for line in cells)]
  lines = [[_escaped(x) for x in line] for line in lines]
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
  rows: Sequence[Row], by: Sequence[str], answers: Judgements | None = None
) -> tuple[list[str], list[list[Cell]]]:
  """Makes a table of the mean rows.

  A score is its mean ± standard deviation over the seeds, with its 95% interval
  in parentheses if the answers are given; then `best` marks the highest mean of
  a column, and `≈ best` those that cannot be told from it. Beside the scores of
  a set stands how many of its questions they are of. Numbers of words and of
  counts are left out if they are equal in all rows.

  Args:
    rows: of points.
    by: the settings that have a line for each of their values.
    answers: of the points.

  Returns:
    The column heads, and the cells of each line.
  """
  means = mean_rows(rows, by, answers)
  several = len(means) > 1
  columns = _columns(rows, by, several)
  heads = [LABELS.get(name, name) for name in by]
  heads += [head for head, _ in columns]
  cells = [
    [Cell(_setting(row[name])) for name in by]
    + [make(row) for _, make in columns]
    + [Cell(str(row["num_points"]))]
    for row in means
  ]
  return [*heads, LABELS["num_points"]], cells


def _columns(
  rows, by, several: bool
) -> list[tuple[str, Callable[[Row], Cell]]]:
  """The head of each column of measures, and mean row -> cell."""
  names = measures(rows, by)
  sets = [n.removesuffix("_n") for n in names if n.endswith("_n")]
  hidden = {f"{name}{end}" for name in sets for end in ("_n", "_coverage")}
  hidden |= {field.name for field in configs.fields()}  # follow from the label
  columns = []
  for name in names:
    equal = len({row.get(name) for row in rows}) == 1
    if name in hidden or (name in _COUNTED and equal):
      continue
    part_of = scores.set_of(name, sets)
    make = functools.partial(_measure, name, part_of, several)
    columns.append((LABELS.get(name, name), make))
    if name == part_of:
      head = LABELS.get(f"{name}_n", f"{name}, questions")
      columns.append((head, functools.partial(_seen, name)))
  for name in [n for n in sets if n not in names]:  # no question could be asked
    head = LABELS.get(f"{name}_n", f"{name}, questions")
    columns.append((head, functools.partial(_seen, name)))
  return columns


def _seen(name: str, row: Row) -> Cell:
  """How many questions a score is of, and the fraction of the set."""
  num, coverage = row[f"{name}_n"], row[f"{name}_coverage"]
  if num is None:
    return Cell("-")
  return Cell(f"{num:,.0f} ({coverage or 0:.1%})")


def _setting(value) -> str:
  return "default" if value is None else grid.value_text(value)


def _measure(name: str, part_of: str | None, several: bool, row: Row) -> Cell:
  """A mean; `several` means are compared with the best of them."""
  mean, deviation = row[name], row[f"{name}_sd"]
  if mean is None:
    return Cell("-")
  if name in _COUNTED:
    return Cell(f"{mean:,.0f}")
  digits = 1 if name.endswith("_seconds") else 4
  text = f"{mean:.{digits}f}"
  if deviation is not None:
    text += f" ± {deviation:.{digits}f}"
  if row.get(f"{name}_low") is not None:
    text += f" ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
    text += f" {mark(row, name)}" * several
  low = part_of and (row[f"{part_of}_coverage"] or 0) < LOW_COVERAGE
  return Cell(text.rstrip(), bool(low))


def mark(row: Row, name: str) -> str:
  """What a comparison with the best mean says of a mean row, as a word."""
  p = row.get(f"{name}_p")
  if row.get(f"{name}_is_best"):
    return "best"
  return "≈ best" if p is not None and p >= uncertainty.LEVEL else ""


def _cell(value):
  """A setting as one cell of a table."""
  return grid.value_text(value) if isinstance(value, (list, tuple)) else value
