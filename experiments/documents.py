"""How much do scores depend on which documents a text happens to have?

    python run.py --experiment=documents --context_weight=1

Antoniak & Mimno (2018, doi:10.1162/tacl_a_00008) warn that neighbours of words
change with the documents of a small corpus, and that other seeds do not show
it. Here the text is trained with five seeds, and five texts of as many of its
documents, drawn with replacement, with one seed: compare the deviations of the
two lines. A drawn text has about 63% of the documents, some several times, and
so fewer words; its means are lower for that reason too.

On enwiki_sample it takes at most 4 minutes on 2 cores. Expect deviations
of WordSim-353 of 0.024 with other seeds and 0.037 with other documents, and of
SimLex-999 of 0.018 and 0.065.
"""

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot

from . import GLOVE


def get_config():
  return {"corpus": GLOVE["corpus"], "dim": 50}


def get_sweep():
  return [
    {grid.LABEL: "other seeds", "seed": seed, "bootstrap": 0}
    for seed in range(5)
  ] + [
    {grid.LABEL: "other documents", "seed": 0, "bootstrap": draw}
    for draw in range(1, 6)
  ]


def report(results):
  del results
  title = "Scores with other seeds and other documents"
  return [Plot("documents", title, "bars", x=grid.LABEL)]
