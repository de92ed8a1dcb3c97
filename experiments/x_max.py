"""Which x_max, the count from which a pair has its full weight?

python run.py --experiment=x_max --seeds=3
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
