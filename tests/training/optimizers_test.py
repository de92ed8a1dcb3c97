"""Optimizers: hand-worked steps, and the names that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glove_jax import model
from glove_jax.training import optimizers


def full(value, vector=None):
  vector = value if vector is None else vector
  tables = ((1, 2), (1, 2), (1,), (1,))
  values = (vector, vector, value, value)
  return model.Params(
    *(
      jnp.full(shape, v, jnp.float32)
      for shape, v in zip(tables, values, strict=True)
    )
  )


def test_stanford_divides_before_it_accumulates():
  tx = optimizers.stanford(eta=0.05)
  state = tx.init(full(0.0))
  updates, state = jax.jit(tx.update)(full(2.0), state)
  # eta g / sqrt(1) for vectors, g / sqrt(1) for biases.
  np.testing.assert_allclose(updates.word, -0.1 * np.ones((1, 2)), rtol=1e-6)
  np.testing.assert_allclose(updates.word_bias, [-2.0], rtol=1e-6)
  updates, state = tx.update(full(2.0), state)
  np.testing.assert_allclose(updates.word[0, 0], -0.1 / 1.01**0.5, rtol=1e-6)
  np.testing.assert_allclose(updates.context_bias, [-2 / 5**0.5], rtol=1e-6)


def test_stanford_clips_vectors_and_not_biases():
  tx = optimizers.stanford(eta=0.05, clip=1.0)
  updates, _ = tx.update(full(-3.0), tx.init(full(0.0)))
  np.testing.assert_allclose(updates.word[0], [0.05, 0.05], rtol=1e-6)
  np.testing.assert_allclose(updates.word_bias, [3.0], rtol=1e-6)


def test_adagrad_is_that_of_optax():
  ours = optimizers.make_optimizer(
    "adagrad", learning_rate=0.2, initial_accumulator=0.5
  )
  theirs = optax.adagrad(0.2, 0.5)
  got, _ = ours.update(full(2.0), ours.init(full(0.0)))
  want, _ = theirs.update(full(2.0), theirs.init(full(0.0)))
  np.testing.assert_array_equal(got.word, want.word)
  # -0.2 * 2 / sqrt(0.5 + 4)
  np.testing.assert_allclose(got.word[0, 0], -0.4 / 4.5**0.5, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "lion"])
def test_other_optimizers_of_optax_by_name(name):
  tx = optimizers.make_optimizer(name, learning_rate=0.1)
  updates, _ = tx.update(full(2.0), tx.init(full(0.0)), full(0.0))
  assert float(updates.word[0, 0]) < 0


@pytest.mark.parametrize(
  "name, half, end", [("constant", 1, 1), ("linear", 0.5, 0),
                      ("cosine", 0.5, 0)]
)  # fmt: skip
def test_schedules(name, half, end):
  schedule = optimizers.make_schedule(name)
  got = schedule(np.array([0.0, 0.5, 1.0]))
  np.testing.assert_allclose(got, [1, half, end], atol=1e-12)


@pytest.mark.parametrize("name", ["nonesuch", "__name__", "chain", "Params"])
def test_an_unknown_optimizer_is_refused(name):
  with pytest.raises(ValueError, match="There is no optimizer"):
    optimizers.make_optimizer(name)


def test_an_unknown_schedule_is_refused():
  with pytest.raises(ValueError, match="There is no schedule 'sawtooth'"):
    optimizers.make_schedule("sawtooth")
