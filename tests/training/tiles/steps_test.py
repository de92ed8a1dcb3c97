"""The prediction of tiles and its gradients, against plain sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax.model import Params
from glove_jax.training.tiles import steps

TILES, WORDS, CONTEXTS, DIM = 2, 6, 5, 7


@pytest.fixture
def params() -> Params:
  """Vectors that bfloat16 holds exactly, and biases that it does not."""
  rng = np.random.default_rng(0)
  sizes = [(TILES, n, DIM) for n in (WORDS, CONTEXTS)]
  vectors = (jnp.array(rng.integers(-8, 9, s) / 16.0) for s in sizes)
  biases = (jnp.array(rng.normal(-7, 2, s[:2]), jnp.float32) for s in sizes)
  return Params(*(v.astype(jnp.float32) for v in vectors), *biases)


def plain(params: Params):
  return (
    jnp.einsum("ktd,ksd->kts", params.word, params.context)
    + params.word_bias[:, :, None]
    + params.context_bias[:, None]
  )


@pytest.mark.parametrize(
  ("dtype", "error"), [("float32", 1e-5), ("bfloat16", 2e-4)]
)
def test_biases_lose_nothing_as_factors_of_the_product(params, dtype, error):
  """bfloat16 alone would be wrong by .03."""
  predict = jax.jit(steps.make_predict(jnp.dtype(dtype)))
  np.testing.assert_allclose(predict(params), plain(params), atol=error)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_are_those_of_the_sum(params, dtype):
  slope = np.random.default_rng(1).integers(-9, 9, (TILES, WORDS, CONTEXTS))

  def grads(predict):
    return jax.grad(lambda params: jnp.sum(slope * predict(params)))(params)

  got = jax.jit(grads, static_argnums=0)(steps.make_predict(jnp.dtype(dtype)))
  for name, array in grads(plain)._asdict().items():
    np.testing.assert_allclose(
      getattr(got, name), array, atol=1e-5, err_msg=name
    )
