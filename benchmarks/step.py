"""How much longer a step over a tile takes than its three products alone.

  python benchmarks/step.py
  python benchmarks/step.py --dim=300

A step over a tile predicts all of its cells, computes their cost and slope, and
moves the words and contexts. Most of its arithmetic is three products of
matrices. A call trains 32 tiles, or multiplies matrices of their sizes; the two
are called in turn. Prints the nanoseconds that a cell takes on each side in the
fastest of --repeats calls, and their ratio.
"""

import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from glove_jax.config import TrainConfig
from glove_jax.training import optimizers
from glove_jax.training.engine import TrainState
from glove_jax.training.tiles.layout import Tiles
from glove_jax.training.tiles.programs import make_hyper, make_programs
from glove_jax.training.tiles.steps import Table

_DIM = flags.DEFINE_integer("dim", 100, "dimensions", lower_bound=1)
_TILE_SIZE = flags.DEFINE_integer(
  "tile_size", 512, "words in a block", lower_bound=1
)
_REPEATS = flags.DEFINE_integer("repeats", 30, "calls to time", lower_bound=1)

_TILES = 32
_SETTINGS = {
  "default": {},
  "default, float32": {"products": "float32"},
  "J alone": {"missing": 0.0},
  "J alone, bfloat16": {"missing": 0.0, "products": "bfloat16"},
}


def make_step(config: TrainConfig):
  """A function that trains all tiles once, and returns their cost."""
  size, dim = config.tile_size, config.dim
  rng = np.random.default_rng(0)
  vectors = rng.normal(scale=0.1, size=(2 * _TILES, size, dim))
  table = Table(jnp.array(vectors, jnp.float32), jnp.zeros((2 * _TILES, size)))
  code = rng.integers(1, 3000, (_TILES, 1, size, size)).astype(np.uint16)
  code *= rng.random(code.shape) < 0.01  # most pairs never occur
  pair = np.stack([np.zeros(_TILES), _TILES + np.arange(_TILES)], axis=1)
  stack = jax.device_put(Tiles(code, pair.astype(np.int32)[:, None]))
  hyper, _ = make_hyper(config, ())
  tx = optimizers.from_config(config, hyper.learning_rate)
  state = TrainState(table, tx.init(table))
  program = make_programs(config, lambda run: jax.jit(run, donate_argnums=0))[
    Tiles
  ]

  def step():
    nonlocal state
    state, costs = program(state, hyper, None, stack, np.ones(_TILES, "f4"))
    return float(costs.sum())

  return step


def make_products(config: TrainConfig):
  """A function that computes three products of matrices for each tile."""
  size, dim, dtype = config.tile_size, config.dim, config.products
  word, context = jnp.full((2, _TILES, size, dim), 0.5, dtype)
  slope = jnp.full((size, size), 0.5, dtype)

  @jax.jit
  def run(word, context, slope):
    def one(total, sides):
      word, context = sides
      products = (
        jnp.dot(word, context.T, preferred_element_type="float32"),
        jnp.dot(slope, context, preferred_element_type="float32"),
        jnp.dot(slope, word, preferred_element_type="float32"),
      )
      return total + sum(p[0, 0] for p in products), None

    return jax.lax.scan(one, jnp.float32(0), (word, context))[0]

  return lambda: run(word, context, slope).block_until_ready()


def least(*functions) -> list[float]:
  """The least seconds of each function, called in turn."""
  times = [[] for _ in functions]
  for _ in range(1 + _REPEATS.value):  # the first call compiles
    for function, seconds in zip(functions, times, strict=True):
      start = time.perf_counter()
      function()
      seconds.append(time.perf_counter() - start)
  return [min(seconds) for seconds in times]


def main(_):
  cells = _TILES * _TILE_SIZE.value**2
  print(f"{'ns a cell':20} {'step':>6} {'products':>9} {'ratio':>6}")
  for name, settings in _SETTINGS.items():
    config = TrainConfig(
      dim=_DIM.value, tile_size=_TILE_SIZE.value, **settings
    ).resolved
    step, products = least(make_step(config), make_products(config))
    figures = step / cells * 1e9, products / cells * 1e9, step / products
    print("{:20} {:6.2f} {:9.2f} {:6.2f}".format(name, *figures))


if __name__ == "__main__":
  app.run(main)
