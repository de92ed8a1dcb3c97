"""Random parameters: drawn at once, or where they are read."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32

from glove_jax import model
from glove_jax.config import TrainConfig


def random_params(
  vocab_size: int, config: TrainConfig, **given
) -> model.Params:
  """Draws all parameters but given ones, with the seed of the config."""
  return model.init_params(
    _key(config),
    vocab_size,
    config.dim,
    jnp.dtype(config.dtype),
    **given,
  )


def _key(config: TrainConfig) -> jax.Array:
  """The key of the seed, whatever JAX_DEFAULT_PRNG_IMPL says."""
  return jax.random.key(config.seed, impl="threefry2x32")


def random_tables(
  vocab_size: int, config: TrainConfig, **given
) -> model.Params:
  """As `random_params`, but each table is a `RandomTable`."""
  key, bound = _key(config), 0.5 / config.dim
  vectors, biases = (vocab_size, config.dim), (vocab_size,)
  shapes = model.Params(vectors, vectors, biases, biases)
  drawn = {
    name: RandomTable(key, np.int32(number), getattr(shapes, name), bound)
    for number, name in enumerate(model.Params._fields)
    if name not in given
  }
  return model.Params(**drawn, **given)


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=["key", "number"],
  meta_fields=["shape", "bound"],
)
@dataclasses.dataclass(frozen=True)
class RandomTable:
  """A table of `model.init_params` that is drawn where it is read.

  Its numbers are float32 and equal, bit for bit, those of `random_params`. jax
  draws number i of an array by hashing i, so a row does not need those before
  it.
  """

  key: jax.Array  # of all tables
  number: np.ndarray  # scalar, int32: which of them
  shape: tuple[int, ...]  # [V, D] or [V]
  bound: float

  def whole(self) -> jax.Array:
    """All of the table."""
    return jax.random.uniform(
      self._own_key(), self.shape, jnp.float32, -self.bound, self.bound
    )

  def __getitem__(self, rows: np.ndarray | jax.Array) -> jax.Array:
    """Draws rows [N] of the table, int32: [N, D] or [N]."""
    dim = math.prod(self.shape[1:])
    drawn = _draw_rows(self._own_key(), rows, np.float32(self.bound), dim)
    return drawn.reshape(len(rows), *self.shape[1:])

  def _own_key(self) -> jax.Array:
    return jax.random.split(self.key, len(model.Params._fields))[self.number]


def whole(params: model.Params) -> model.Params:
  """Parameters whose tables have been drawn."""
  return model.Params(
    *(x.whole() if isinstance(x, RandomTable) else x for x in params)
  )


def take_rows(tree, rows: np.ndarray):
  """The same rows of each table of a tree."""
  return jax.tree.map(
    lambda table: table[rows],
    tree,
    is_leaf=lambda part: isinstance(part, RandomTable),
  )


@functools.partial(jax.jit, static_argnames="dim")
def _draw_rows(key, rows, bound, dim: int):
  """Rows of jax.random.uniform(key, [V, D], minval=-bound, maxval=bound).

  Args:
    key: a jax random key.
    rows: [N], less than 2^32.
    bound: a scalar, float32.
    dim: D, less than 2^16.
  """
  # The index of a number, row * D + column, in two parts of 32 bits.
  row, column = (
    rows.astype(jnp.uint32)[:, None],
    jnp.arange(dim, dtype=jnp.uint32),
  )
  low, high = (row & 0xFFFF) * dim + column, (row >> 16) * dim
  index_low = low + (high << 16)  # which wraps around
  index_high = (high >> 16) + (index_low < low)
  indices = jnp.stack([index_high, index_low])
  bits = jnp.bitwise_xor(*threefry_2x32(jax.random.key_data(key), indices))
  # 23 bits become the fraction of a number from 1 to 2.
  one = np.float32(1).view(np.uint32)
  unit = jax.lax.bitcast_convert_type(bits >> 9 | one, jnp.float32) - 1
  return jnp.maximum(-bound, unit * (bound - -bound) + -bound)
