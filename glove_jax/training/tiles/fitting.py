"""Fits the words outside of the core to the core, a block of T at a time.

The core stays fixed, so the cost of a word depends only on its own vector and
bias. It is a convex problem, and the blocks are independent of each other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax.model import Params
from glove_jax.training.engine import apply_gradients
from glove_jax.training.optimizers import scale_sums
from glove_jax.training.tiles.steps import Table


class FitPlan(NamedTuple):
  """The N steps that fit a block, each on its cells with one piece of the core.

  The optimizer's state starts anew for each block.
  """

  piece: np.ndarray  # [N] int32, which piece
  multiplier: np.ndarray  # [N] float32, multiplies the update
  keep: np.ndarray  # [N] float32, factor on Adagrad's sums before the step


def plan_fit(
  num_pieces: int,
  num_passes: int,
  *,
  keep: float,
  seed: int,
  first_multiplier: float = 1.0,
) -> FitPlan:
  """Plans passes over all pieces in random order.

  Args:
    num_pieces: P, the pieces of the core.
    num_passes: how often to visit each piece.
    keep: factor on Adagrad's sums between passes.
    seed: seeds the order.
    first_multiplier: multiplies the first update; the multipliers fall from it
      to 0, linearly.

  Example:
    >>> plan = plan_fit(2, 2, keep=0.5, seed=0)
    >>> print(np.sort(plan.piece), plan.multiplier, plan.keep)
    [0 0 1 1] [1.   0.75 0.5  0.25] [1.  1.  0.5 1. ]
  """
  rng = np.random.default_rng([seed, num_pieces, num_passes])
  order = [rng.permutation(num_pieces) for _ in range(num_passes)]
  step = np.arange(num_pieces * num_passes)
  multiplier = first_multiplier * (1 - step / len(step))
  factor = np.where((step > 0) & (step % num_pieces == 0), keep, 1.0)
  return FitPlan(
    np.concatenate(order).astype(np.int32),
    multiplier.astype(np.float32),
    factor.astype(np.float32),
  )


def fit_strip(
  table: Table,
  block: jax.Array,
  code: jax.Array,
  *,
  plan: FitPlan,
  loss,
  tx: optax.GradientTransformation,
) -> tuple[Table, jax.Array]:
  """Fits one block of words, or of contexts, to the core.

  Args:
    table: the parameters. The core is its first blocks of words and contexts.
    block: scalar int, the block of the table to fit: of words if it is in the
      first half.
    code: [P, T, S] uint16, the cells of the block with P pieces of the core of
      S contexts each. For a block of contexts: of S words each, and row t
      belongs to context t of the block.
    plan: from `plan_fit`.
    loss: (params, code) -> cost of tiles [1, T, S], such as `cells_loss`.
    tx: the optimizer.

  Returns:
    The table with the new block, and the cost of the block's cells during the
    last pass.
  """
  num_pieces, _, width = code.shape
  core = core_pieces(table, block, num_pieces, width)
  vectors, biases = (jnp.take(array, block[None], axis=0) for array in table)
  start = Params(vectors, vectors[:0], biases, biases[:0])

  def step(carry, xs):
    params, opt_state = carry
    piece, multiplier, keep = xs
    fixed, cells = jax.lax.optimization_barrier(
      (Table(core.vectors[piece], core.biases[piece]), code[piece][None])
    )

    def cost_of(trained: Params):
      whole = trained._replace(context=fixed.vectors, context_bias=fixed.biases)
      return loss(whole, cells)

    cost, grads = jax.value_and_grad(cost_of)(params)
    opt_state = scale_sums(opt_state, keep)
    return apply_gradients(tx, grads, opt_state, params, multiplier), cost

  (end, _), costs = jax.lax.scan(step, (start, tx.init(start)), plan)
  new = Table(
    table.vectors.at[block].set(end.word[0]),
    table.biases.at[block].set(end.word_bias[0]),
  )
  return new, costs[-num_pieces:].sum()


def core_pieces(table: Table, block, num_pieces: int, width: int) -> Table:
  """The side of the core that a block is fitted to, in pieces.

  Args:
    table: 2 * B blocks of T rows; the core is the first P * S / T of each half.
    block: which block is fitted. Words are fitted to contexts.
    num_pieces: P.
    width: S, rows of the core in a piece.

  Returns:
    A Table of shapes [P, 1, S, D] and [P, 1, S].
  """
  half, tile_size = len(table.biases) // 2, table.biases.shape[1]
  first = jnp.where(block < half, half, 0)

  def cut(array):
    rows = jax.lax.dynamic_slice_in_dim(
      array, first, num_pieces * width // tile_size
    )
    return rows.reshape(num_pieces, 1, width, *array.shape[2:])

  return Table(*map(cut, table))
