"""Words to the left, to the right or on both sides; near words or all alike?

    python run.py --experiment=context --context_weight=1 --seeds=3

Figure 2 of the paper compares contexts on the left with those on both sides,
with counts of 1/d at distance d. This experiment adds contexts on the right,
counts of 1 at every distance, and distances over words outside the vocabulary.
With contexts on one side, the vector of a word says what stands on that side of
it, and the context vector what stands on the other; their sum has both.

On enwiki_sample with one seed it takes at most 3 minutes on 2 cores.
Expect that little can be told apart, but that with contexts on one side, counts
of 1 answer fewer questions than counts of 1/d.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return {"corpus": GLOVE["corpus"], "dim": 50}


def get_sweep():
  return grid.product(
    grid.param("context", "symmetric", "left", "right"),
    grid.param("distance_weighting", "inverse", "none"),
    grid.param("keep_places", False),
  ) + [
    {
      "context": "symmetric",
      "distance_weighting": weighting,
      "keep_places": True,
    }
    for weighting in ("inverse", "none")
  ]


def report(results):
  del results
  where = {"keep_places": False}
  return [
    Plot("context", "Scores by the side of the context", "bars", x="context",
         where=where | {"distance_weighting": "inverse"}),
    Plot("weighting", "Scores by the weight of distances", "bars",
         x="distance_weighting", where=where | {"context": "symmetric"}),
  ]  # fmt: skip
