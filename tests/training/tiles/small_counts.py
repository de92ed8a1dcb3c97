"""Small counts, cut into small tiles: what the tests of this folder share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import config, model
from glove_jax.counts import triplets
from glove_jax.training import loop
from glove_jax.training.tiles import cells, codec, cutting, steps

WEIGHT = {"x_max": 10.0, "alpha": 0.75}
MISSING = {"missing": 0.3, "missing_count": 0.5}


def make_triplets(size=70, fill=0.3, seed=0):
  rng = np.random.default_rng(seed)
  matrix = np.exp(rng.normal(1, 1.5, (size, size)))
  matrix *= rng.random((size, size)) < fill * np.linspace(2, 0, size)
  row, col = np.nonzero(matrix)
  return triplets.Triplets(
    row.astype(np.int32), col.astype(np.int32), matrix[row, col], size
  )


def make_config(**changes):
  """A config with `missing` and tiles of 8 words."""
  settings = {
    "dim": 4, "growth": ("16:2",), "epochs": 3, "tile_size": 8,
    "core": 24, "mesh": 1, "x_max": 10.0, "products": "float32",
  }  # fmt: skip
  return config.make_config(**settings | MISSING | changes).train


def train(counts, **changes):
  """The trained parameters, and the cost of each pass."""
  lines = []
  params = loop.train(counts, make_config(**changes), on_epoch=lines.append)
  return params, [line["cost"] for line in lines]


def as_coded(count):
  """Counts as they are after two bytes have held their logs."""
  log_count, _ = codec.decode(codec.encode(count), x_max=10.0, alpha=0.75)
  return np.exp(np.asarray(log_count, np.float64))


def build(counts, folder, **settings):
  return cutting.build(counts, folder, cutting.CutSettings(**settings))


def init_table(params, made, tx, padding_bias=0.0):
  sizes = made.num_blocks, made.tile_size
  init = lambda p: steps.init_table(p, made.position, *sizes, tx, padding_bias)  # noqa: E731
  return jax.jit(init)(params)


def matrix_of(counts):
  """All counts as coded, 0 where nothing was counted: [V, V]."""
  matrix = np.zeros((counts.vocab_size, counts.vocab_size))
  matrix[counts.row, counts.col] = as_coded(counts.count)
  return matrix


def random_params(size, dim=5, scale=1.0, seed=1):
  rng = np.random.default_rng(seed)
  shapes = [(size, dim), (size, dim), (size,), (size,)]
  return model.Params(
    *(jnp.asarray(scale * rng.normal(size=s), jnp.float32) for s in shapes)
  )


def whole_loss(params, matrix):
  """J of the counted pairs and the missing cost of all others, one by one."""
  row, col = np.nonzero(matrix)
  batch = model.Batch(row, col, matrix[row, col], np.ones(len(row)))

  @jax.jit
  def loss(params):
    others = model.predict(params, *np.nonzero(matrix == 0))
    missing = model.missing_loss(others, **MISSING)
    return model.loss(params, batch, **WEIGHT) + missing

  return loss(params)


def cells_loss(dtype=jnp.float32):
  predict = steps.make_predict(dtype)
  constants = {"predict": predict, **WEIGHT, **MISSING}
  return jax.jit(functools.partial(cells.cells_loss, **constants))
