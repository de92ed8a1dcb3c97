"""How good are vectors after so many seconds of training, by engine?

    python run.py --experiment=learning_curves --context_weight=1 --seeds=3

Every point of a curve is a training of its own, whose learning rate falls to 0
at its end, so that each shows what a whole run of that length is worth. Seconds
are those of the passes, compilation included; the start (fitting biases,
cutting tiles) is in `wall time (s)`.

On enwiki_sample with one seed it takes at most 4 minutes on 2 cores.
Expect WordSim-353 of 0.5 after 8 s with missing pairs, and of less than 0.3
with J alone, whatever the engine and the time.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return {"corpus": GLOVE["corpus"], "dim": 50}


def get_sweep():
  tiles = grid.product(
    [
      {grid.LABEL: "blocked, missing pairs"},
      {grid.LABEL: "blocked, J alone", "missing": 0.0},
    ],
    [
      {"growth": (), "epochs": 1},
      {"growth": ("8192:2",), "epochs": 2},
      {"growth": ("8192:4",), "epochs": 4},
      {"growth": ("8192:8",), "epochs": 8},
    ],
  )
  rule = {"optimizer": "stanford", "learning_rate": 0.05}
  rows = grid.product(
    [
      {grid.LABEL: "rows"},
      {grid.LABEL: "rows, Stanford's rule", "bias_init": "random"} | rule,
    ],
    grid.param("epochs", 1, 2, 5, 15),
    grid.param("engine", "rows"),
  )
  return tiles + rows


def report(results):
  del results
  return [
    Plot(
      "learning_curves",
      "Scores over seconds of training",
      "scatter",
      x="train_seconds",
      by=grid.LABEL,
      along="epochs",
      log=True,
    )
  ]
