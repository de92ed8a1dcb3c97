"""What is it worth to start biases at their best values without vectors?

    python run.py --experiment=bias_init --seeds=3

--dry_run estimates the time; it was not measured on 2 cores.
"""

from experiments.plots import Plot
from glove_jax import sweeps


def get_config():
  return {"engine": "rows"}


def get_sweep():
  return sweeps.product(
    sweeps.param("bias_init", "fit", "random"),
    sweeps.param("epochs", 1, 2, 5, 15),
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
