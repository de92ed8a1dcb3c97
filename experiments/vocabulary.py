"""How many words should get a vector?

Words without a vector are dropped from the text, which brings the words around
them closer together: a smaller vocabulary changes the counts of the words that
remain.

    python run.py --experiment=vocabulary --seeds=3

On enwiki_sample with one seed it takes 36 s on 2 cores. Expect Google to
rise from 0.006 at min_count 2 to 0.15 at 50, on fewer and fewer questions: read
it with the coverage.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return GLOVE


def get_sweep():
  return grid.param("min_count", 2, 5, 10, 20, 50)


def report(results):
  del results
  axes = {"x": "min_count", "log": True}
  return [
    Plot("vocabulary", "Scores over the rarest word's count", "lines", **axes),
    Plot(
      "size", "Size of vocabulary and counts", "lines", **axes,
      measures=("google_coverage", "vocab_size", "num_counts"),
    ),
  ]  # fmt: skip
