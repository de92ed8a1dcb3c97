"""Does it help to start biases at the optimum for zero vectors?

    python run.py --experiment=bias_init --seeds=3

On enwiki_sample with one seed it takes 53 s on 2 cores. Expect WordSim-353
of 0.18 after one epoch with fitted biases and 0.13 with random ones; after 15
epochs, 0.25 and 0.22.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE | {"engine": "rows"}


def get_sweep():
  return grid.product(
    grid.param("bias_init", "fit", "random"),
    grid.param("epochs", 1, 2, 5, 15),
  )


def report(results):
  del results
  return [
    Plot(
      "bias_init",
      "Cost and scores over passes, by the start of the biases",
      "lines",
      x="epochs",
      by="bias_init",
      measures=("cost", "google", "wordsim353", "simlex999"),
    )
  ]
