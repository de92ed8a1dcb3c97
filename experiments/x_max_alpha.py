"""Which x_max and alpha together? The grid that was never published.

    python run.py --experiment=x_max_alpha

On 25M words, one NVIDIA H100, --together=24: 72 points in about 6 minutes, half
of them training; --dry_run estimates other cases. What came of it:
experiments/results/README.md.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


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
