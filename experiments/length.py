"""Are the vectors of frequent words longer?

    python run.py --experiment=length --context_weight=1 --seeds=3

Two reasons speak for it. In GloVe's equation w_i . w~_j + b_i + b~_j = log X_ij
what the biases leave of a word's frequency must go into its vector, in a
direction that all contexts share. And vectors start short: those of rare words
are trained on few counts of little weight, and may not get far. The experiment
correlates the length of vectors with how often words occur, for biases that
start fitted or at random, Stanford's rule and ours, with and without pairs that
never occur, and for CBOW (of gensim, which this needs). `along the mean` is the
part of the squared length that lies in the direction of the mean vector, and
the last correlation is without it.

On enwiki_sample with one seed it takes at most 7 minutes on 2 cores.
Expect -0.57 with missing pairs, 0.8 with Stanford's rule whatever the biases,
and 0.94 with CBOW: what counts is whether rare words are trained to the end,
and not how biases start.
"""

import numpy as np

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot
from glove_jax.vectors import intervals

from . import GLOVE, baselines

MEASURES = ("length_frequency", "along_mean", "length_frequency_rest")


def get_config():
  return {"corpus": GLOVE["corpus"], "analogies": ()}


def get_sweep():
  stanford = {"engine": "rows", "optimizer": "stanford", "learning_rate": 0.05}
  recipes = {
    "missing pairs": {},
    "J alone": {"missing": 0.0},
    "J alone, random biases": {"missing": 0.0, "bias_init": "random"},
    "rows": {"engine": "rows"},
    "rows, random biases": {"engine": "rows", "bias_init": "random"},
    "Stanford's rule, fitted biases": stanford,
    "Stanford's rule, random biases": stanford | {"bias_init": "random"},
    "CBOW": {},
  }
  return [{grid.LABEL: name} | values for name, values in recipes.items()]


def get_trainers(stanford):
  return {"CBOW": baselines.get_trainers(stanford)["CBOW"]}


def evaluate(vectors):
  """Spearman's rho of length and frequency, with and without the mean."""
  table, often = vectors.vectors.astype(np.float64), vectors.counts
  mean = table.mean(axis=0)
  mean /= np.linalg.norm(mean)
  along = table @ mean
  length = np.linalg.norm(table, axis=1)
  rest = np.linalg.norm(table - np.outer(along, mean), axis=1)
  values = (
    intervals.spearman(length, often),
    float((along**2).sum() / (length**2).sum()),
    intervals.spearman(rest, often),
  )
  return dict(zip(MEASURES, values, strict=True))


def report(results):
  del results
  title = "Length of vectors and frequency of words"
  return [Plot("length", title, "bars", x=grid.LABEL, measures=MEASURES)]
