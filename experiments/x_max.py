"""Which x_max, the count from which a pair has its full weight?

    python run.py --experiment=x_max --seeds=3

On the default corpus, one seed, 2 cores: 53 s.
To expect there, with one seed: WordSim-353 between 0.22 and 0.34 in no order,
Google from 0.005 at x_max 1 to 0.012 at 300: too little text to choose by.
"""

from experiments.plots import Plot
from glove_jax import sweeps


def get_config():
  return {}


def get_sweep():
  return sweeps.param("x_max", 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def report(results):
  del results
  return [Plot("x_max", "Scores over x_max", "lines", x="x_max", log=True)]
