"""Which alpha, the exponent of the weight of pairs below x_max?

    python run.py --experiment=alpha --seeds=3

On the default corpus, one seed, 2 cores: 49 s. To expect there: WordSim-353
from 0.11 at alpha 0 to 0.30 at 1, and less beyond; Google at 0.013 or less: too
little text to choose by.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


def get_sweep():
  return grid.param("alpha", 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


def report(results):
  del results
  return [Plot("alpha", "Scores over alpha", "lines", x="alpha")]
