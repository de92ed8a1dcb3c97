"""Which alpha, the exponent of the weight of counts below x_max?

    python run.py --experiment=alpha --seeds=3

On enwiki_sample with one seed it takes 49 s on 2 cores. Expect WordSim-353
to rise from 0.11 at alpha 0 to 0.30 at alpha 1, and to fall beyond. Google
stays below 0.013: the corpus is too small to choose by it.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.param("alpha", 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


def report(results):
  del results
  return [Plot("alpha", "Scores over alpha", "lines", x="alpha")]
