"""Experiments: one short file for each question.

`python run.py --experiment=NAME --workdir=DIR` runs one. A file has

- a docstring: the question, the command, how long it takes, what to expect;
- `get_config()`: the settings that all points share;
- `get_sweep()`: the points, made by the functions of `glove_jax.sweeps.grid`;
- `report(results)`: what to plot of the rows of results, as a list of `Plot`s;
- `evaluate(vectors)`, if there are scores beside those of question sets: a dict
  of them, by column of the results;
- `get_trainers(stanford)`, if other programs train some of the points: a
  function for each label of such points.
"""

import importlib
from types import ModuleType

# What experiments on GloVe's own objective share: a small text, and J alone.
GLOVE = {"corpus": ["enwiki_sample"], "missing": 0.0}
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
  "baselines",
  "length",
  "context",
  "postprocessing",
  "downstream",
  "learning_curves",
  "weighting",
  "documents",
)


def load(name: str) -> ModuleType:
  """Imports the module of an experiment.

  Raises:
    ValueError: there is no experiment of this name.
  """
  if name not in NAMES:
    raise ValueError(
      f"There is no experiment {name!r}: use one of {', '.join(NAMES)}."
    )
  return importlib.import_module(f"{__name__}.{name}")
