"""Plots of results: a `Plot` says what to draw, and `draw` draws it.

Series differ in colour (the palette of Okabe and Ito, which is safe for colour
blindness), marker and dash, so that they can be told apart in grey. Error bars
of scores are 95% intervals over questions and seeds, if the answers are known,
and otherwise one standard deviation over the seeds to each side. A marker that
is not filled can be told from the best (p < .05).
"""

import dataclasses
import functools
import io
import itertools
import pathlib
from collections.abc import Sequence

from glove_jax import atomic
from glove_jax.sweeps import results, scores
from glove_jax.sweeps.results import LABELS, Judgements, Row

SCORES = ("google", "wordsim353", "simlex999")
MISSING = "matplotlib is not installed: no plots (pip install matplotlib)."

_STYLES = (
  ("#0072B2", "o", "-"),
  ("#D55E00", "s", "--"),
  ("#009E73", "^", "-."),
  ("#CC79A7", "D", ":"),
  ("#56B4E9", "v", (0, (5, 1))),
  ("#E69F00", "P", (0, (3, 1, 1, 1))),
  ("#000000", "X", (0, (1, 1))),
)
_WIDTH, _HEIGHT = 4.2, 3.6  # of a panel, in inches
_NO_RESULTS = "No point of this plot is done."


@dataclasses.dataclass(frozen=True)
class Plot:
  """A figure with one panel for each measure.

  Attributes:
    name: the name of its files.
    title: the title of the figure.
    kind: 'lines', 'bars', 'heatmap', 'scatter', or 'dots' for one dot a point.
    x: the column along the x axis; a measure if the kind is 'scatter'.
    along: of 'scatter', a setting whose values are joined by a line.
    by: the column whose values are the series ('lines', 'scatter') or the
      rows ('heatmap'); None for a single series.
    measures: the columns that the panels show.
    log: whether the x axis is logarithmic.
    where: only rows with these values are drawn.
  """

  name: str
  title: str
  kind: str
  x: str
  by: str | None = None
  measures: tuple[str, ...] = SCORES
  log: bool = False
  where: dict = dataclasses.field(default_factory=dict)
  along: str | None = None


def has_matplotlib() -> bool:
  try:
    import matplotlib  # noqa: F401
  except ImportError:
    return False
  return True


def write(
  plot: Plot,
  rows: Sequence[Row],
  folder: pathlib.Path,
  answers: Judgements | None = None,
) -> str:
  """Writes <name>.png and <name>.svg to a folder; returns the SVG."""
  import matplotlib

  figure = draw(plot, rows, answers)
  with atomic.write_whole(folder / f"{plot.name}.png") as file:
    figure.savefig(file, format="png", dpi=150)
  path = folder / f"{plot.name}.svg"
  # With fixed ids and no date, equal results give equal bytes.
  with (
    matplotlib.rc_context({"svg.hashsalt": plot.name}),
    atomic.write_whole(path) as file,
  ):
    figure.savefig(file, format="svg", metadata={"Date": None})
  return path.read_text()


def draw(plot: Plot, rows: Sequence[Row], answers: Judgements | None = None):
  """Makes the matplotlib figure of a plot; a notebook shows it.

  The figure belongs to no backend, so the one of the session stays as it is.
  """
  from matplotlib.figure import Figure

  rows = [
    row
    for row in rows
    if row.get(plot.x) is not None
    and all(row.get(k) == v for k, v in plot.where.items())
  ]
  shown = [
    m for m in plot.measures if any(row.get(m) is not None for row in rows)
  ]
  num_panels = max(1, len(shown))
  size = (_WIDTH * num_panels, _HEIGHT)
  figure = Figure(figsize=size, layout="constrained")
  figure._repr_png_ = functools.partial(_to_png, figure)  # for a notebook
  axes = figure.subplots(
    1, num_panels, squeeze=False, sharey=plot.kind == "bars"
  )
  figure.suptitle(plot.title)
  panel = {
    "lines": _lines,
    "bars": _bars,
    "heatmap": _heatmap,
    "scatter": _scatter,
    "dots": _dots,
  }[plot.kind]
  means = rows
  if plot.kind != "dots":
    columns = _columns(plot)
    means = results.mean_rows(rows, columns, answers)
  for axis, measure in zip(axes[0], shown, strict=False):
    panel(axis, plot, means, measure)
  if not shown:
    axes[0, 0].text(0.5, 0.5, _NO_RESULTS, ha="center")
  if plot.by and plot.kind in ("lines", "scatter") and shown:
    _add_legend(figure, axes[0, 0], plot.by)
  return figure


