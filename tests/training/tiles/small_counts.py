"""Small counts, cut into small tiles: what the tests of this folder share."""

import numpy as np

from glove_jax.counts import triplets
from glove_jax.training.tiles import codec, cutting, steps


def make_triplets(size=70, fill=0.3, seed=0):
  rng = np.random.default_rng(seed)
  matrix = np.exp(rng.normal(1, 1.5, (size, size)))
  matrix *= rng.random((size, size)) < fill * np.linspace(2, 0, size)
  row, col = np.nonzero(matrix)
  return triplets.Triplets(
    row.astype(np.int32), col.astype(np.int32), matrix[row, col], size
  )


def as_coded(count):
  """Counts as they are after two bytes have held their logs."""
  log_count, _ = codec.decode(codec.encode(count), x_max=10.0, alpha=0.75)
  return np.exp(np.asarray(log_count, np.float64))


def build(counts, folder, **settings):
  return cutting.build(counts, folder, cutting.CutSettings(**settings))


def init_table(params, made, tx, padding_bias=0.0):
  return steps.init_table(
    params, made.position, made.num_blocks, made.tile_size, tx, padding_bias
  )


def matrix_of(counts):
  """All counts as coded, 0 where nothing was counted: [V, V]."""
  matrix = np.zeros((counts.vocab_size, counts.vocab_size))
  matrix[counts.row, counts.col] = as_coded(counts.count)
  return matrix
