"""The cost of all cells of a tile, against the model pair by pair."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from small_counts import (
  build,
  cells_loss,
  init_table,
  make_triplets,
  matrix_of,
  random_params,
  whole_loss,
)

from glove_jax import model
from glove_jax.training import optimizers
from glove_jax.training.tiles import cells, codec, layout, steps


def codes_of(matrix):
  codes = codec.encode(np.maximum(matrix, 1e-3))
  return np.where(matrix > 0, codes, 0).astype(np.uint16)


def assert_close(got, want):
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_the_cost_and_its_gradient_are_those_of_every_pair():
  matrix = matrix_of(make_triplets())
  params = random_params(70)
  cost_of = functools.partial(whole_loss, matrix=matrix)
  want, grads = jax.jit(jax.value_and_grad(cost_of))(params)
  tile = jax.tree.map(lambda table: table[None], params)
  cost, found = jax.jit(jax.value_and_grad(cells_loss()))(
    tile, codes_of(matrix)[None]
  )
  np.testing.assert_allclose(cost, want, rtol=1e-5)
  jax.tree.map(lambda got, grad: assert_close(got[0], grad), found, grads)


def test_any_prediction_has_a_finite_cost_and_slope():
  """Five rows are no multiple of the factors of one logarithm."""
  prediction = jnp.array([[-1e4, -90.0, 0.0, 90.0, 1e4]]).T
  cost, slope = jax.value_and_grad(cells.cells_cost)(
    prediction, np.zeros((5, 1), np.uint16), 10.0, 0.75, 0.3, 1.0
  )
  np.testing.assert_allclose(cost, 0.3 * (np.log(2) + 90 + 1e4), rtol=1e-5)
  np.testing.assert_allclose(slope, [[0], [0], [0.15], [0.3], [0.3]], atol=1e-6)


def test_the_cost_of_missing_pairs_is_as_precise_as_float32():
  """The sum of softplus, in float64, of low, middling and high predictions."""
  for center in (-12.0, 0.0, 14.0):
    prediction = np.random.default_rng(0).normal(center, 2, (64, 64))
    cost = cells.cells_cost(
      jnp.array(prediction, jnp.float32),
      np.zeros((64, 64), np.uint16),
      10.0,
      0.75,
      1.0,
      1.0,
    )
    want = np.log1p(np.exp(prediction)).sum()
    np.testing.assert_allclose(cost, want, rtol=2e-4 if center < 0 else 1e-6)


def test_without_missing_the_cost_is_j():
  matrix = matrix_of(make_triplets())
  tile = jax.tree.map(lambda table: table[None], random_params(70))
  code = codes_of(matrix)[None]
  constants = {"predict": steps.make_predict(jnp.float32), "x_max": 10.0}
  constants["alpha"] = 0.75
  want = jax.jit(functools.partial(steps.tiles_loss, **constants))(tile, code)
  constants |= {"missing": 0.0, "missing_count": 1.0}
  found = jax.jit(functools.partial(cells.cells_loss, **constants))(tile, code)
  np.testing.assert_allclose(found, want, rtol=1e-6)


def test_a_tile_of_padding_costs_nothing_and_has_no_gradient():
  tile = jax.tree.map(lambda t: jnp.stack([t, t]), random_params(8))
  code = np.zeros((2, 8, 8), np.uint16)
  real = jnp.array([True, False])
  loss = cells_loss()
  cost, grads = jax.jit(jax.value_and_grad(loss))(tile, code, real)
  one = jax.tree.map(lambda t: t[:1], tile)
  np.testing.assert_allclose(cost, loss(one, code[:1]), rtol=1e-6)
  for grad in grads:
    assert grad[0].any() and not np.abs(grad[1]).max() > 1e-30


def test_rows_without_a_word_teach_nothing(tmp_path):
  """40 words fill one block of 24 and part of the second."""
  counts = make_triplets(size=40)
  params = random_params(40)
  cost_of = functools.partial(whole_loss, matrix=matrix_of(counts))
  want, grads = jax.jit(jax.value_and_grad(cost_of))(params)
  made = build(counts, tmp_path, tile_size=24, first_tier=40, core=40)
  tx = optimizers.make_optimizer("adagrad", learning_rate=0.1)
  table = init_table(params, made, tx, cells.PADDING_BIAS).params
  table = jax.tree.map(np.asarray, table)
  found, cost = np.zeros((2, 2, 24, 5), np.float32), 0
  step = jax.jit(jax.value_and_grad(cells_loss()))
  for code, pair in zip(layout.map_tiles(made), made.pair, strict=True):
    vectors, biases = table.vectors[pair], table.biases[pair]
    tile = model.Params(vectors[:1], vectors[1:], biases[:1], biases[1:])
    part, grad = step(tile, code[None])
    cost += part
    found[0, pair[0]] += grad.word[0]
    found[1, pair[1] - 2] += grad.context[0]
  np.testing.assert_allclose(cost, want, rtol=1e-5)
  found = found.reshape(2, 48, 5)[:, made.position]
  assert_close(found[0], grads.word)
  assert_close(found[1], grads.context)
