"""What is more text worth? Figure 3 of the paper, with parts of one corpus.

    python run.py --experiment=corpus_size --seeds=3

On the default corpus, one seed, 2 cores: 26 s.
To expect there, with one seed: the share of WordSim-353 that can be asked rises
from 0.05 to 0.69, of Google's questions from 0.001 to 0.20. Scores of so
different questions do not compare: look at the coverage beside them.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


def get_sweep():
  return grid.param("share", 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


def report(results):
  del results
  parts = ("google_semantic", "google_syntactic", "google")
  axes = {"x": "share", "log": True}
  return [
    Plot("share", "Scores over the share of the text", "lines", **axes),
    Plot("parts", "Analogies over the text", "lines", **axes, measures=parts),
    Plot(
      "size", "Size over the share of the text", "lines", **axes,
      measures=("google_coverage", "vocab_size", "num_counts"),
    ),
  ]  # fmt: skip
