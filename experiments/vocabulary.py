"""How many words are worth a vector?

A word without one is dropped from the text, so that the words around it come
nearer to each other: fewer words change the counts of those that stay.

    python run.py --experiment=vocabulary --seeds=3

On the default corpus, one seed, 2 cores: 36 s. To expect there: Google from
0.006 at min_count 2 to 0.15 at 50, of ever fewer questions: look at the
coverage.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot


def get_config():
  return {}


def get_sweep():
  return grid.param("min_count", 2, 5, 10, 20, 50)


def report(results):
  del results
  axes = {"x": "min_count", "log": True}
  return [
    Plot("vocabulary", "Scores over the rarest word's count", "lines", **axes),
    Plot(
      "size", "What is left of words and counts", "lines", **axes,
      measures=("google_coverage", "vocab_size", "num_counts"),
    ),
  ]  # fmt: skip
