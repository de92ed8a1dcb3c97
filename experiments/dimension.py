"""How many dimensions? Figure 2a of the paper.

    python run.py --experiment=dimension --seeds=3

On enwiki_sample with one seed it takes 53 s on 2 cores. Expect no trend:
Google about 0.01 and WordSim-353 between 0.23 and 0.28. Training takes 3.5 s
with 25 dimensions and 11.7 s with 300.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.param("dim", 25, 50, 100, 200, 300)


def report(results):
  del results
  parts = ("google_semantic", "google_syntactic", "google")
  return [
    Plot("dimension", "Scores over dimensions", "lines", x="dim"),
    Plot("parts", "Analogies over D", "lines", x="dim", measures=parts),
    Plot(
      "seconds", "Time over dimensions", "lines", x="dim",
      measures=("train_seconds",),
    ),
  ]  # fmt: skip
