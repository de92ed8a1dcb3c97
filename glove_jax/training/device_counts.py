"""Counts in the memory of an accelerator, and the biases fitted there."""

import functools
from concurrent import futures
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import model
from glove_jax.counts.triplets import Triplets
from glove_jax.training.biases import ROUNDS


class DeviceCounts(NamedTuple):
  """N counts X_ij of V words, on their way to a device or there."""

  columns: futures.Future  # row, col [N] int32, and count [N] float32
  vocab_size: int  # V


def put(triplets: Triplets) -> DeviceCounts:
  """Copies counts to the device in the background: 12 * N bytes."""
  pool = futures.ThreadPoolExecutor(1)
  columns = pool.submit(_put_columns, triplets)
  pool.shutdown(wait=False)
  return DeviceCounts(columns, triplets.vocab_size)


def _put_columns(triplets: Triplets) -> list[jax.Array]:
  """Copies row, col and count to the device, each in a thread.

  Most of the time is that of the pages of files, which are mapped.
  """

  def put_column(column, dtype):
    return jax.device_put(np.asarray(column).astype(dtype, copy=False))

  types = (np.int32, np.int32, np.float32)
  with futures.ThreadPoolExecutor(len(types)) as pool:
    return list(pool.map(put_column, triplets[:3], types))


def fit_biases(
  counts: DeviceCounts, *, x_max: float, alpha: float, rounds: int = ROUNDS
) -> tuple[jax.Array, jax.Array]:
  """As `biases.fit_biases`, on the device and in float32.

  Returns:
    (word_bias, context_bias), each [V].

  Example:
    >>> row, col = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> counts = put(Triplets(row, col, np.array([3.0, 5.0, 6.0, 10.0]), 2))
    >>> word, context = fit_biases(counts, x_max=100.0, alpha=0.75)
    >>> print(np.exp(word[row] + context[col]).round(3).tolist())
    [3.0, 5.0, 6.0, 10.0]
  """
  return _fit(*counts.columns.result(), counts.vocab_size, x_max, alpha, rounds)


@functools.partial(jax.jit, static_argnames=("size", "rounds"))
def _fit(row, col, count, size, x_max, alpha, rounds):
  weight = model.weight(count, x_max, alpha)
  target = weight * jnp.log(count)

  def sums(values, ids):
    return jnp.zeros(size).at[ids].add(values)

  row_weight, row_target = sums(weight, row), sums(target, row)
  col_weight, col_target = sums(weight, col), sums(target, col)

  def solve(_, biases):
    _, context = biases
    word = _ratio(row_target - sums(weight * context[col], row), row_weight)
    context = _ratio(col_target - sums(weight * word[row], col), col_weight)
    return word, context

  zeros = jnp.zeros(size)
  return jax.lax.fori_loop(0, rounds, solve, (zeros, zeros))


def _ratio(total, weight):
  return jnp.where(weight > 0, total / jnp.where(weight > 0, weight, 1), 0)
