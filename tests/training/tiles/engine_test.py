"""The blocked engine with `missing`, against the dense engine."""

import gc
import tempfile
import warnings

import jax
import numpy as np
import pytest
from small_counts import (
  make_config,
  make_triplets,
  matrix_of,
  train,
  whole_loss,
)

from glove_jax import model
from glove_jax.training import checkpoint, loop
from glove_jax.training.tiles import cutting, engine, layout, resident
from glove_jax.training.tiles.engine import TileEngine
from glove_jax.training.tiles.grouping import DeviceSettings
from glove_jax.training.together import (
  can_train_together,
  train_together,
)


def assert_equal(got, want):
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_training_lowers_the_cost_of_all_pairs():
  counts = make_triplets()
  matrix = matrix_of(counts)
  params, _ = train(counts, core=0, epochs=40)
  without, _ = train(counts, missing=0.0, epochs=40)
  assert whole_loss(params, matrix) < 0.9 * whole_loss(without, matrix)


def test_fitting_lowers_the_cost_of_pairs_with_the_core():
  counts = make_triplets()
  matrix = matrix_of(counts)
  ends = [train(counts, epochs=20, fit_passes=n)[0] for n in (1, 20)]
  costs = [whole_loss(params, matrix) for params in ends]
  assert costs[1] < 0.95 * costs[0]


def test_the_cost_of_a_pass_is_that_of_every_cell_once():
  counts = make_triplets()
  params, costs = train(
    counts, core=0, growth=(), epochs=1, learning_rate=1e-9, seed=3
  )
  want = whole_loss(params, matrix_of(counts)) / len(counts.row)
  np.testing.assert_allclose(costs, want, rtol=1e-3)


def test_the_dense_engine_ends_at_the_same_cost():
  counts = make_triplets()
  dense, _ = train(
    counts, engine="dense", batch_size=len(counts.row), epochs=200
  )
  tiles, _ = train(counts, core=0, growth=(), epochs=60)
  costs = [whole_loss(params, matrix_of(counts)) for params in (dense, tiles)]
  np.testing.assert_allclose(*costs, rtol=0.05)


@pytest.mark.parametrize("resident", [False, True])
def test_an_accelerator_trains_alike(resident, monkeypatch):
  """Groups of tiles, some of them padding, on the CPU."""
  counts = make_triplets(150)
  settings = {"growth": ("64:2",), "core": 104, "epochs": 10, "fit_passes": 10}
  want, costs = train(counts, **settings)
  monkeypatch.setattr(
    "glove_jax.training.tiles.engine.device_settings",
    lambda blocks: DeviceSettings(resident, 4, 3, 0),
  )
  params, others = train(counts, **settings)
  np.testing.assert_allclose(others, costs, rtol=0.03)
  matrix = matrix_of(counts)
  ends = [whole_loss(each, matrix) for each in (params, want)]
  np.testing.assert_allclose(*ends, rtol=0.03)


def test_jobs_of_two_stacks_end_with_the_same_bytes(monkeypatch):
  ends = []
  for settings in (
    DeviceSettings(False, 1, 4, 0),
    DeviceSettings(False, 1, 2, 0, 2),
  ):
    monkeypatch.setattr(
      "glove_jax.training.tiles.engine.device_settings",
      lambda blocks, settings=settings: settings,
    )
    ends.append(train(make_triplets()))
  assert_equal(*ends)


def test_a_stack_is_released_once_its_costs_are_known(monkeypatch):
  loaded = []

  def read(*arguments):
    held = [stack.code.any() for stack in loaded]
    assert not any(held[:-1])  # all but the one that trains now
    loaded.append(layout_read(*arguments))
    return loaded[-1]

  layout_read = layout.read_tiles
  monkeypatch.setattr(layout, "read_tiles", read)
  train(make_triplets(), core=0, epochs=1, growth=())
  assert len(loaded) > 1 and not loaded[-1].code.any()


def test_other_optimizers_train_too():
  settings = {"optimizer": "adam", "learning_rate": 0.05, "joint_epochs": 2}
  _, costs = train(make_triplets(), **settings)
  assert costs[-1] < 0.97 * costs[-2]


def test_stanfords_rule_is_for_missing_0():
  with pytest.raises(ValueError, match="set missing=0"):
    train(make_triplets(), optimizer="stanford")


def test_joint_epochs_lower_the_cost_of_all_pairs_with_the_core():
  counts = make_triplets()
  costs = [
    train(counts, epochs=6 + n, joint_epochs=n)[1][-1] for n in (0, 1, 4)
  ]
  assert costs[1] < 0.97 * costs[0]
  assert costs[2] < 0.97 * costs[1]


