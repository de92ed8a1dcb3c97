"""Which x_max and alpha together? A grid that the paper does not show.

    python run.py --experiment=x_max_alpha

The 72 points take about 6 minutes on 25M words, one NVIDIA H100 and
--together=24; half of that is training. Use --dry_run to estimate other cases.
For the results see experiments/results/README.md.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.product(
    grid.param("x_max", 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
    grid.param("alpha", 0.25, 0.5, 0.75, 1.0),
    grid.param("seed", 0, 1, 2),
  )


def report(results):
  del results
  title = "Scores over x_max and alpha"
  return [
    Plot("grid", title, "heatmap", x="x_max", by="alpha"),
    Plot("lines", title, "lines", x="x_max", by="alpha", log=True),
  ]
