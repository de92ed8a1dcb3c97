"""The table, the last lines and the plot of `quality.py`.

All take the results of the benchmark: for each side a list with one dict for
each seed. A dict has 'seconds', 'training_seconds', 'peak_gb', 'cached', and
'scores': [score, coverage] by the name of a set. All have the same sets.
"""

import pathlib
import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

FIGURES = {
  "seconds": ("text to vectors, s", 1),
  "training_seconds": ("training only, s", 1),
  "peak_gb": ("peak memory, GB", 2),
}
_HALVES = ("semantic", "syntactic")
Results = Mapping[str, Sequence[Mapping]]


def scores(results: Mapping) -> dict[str, list[float]]:
  """The [score, coverage] of each set, by its name.

  An analogy set with semantic and syntactic questions counts as two sets. A
  set of which no question can be asked is left out.

  Args:
    results: as `glove_jax.vectors.evaluate.evaluate_vectors` returns them.
  """
  return {
    name: [score, coverage]
    for name, score, coverage in _each_score(results)
    if score is not None
  }


def _each_score(results: Mapping) -> Iterator[tuple[str, float | None, float]]:
  for name, result in results.items():
    if result["kind"] == "similarity":
      yield name, result["spearman"], result["coverage"]
    elif all(result[half]["all"] for half in _HALVES):
      for half in _HALVES:
        score = result[half]
        yield f"{name} {half}", score["accuracy"], score["coverage"]
    else:
      total = result["total"]
      yield name, total["accuracy"], total["coverage"]


def report(judged: Results, gensim: Sequence[str]) -> str:
  """The table, in markdown, and the last lines.

  Args:
    judged: the results.
    gensim: the sides of gensim.
  """
  rows = [["", "coverage", *judged]]
  for key, (title, digits) in FIGURES.items():
    rows.append([title, ""])
    for results in judged.values():
      cell = _cell([result[key] for result in results], digits)
      is_old = key != "peak_gb" and any(r["cached"] for r in results)
      rows[-1].append(cell + " (cached)" * is_old)
  sets = next(iter(judged.values()))[0]["scores"]
  for name, (_, coverage) in sets.items():
    rows.append([name, f"{coverage:.3f}"])
    for results in judged.values():
      rows[-1].append(_cell([r["scores"][name][0] for r in results], 3))
  rows.append([f"mean of {len(sets)} sets", ""])
  rows[-1] += [_cell(means(results), 3) for results in judged.values()]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows]
  lines.insert(1, "|" + "---|" * len(widths))
  return "\n".join([*lines, *verdict(judged, gensim)])


def verdict(judged: Results, gensim: Sequence[str]) -> list[str]:
  """The last lines; none unless ours and a side of gensim were trained."""
  others = [side for side in judged if side in gensim]
  if "ours" not in judged or not others:
    return []
  ours, *theirs = (_by_set(judged[side]) for side in ("ours", *others))
  wins = int(np.count_nonzero(ours > np.max(theirs, axis=0)))
  difference = ours.mean() - np.mean(theirs, axis=1).max()
  return [
    f"\nwins: {wins} of {len(ours)}",
    f"mean_difference: {difference:+.4f}",
  ]


def _by_set(results: Sequence[Mapping]) -> np.ndarray:
  """[number of sets]: the scores of one side, as the mean of its seeds."""
  scores = [[s for s, _ in r["scores"].values()] for r in results]
  return np.mean(scores, axis=0)


def means(results: Sequence[Mapping]) -> list[float]:
  """The mean over all sets, of each seed."""
  return [
    statistics.mean(score for score, _ in result["scores"].values())
    for result in results
  ]


def _cell(values: Sequence[float], digits: int) -> str:
  """The mean, and the standard deviation if there are several seeds."""
  text = f"{statistics.mean(values):.{digits}f}"
  if len(values) > 1:
    text += f" ± {statistics.stdev(values):.{digits}f}"
  return text


def plot(path: pathlib.Path, judged: Results) -> None:
  """Draws the mean of all sets over seconds, a point for each seed."""
  import matplotlib

  matplotlib.use("agg")
  from matplotlib import pyplot

  figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
  for (side, results), mark in zip(judged.items(), "os^Dv<", strict=False):
    seconds = [result["seconds"] for result in results]
    axis.scatter(seconds, means(results), marker=mark, label=side)
  axis.set(
    xlabel="seconds from text to vectors",
    ylabel=f"mean of {len(next(iter(judged.values()))[0]['scores'])} sets",
    xlim=(0, None),
  )
  axis.grid(alpha=0.3)
  axis.legend()
  figure.savefig(path, dpi=120)
  pyplot.close(figure)
