"""Counts in the memory of an accelerator, and the biases fitted there."""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import model
from glove_jax.counts.triplets import Triplets
from glove_jax.threads import default_threads, ordered_map
from glove_jax.training.biases import ROUNDS

_PIECE = 1 << 22  # counts copied at a time


class DeviceCounts(NamedTuple):
  """N counts X_ij of V words, on a device."""

  row: jax.Array  # [N] int32, i
  col: jax.Array  # [N] int32, j
  count: jax.Array  # [N] float32, X_ij
  vocab_size: int  # V


def put(triplets: Triplets) -> DeviceCounts:
  """Copies counts to the device: 12 * N bytes.

  Counts that are mapped from files are read by all threads, piece by piece.
  """
  types = (np.int32, np.int32, np.float32)
  columns = list(zip(triplets[:3], types, strict=True))
  size = len(triplets.row)

  def put_piece(piece):
    (column, dtype), start = piece
    return jax.device_put(
      np.asarray(column[start : start + _PIECE]).astype(dtype, copy=False)
    )

  pieces = itertools.product(columns, range(0, size, _PIECE))
  placed = iter(list(ordered_map(put_piece, pieces, default_threads())))
  num_pieces = -(-size // _PIECE)
  joined = (
    jnp.concatenate(list(itertools.islice(placed, num_pieces))) for _ in columns
  )
  return DeviceCounts(*joined, triplets.vocab_size)


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
  return _fit(*counts, x_max, alpha, rounds)


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
