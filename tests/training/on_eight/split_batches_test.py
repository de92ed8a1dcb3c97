"""Batches and dimensions that devices split, in the rows and dense engines."""

import functools
import itertools

import numpy as np
import pytest
from several_devices import (
  SIZE,
  Killed,
  compiled_text,
  kill,
  settings,
  start,
  train_on,
)

from benchmarks import collectives
from glove_jax import model
from glove_jax.training import checks, loop, sharding
from glove_jax.training.rows import make_run_steps

SPLIT_BATCHES = [
  ("rows", "batch", "adagrad"),
  ("rows", "batch", "stanford"),
  ("rows", "dim", "stanford"),
  ("dense", "batch", "adagrad"),
  ("dense", "dim", "adagrad"),
]


@pytest.mark.parametrize("engine, placement, optimizer", SPLIT_BATCHES)
def test_split_batches_and_dimensions_equal_one_device(
  counts, engine, placement, optimizer
):
  run = functools.partial(
    train_on,
    counts,
    engine=engine,
    placement=placement,
    optimizer=optimizer,
    learning_rate=0.05,
  )
  want, costs = run(mesh=1)
  for mesh in (2, 4, 8):
    got, split_costs = run(mesh=mesh)
    np.testing.assert_allclose(split_costs, costs, rtol=1e-6)
    for a, b in zip(got, want, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_padding_moves_no_word_that_the_batch_does_not_name(counts):
  """Adam moves every word of a batch, even where its gradient is 0."""
  run = functools.partial(train_on, counts, engine="rows", optimizer="adam")
  _, costs = run(mesh=1)
  _, split_costs = run(mesh=8)
  np.testing.assert_allclose(split_costs, costs, rtol=1e-4)


def test_a_loss_of_ones_own_is_split(counts):
  def squares(params, batch):
    residual = model.predict(params, batch.row, batch.col) - batch.count
    return 1e-3 * (batch.mask * residual**2).sum()

  ends = [
    loop.train(counts, settings(engine="rows", mesh=mesh), loss=squares)
    for mesh in (1, 8)
  ]
  np.testing.assert_allclose(ends[1].word, ends[0].word, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mesh", [2, 4, 8])
@pytest.mark.parametrize("engine, placement", [
  ("rows", "batch"), ("dense", "batch"), ("rows", "dim"), ("dense", "dim"),
])  # fmt: skip
def test_a_step_on_batches_has_one_sum_over_devices(
  counts, engine, placement, mesh
):
  made, state, tx, place = start(
    counts, engine=engine, placement=placement, mesh=mesh
  )
  run = make_run_steps(engine, model.loss, tx, place)
  stack, _ = next(made.stacks(1))
  calls, size = stack.row.shape
  text = compiled_text(run, state, stack, np.ones(calls, np.float32))
  found = collectives.transfers(text)
  gathers = [t.shapes for t in found if t.kind == "all-gather"]
  batches = [f"{of}[{calls},{size}]" for of in ("s32", "s32", "f32", "f32")]
  gathered = list(itertools.chain(*gathers))
  assert sorted(gathered) == sorted(batches)  # once for all steps
  (transfer,) = [t for t in found if t.kind != "all-gather"]
  assert transfer.kind == "all-reduce"
  if placement == "dim":
    assert transfer.shapes == [f"f32[{size}]"]
    return
  rows = size if engine == "rows" else SIZE
  gradients = [f"f32[{rows},8]"] * 2 + [f"f32[{rows}]"] * 2
  assert sorted(transfer.shapes) == sorted([*gradients, "f32[]"])


@pytest.mark.parametrize("before, after", [(1, 4), (4, 2), (2, 1)])
@pytest.mark.parametrize("placement", ["batch", "dim"])
def test_batches_and_dimensions_resume_on_other_meshes(
  counts, tmp_path, placement, before, after
):
  how = functools.partial(settings, engine="rows", placement=placement)
  want = loop.train(counts, how(mesh=1))
  with pytest.raises(Killed):
    loop.train(counts, how(mesh=before), workdir=tmp_path, on_epoch=kill)
  got = loop.train(counts, how(mesh=after), workdir=tmp_path)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_dimensions_that_cannot_be_split_evenly_are_refused():
  how = settings(engine="rows", placement="dim", dim=10, mesh=4)
  with pytest.raises(ValueError, match="dim=10 cannot be split evenly"):
    sharding.make_placement(how)


def test_missing_is_refused_on_several_devices_by_rows(counts):
  how = settings(engine="rows", missing=0.1, mesh=4)
  for refused in (checks.check_config, functools.partial(loop.train, counts)):
    with pytest.raises(ValueError, match=r"missing=0\.1 on one device, not 4"):
      refused(how)
  checks.check_config(settings(engine="rows", missing=0.1, mesh=1))


@pytest.mark.parametrize("placement", ["batch", "dim"])
def test_dense_counts_missing_pairs_once_on_several_devices(counts, placement):
  run = functools.partial(
    train_on, counts, engine="dense", placement=placement, missing=0.1
  )
  want, costs = run(mesh=1)
  got, split_costs = run(mesh=4)
  np.testing.assert_allclose(split_costs, costs, rtol=1e-5)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_all_devices_are_the_default():
  assert sharding.make_placement(settings()).num_devices == 8
