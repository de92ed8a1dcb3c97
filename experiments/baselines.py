"""GloVe beside word2vec, fastText and a factorised matrix, on the same text.

    python run.py --experiment=baselines --context_weight=1 --seeds=3

There are two ways to learn from neighbours: word2vec looks at one window of the
text after the other, and a factorisation of the matrix of counts sees all of
the text at once. GloVe also sees all counts, and fits their logarithms by
weighted least squares in small steps.
All sides have the same words, dimensions and window, and no setting of any side
is tuned here. `training (s)` is from text to vectors, counting and compilation
included; the word2vec family passes over the text `PASSES` times.

It needs gensim. On enwiki_sample with one seed it takes at most 5 minutes
on 2 cores. Expect WordSim-353 of 0.28 with J alone, and of 0.49 to 0.56 with
CBOW, skip-gram, missing pairs and PPMI, which cannot be told apart; fastText
answers half of the questions of grammar, the others less than a tenth.
"""

import functools
import math
import os
import pathlib
import tempfile
import time

import numpy as np

from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot
from glove_jax.text import reading
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts, inputs, pipeline

from . import GLOVE

MEASURES = ("google_semantic", "google_syntactic", "wordsim353", "simlex999")
PASSES = 30  # over the text, of word2vec and fastText
SMOOTHING = 0.75  # of the probabilities of contexts in PMI (Levy et al., 2015)
GENSIM = {
  "CBOW": ("Word2Vec", {"sg": 0}),
  "skip-gram": ("Word2Vec", {"sg": 1}),
  "fastText": ("FastText", {"sg": 0, "bucket": 100_000}),
}
GLOVES = {
  "GloVe, J alone": {"missing": 0.0},
  "GloVe, missing pairs": {"missing": None},
}
FACTORISED = "PPMI and SVD"


def get_config():
  return {"corpus": GLOVE["corpus"]}


def get_sweep():
  points = [{grid.LABEL: name} for name in (*GENSIM, FACTORISED)]
  return points + [{grid.LABEL: k} | v for k, v in GLOVES.items()]


def report(results):
  del results
  return [
    Plot(
      "baselines",
      "Scores over the time from text to vectors",
      "scatter",
      x="train_seconds",
      by=grid.LABEL,
      measures=MEASURES,
      log=True,
    )
  ]


def get_trainers(stanford):
  """Returns the function that trains each side, from text to vectors."""
  del stanford
  sides = {name: functools.partial(_gensim, name) for name in GENSIM}
  sides |= dict.fromkeys(GLOVES, _glove) | {FACTORISED: _factorised}
  return {name: functools.partial(_timed, side) for name, side in sides.items()}


def _timed(side, point, counts, folder, on_epoch):
  """Trains a side in a folder of its own; all of its time is its training."""
  del counts  # each side makes what it needs
  start = time.perf_counter()
  with tempfile.TemporaryDirectory(dir=folder) as scratch:
    vectors = side(point.config, pathlib.Path(scratch))
  seconds = time.perf_counter() - start
  on_epoch({"epoch": 1, "cost": math.nan, "seconds": seconds})
  return vectors


def _glove(config, folder):
  run = pipeline.Pipeline(config, folder, say=lambda line: None)
  words, _ = run.count()
  params = pipeline.train(
    folder / "counts", config.train, folder, say=lambda line: None
  )
  return artifacts.make_vectors(
    words.words, params, config.vectors, words.counts
  )


def _gensim(name, config, folder):
  """Trains with gensim on the tokens of the corpus, one document a line."""
  from gensim import models

  kind, options = GENSIM[name]
  part, path = config.corpus, folder / "tokens.txt"
  with path.open("w", encoding="utf-8") as file:
    for tokens in reading.read_documents(
      inputs.corpus_paths(part, folder),
      tokenizer=part.tokenizer,
      lowercase=part.lowercase,
      documents=part.documents,
    ):
      for start in range(0, len(tokens), 5000):  # gensim cuts longer lines
        print(*tokens[start : start + 5000], file=file)
  model = getattr(models, kind)(
    corpus_file=str(path),
    vector_size=config.train.dim,
    window=config.count.window,
    min_count=config.vocab.min_count,
    epochs=PASSES,
    workers=os.cpu_count(),
    seed=config.train.seed + 1,
    **options,
  )
  words = model.wv.index_to_key
  counts = [model.wv.get_vecattr(word, "count") for word in words]
  return WordVectors(words, np.array(model.wv.vectors), counts)


def _factorised(config, folder):
  run = pipeline.Pipeline(config, folder, say=lambda line: None)
  words, counts = run.count()
  table = factorise(counts, config.train.dim, config.train.seed)
  return WordVectors(words.words, table, words.counts)


def factorise(counts, dim, seed=0):
  """Positive pointwise mutual information, and its singular vectors.

  Args:
    counts: row [N], col [N] and count [N] of X.
    dim: D.
    seed: of the iteration's start.

  Returns:
    [V, D] float32, U sqrt(S): the first singular vectors, each scaled by the
    root of its singular value (Levy et al., 2015).
  """
  from scipy import sparse
  from scipy.sparse import linalg

  size = counts.vocab_size
  x = sparse.coo_array((counts.count, (counts.row, counts.col)), (size, size))
  row, col = x.sum(axis=1), x.sum(axis=0) ** SMOOTHING
  expected = row[x.row] * (col / col.sum())[x.col]
  value = np.maximum(0, np.log(x.data / expected))
  ppmi = sparse.csr_array((value, (x.row, x.col)), (size, size))
  start = np.random.default_rng(seed).normal(size=size)
  u, s, _ = linalg.svds(ppmi, dim, v0=start)
  return (u * np.sqrt(s)).astype(np.float32)
