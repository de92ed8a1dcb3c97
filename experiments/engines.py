"""How fast is each engine, and how good what it trains?

    python run.py --experiment=engines --seeds=3

`dense` is left out: it takes gradients of whole tables at every step, and is
the reference for small vocabularies (--sweep=engine=dense --max_vocab=1000).

On the default corpus, one seed, 2 cores: 49 s.
To expect there, with one seed: WordSim-353 0.28 of `blocked`, 0.25 of `rows`
and 0.20 by Stanford's rule; Google between 0.013 and 0.016 of all.
"""

from glove_jax import config
from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


def get_sweep():
  fast = {grid.LABEL: "blocked, fast"} | config.PRESETS["fast"]
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
