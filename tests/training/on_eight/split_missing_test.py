"""Missing pairs on a ring of devices: the core, strips and joint passes."""

import functools

import numpy as np
import pytest
from several_devices import SIZE, compiled_text, settings, start, train_on

from benchmarks import collectives
from glove_jax import model
from glove_jax.training.tiles import layout, ring, ring_jobs, strips
from glove_jax.training.tiles.programs import Hyper


def core_cost(counts, params, core):
  """J and the missing cost of all pairs of which one is in the core."""
  matrix = np.zeros((SIZE, SIZE))
  matrix[counts.row, counts.col] = counts.count
  rank = np.argsort(-np.bincount(counts.row, minlength=SIZE), kind="stable")
  inside = np.isin(np.arange(SIZE), rank[:core])
  pairs = inside[:, None] | inside
  row, col = np.nonzero(pairs & (matrix > 0))
  batch = model.Batch(row, col, matrix[row, col], 1.0)
  others = model.predict(params, *np.nonzero(pairs & (matrix == 0)))
  constants = {"missing": 0.1, "missing_count": 1.0}
  return model.loss(params, batch, x_max=10.0) + model.missing_loss(
    others, **constants
  )


@pytest.mark.parametrize("core", [64, 0])
def test_missing_trains_on_a_ring_as_well_as_on_one_device(
  counts, core, monkeypatch
):
  """With a core of 64 words, the others are fitted to it turn by turn."""
  monkeypatch.setattr(strips, "_PIECE_WORDS", 8)  # as many steps on any ring
  run = functools.partial(
    train_on, counts, epochs=8, missing=0.1, core=core, fit_passes=4,
    bias_init="fit",
  )  # fmt: skip
  want, costs = run(mesh=1)
  for mesh in (2, 3, 8):
    params, split_costs = run(mesh=mesh)
    np.testing.assert_allclose(split_costs[-1], costs[-1], rtol=0.05)
    if 64 % (8 * mesh) == 0:  # the core is the same
      size = core or SIZE
      np.testing.assert_allclose(
        core_cost(counts, params, size),
        core_cost(counts, want, size),
        rtol=0.05,
      )


def test_no_device_is_idle_in_passes_over_the_core(counts, monkeypatch):
  """Blocks of 64 words would leave 7 of 8 devices without any."""
  monkeypatch.setattr(ring_jobs, "_SMALLEST_TILE", 8)
  made, *_ = start(
    counts, mesh=8, missing=0.1, core=128, tile_size=64, epochs=3
  )
  for epoch, num_tiles in ((1, 64), (4, 256)):  # of 64 words, and of the core
    stacks = [n for s, n in made.stacks(epoch) if isinstance(s, layout.Tiles)]
    assert np.concatenate(stacks).tolist() == [1] * num_tiles


def test_strips_are_trained_in_groups_as_alone(counts, monkeypatch):
  """Groups of two strips, of which the last are padded: a device has three."""
  run = functools.partial(
    train_on, counts, mesh=4, missing=0.1, core=64, joint_epochs=0, epochs=1,
    growth=[],
  )  # fmt: skip
  (alone, costs), (grouped, group_costs) = (
    (monkeypatch.setattr(ring_jobs, "_STRIP_WORDS", words), run())[1]
    for words in (8, 16)
  )
  np.testing.assert_allclose(group_costs, costs, rtol=1e-5)
  for a, b in zip(grouped, alone, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_joint_pass_counts_the_strips_of_a_group(counts, monkeypatch):
  monkeypatch.setattr(ring_jobs, "_STRIP_WORDS", 16)
  made, *_ = start(counts, mesh=4, missing=0.1, core=64)
  for stack, num_steps in made.stacks(len(made.epochs)):
    if isinstance(stack, layout.Tiles):
      is_tile = np.asarray(stack.pair)[:, 0, 0] < layout.OUTSIDE
      np.testing.assert_array_equal(num_steps, is_tile)


def test_a_strip_is_fitted_without_words_of_other_devices(counts):
  made, state, _, place = start(counts, mesh=4, missing=0.1, core=64)
  programs = ring.make_programs(settings(missing=0.1), place)
  hyper = Hyper(*np.float32([10, 0.75, 0.2, 0.1, 1]))
  epoch = len(made.epochs) - settings(missing=0.1).resolved.joint_epochs
  last = list(made.stacks(epoch))
  stack, counted = next(one for one in last if isinstance(one[0], strips.Strip))
  text = compiled_text(
    programs[strips.Strip], state, hyper, None, stack,
    np.ones(len(counted), np.float32),
  )  # fmt: skip
  assert not collectives.transfers(text)
  turns = sum(isinstance(stack, ring.Turn) for stack, _ in last)
  assert turns == 4 + 4 * settings().fit_passes
  assert sum(n.sum() for _, n in last) == made.epochs[epoch - 1].num_steps


def test_a_joint_epoch_adds_the_tiles_of_all_strips(counts):
  made, *_ = start(counts, mesh=4, missing=0.1, core=64)
  first, joint = (sum(n.sum() for _, n in made.stacks(e)) for e in (4, 5))
  others = 4 * made._parts.local.num_blocks - 64 // 8
  assert first == (64 // 8) ** 2 + 2 * others
  assert joint == (64 // 8) ** 2 + 2 * others * 64 // 8
