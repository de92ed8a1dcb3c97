"""Figures 2 to 4 of the GloVe paper, on any corpus.

Figure 2 varies the dimensions, and the window to both sides or to the left.
Figure 3 varies the amount of text. Figure 4 varies the number of passes.

    python run.py --experiment=paper --corpus=wiki.txt --seeds=3

Two things differ from the paper: figure 3 uses parts of one corpus instead of
five corpora, and figure 4 shows GloVe without word2vec.

On enwiki_sample with one seed it takes 165 s on 2 cores.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE

PARTS = ("google_semantic", "google_syntactic", "google")
# Every point sets every field that some figure varies, so that each figure can
# select its points.
BASE = {
  "dim": 100,
  "window": 10,
  "context": "symmetric",
  "share": 1.0,
  "epochs": 5,
}


def get_config():
  return GLOVE


def get_sweep():
  windows = [2, 5, 10, 15, 20]
  return grid.chain(
    grid.one_at_a_time(
      BASE,
      dim=[25, 50, 200, 300],
      window=windows,
      share=[1 / 16, 1 / 8, 1 / 4, 1 / 2],
      epochs=[1, 2, 10, 20],
    ),
    grid.one_at_a_time(BASE | {"context": "left"}, window=windows),
  )


def report(results):
  del results
  return [
    figure("figure_2a", "Figure 2a: dimensions", "dim"),
    figure("figure_2b", "Figure 2b: symmetric window", "window"),
    figure("figure_2c", "Figure 2c: window to the left", "window", "left"),
    figure("figure_3", "Figure 3: fraction of the text", "share", log=True),
    figure("figure_4", "Figure 4: passes over all counts", "epochs"),
  ]


def figure(name, title, x, context="symmetric", log=False):
  """Analogies over x, with the other settings as in the base."""
  where = BASE | {"context": context}
  del where[x]
  return Plot(name, title, "lines", x=x, measures=PARTS, where=where, log=log)
