"""How fast is each engine, and how good are its vectors?

    python run.py --experiment=engines --seeds=3

`dense` is left out: it updates whole tables at every step, and serves as a
reference for small vocabularies (--sweep=engine=dense --max_vocab=1000).

On enwiki_sample with one seed it takes 49 s on 2 cores. Expect WordSim-353
of 0.28 with `blocked`, 0.25 with `rows` and 0.20 with Stanford's rule, and
Google between 0.013 and 0.016 with each.
"""

from glove_jax import presets
from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  fast = {grid.LABEL: "blocked, fast"} | presets.PRESETS["fast"]
  return [
    {grid.LABEL: "blocked", "engine": "blocked"},
    fast | {"engine": "blocked"},
    {grid.LABEL: "rows", "engine": "rows"},
    {
      grid.LABEL: "rows, Stanford's rule",
      "engine": "rows",
      "optimizer": "stanford",
      "learning_rate": 0.05,
      "bias_init": "random",
    },
  ]


def report(results):
  del results
  return [
    Plot(
      "engines",
      "Scores over the time of training",
      "scatter",
      x="train_seconds",
      by=grid.LABEL,
      log=True,
    )
  ]