def _to_png(figure) -> bytes:
  file = io.BytesIO()
  figure.savefig(file, format="png")
  return file.getvalue()


def _add_legend(figure, axis, by: str) -> None:
  handles, labels = axis.get_legend_handles_labels()
  title, loc = LABELS.get(by, by), "outside right center"
  figure.legend(handles, labels, title=title, loc=loc)


def _columns(plot: Plot) -> list[str]:
  """The columns of settings that have a mean for each of their values."""
  x = plot.along if plot.kind == "scatter" else plot.x
  by = None if plot.kind == "bars" else plot.by
  return [name for name in (by, x) if name]


def _series(plot: Plot, means, measure: str):
  """Yields the value of `by` and the mean rows of each series."""
  means = [row for row in means if row.get(measure) is not None]
  values = dict.fromkeys(row[plot.by] if plot.by else None for row in means)
  for value in values:
    yield value, [r for r in means if not plot.by or r[plot.by] == value]


def _errors(means, measure: str):
  """[2, N]: how far error bars reach down and up."""
  reach = []
  for row in means:
    deviation = row.get(f"{measure}_sd") or 0
    low, high = row.get(f"{measure}_low"), row.get(f"{measure}_high")
    if low is None:
      reach.append((deviation, deviation))
    else:  # an interval of draws may lie to one side of the mean
      reach.append((max(0, row[measure] - low), max(0, high - row[measure])))
  return list(zip(*reach, strict=True))


def _is_told(row: Row, measure: str) -> bool:
  """Whether a mean can be told from the best."""
  p = row.get(f"{measure}_p")
  return p is not None and not results.mark(row, measure)


def _line(axis, x, means, measure: str, style, **options) -> None:
  """Draws mean rows at x; those that can be told from the best are hollow."""
  colour, marker, dash = style
  axis.errorbar(
    x, [r[measure] for r in means], yerr=_errors(means, measure),
    color=colour, marker=marker, linestyle=dash, capsize=3, **options,
  )  # fmt: skip
  hollow = [
    (at, row[measure])
    for at, row in zip(x, means, strict=True)
    if _is_told(row, measure)
  ]
  if hollow:
    axis.plot(
      *zip(*hollow, strict=True), marker, color="white", zorder=3,
      markeredgecolor=colour,
    )  # fmt: skip


def _lines(axis, plot: Plot, means, measure: str) -> None:
  positions = sorted({row[plot.x] for row in means})
  series = list(_series(plot, means, measure))
  for number, (value, some) in enumerate(series):
    some = sorted(some, key=lambda r: r[plot.x])
    aside = number - (len(series) - 1) / 2
    x = [_beside(r[plot.x], aside, positions, plot.log) for r in some]
    style = _STYLES[number % len(_STYLES)]
    _line(axis, x, some, measure, style, label=_value(value))
  if plot.log:
    axis.set_xscale("log")
  _ticks(axis, positions, plot.log)
  _label(axis, LABELS.get(plot.x, plot.x), measure, means)


def _beside(x, aside: float, positions, log: bool) -> float:
  """Moves x a little, so that error bars do not cover each other."""
  low, high = positions[0], positions[-1]
  if log:
    return x * (high / low) ** (0.008 * aside)
  return x + 0.008 * aside * (high - low)


def _ticks(axis, values, log: bool) -> None:
  """Puts a tick at each value, unless they are too many or too close."""
  from matplotlib import ticker

  if len(values) > 8 or (not log and _crowded(values)):
    return
  axis.xaxis.set_major_locator(ticker.FixedLocator(values))
  axis.xaxis.set_minor_locator(ticker.NullLocator())
  axis.xaxis.set_major_formatter(
    ticker.FuncFormatter(lambda value, _: _value(value))
  )


def _crowded(values) -> bool:
  gaps = [b - a for a, b in itertools.pairwise(values)]
  return bool(gaps) and min(gaps) < 0.08 * (values[-1] - values[0])


