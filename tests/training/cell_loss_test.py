"""A cost of one's own for each count, in every engine."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import config, model
from glove_jax.training import loop

ENGINES = {
  "dense": {"engine": "dense"},
  "rows": {"engine": "rows"},
  "tiles": {"engine": "blocked", "tile_size": 40, "min_fill": 0.01},
  "lines": {"engine": "blocked", "min_fill": 0.9},
  "strips": {"engine": "blocked", "missing": 0.1, "core": 16},
}


def settings(**changes):
  small = {"dim": 6, "epochs": 3, "batch_size": 300, "tile_size": 8}
  small |= {"missing": 0}
  return config.make_config(**{**small, "growth": [], **changes}).train


def squares(prediction, log_count, weight):
  return 0.5 * weight * (prediction - log_count) ** 2


def roots(prediction, log_count, weight):
  """Its gradient is infinite where the prediction is 0, as in padding."""
  return weight * jnp.sqrt(jnp.abs(prediction - log_count))


@pytest.mark.parametrize("name", ENGINES)
def test_the_weighted_square_is_the_default(counts, name):
  how = settings(**ENGINES[name])
  got = loop.train(counts, how, cell_loss=squares)
  want = loop.train(counts, how)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["rows", "tiles", "lines"])
def test_another_cost_is_reported_and_falls(counts, name):
  lines = []
  how = settings(**ENGINES[name], epochs=6, bias_init="random")
  begin = loop.train(counts, settings(**{**vars(how), "epochs": 0}))
  loop.train(counts, how, cell_loss=roots, on_epoch=lines.append)
  assert lines[-1]["cost"] < 0.8 * lines[0]["cost"]
  if name == "tiles":  # one tile, so the first cost is before any step
    prediction = model.predict(begin, counts.row, counts.col)
    weight = model.weight(counts.count, 10.0)
    costs = roots(prediction, np.log(counts.count), weight)
    np.testing.assert_allclose(lines[0]["cost"], costs.mean(), rtol=1e-3)


def test_padding_costs_nothing_whatever_the_cost_gives_there():
  def cost(prediction):
    loss = functools.partial(model.sum_cells, cell_loss=roots)
    return loss(prediction, jnp.zeros(3), jnp.array([1.0, 0.0, 0.5]))

  value, grad = jax.value_and_grad(cost)(jnp.array([4.0, 0.0, 1.0]))
  np.testing.assert_allclose([value, *grad], [2.5, 0.25, 0, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
  "costs, message",
  [({"cell_loss": lambda *cells: squares(*cells).sum()}, "leave out the sum"),
   ({"cell_loss": lambda prediction: prediction}, "cell_loss fails on three"),
   ({"cell_loss": squares, "loss": model.loss}, "give one of them")],
)  # fmt: skip
def test_costs_that_do_not_fit_are_refused(counts, costs, message):
  with pytest.raises(ValueError, match=message):
    loop.train(counts, settings(engine="rows"), **costs)
