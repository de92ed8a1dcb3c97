"""Which optimizer? Adagrad here, Stanford's rule, and others of optax.

All train with the `rows` engine on the same batches. Learning rates are what
each is usually run with, not tuned: --sweep tunes them.

    python run.py --experiment=optimizers --seeds=3

On the default corpus, one seed, 2 cores: 71 s. To expect there: WordSim-353
0.25 with Adagrad, 0.23 Adam, 0.18 Stanford's rule, 0.13 RMSProp, and nothing
learned by SGD at its rate; Google at 0.02 or less: too little text to choose
by.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {"engine": "rows"}


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
