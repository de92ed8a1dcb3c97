"""Optimizers of one's own: which fit an engine, and what tells them apart."""

import numpy as np
import optax
import pytest

from glove_jax import config
from glove_jax.model import Params
from glove_jax.training import checks, loop, optimizer_check, optimizers

CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05))
BY_TABLE = optax.multi_transform(
  {"vectors": optax.adam(0.05), "biases": optax.sgd(0.05)},
  Params("vectors", "vectors", "biases", "biases"),
)


def settings(**changes):
  small = {"dim": 6, "epochs": 4, "batch_size": 300, "tile_size": 8}
  small |= {"min_fill": 0.45, "missing": 0}  # tiles and lines
  return config.make_config(**{**small, "growth": [], **changes}).train


@pytest.mark.parametrize("engine", ["dense", "rows", "blocked"])
@pytest.mark.parametrize("tx", [CLIPPED, BY_TABLE])
def test_engines_train_with_an_optax_transformation(counts, engine, tx):
  lines, steps = [], []
  loop.train(
    counts, settings(engine=engine), tx=tx, on_epoch=lines.append,
    on_step=steps.append,
  )  # fmt: skip
  assert lines[-1]["cost"] < 0.95 * lines[0]["cost"]
  assert [line["step"] for line in steps] == sorted(
    {line["step"] for line in steps}
  )
  assert steps[-1]["step"] == lines[-1]["step"]
  total = sum(line["cost"] for line in steps) / len(counts.row)
  np.testing.assert_allclose(total, sum(line["cost"] for line in lines))


def test_an_object_is_the_optimizer_of_the_same_name(counts):
  for engine in ("rows", "blocked"):
    tx = optax.adagrad(0.2, 0.1)
    got = loop.train(counts, settings(engine=engine), tx=tx)
    want = loop.train(counts, settings(engine=engine))
    np.testing.assert_allclose(got.word, want.word, rtol=1e-4, atol=1e-6)


def test_schedules_inside_an_object_are_followed(counts):
  """A rate that is 0 after the first step leaves the rest of the run still."""
  first_only = optax.piecewise_constant_schedule(0.1, {1: 0.0})
  tx = optax.chain(optax.sgd(first_only))
  how = settings(engine="rows", batch_size=10**6)
  once = loop.train(counts, settings(**{**vars(how), "epochs": 1}), tx=tx)
  more = loop.train(counts, how, tx=tx)
  np.testing.assert_array_equal(once.word, more.word)


@pytest.mark.parametrize(
  "tx, message",
  [(optax.lamb(0.1), "what is in other rows"),
   (optax.novograd(0.1), "not one number for each parameter"),
   (optax.MultiSteps(optax.sgd(0.1), 3).gradient_transformation(),
    "gathers gradients over several steps"),
   (optax.chain(optax.adam(0.1), optax.contrib.reduce_on_plateau()),
    "fails when it is tried out"),
   (optax.adam, "not a function .call it first.")],
)  # fmt: skip
def test_optimizers_that_do_not_fit_are_refused_before_any_work(
  counts, tmp_path, tx, message
):
  for engine in ("rows", "blocked"):
    with pytest.raises(ValueError, match=message):
      loop.train(
        counts, settings(engine=engine), tx=tx, workdir=tmp_path / "run"
      )
  assert not (tmp_path / "run").exists()


def test_optimizers_by_name_are_checked_too():
  with pytest.raises(ValueError, match="use engine=dense"):
    checks.check_config(settings(optimizer="lars"))
  checks.check_config(settings(optimizer="lars", engine="dense"))


def test_a_learning_rate_beside_an_object_is_refused(counts):
  with pytest.raises(ValueError, match=r"learning_rate=0\.5 has no effect"):
    loop.train(counts, settings(learning_rate=0.5), tx=optax.sgd(0.1))


def test_fingerprints_tell_optimizers_apart():
  late = [
    optax.sgd(optax.piecewise_constant_schedule(0.1, {boundary: 0.5}))
    for boundary in (500, 50_000)
  ]
  made = [optax.adam(0.1), optax.adam(0.11), optax.adamw(0.1), *late]
  assert len({optimizer_check.fingerprint(tx) for tx in made}) == len(made)
  again = optimizer_check.fingerprint(optax.adam(0.1))
  assert again == optimizer_check.fingerprint(made[0])


def test_a_run_resumes_only_with_its_own_optimizer(counts, tmp_path):
  class Killed(Exception):
    pass

  def kill(line):
    raise Killed

  how = settings(engine="rows")
  with pytest.raises(Killed):
    loop.train(counts, how, tx=optax.adam(0.1), workdir=tmp_path, on_epoch=kill)
  for other in (optax.adamw(0.1), optax.adam(0.2), None):
    with pytest.raises(ValueError, match="of another optimizer"):
      loop.train(counts, how, tx=other, workdir=tmp_path)
  loop.train(counts, how, tx=optax.adam(0.1), workdir=tmp_path)


@pytest.mark.parametrize(
  "name, message",
  [("no_such_module:make", "no such module in"),
   ("optax:no_such", "the module optax has no function 'no_such'"),
   ("os:getcwd", "must return an optax transformation"),
   ("os:remove", "fails: TypeError")],
)  # fmt: skip
def test_names_that_load_nothing_are_refused(name, message):
  with pytest.raises(ValueError, match=message):
    optimizers.load(name, 0.1)
