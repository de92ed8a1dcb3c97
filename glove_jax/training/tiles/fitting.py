"""Fits the words outside of the core to the core, by blocks of T words.

The core stays fixed, so the cost of a word depends only on its own vector and
bias. It is a convex problem, and the blocks are independent of each other, so
that any number of them can be fitted in one step.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax.model import Params
from glove_jax.training.engine import (
  TrainState,
  apply_gradients,
  map_tables,
)
from glove_jax.training.optimizers import restart, scale_sums
from glove_jax.training.tiles.steps import Table, put_side, take_side

# A fit takes few steps, so it starts from a larger rate.
_FIRST_MULTIPLIER = 3.0


class FitPlan(NamedTuple):
  """The N steps of a call that fits a block, each with one piece of the core.

  The optimizer's state is new at the first step of a fit. On one device a call
  is the whole fit. On a ring of n devices, of which each has 1/n of the core,
  it is one turn of it.
  """

  piece: np.ndarray  # [N] int32, which piece
  multiplier: np.ndarray  # [N] float32, multiplies the update
  keep: np.ndarray  # [N] float32, factor on Adagrad's sums; 0: a new state
  share: np.ndarray  # [N] float32, 1 in the last pass, whose cost is reported


def plan_fit(
  num_pieces: int, num_passes: int, *, keep: float, seed: int, turns: int = 1
) -> list[FitPlan]:
  """Plans the passes of a fit over all pieces of the core, in random order.

  Args:
    num_pieces: P, the pieces of the core that a device has in a turn.
    num_passes: how often to visit each piece.
    keep: factor on Adagrad's sums between passes.
    seed: seeds the order.
    turns: n, the turns of a pass: 1 for one device.

  Returns:
    One plan for one device; else a plan for each turn of each pass. The
    multipliers fall linearly to 0 over all of them.

  Example:
    >>> (plan,) = plan_fit(2, 2, keep=0.5, seed=0)
    >>> print(np.sort(plan.piece), plan.multiplier, plan.keep, plan.share)
    [0 0 1 1] [3.   2.25 1.5  0.75] [0.  1.  0.5 1. ] [0. 0. 1. 1.]
    >>> plans = plan_fit(1, 1, keep=1, seed=0, turns=2)
    >>> [plan.multiplier.tolist() for plan in plans]
    [[3.0], [1.5]]
  """
  rng = np.random.default_rng([seed, num_pieces, num_passes])
  order = [rng.permutation(num_pieces) for _ in range(num_passes * turns)]
  step = np.arange(num_pieces * turns * num_passes)
  in_pass = step % (num_pieces * turns)
  factor = np.where((step > 0) & (in_pass == 0), keep, 1.0)
  factor[0] = 0
  plan = FitPlan(
    np.concatenate(order).astype(np.int32),
    (_FIRST_MULTIPLIER * (1 - step / len(step))).astype(np.float32),
    factor.astype(np.float32),
    (step >= len(step) - num_pieces * turns).astype(np.float32),
  )
  if turns == 1:
    return [plan]
  split = [np.split(array, num_passes * turns) for array in plan]
  return [FitPlan(*arrays) for arrays in zip(*split, strict=True)]


def fit_blocks(
  state: TrainState,
  block: jax.Array,
  read: Callable[[jax.Array], jax.Array],
  piece_shape: tuple[int, int],
  plan: FitPlan,
  *,
  loss: Callable,
  tx: optax.GradientTransformation,
  pull_loss: Callable | None = None,
) -> tuple[TrainState, jax.Array]:
  """Fits K blocks of words, or K of contexts, to the core.

  Args:
    state: its params are a Table. The core is its first blocks of words and
      contexts.
    block: [K] int32, the blocks of the table to fit: of words if the first is
      in the first half. Padding is out of range.
    read: piece -> [K, T, S] uint16, the cells of the blocks with a piece of
      the core of S contexts. For blocks of contexts: of S words, and row t
      belongs to context t of the block.
    piece_shape: (P, S), the pieces of the core and the words in each.
    plan: from `plan_fit`.
    loss: (params, code) -> cost of tiles [K, T, S], such as `cells_loss`.
    tx: the optimizer.
    pull_loss: (vectors, others) -> what is added to the cost of each pass;
      `others` [K, T, D] are the vectors of the other side of the blocks.

  Returns:
    The state with the new blocks, and the cost of their cells during the last
    pass.
  """

  def get(array):
    return array.at[block].get(mode="clip")

  def write(array, new):
    return array.at[block].set(new, mode="drop", unique_indices=True)

  take = functools.partial(take_side, get=get)
  core = core_pieces(state.params, block[0], *piece_shape)
  num_blocks = len(state.params.biases)
  others = state.params.vectors[(block + num_blocks // 2) % num_blocks]
  start = take(state.params)
  before = map_tables(Table, take, state.opt_state)
  opt_state = jax.tree.map(
    functools.partial(jnp.where, plan.keep[0] > 0),
    before,
    restart(tx, start, before),
  )

  def cost_of(trained: Params, fixed: Table, code):
    vectors, biases = (
      jnp.broadcast_to(array, (len(block), *array.shape)) for array in fixed
    )
    whole = trained._replace(context=vectors, context_bias=biases)
    cost = loss(whole, code)
    if pull_loss is not None:
      cost += pull_loss(trained.word, others) / piece_shape[0]
    return cost

  end, cost = _descend(
    cost_of, TrainState(start, opt_state), core, read, plan, tx
  )
  put = functools.partial(put_side, write=write)
  opt_state = map_tables(
    Params, lambda new, table: put(table, new), end.opt_state, state.opt_state
  )
  return TrainState(put(state.params, end.params), opt_state), cost


def _descend(cost_of, state: TrainState, core: Table, read, plan: FitPlan, tx):
  """Runs the steps of a plan; returns the state and the planned cost."""

  def step(state, xs):
    piece, multiplier, keep, share = xs
    inputs = jax.lax.optimization_barrier(
      (Table(core.vectors[piece], core.biases[piece]), read(piece))
    )
    cost, grads = jax.value_and_grad(cost_of)(state.params, *inputs)
    opt_state = scale_sums(state.opt_state, jnp.where(keep > 0, keep, 1))
    new = apply_gradients(tx, grads, opt_state, state.params, multiplier)
    return TrainState(*new), share * cost

  state, costs = jax.lax.scan(step, state, plan)
  return state, costs.sum()


def core_pieces(table: Table, block, num_pieces: int, width: int) -> Table:
  """The side of the core that a block is fitted to, in pieces.

  Args:
    table: 2 * B blocks of T rows; the core is the first P * S / T of each half.
    block: which block is fitted. Words are fitted to contexts.
    num_pieces: P.
    width: S, rows of the core in a piece.

  Returns:
    A Table of shapes [P, S, D] and [P, S]. Another axis, of size 1, would make
    XLA copy it to change its layout.
  """
  half, tile_size = len(table.biases) // 2, table.biases.shape[1]
  first = jnp.where(block < half, half, 0)

  def cut(array):
    rows = jax.lax.dynamic_slice_in_dim(
      array, first, num_pieces * width // tile_size
    )
    return rows.reshape(num_pieces, width, *array.shape[2:])

  return Table(*map(cut, table))
