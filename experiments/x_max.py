"""Which x_max, the count from which the weight of a pair is 1?

    python run.py --experiment=x_max --seeds=3

On enwiki_sample with one seed it takes 52 s on 2 cores, or 44 s with
--together=2. Expect WordSim-353 to rise from 0.21 at x_max 1 to 0.30 at 300.
Google shows no trend between 0.009 and 0.013: the corpus is too small to choose
by it.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.param("x_max", 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def report(results):
  del results
  return [Plot("x_max", "Scores over x_max", "lines", x="x_max", log=True)]
