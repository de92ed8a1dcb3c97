"""Which x_max and alpha, if the learning rate is chosen for each of them?

    python run.py --experiment=weighting --together=9

A weight function that lets more counts have full weight also makes steps
longer, so that a grid with one learning rate compares the rates as well. Here
every pair of x_max and alpha has three rates, on two texts: read the best of
the three. `x_max_alpha` has a finer grid with one rate.

`--dry_run` estimates 3 minutes of training for its 54 points on 2 cores.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE

TEXTS = (("enwiki_sample",), ("sotu",))


def get_config():
  return {
    "missing": GLOVE["missing"], "dim": 50, "max_vocab": 8000, "growth": (),
    "epochs": 8, "analogies": (),
  }  # fmt: skip


def get_sweep():
  return grid.product(
    grid.param("corpus", *TEXTS),
    grid.param("x_max", 1.0, 10.0, 100.0),
    grid.param("alpha", 0.5, 0.75, 1.0),
    grid.param("learning_rate", 0.1, 0.2, 0.4),
  )


def report(results):
  del results
  return [
    Plot(
      f"{text}_rate_{rate:g}",
      f"{text}, learning rate {rate:g}",
      "heatmap",
      x="x_max",
      by="alpha",
      where={"corpus": text, "learning_rate": rate},
    )
    for (text,) in TEXTS
    for rate in (0.1, 0.2, 0.4)
  ]
