"""The two steps agree; a step fed one count at a time is Stanford's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import model
from glove_jax.training import engine, optimizers, rows

LOSS = functools.partial(model.loss, x_max=10.0, alpha=0.75)


def random_stack(num_steps, size, vocab_size, seed=0):
  rng = np.random.default_rng(seed)
  shape = (num_steps, size)
  # Squared: many batches name the same word several times.
  ids = lambda: (rng.random(shape) ** 2 * vocab_size).astype(np.int32)  # noqa: E731
  mask = (rng.random(shape) < 0.9).astype(np.float64)
  return model.Batch(ids(), ids(), rng.uniform(0.1, 30, shape), mask)


@pytest.mark.parametrize("name", ["adagrad", "stanford", "sgd"])
def test_rows_equals_dense(name):
  with jax.enable_x64(True):
    tx = optimizers.make_optimizer(name, learning_rate=0.05)
    stack = random_stack(num_steps=20, size=50, vocab_size=30)
    ends, costs = {}, {}
    for kind in ("dense", "rows"):
      params = model.init_params(jax.random.key(1), 30, 4, jnp.float64)
      run_steps = rows.make_run_steps(kind, LOSS, tx)
      state = engine.TrainState(params, tx.init(params))
      ends[kind], costs[kind] = run_steps(state, stack, np.ones(20))
  np.testing.assert_allclose(costs["rows"], costs["dense"], rtol=1e-11)
  assert np.ptp(costs["dense"]) > 1
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13),
    ends["rows"],
    ends["dense"],
  )


@pytest.mark.parametrize("name", ["adagrad", "stanford", "adam"])
def test_the_rate_scales_the_step(name):
  tx = optimizers.make_optimizer(name, learning_rate=0.05)
  batch = jax.tree.map(lambda x: x[0], random_stack(1, 40, 9))
  params = model.init_params(jax.random.key(1), 9, 3)
  start = engine.TrainState(params, tx.init(params))
  step = jax.jit(functools.partial(rows.dense_step, loss=LOSS, tx=tx))
  whole, half = (step(start, batch, rate)[0] for rate in (1.0, 0.5))
  for a, b, old in zip(whole.params, half.params, start.params, strict=True):
    a, b, old = map(np.asarray, (a, b, old))
    np.testing.assert_allclose((a - old) / 2, b - old, rtol=1e-4, atol=1e-7)
  assert not np.allclose(whole.params.word, start.params.word)


def test_rows_touches_only_the_rows_of_its_batch():
  tx = optimizers.make_optimizer("adam", learning_rate=0.1)
  params = model.init_params(jax.random.key(1), 6, 3)
  before = jax.tree.map(np.array, params)
  batch = model.Batch(
    jnp.array([4, 4], jnp.int32),
    jnp.array([1, 2], jnp.int32),
    jnp.array([2.0, 3.0]),
    jnp.ones(2),
  )
  state, _, _ = jax.jit(functools.partial(rows.rows_step, loss=LOSS, tx=tx))(
    engine.TrainState(params, tx.init(params)), rows.init_slots(6), batch
  )
  changed = np.any(np.array(state.params.word) != before.word, axis=1)
  np.testing.assert_array_equal(np.flatnonzero(changed), [4])
  changed = np.any(np.array(state.params.context) != before.context, axis=1)
  np.testing.assert_array_equal(np.flatnonzero(changed), [1, 2])


def test_whatever_the_scratch_holds_is_of_no_matter():
  tx = optimizers.make_optimizer("adagrad")
  batch = jax.tree.map(lambda x: x[0], random_stack(1, 40, 9))
  step = jax.jit(functools.partial(rows.rows_step, loss=LOSS, tx=tx))
  ends = []
  for filler in (0, 7):
    params = model.init_params(jax.random.key(1), 9, 3)
    state = engine.TrainState(params, tx.init(params))
    slots = jax.tree.map(lambda s, f=filler: s + f, rows.init_slots(9))
    ends.append(step(state, slots, batch)[0].params.word)
  np.testing.assert_array_equal(*ends)


# Ground truth: what Stanford's glove computed with one thread.


def read_tables(path, dim=10):
  table = np.fromfile(path).reshape(-1, dim + 1)
  word, context = np.split(table, 2)
  return model.Params(
    word[:, :-1], context[:, :-1], word[:, -1], context[:, -1]
  )


def test_one_count_at_a_time_is_stanfords_program(parity):
  records = np.fromfile(parity / "shuffled.bin", np.dtype("<i4,<i4,<f8"))
  batch = model.Batch(
    records["f0"][:, None] - 1,
    records["f1"][:, None] - 1,
    records["f2"][:, None],
    np.ones((len(records), 1)),
  )
  costs = []
  with jax.enable_x64(True):
    tx = optimizers.make_optimizer("stanford", learning_rate=0.05)
    run_steps = rows.make_run_steps("rows", LOSS, tx)
    params = jax.tree.map(jnp.array, read_tables(parity / "vectors.000.bin"))
    state = engine.TrainState(params, tx.init(params))
    for epoch in range(1, 6):
      state, cost = run_steps(state, batch, np.ones(len(records)))
      costs.append(float(cost.mean()))
      if epoch in (1, 5):
        want = read_tables(parity / f"vectors.{epoch:03d}.bin")
        for got, table in zip(state.params, want, strict=True):
          np.testing.assert_allclose(got, table, rtol=0, atol=1e-9)
  want = read_tables(parity / "gradsq.005.bin")
  scale = model.Params(0.05**2, 0.05**2, 1, 1)  # the C code's are of eta g
  for got, table, s in zip(
    state.opt_state.sum_of_squares, want, scale, strict=True
  ):
    np.testing.assert_allclose(np.asarray(got) * s, table, rtol=1e-9)
  lines = (parity / "cost.txt").read_text().splitlines()
  printed = [float(line.split()[-1]) for line in lines]  # with 6 decimals
  np.testing.assert_allclose(costs, printed, rtol=0, atol=5.1e-7)
