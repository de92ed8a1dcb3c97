"""Training from given vectors: what is given, held, and pulled back."""

import functools

import jax
import numpy as np
import optax
import pytest

from glove_jax import config, model
from glove_jax.counts import triplets
from glove_jax.training import loop, retrofit, starts

V, D = 40, 6
ENGINES = {
  "dense": {"engine": "dense"},
  "rows": {"engine": "rows"},
  "tiles": {"engine": "blocked"},
  "lines": {"engine": "blocked", "min_fill": 0.9},
  "strips": {"engine": "blocked", "missing": 0.1, "core": 16, "fit_passes": 8},
}


@pytest.fixture(scope="module")
def counts():
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((V, V)) < 0.4)
  count = np.exp(rng.normal(1, 1, len(row)))
  return triplets.Triplets(row.astype("i4"), col.astype("i4"), count, V)


@pytest.fixture(scope="module")
def init():
  """Vectors of two words in three."""
  vectors = np.random.default_rng(1).normal(size=(V, D)) * 0.3
  params = starts.from_vectors(vectors, exact=True)
  params.word[::3] = params.context[::3] = np.nan
  return params


def settings(**changes):
  small = {"dim": D, "epochs": 3, "batch_size": 300, "tile_size": 8}
  small |= {"missing": 0}
  return config.make_config(**{**small, "growth": [], **changes}).train


def test_vectors_are_split_into_two_sides_a_little_apart():
  vectors = np.random.default_rng(0).normal(size=(5, 4)).astype("f4")
  params = starts.from_vectors(vectors, seed=3)
  np.testing.assert_allclose(params.word + params.context, vectors, atol=1e-6)
  apart = np.abs(params.word - params.context)
  assert apart.min() > 0 and apart.max() <= 2 * 0.5 / 4
  assert np.isnan(params.word_bias).all()


def test_words_in_common_start_there_and_the_others_as_usual(counts, init):
  epochs = {"epochs": 0, "bias_init": "random"}
  usual = loop.train(counts, settings(engine="rows", **epochs))
  for engine in ("rows", "blocked"):
    got = loop.train(counts, settings(engine=engine, **epochs), init=init)
    want = np.where(np.isnan(init.word), usual.word, init.word)
    np.testing.assert_array_equal(got.word, want.astype("f4"))
    np.testing.assert_array_equal(got.word_bias, usual.word_bias)


@pytest.mark.parametrize("name", ["rows", "tiles", "lines", "strips"])
def test_freeze_holds_what_was_given_and_trains_the_rest(counts, init, name):
  """Also with momentum and weight decay, which move words without gradient."""
  tx = optax.adamw(0.1, weight_decay=0.1)
  how = settings(**ENGINES[name], freeze=True, epochs=2)
  got = loop.train(counts, how, init=init, tx=tx)
  given = ~np.isnan(init.word)
  for side in ("word", "context"):
    table, start = np.asarray(getattr(got, side)), getattr(init, side)
    np.testing.assert_array_equal(table[given], start[given].astype("f4"))
    assert (np.abs(table[~given]) > 0.5 / D).any()
  # The biases were not given, so they train.
  usual = loop.train(counts, settings(**ENGINES[name], epochs=0), init=init)
  assert (np.asarray(got.word_bias) != np.asarray(usual.word_bias)).all()


def test_mittens_term_by_hand():
  rng = np.random.default_rng(0)
  word, context, target = rng.normal(size=(3, 4, 5))
  mask = np.array([1, 0, 1, 1])
  want = sum(
    0.1 * np.sum((word[i] + context[i] - target[i]) ** 2) for i in (0, 2, 3)
  )
  got = jax.jit(functools.partial(model.retrofit_loss, retrofit=0.1))(
    word, context, target, mask=mask
  )
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_dense_step_is_that_of_mittens_on_the_whole_matrix(counts, init):
  """The second of two steps, with the gradient of the term by hand."""
  how = {"engine": "dense", "batch_size": 10**6, "optimizer": "sgd"}
  how |= {"learning_rate": 0.01, "retrofit": 30.0, "dtype": "float64"}
  first, second = (
    jax.tree.map(
      np.asarray, loop.train(counts, settings(epochs=number, **how), init=init)
    )
    for number in (1, 2)
  )
  with jax.enable_x64(True):
    batch = model.Batch(*counts[:3], np.ones(len(counts.row)))
    loss = functools.partial(model.loss, x_max=10.0)
    grads = jax.jit(jax.grad(loss))(first, batch)
  moved = first.word + first.context - init.word - init.context
  pull = np.where(np.isnan(init.word), 0, 2 * 30.0 * moved)
  for side in ("word", "context"):
    grad = np.asarray(getattr(grads, side)) + pull
    want = getattr(first, side) - 0.01 * grad
    np.testing.assert_allclose(getattr(second, side), want, atol=1e-7)
  assert np.abs(0.01 * pull).max() > 1e-4


