"""Which optimizer: Adagrad, Stanford's rule, or another one of optax?

All points train with the `rows` engine on the same batches. The learning rates
are customary values and not tuned; --sweep tunes them.

    python run.py --experiment=optimizers --seeds=3

On enwiki_sample with one seed it takes 71 s on 2 cores. Expect WordSim-353
of 0.25 with Adagrad, 0.23 with Adam, 0.18 with Stanford's rule and 0.13 with
RMSProp; SGD learns nothing at its rate. Google stays below 0.02: the corpus is
too small to choose by it.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE | {"engine": "rows"}


def get_sweep():
  return grid.zip(
    grid.param("optimizer", "adagrad", "stanford", "adam", "rmsprop", "sgd"),
    grid.param("learning_rate", 0.2, 0.05, 0.001, 0.001, 0.01),
  )


def report(results):
  del results
  measures = ("cost", "google", "wordsim353", "simlex999")
  return [
    Plot(
      "optimizers",
      "Cost and scores by optimizer",
      "bars",
      x="optimizer",
      measures=measures,
    )
  ]
