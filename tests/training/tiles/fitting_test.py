"""A block of words is fitted to the optimum of its own cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from small_counts import (
  build,
  cells_loss,
  init_table,
  make_triplets,
  random_params,
)

from glove_jax import model
from glove_jax.training import optimizers
from glove_jax.training.tiles import cells, fitting, strips


@pytest.mark.parametrize("is_context", [False, True])
def test_a_strip_is_fitted_to_the_best_of_its_cost(
  tmp_path, is_context, monkeypatch
):
  monkeypatch.setattr(strips, "_PIECE_WORDS", 16)
  made = build(make_triplets(), tmp_path, tile_size=16, first_tier=16, core=32)
  tx = optimizers.make_optimizer("adagrad", learning_rate=0.3)
  params = random_params(70, scale=0.5)
  state = init_table(params, made, tx, cells.PADDING_BIAS)
  table = state.params
  (plan,) = fitting.plan_fit(2, 400, keep=0.9, seed=0)
  stack = strips.read_strip(made.strips, plan, 3 * is_context)
  block, code = int(stack.block[0, 0]), jnp.asarray(stack.code[0])
  fit = functools.partial(
    fitting.fit_blocks,
    read=code.__getitem__,
    piece_shape=(2, 16),
    plan=plan,
    loss=cells_loss(),
    tx=tx,
  )
  fitted, cost = jax.jit(fit)(state, stack.block[0])
  others = np.arange(10) != block
  for old, new in zip(table, fitted.params, strict=True):
    np.testing.assert_array_equal(old[others], new[others])
    assert not np.allclose(old[block], new[block])
  core = slice(0, 2) if is_context else slice(5, 7)
  fixed = [array[core].reshape(1, 32, *array.shape[2:]) for array in table]

  def cost_of(flat):
    rows = jnp.asarray(flat, jnp.float32).reshape(1, 16, -1)
    tile = model.Params(rows[..., 1:], fixed[0], rows[..., 0], fixed[1])
    return cells_loss()(tile, np.hstack(stack.code[0, :, 0])[None])

  start = np.concatenate(
    [table.biases[block][:, None], table.vectors[block]], axis=1
  )
  best = optimize.minimize(
    jax.jit(jax.value_and_grad(cost_of)), start.ravel(), jac=True
  ).fun
  np.testing.assert_allclose(cost, best, rtol=0.01)
