"""Many runs as a data frame."""

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glove_jax import config as configs
from glove_jax import effects, lazy, metrics, settings
from glove_jax.counts import stanford
from glove_jax.front import fitting
from glove_jax.front.cooccurrences import Cooccurrences
from glove_jax.front.keywords import configure, fields, takes
from glove_jax.presets import PRESETS
from glove_jax.sweeps import command, folders, grid, results, runner
from glove_jax.sweeps.options import SweepConfig
from glove_jax.sweeps.scores import Evaluator
from glove_jax.text import forms, records, vocab


@takes(*fitting.COUNTING, "train", "vectors", "evaluate")
def sweep(
  sentences,
  *,
  seeds: int = 1,
  evaluate: Evaluator | None = None,
  workdir: str | os.PathLike | None = None,
  preset: str = "",
  quiet: bool = False,
  **options,
):
  """Trains with all combinations of some settings, and scores the vectors.

  A setting with several values is varied: `x_max=[1, 10, 100]`. A setting that
  is a list itself, such as `growth`, is varied by a list of lists.

  >>> text = [["ice", "is", "cold"], ["steam", "is", "hot"]] * 9
  >>> frame = sweep(
  ...   text, x_max=[1, 10], window=2, dim=4, engine="rows", epochs=1,
  ...   evaluate=lambda vectors: vectors.similarity("ice", "cold"), quiet=True,
  ... )
  >>> frame[["x_max", "seed"]].values.tolist(), "score" in frame
  ([[1.0, 0.0], [10.0, 0.0]], True)

  Args:
    sentences: text or counts, as for `fit`.
    seeds: trains each point with the seeds 0, 1, ...
    evaluate: vectors -> a score, or scores by name. The question sets of
      `analogies` and `similarity` are asked too if they are given; without
      `evaluate` they have their defaults.
    workdir: keeps what is done: the same sweep goes on from there after an
      interruption, and writes the tables, plots and page that the command line
      does. A sweep of other points is refused. Finished points keep the scores
      of an earlier `evaluate`. By default a temporary folder.
    preset: the settings of a published recipe; those given as well win.
    quiet: shows no progress and prints nothing.
    **options: settings of a run.

  Returns:
    A `pandas.DataFrame` with a row for each point: its settings and seed, the
    scores, and for each question set `<set>_n`, the questions that the score is
    of, and `<set>_coverage`; `cost`, `train_seconds` and `wall_seconds`. A
    point that failed has only `error`.

  Raises:
    ValueError: an unknown setting or value, or text that cannot be counted.
    ImportError: pandas is not installed.
  """
  with lazy.needed("sweep needs pandas: pip install pandas."):
    import pandas
  if not (evaluate is None or callable(evaluate)):
    raise ValueError(f"evaluate must be a function, got {evaluate!r:.80}.")
  if evaluate:
    options = {"analogies": (), "similarity": ()} | options
  fixed, varied = _split(options)
  configure(sweep, preset, fixed | {k: v[0] for k, v in varied.items()})
  with contextlib.ExitStack() as stack:
    stack.enter_context(metrics.progress_bars(not quiet))
    folder = Path(workdir or tempfile.mkdtemp(prefix="glove_jax-")).expanduser()
    if not workdir:
      stack.callback(shutil.rmtree, folder, ignore_errors=True)
    base = _base(sentences, folder, preset, fixed, varied, quiet)
    points = grid.product(*(grid.param(k, *v) for k, v in varied.items()))
    config = SweepConfig(seeds=seeds)
    plan = command.make_plan(config, base, sweep=points)
    plan = plan._replace(evaluate=evaluate)
    runs = [configs.all_settings(point.config) for point in plan.points]
    effects.check(runs, options.keys() & {*base, *varied})
    say = fitting.say(quiet)
    if workdir:
      command.run(plan, config, folder, say)
    else:
      run = runner.Runner(folder, config, say=say, evaluate=evaluate)
      run.run(plan.points)
    return pandas.DataFrame([_row(point, folder) for point in plan.points])


def _split(options: dict[str, Any]) -> tuple[dict, dict[str, list]]:
  """The settings with one value, and those with several."""
  known = {f.name: f for f in configs.fields()}
  fixed, varied = {}, {}
  for name, value in options.items():
    if name not in known or not _varies(known[name], value):
      fixed[name] = value
      continue
    varied[name] = [settings.checked(known[name], item) for item in value]
    if not varied[name]:
      raise ValueError(f"{name} has no values: give one or more.")
  return fixed, varied


def _varies(field, value) -> bool:
  if isinstance(value, str) or not isinstance(value, Iterable):
    return False
  if getattr(value, "ndim", 1) == 0:
    return False
  if settings.kind(field) is tuple:
    return any(isinstance(item, list | tuple) for item in value)
  return True


def _base(given, folder: Path, preset, fixed, varied, quiet) -> dict[str, Any]:
  """The settings that all points share, with those of their text or counts."""
  base = PRESETS.get(preset, {}) | fixed
  base = {name: value for name, value in base.items() if name not in varied}
  if not isinstance(given, Cooccurrences):
    source = forms.recognise(given, base.get("text_field", ""))
    if source.kind == "files":
      return base | {"corpus": tuple(source.items)}
    if source.kind == "texts":
      path = folder / "texts.txt"
      folder.mkdir(parents=True, exist_ok=True)
      records.write_texts(source.items, path)
      return base | {"corpus": (str(path),), "text_field": ""}
    given = source.items
  counting = {f.name for f in fields(fitting.COUNTING)}
  counted = {name: fixed[name] for name in fixed.keys() & counting}
  if unused := sorted(varied.keys() & counting):
    raise ValueError(
      f"{unused[0]} is for counting: to vary it, give files or texts, not "
      "counts or lists of words."
    )
  if not isinstance(given, Cooccurrences):
    given = fitting.count(given, preset=preset, quiet=quiet, **counted)
  elif counted:
    raise ValueError(
      f"{min(counted)} is for counting, which is done: leave it out."
    )
  others = {k: v for k, v in base.items() if k not in counting}
  return others | _as_records(given, folder)


def _as_records(counts: Cooccurrences, folder: Path) -> dict[str, Any]:
  """Writes counts for a run to read, as `records`."""
  folder.mkdir(parents=True, exist_ok=True)
  vocab.write_vocab(counts.vocab, folder / "vocab.txt")
  stanford.write_records(counts.triplets(), folder / "records.bin")
  return {
    "corpus": (),
    "records": str(folder / "records.bin"),
    "records_vocab": str(folder / "vocab.txt"),
    "count_dtype": str(counts.triplets().count.dtype),
  }


def _row(point: grid.Point, folder: Path) -> results.Row:
  """The row of a point, or why it failed."""
  path = folders.point_folder(folder, point)
  if folders.is_done(folder, point):
    row = results.read_row(point, path)
    sets = [name.removesuffix("_n") for name in row if name.endswith("_n")]
    return row | {name: row.get(name, math.nan) for name in sets}
  why = "Another process trains it."
  if (path / "error.txt").exists():
    why = (path / "error.txt").read_text().strip().splitlines()[-1]
  row = {"point": point.name, "seed": point.config.train.seed}
  return row | point.varied | {"error": why}