def test_the_sampled_term_is_unbiased(init):
  """A sample of P of R words weighs as much as all of them."""
  how = settings(retrofit=0.2)
  start = starts.Start(init)
  params = model.init_params(jax.random.key(0), V, D)
  stack = model.Batch(*np.zeros((2, 300, 24), "i4"), *np.ones((2, 300, 24)))
  nothing = lambda params, batch: 0.0  # noqa: E731
  whole = retrofit.dense_loss(nothing, start, 100, how)
  sampler = retrofit.Sampler(start, 24, np.float32)
  assert 0 < len(sampler.add(stack, np.random.default_rng(0)).target[0]) < 26
  drawn = sampler.add(stack, np.random.default_rng(0))
  part = retrofit.sampled_loss(nothing, len(sampler.words), 100, how)
  costs = jax.vmap(part, (None, 0))(params, drawn)
  want = whole(params, jax.tree.map(lambda a: a[0], stack))
  error = np.std(costs) / np.sqrt(len(costs))
  assert abs(np.mean(costs) - want) < 4 * error < 0.2 * want


@pytest.mark.parametrize("name", ENGINES)
def test_retrofit_keeps_words_near_where_they_started(counts, init, name):
  def distance(mu):
    how = settings(**ENGINES[name], retrofit=mu)
    got = loop.train(counts, how, init=init)
    known = ~np.isnan(init.word[:, 0])
    moved = got.word + got.context - init.word - init.context
    return float(np.linalg.norm(np.asarray(moved)[known]))

  assert distance(100.0) < 0.35 * distance(0)


@pytest.mark.parametrize("engine", ["rows", "blocked"])
def test_a_run_with_a_start_resumes_to_the_same_bytes(
  counts, init, engine, tmp_path
):
  class Killed(Exception):
    pass

  def kill(line):
    if line["epoch"] == 2:
      raise Killed

  for changes in ({"freeze": True}, {"retrofit": 0.5}):
    how = settings(engine=engine, **changes)
    want = loop.train(counts, how, init=init)
    folder = tmp_path / str(changes)
    with pytest.raises(Killed):
      loop.train(counts, how, init=init, workdir=folder, on_epoch=kill)
    got = loop.train(counts, how, init=init, workdir=folder)
    for a, b in zip(got, want, strict=True):
      assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_sums_of_squared_gradients_go_on(counts, init):
  """A large sum leaves no step to its row; others move as usual."""
  sums = model.Params(*(np.full_like(table, np.nan) for table in init))
  sums.word[1] = sums.context[1] = 1e12
  start = starts.Start(init, sums)
  for engine in ("rows", "blocked"):
    got = loop.train(counts, settings(engine=engine), init=start)
    np.testing.assert_allclose(got.word[1], init.word[1], atol=1e-4)
    assert np.abs(np.asarray(got.word[2]) - init.word[2]).max() > 0.01


@pytest.mark.parametrize(
  "changes, given, message",
  [({"freeze": True}, None, "freeze needs init"),
   ({"retrofit": 0.1}, None, "retrofit needs init"),
   ({"init_from": "v.txt"}, None, "init_from needs init"),
   ({"freeze": True, "retrofit": 0.1}, "init", "one of them"),
   ({"dim": 5}, "init", r"tables of shapes .* needs \[\(40, 5\)"),
   ({"optimizer": "adam"}, "sums", "adagrad and stanford"),
   ({}, "number", "must be model.Params or starts.Start, not a int"),
   ({}, "ragged", "row of word that is not finite"),
   ({}, "infinite", "row of context that is not finite")],
)  # fmt: skip
def test_starts_that_do_not_fit_are_refused(
  counts, init, changes, given, message
):
  word, context = init.word.copy(), init.context.copy()
  word[1, 2], context[1, 2] = np.nan, np.inf
  start = {
    "init": init,
    "sums": starts.Start(init, init),
    "number": 3,
    "ragged": init._replace(word=word),
    "infinite": init._replace(context=context),
  }.get(given)
  with pytest.raises(ValueError, match=message):
    loop.train(counts, settings(**changes), init=start)


def test_a_start_is_written_and_read_for_other_processes(init, tmp_path):
  for start in (starts.Start(init), starts.Start(init, init)):
    starts.write(start, tmp_path / "checkpoints" / "init")
    jax.tree.map(
      np.testing.assert_array_equal,
      starts.read(tmp_path / "checkpoints" / "init"),
      start,
    )