@pytest.mark.parametrize("on_device", [False, True])
def test_a_joint_epoch_visits_pairs_with_the_core_once(on_device, monkeypatch):
  """So its cost is that of all pairs but those of two other words."""
  if on_device:
    monkeypatch.setattr(resident, "device_memory", lambda: 1 << 40)
  counts = make_triplets()
  params, costs = train(
    counts, growth=(), epochs=2, joint_epochs=1, learning_rate=1e-9
  )
  matrix = matrix_of(counts)
  position = cutting.word_positions(
    np.count_nonzero(matrix, axis=1), cutting.CutSettings()
  )
  others = np.flatnonzero(position >= 24)
  pairs = np.ix_(others, others)
  part = jax.tree.map(lambda array: array[others], params)
  want = whole_loss(params, matrix) - whole_loss(part, matrix[pairs])
  num_counts = np.count_nonzero(matrix) - np.count_nonzero(matrix[pairs])
  assert len(others) == 70 - 24
  np.testing.assert_allclose(costs[-1], want / num_counts, rtol=1e-3)


def test_joint_epochs_come_after_a_first_one():
  with pytest.raises(
    ValueError, match="joint_epochs=2 are the last of epochs=2"
  ):
    train(make_triplets(), epochs=2, joint_epochs=2)


@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_run_ends_with_the_same_bytes(tmp_path, stop):
  counts = make_triplets()
  whole, _ = train(counts)

  class Killed(Exception):
    pass

  def kill(line):
    if line["epoch"] == stop:
      raise Killed

  with pytest.raises(Killed):
    loop.train(counts, make_config(), workdir=tmp_path, on_epoch=kill)
  assert checkpoint.epochs(tmp_path / "checkpoints")[-1] == stop
  assert (tmp_path / "checkpoints/blocks/strips_code.npy").exists()
  assert_equal(loop.train(counts, make_config(), workdir=tmp_path), whole)


def test_points_train_together_as_alone():
  counts = make_triplets()
  changes = [{}, {"missing": 0.1}, {"missing_count": 2.0}, {"x_max": 30.0}]
  points = [make_config(**change) for change in changes]
  lines = []
  together = train_together(counts, points, on_epoch=lines.append)
  for i, change in enumerate(changes):
    alone, costs = train(counts, **change)
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
      together[i],
      alone,
    )
    np.testing.assert_allclose(lines[-1]["cost"][i], costs[-1], rtol=1e-4)


def test_points_with_and_without_missing_do_not_train_together():
  points = [make_config(), make_config(missing=0.0)]
  assert not can_train_together(points)
  with pytest.raises(ValueError, match="missing must be 0 for all or"):
    train_together(make_triplets(), points)


def test_a_stage_without_a_tile_is_skipped(tmp_path):
  """The first 4 words fill no block of 8: that stage changes nothing."""
  counts = make_triplets()
  settings = {"missing": 0.0, "min_fill": 1.0}  # no tiles, only lines
  stage, plain = {"growth": ("4:2",)}, {"growth": ()}
  lines = []
  skipped = loop.train(
    counts,
    make_config(**settings, **stage),
    workdir=tmp_path,
    on_epoch=lines.append,
  )
  assert [line["epoch"] for line in lines] == [3, 4, 5]
  assert np.isfinite([line["cost"] for line in lines]).all()
  assert checkpoint.epochs(tmp_path / "checkpoints")[-1] == 5
  assert loop.num_epochs(make_config(**stage)) == 5
  _, costs = train(counts, **settings, **plain)
  assert len(costs) == 3
  # Another epoch draws another order; the costs are alike from the first on.
  np.testing.assert_allclose([x["cost"] for x in lines], costs, rtol=0.02)
  again = loop.train(counts, make_config(**settings, **stage), workdir=tmp_path)
  assert_equal(again, skipped)


def test_a_temporary_folder_goes_with_its_engine(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
  made = TileEngine(make_triplets(), make_config())
  assert list(tmp_path.glob("glove_jax_*/*"))
  del made
  with warnings.catch_warnings(action="error"):
    gc.collect()
  assert not list(tmp_path.iterdir())


def test_without_compilation_another_engine_is_named():
  with (
    jax.disable_jit(),
    pytest.raises(
      ValueError, match="unset JAX_DISABLE_JIT, or use engine=rows"
    ),
  ):
    loop.train(make_triplets(), make_config())


@pytest.mark.parametrize("freeze", [False, True])
def test_what_is_compiled_ahead_is_called(tmp_path, monkeypatch, freeze):
  """And nothing is where a run resumes."""
  ahead, calls = [], []
  init = TileEngine.init

  def noted(self, *given):
    calls.append((self._hyper, self._position, *given))
    return init(self, *given)

  monkeypatch.setattr(TileEngine, "init", noted)
  monkeypatch.setattr(
    engine, "compile_first", lambda _, *inputs: ahead.append(inputs)
  )
  counts, settings = make_triplets(), make_config(freeze=freeze)
  start = model.init_params(jax.random.key(1), counts.vocab_size, 4)
  for _ in range(2):
    loop.train(counts, settings, workdir=tmp_path, init=start)
  ((ahead,), (call,)) = ahead, calls
  shapes = [jax.tree.map(jax.typeof, inputs) for inputs in (ahead, call)]
  assert shapes[0] == shapes[1]
