"""Which alpha, the exponent of the weight of pairs below x_max?

    python run.py --experiment=alpha --seeds=3

--dry_run estimates the time; it was not measured on 2 cores.
"""

from experiments.plots import Plot
from glove_jax import sweeps


def get_config():
  return {}


def get_sweep():
  return sweeps.param("alpha", 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


def report(results):
  del results
  return [Plot("alpha", "Scores over alpha", "lines", x="alpha")]
