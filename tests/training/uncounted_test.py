"""Pairs that never occur: exact in dense, unbiased in rows."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import config, model
from glove_jax.counts import triplets
from glove_jax.training import loop, uncounted

J = functools.partial(model.loss, x_max=10.0, alpha=0.75)


@pytest.fixture
def counts():
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((12, 12)) < np.linspace(0.8, 0.1, 12))
  count = np.exp(rng.normal(1, 1, len(row)))
  return triplets.Triplets(row.astype("i4"), col.astype("i4"), count, 12)


def make_config(**changes):
  settings = {
    "dim": 3, "epochs": 4, "batch_size": 16, "missing": 0.3,
    "missing_count": 0.5, "learning_rate": 0.1, "mesh": 1,
  }  # fmt: skip
  return config.make_config(**settings | changes).train


def random_params(size=12, dim=3):
  rng = np.random.default_rng(1)
  shapes = [(size, dim), (size, dim), size, size]
  return model.Params(*(jnp.asarray(rng.normal(size=s)) for s in shapes))


def whole_batch(counts):
  return model.Batch(*counts[:3], np.ones(len(counts.row)))


def pair_by_pair(params, counts):
  """The whole objective, with a loop over pairs."""
  counted = set(zip(counts.row.tolist(), counts.col.tolist(), strict=True))
  cost, predict = (
    jax.jit(J)(params, whole_batch(counts)),
    jax.jit(model.predict),
  )
  for pair in itertools.product(range(12), repeat=2):
    if pair not in counted:
      excess = float(predict(params, *pair)) - np.log(0.5)
      cost += 0.3 * np.logaddexp(0, excess)
  return cost


def test_dense_visits_every_pair(counts):
  params = random_params()
  loss = uncounted.dense_loss(J, counts, make_config())
  found = jax.jit(loss)(params, whole_batch(counts))
  np.testing.assert_allclose(found, pair_by_pair(params, counts), rtol=1e-5)


def test_batches_share_the_uncounted_pairs(counts):
  params = random_params()
  loss = jax.jit(uncounted.dense_loss(J, counts, make_config()))
  batch = whole_batch(counts)
  parts = [
    loss(params, model.Batch(*(array[half] for array in batch)))
    for half in (slice(0, 20), slice(20, None))
  ]
  np.testing.assert_allclose(sum(parts), loss(params, batch), rtol=1e-5)


def test_the_mean_of_all_samples_is_dense(counts):
  """One word and one context a sample: each of 144 samples by its chance."""
  params, cfg = random_params(), make_config()
  sampler = uncounted.Sampler(counts, 1)
  p, q = sampler.probabilities
  np.testing.assert_allclose([p.sum(), q.sum()], 1)
  row, col = np.divmod(np.arange(144, dtype=np.int32), 12)
  is_counted = set(zip(counts.row.tolist(), counts.col.tolist(), strict=True))
  factor = [
    0 if pair in is_counted else 1 / (p[pair[0]] * q[pair[1]])
    for pair in zip(row.tolist(), col.tolist(), strict=True)
  ]
  loss = uncounted.sampled_loss(J, len(counts.row), cfg)
  batch = whole_batch(counts)

  def mean(params):
    def one(row, col, factor):
      sample = uncounted.SampledBatch(
        jnp.append(batch.row, row), jnp.append(batch.col, col),
        batch.count, batch.mask, factor[None, None],
      )  # fmt: skip
      return loss(params, sample)

    return p[row] * q[col] @ jax.vmap(one)(row, col, jnp.array(factor))

  found, grads = jax.jit(jax.value_and_grad(mean))(params)
  dense = uncounted.dense_loss(J, counts, cfg)
  want, want_grads = jax.jit(jax.value_and_grad(dense))(params, batch)
  np.testing.assert_allclose(found, want, rtol=1e-4)
  for a, b in zip(grads, want_grads, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_samples_are_drawn_with_their_factors(counts):
  sampler = uncounted.Sampler(counts, 16)
  assert sampler.size == 4
  zeros = np.zeros((5000, 2))
  batches = model.Batch(zeros.astype("i4"), zeros.astype("i4"), zeros, zeros)
  drawn = sampler.add(batches, np.random.default_rng(0))
  row, col, (p, q) = drawn.row[:, 2:], drawn.col[:, 2:], sampler.probabilities
  for ids, chance in ((row, p), (col, q)):
    share = np.bincount(ids.ravel(), minlength=12) / ids.size
    np.testing.assert_allclose(share, chance, atol=0.01)
  is_counted = np.zeros((12, 12), bool)
  is_counted[counts.row, counts.col] = True
  pairs = row[:, :, None], col[:, None, :]
  want = np.where(is_counted[pairs], 0, 1 / (16 * p[pairs[0]] * q[pairs[1]]))
  np.testing.assert_allclose(drawn.factor, want, rtol=1e-6)


def test_rows_learns_what_dense_learns(counts):
  """Samples are noisy, so rows gets only near the cost of dense."""

  def cost(**changes):
    settings = make_config(epochs=150, batch_size=64, **changes)
    return float(pair_by_pair(loop.train(counts, settings), counts))

  dense, rows = cost(engine="dense"), cost(engine="rows")
  without = cost(engine="rows", missing=0.0)
  assert dense < rows < 0.5 * without


def test_a_stopped_run_ends_with_the_same_bytes(counts, tmp_path):
  settings = make_config(engine="rows")

  class Killed(Exception):
    pass

  def kill(line):
    if line["epoch"] == 2:
      raise Killed

  with pytest.raises(Killed):
    loop.train(counts, settings, workdir=tmp_path, on_epoch=kill)
  resumed = loop.train(counts, settings, workdir=tmp_path)
  whole = loop.train(counts, settings)
  jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_too_many_words_for_dense_are_refused(monkeypatch, counts):
  monkeypatch.setattr(uncounted, "_MAX_DENSE_WORDS", 11)
  with pytest.raises(ValueError, match=r"visits all pairs of 12 words .*=0.3"):
    loop.train(counts, make_config(engine="dense"))
