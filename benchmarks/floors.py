"""The least time that a pass of training can take on a device."""

import statistics
import time

import jax
import jax.numpy as jnp

from glove_jax.training.tiles import layout


def of_tiles(made: layout.Blocks, dim: int) -> dict:
  """The least seconds that a pass can take on this device.

  Two calls are timed on it: a product of matrices, and a copy.

  Arithmetic: the three products of every tile. Bytes: the codes of all tiles,
  and of every other count its code, its place and the vector that it gathers.
  """
  cells = len(made.pair) * made.tile_size**2
  gathered = made.lines.fixed.size if made.lines else 0
  size = 4096 if jax.default_backend() != "cpu" else 1024
  matrix = jnp.ones((size, size)) * 0.5
  product = seconds_of(jax.jit(lambda x: x @ x), matrix)
  array = jnp.ones(1 << 26)
  copy = seconds_of(jax.jit(lambda x: x + 1), array)
  return {
    "arithmetic": 6 * cells * dim / (2 * size**3 / product),
    "bytes": (2 * cells + gathered * (6 + 4 * dim)) / (2 * array.nbytes / copy),
  }


def seconds_of(function, argument) -> float:
  """The median of ten calls, after one that compiles."""
  times = []
  for _ in range(11):
    start = time.perf_counter()
    function(argument).block_until_ready()
    times.append(time.perf_counter() - start)
  return statistics.median(times[1:])
