"""How wide a window, and to both sides or the left? Figures 2b and 2c.

    python run.py --experiment=window --seeds=3

On enwiki_sample with one seed it takes 88 s on 2 cores. For the results
on a larger corpus see experiments/results/README.md.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.product(
    grid.param("context", "symmetric", "left"),
    grid.param("window", 2, 5, 10, 15, 20),
  )


def report(results):
  del results
  parts = ("google_semantic", "google_syntactic", "google")
  axes = {"x": "window", "by": "context"}
  return [
    Plot("window", "Scores over the window", "lines", **axes),
    Plot("parts", "Analogies over the window", "lines", **axes, measures=parts),
    Plot(
      "counts", "Counts over the window", "lines", **axes,
      measures=("num_counts",),
    ),
  ]  # fmt: skip
