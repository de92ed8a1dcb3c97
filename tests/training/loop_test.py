"""The loop: it learns, it resumes to the same bytes, it stops at NaN."""

import functools
import itertools

import jax
import numpy as np
import pytest

from glove_jax import config, metrics, model
from glove_jax.counts import stanford, triplets
from glove_jax.training import biases, checkpoint, loop, preparation

SMALL = config.make_config(
  engine="rows",
  dim=8,
  epochs=4,
  batch_size=200,
  x_max=10.0,
  learning_rate=0.1,
  growth=[],
).train


@pytest.fixture(scope="module")
def counts():
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((60, 60)) < 0.4)
  count = np.exp(rng.normal(1, 1, len(row)))
  return triplets.Triplets(
    row.astype(np.int32), col.astype(np.int32), count, 60
  )


def costs_of(counts, **changes):
  lines = []
  settings = config.make_config(**{**vars(SMALL), **changes}).train
  params = loop.train(counts, settings, on_epoch=lines.append)
  return params, [line["cost"] for line in lines]


@pytest.mark.parametrize(
  "engine, optimizer",
  [*itertools.product(["dense", "rows"], ["adagrad", "stanford", "adam"]),
   ("blocked", "adagrad")],
)  # fmt: skip
def test_the_cost_falls(counts, engine, optimizer):
  _, costs = costs_of(counts, engine=engine, optimizer=optimizer)
  assert len(costs) == 4 and costs[-1] < 0.95 * costs[0]


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-9), ("float32", 1e-4)])
def test_the_engines_agree(counts, dtype, rtol):
  dense, _ = costs_of(counts, engine="dense", dtype=dtype)
  rows, _ = costs_of(counts, engine="rows", dtype=dtype)
  for a, b in zip(dense, rows, strict=True):
    assert a.dtype == dtype
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def test_the_reported_cost_is_the_loss(counts):
  """Before the first update the cost is J over the number of counts."""
  settings = config.make_config(**{**vars(SMALL), "batch_size": 10**6}).train
  fit = functools.partial(biases.fit_biases, counts)
  params = biases.initial_params(60, settings, fit)
  batch = model.Batch(counts.row, counts.col, counts.count, 1.0)
  want = model.loss(params, batch, x_max=10.0) / len(counts.row)
  _, costs = costs_of(counts, batch_size=10**6, epochs=1)
  np.testing.assert_allclose(costs[0], want, rtol=1e-5)


def test_fitted_biases_start_lower(counts):
  _, fitted = costs_of(counts, epochs=1)
  _, drawn = costs_of(counts, epochs=1, bias_init="random")
  assert fitted[0] < 0.8 * drawn[0]


def test_a_custom_loss(counts):
  """GloVe without weighting: every count weighs the same."""

  def unweighted(params, batch):
    residual = model.predict(params, batch.row, batch.col) - np.log(2.0)
    return (batch.mask * residual**2).sum()

  params = loop.train(counts, SMALL, loss=unweighted)
  got = model.predict(params, counts.row, counts.col)
  assert abs(float(got.mean()) - np.log(2.0)) < 0.1


def test_one_trace_a_run(counts):
  traces = []

  def loss(params, batch):
    traces.append(batch.row.shape)
    return model.loss(params, batch, x_max=10.0)

  loop.train(counts, SMALL, loss=loss)
  assert len(traces) == 1


def test_another_seed_is_another_run(counts):
  first, _ = costs_of(counts)
  second, _ = costs_of(counts, seed=1)
  assert not np.allclose(first.word, second.word)


