"""How much does more text help? Figure 3 of the paper, on parts of one corpus.

    python run.py --experiment=corpus_size --seeds=3

On enwiki_sample with one seed it takes 26 s on 2 cores. Expect coverage to
rise from 0.05 to 0.69 on WordSim-353 and from 0.001 to 0.20 on Google. Scores
of such different question sets cannot be compared: read them with the coverage
beside them.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.param("share", 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)


def report(results):
  del results
  parts = ("google_semantic", "google_syntactic", "google")
  axes = {"x": "share", "log": True}
  return [
    Plot("share", "Scores over the fraction of the text", "lines", **axes),
    Plot("parts", "Analogies over the text", "lines", **axes, measures=parts),
    Plot(
      "size", "Size over the fraction of the text", "lines", **axes,
      measures=("google_coverage", "vocab_size", "num_counts"),
    ),
  ]  # fmt: skip
