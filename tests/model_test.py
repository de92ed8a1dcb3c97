"""The equations against hand-worked values and finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from glove_jax import model


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


def hand_params(dtype=jnp.float32):
  return model.Params(
    word=jnp.array([[1.0, 2.0], [0.5, -1.0]], dtype),
    context=jnp.array([[3.0, 0.0], [1.0, 1.0]], dtype),
    word_bias=jnp.array([0.1, 0.2], dtype),
    context_bias=jnp.array([-0.3, 0.4], dtype),
  )


def hand_batch(count=(1.0, 1.0), mask=(1.0, 1.0), dtype=jnp.float32):
  return model.Batch(
    row=jnp.array([0, 1], jnp.int32),
    col=jnp.array([1, 0], jnp.int32),
    count=jnp.array(count, dtype),
    mask=jnp.array(mask, dtype),
  )


@pytest.mark.parametrize(
  "count, expected", [(100, 1.0), (1000, 1.0), (6.25, 0.125), (1, 0.0316228)]
)
def test_weight(count, expected):
  # (6.25 / 100)^(3/4) = (1/16)^(3/4) = 1/8.
  np.testing.assert_allclose(model.weight(count), expected, rtol=1e-5)


def test_predict_by_hand():
  # w_0 . w~_1 = 3, + 0.1 + 0.4;  w_1 . w~_0 = 1.5, + 0.2 - 0.3.
  batch = hand_batch()
  got = jax.jit(model.predict)(hand_params(), batch.row, batch.col)
  np.testing.assert_allclose(got, [3.5, 1.4], rtol=1e-6)


def test_loss_by_hand():
  # Counts of 1: log 1 = 0, and f = (1/16)^(3/4) = 1/8 with x_max = 16.
  got = jax.jit(functools.partial(model.loss, x_max=16.0))(
    hand_params(), hand_batch()
  )
  np.testing.assert_allclose(got, 0.5 / 8 * (3.5**2 + 1.4**2), rtol=1e-6)


def test_target_is_the_logarithm_of_the_count():
  batch = hand_batch(count=(np.exp(3.5), np.exp(1.4)))
  assert model.loss(hand_params(), batch) < 1e-10


def test_masked_entries_add_nothing():
  loss = functools.partial(model.loss, x_max=16.0)
  whole = loss(hand_params(), hand_batch(mask=(1.0, 0.0)))
  np.testing.assert_allclose(whole, 0.5 / 8 * 3.5**2, rtol=1e-6)
  grads = jax.jit(jax.grad(loss))(hand_params(), hand_batch(mask=(1.0, 0.0)))
  assert grads.word_bias[1] == 0 and grads.word_bias[0] != 0


def test_gradient_by_hand():
  # dJ/dw_0 = f r w~_1 with f = 1/8 and r = 3.5;  dJ/db_0 = f r.
  loss = functools.partial(model.loss, x_max=16.0)
  grads = jax.jit(jax.grad(loss))(hand_params(), hand_batch())
  np.testing.assert_allclose(grads.word[0], [3.5 / 8, 3.5 / 8], rtol=1e-6)
  np.testing.assert_allclose(grads.context[0], [0.0875, -0.175], rtol=1e-6)
  np.testing.assert_allclose(grads.word_bias, [3.5 / 8, 1.4 / 8], rtol=1e-6)


def test_missing_loss_by_hand():
  # softplus(log 2 - log 0.5) = log(1 + 4), softplus(log 0.5 - log 0.5) = log 2
  prediction = jnp.log(jnp.array([[2.0], [0.5]]))
  missing = functools.partial(
    model.missing_loss, missing=0.1, missing_count=0.5
  )
  found = jax.jit(missing)(prediction)
  np.testing.assert_allclose(found, 0.1 * np.log(10), rtol=1e-6)
  masked = missing(prediction, mask=np.array([[1], [0]]))
  np.testing.assert_allclose(masked, 0.1 * np.log(5), rtol=1e-6)


def test_the_slope_of_missing_loss_by_hand():
  # w0 sigmoid(log 2 - log 0.5) = 0.1 * 4 / 5
  slope = jax.grad(model.missing_loss)(
    jnp.log(2.0), missing=0.1, missing_count=0.5
  )
  np.testing.assert_allclose(slope, 0.08, rtol=1e-6)


def test_gradient_against_finite_differences(x64):
  rng = np.random.default_rng(0)
  params = model.init_params(jax.random.key(0), 7, 5, jnp.float64)
  batch = model.Batch(
    row=rng.integers(7, size=20).astype(np.int32),
    col=rng.integers(7, size=20).astype(np.int32),
    count=rng.uniform(0.1, 30, 20),
    mask=np.ones(20),
  )
  loss = jax.jit(functools.partial(model.loss, batch=batch, x_max=10.0))
  check_grads(loss, (params,), order=2, modes=["rev"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
def test_types_are_kept(x64, dtype):
  params = model.init_params(jax.random.key(0), 4, 3, dtype)
  assert all(table.dtype == dtype for table in params)
  grads = jax.jit(jax.grad(model.loss))(params, hand_batch(dtype=dtype))
  assert all(table.dtype == dtype for table in grads)


def test_init_is_within_its_bound():
  params = model.init_params(jax.random.key(0), 500, 10)
  assert [table.shape for table in params] == [
    (500, 10), (500, 10), (500,), (500,)
  ]  # fmt: skip
  for table in params:
    assert float(jnp.abs(table).max()) <= 0.05
    assert float(table.std()) == pytest.approx(0.1 / 12**0.5, rel=0.1)
  assert not np.array_equal(params.word, params.context)