def _bars(axis, plot: Plot, means, measure: str) -> None:
  known = [i for i, row in enumerate(means) if row[measure] is not None]
  some = [means[i] for i in known]
  axis.barh(
    known,
    [r[measure] for r in some],
    xerr=_errors(some, measure),
    color=["white" if _is_told(r, measure) else "#56B4E9" for r in some],
    edgecolor="black",
    capsize=3,
  )
  axis.set_yticks(range(len(means)), [_value(r[plot.x]) for r in means])
  axis.set_ylim(len(means) - 0.5, -0.5)
  axis.set_xlabel(_measured(measure, some))
  axis.grid(axis="x", alpha=0.3)


def _heatmap(axis, plot: Plot, means, measure: str) -> None:
  columns = sorted({r[plot.x] for r in means})
  lines = sorted({r[plot.by] for r in means})
  cells = {(r[plot.by], r[plot.x]): r for r in means}
  grid = [
    [cells[y, x][measure] if (y, x) in cells else None for x in columns]
    for y in lines
  ]
  known = [v for line in grid for v in line if v is not None]
  low, high = min(known), max(known)
  filled = [[float("nan") if v is None else v for v in ln] for ln in grid]
  axis.imshow(filled, cmap="cividis", origin="lower", aspect="auto")
  for i, y in enumerate(lines):
    for j, x in enumerate(columns):
      if grid[i][j] is None:
        continue
      dark = grid[i][j] < low + 0.6 * (high - low)
      colour = "white" if dark else "black"
      text = _cell(cells[y, x], measure)
      axis.text(j, i, text, color=colour, ha="center", va="center", size=7)
  axis.set_xticks(range(len(columns)), [_value(x) for x in columns])
  axis.set_yticks(range(len(lines)), [_value(y) for y in lines])
  axis.set_xlabel(LABELS.get(plot.x, plot.x))
  axis.set_ylabel(LABELS.get(plot.by, plot.by))
  axis.set_title(_measured(measure, means), size="medium")


def _cell(row: Row, measure: str) -> str:
  deviation = row[f"{measure}_sd"]
  below = "" if deviation is None else f"\n±{deviation:.3f}"
  mark = "≈" if results.mark(row, measure) else ""
  return f"{mark}{row[measure]:.3f}{below}"


def _scatter(axis, plot: Plot, means, measure: str) -> None:
  from matplotlib import ticker

  means = [row for row in means if row[plot.x] is not None]
  for number, (value, some) in enumerate(_series(plot, means, measure)):
    colour, marker, dash = _STYLES[number % len(_STYLES)]
    style = colour, marker, dash if plot.along else "none"
    x = [row[plot.x] for row in some]
    xerr = [row[f"{plot.x}_sd"] or 0 for row in some]
    _line(axis, x, some, measure, style, xerr=xerr, label=_value(value))
  if plot.log:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
  axis.margins(x=0.15, y=0.15)
  _label(axis, LABELS.get(plot.x, plot.x), measure, means)


def _dots(axis, plot: Plot, rows, measure: str) -> None:
  known = [row for row in rows if row.get(measure) is not None]
  axis.plot(
    [row[plot.x] for row in known],
    [row[measure] for row in known],
    "o",
    color="#0072B2",
    alpha=0.7,
  )
  if plot.log:
    axis.set_xscale("log")
  _label(axis, LABELS.get(plot.x, plot.x), measure, known)


def _label(axis, x: str, measure: str, rows) -> None:
  axis.set_xlabel(x)
  axis.set_ylabel(_measured(measure, rows))
  axis.grid(alpha=0.3)


def _measured(measure: str, rows) -> str:
  """A measure, and of a score how many questions it is of."""
  label = LABELS.get(measure, measure)
  sets = [n.removesuffix("_n") for row in rows for n in row if n[-2:] == "_n"]
  name = scores.set_of(measure, sets)
  nums = [row[f"{name}_n"] for row in rows if row.get(f"{name}_n") is not None]
  if not nums:
    return label
  parts = [row[f"{name}_coverage"] or 0 for row in rows]
  num = _range(f"{min(nums):,.0f}", f"{max(nums):,.0f}")
  return (
    f"{label}\nn = {num}, {_range(f'{min(parts):.0%}', f'{max(parts):.0%}')}"
  )


def _range(low: str, high: str) -> str:
  return low if low == high else f"{low} to {high}"


def _value(value) -> str:
  if value is None:
    return ""
  return f"{value:g}" if isinstance(value, float) else str(value)