@pytest.mark.parametrize("engine", ["dense", "rows", "blocked"])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_stopped_run_ends_with_the_same_bytes(
  counts, tmp_path, engine, stop, monkeypatch
):
  settings = config.make_config(**{**vars(SMALL), "engine": engine}).train
  whole = loop.train(counts, settings, workdir=tmp_path / "whole")

  class Killed(Exception):
    pass

  def kill(line):
    if line["epoch"] == stop:
      raise Killed

  stopped = tmp_path / "stopped"
  with pytest.raises(Killed):
    loop.train(counts, settings, workdir=stopped, on_epoch=kill)
  assert checkpoint.epochs(stopped / "checkpoints")[-1] == stop
  resumed = loop.train(counts, settings, workdir=stopped)
  for a, b in zip(whole, resumed, strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
  lines = metrics.read_metrics(stopped / "metrics.jsonl")
  assert [line["epoch"] for line in lines] == [1, 2, 3, 4]


def test_metrics_lines(counts, tmp_path):
  loop.train(counts, SMALL, workdir=tmp_path)
  lines = metrics.read_metrics(tmp_path / "metrics.jsonl")
  steps_an_epoch = -(-len(counts.row) // 200)
  assert [line["step"] for line in lines] == [
    steps_an_epoch * epoch for epoch in (1, 2, 3, 4)
  ]
  assert {"step", "epoch", "cost", "triplets_per_second"} <= lines[0].keys()


def test_a_cost_that_is_not_finite_stops_the_run(counts, tmp_path):
  settings = config.make_config(
    **{**vars(SMALL), "optimizer": "sgd", "learning_rate": 0.01}
  ).train
  loop.train(
    counts, settings.__class__(**{**vars(settings), "epochs": 1}),
    workdir=tmp_path,
  )  # fmt: skip
  saved = (tmp_path / "checkpoints" / "epoch_000001.npz").read_bytes()
  wild = settings.__class__(**{**vars(settings), "learning_rate": 1e6})
  with pytest.raises(FloatingPointError, match=r"at step \d+") as caught:
    loop.train(counts, wild, workdir=tmp_path)
  steps_an_epoch = -(-len(counts.row) // 200)
  step = int(str(caught.value).split("step ")[1].split(".")[0])
  assert steps_an_epoch <= step < 3 * steps_an_epoch
  assert checkpoint.epochs(tmp_path / "checkpoints") == [1]
  assert (tmp_path / "checkpoints/epoch_000001.npz").read_bytes() == saved


@pytest.mark.parametrize("good", [0, 2])
def test_a_damaged_checkpoint_costs_an_epoch(counts, tmp_path, good):
  """The run resumes from the checkpoint before, or starts anew, and says so."""
  whole = loop.train(counts, SMALL, workdir=tmp_path / "whole")
  said, lines = [], []
  short = config.make_config(**{**vars(SMALL), "epochs": 3}).train
  loop.train(counts, short, workdir=tmp_path / "other")
  for epoch in range(good + 1, 4):
    path = tmp_path / "other" / "checkpoints" / f"epoch_{epoch:06d}.npz"
    path.write_bytes(b"PK")
  resumed = loop.train(
    counts, SMALL, workdir=tmp_path / "other", on_epoch=lines.append,
    say=said.append,
  )  # fmt: skip
  assert [line["epoch"] for line in lines] == list(range(good + 1, 5))
  assert len(said) == 3 - good and "was damaged" in said[0]
  for a, b in zip(whole, resumed, strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("rate", [1e3, 1e6])
def test_divergence_is_said(counts, tmp_path, rate):
  changes = {"learning_rate": rate, "engine": "blocked"}
  settings = config.make_config(**{**vars(SMALL), **changes}).train
  with pytest.raises(
    FloatingPointError, match=r"diverged: the cost of .* is .*e"
  ):
    loop.train(counts, settings, workdir=tmp_path)
  assert checkpoint.epochs(tmp_path / "checkpoints") in ([], [1])


@pytest.mark.parametrize("engine", ["rows", "blocked"])
def test_divergence_in_the_last_step_is_said(counts, engine):
  """A run of one step: the cost before it is that of a good start."""
  changes = {
    "learning_rate": 1e6, "engine": engine, "batch_size": 10**6, "epochs": 1,
    "growth": [],
  }  # fmt: skip
  settings = config.make_config(**{**vars(SMALL), **changes}).train
  with pytest.raises(FloatingPointError, match=r"parameters cost .* a count"):
    loop.train(counts, settings)


def test_counts_of_1_do_not_diverge():
  """Their logarithm is 0, so parameters of 0 cost nothing."""
  row, col = np.divmod(np.arange(100, dtype=np.int32), 10)
  ones = triplets.Triplets(row, col, np.ones(100), 10)
  _, costs = costs_of(ones, bias_init="random", learning_rate=1.0)
  assert np.isfinite(costs).all()


def test_passes_without_tiles_are_skipped_and_said(counts):
  lines, said = [], []
  changes = {"engine": "blocked", "growth": ["4:2"], "tile_size": 8}
  settings = config.make_config(**{**vars(SMALL), **changes}).train
  loop.train(counts, settings, on_epoch=lines.append, say=said.append)
  assert [line["epoch"] for line in lines] == [3, 4, 5, 6]
  assert all(0 < line["cost"] < 100 for line in lines)
  assert len(said) == 1 and "growth train nothing" in said[0]


@pytest.mark.parametrize(
  "row, count, message",
  [([0, 60], [1.0, 1.0], "60"), ([0, -1], [1.0, 1.0], "-1"),
   ([0, 1], [1.0, 0.0], "count")],
)  # fmt: skip
def test_bad_counts_are_refused(row, count, message):
  bad = triplets.Triplets(
    np.array(row, np.int32), np.zeros(2, np.int32), np.array(count), 60
  )
  with pytest.raises(ValueError, match=message):
    loop.train(bad, SMALL)


@pytest.mark.parametrize(
  "changes, loss, message",
  [({"engine": "blocked"}, model.loss, "own loss"),
   ({"engine": "blocked", "dtype": "float64"}, None, "float32"),
   ({"mesh": 64}, None, "mesh")],
)  # fmt: skip
def test_settings_that_cannot_train_are_refused_before_any_work(
  counts, tmp_path, monkeypatch, changes, loss, message
):
  def work(*arguments, **options):
    raise AssertionError("Work has started.")

  monkeypatch.setattr(loop, "check_triplets", work)
  for name in ("fit_biases", "initial_params"):
    monkeypatch.setattr(preparation, name, work)
  settings = config.make_config(**{**vars(SMALL), **changes}).train
  workdir = tmp_path / "run"
  with pytest.raises(ValueError, match=message):
    loop.train(counts, settings, loss=loss, workdir=workdir)
  assert not workdir.exists()


def test_stanford_preset_in_batches_costs_what_the_c_program_costs(parity):
  """Costs of stanfordnlp/GloVe, commit 52f7dbc, after 5 and 15 passes.

  From `glove -threads 1 -vector-size 10 -x-max 10 -iter 15` on the same
  shuffled counts; its random start differs from ours.
  """
  counts = stanford.read_records(parity / "shuffled.bin")
  _, costs = costs_of(
    counts, dim=10, epochs=15, optimizer="stanford", learning_rate=0.05,
    bias_init="random", batch_size=256,
  )  # fmt: skip
  np.testing.assert_allclose([costs[4], costs[14]], [0.044285, 0.028833], 0.03)


def test_functools_partial_of_the_loss_is_the_default(counts):
  loss = functools.partial(model.loss, x_max=10.0, alpha=0.75)
  with_loss = loop.train(counts, SMALL, loss=loss)
  jax.tree.map(
    np.testing.assert_array_equal, with_loss, loop.train(counts, SMALL)
  )
