"""Which x_max, the count from which a pair has its full weight?

    python run.py --experiment=x_max --seeds=3

On the default corpus, one seed, 2 cores: 52 s, 44 s with --together=2.
To expect there, with one seed: WordSim-353 from 0.21 at x_max 1 to 0.30 at 300,
Google between 0.009 and 0.013 in no order: too little text to choose by.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


def get_sweep():
  return grid.param("x_max", 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def report(results):
  del results
  return [Plot("x_max", "Scores over x_max", "lines", x="x_max", log=True)]
