"""How many dimensions? Figure 2a of the paper.

    python run.py --experiment=dimension --seeds=3

On the default corpus, one seed, 2 cores: 65 s.
To expect there, with one seed: Google about 0.01 and WordSim-353 between 0.25
and 0.34, at every width; 25 to 300 dimensions cost about the same time.
"""

from experiments.plots import Plot
from glove_jax import sweeps


def get_config():
  return {}


def get_sweep():
  return sweeps.param("dim", 25, 50, 100, 200, 300)


def report(results):
  del results
  parts = ("google_semantic", "google_syntactic", "google")
  return [
    Plot("dimension", "Scores over dimensions", "lines", x="dim"),
    Plot("parts", "Analogies over D", "lines", x="dim", measures=parts),
    Plot(
      "seconds", "Time over dimensions", "lines", x="dim",
      measures=("train_seconds",),
    ),
  ]  # fmt: skip
