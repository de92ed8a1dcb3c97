"""What can be gained after training: sums, means and directions taken out?

    python run.py --experiment=postprocessing --seeds=3

Each seed trains once, and every point changes the same tables: the word vectors
w, the context vectors w~, their sum or both side by side; the sum without its
mean, and without the directions in which vectors vary most ("all but the top",
Mu & Viswanath, 2018); unit vectors before adding, so that long ones do not
outweigh short ones; and without the first direction of the text, in which
words count by their frequency (Arora et al., 2017).

On enwiki_sample with one seed it takes at most a minute on 2 cores. Expect
that nothing gains on the sum beyond what may be chance, and that vectors
without their first components lose.
"""

import functools
import tempfile

import numpy as np

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot
from glove_jax.text import vocab
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import pipeline

from . import GLOVE


def get_config():
  return {"corpus": GLOVE["corpus"]}


def get_sweep():
  return grid.param(grid.LABEL, *CHANGES)


def report(results):
  del results
  title = "Scores by what was done after training"
  return [Plot("postprocessing", title, "bars", x=grid.LABEL)]


def get_trainers(stanford):
  """Returns the function that trains once, and changes the vectors."""
  del stanford

  @functools.cache
  def train_once(config, counts):
    lines: list[dict] = []
    with tempfile.TemporaryDirectory(dir=counts) as folder:
      params = pipeline.train(
        counts / "counts", config, folder, lines.append, lambda line: None
      )
    return params, lines

  def train(change, point, counts, folder, on_epoch):
    del folder
    params, lines = train_once(point.config.train, counts)
    for line in lines:
      on_epoch(line)
    words = vocab.read_vocab(counts / "vocab.txt")
    table = change(np.asarray(params.word), np.asarray(params.context))
    vectors = WordVectors(words.words, table, words.counts)
    if change is _sum_without_text_direction:
      vectors = vectors.weighted(None, 1)
    return vectors

  return {k: functools.partial(train, v) for k, v in CHANGES.items()}


def unit(table):
  return table / np.linalg.norm(table, axis=1, keepdims=True)


def without_top(table, num):
  """Removes the mean, and the first principal components."""
  centred = table - table.mean(axis=0)
  top = np.linalg.eigh(centred.T @ centred)[1][:, -num:]
  return centred - (centred @ top) @ top.T


def _sum_without_text_direction(word, context):
  return word + context


CHANGES = {  # (word vectors [V, D], context vectors [V, D]) -> [V, any]
  "word + context": lambda w, c: w + c,
  "word": lambda w, c: w,
  "context": lambda w, c: c,
  "word and context joined": lambda w, c: np.hstack([w, c]),
  "word + 0.4 context": lambda w, c: w + 0.4 * c,
  "unit word + unit context": lambda w, c: unit(w) + unit(c),
  "sum, centred": lambda w, c: (w + c) - (w + c).mean(axis=0),
  "sum, without top 1": lambda w, c: without_top(w + c, 1),
  "sum, without top 3": lambda w, c: without_top(w + c, 3),
  "sum, without the text's direction": _sum_without_text_direction,
}
