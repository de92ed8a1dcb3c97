"""What is it worth to start biases at their best values without vectors?

    python run.py --experiment=bias_init --seeds=3

On the default corpus, one seed, 2 cores: 53 s. To expect there: WordSim-353
0.18 after one epoch with fitted biases, 0.13 with random ones; 0.25 and 0.22
after 15.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {"engine": "rows"}


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
