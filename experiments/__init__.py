"""Experiments: one short file each, and what they share.

`python run.py --experiment=NAME --workdir=DIR` runs one. A file has

- `get_config()`: the settings that all points share, over the defaults;
- `get_sweep()`: the points, as `glove_jax.sweeps.grid` makes them;
- `report(results)`: what to plot of the results, as `plots.Plot`s;
- sometimes `get_trainers(stanford)`: other ways to make vectors, by the label
  of the points that they train.

runner.py trains the points, estimate.py says how long that takes, tables.py and
plots.py read the results, report.py writes them down, search.py picks points by
what the earlier ones came to.
"""

import importlib
from types import ModuleType

NAMES = (
  "x_max",
  "alpha",
  "x_max_alpha",
  "dimension",
  "window",
  "corpus_size",
  "optimizers",
  "engines",
  "bias_init",
  "vocabulary",
  "stanford",
  "paper",
)


def load(name: str) -> ModuleType:
  """The module of an experiment; ValueError where there is none."""
  if name not in NAMES:
    raise ValueError(
      f"There is no experiment {name!r}: there are {', '.join(NAMES)}."
    )
  return importlib.import_module(f"experiments.{name}")
