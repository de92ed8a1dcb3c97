"""All cells on the device: what an accelerator does, on the CPU."""

import gc
import weakref

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
from glove_jax.counts.triplets import Triplets
from glove_jax.training import device_counts, loop
from glove_jax.training.tiles import codec, cutting, resident
from glove_jax.training.tiles.engine import TileEngine
from glove_jax.training.together import train_together


@pytest.fixture
def all_cells(monkeypatch):
  """Lets a CPU pass for an accelerator with much memory."""
  monkeypatch.setattr(resident, "device_memory", lambda: 1 << 40)


@pytest.mark.parametrize("core", [0, 32, 104])
@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_it_trains_as_from_files(core, missing, monkeypatch):
  """Without `missing`, all counts are in tiles on both sides."""
  counts = make_triplets(150)
  settings = {"growth": ("64:2",), "epochs": 10, "missing": missing}
  settings |= {"core": core, "fit_passes": 10} if missing else {"min_fill": 0.0}
  want, costs = train(counts, **settings)
  monkeypatch.setattr(resident, "device_memory", lambda: 1 << 40)
  params, others = train(counts, **settings)
  np.testing.assert_allclose(others, costs, rtol=0.03)
  matrix = matrix_of(counts)
  ends = [whole_loss(each, matrix) for each in (params, want)]
  np.testing.assert_allclose(*ends, rtol=0.03)


@pytest.mark.parametrize("core", [None, 24])
def test_tiles_hold_the_counts_of_the_core(core):
  counts = make_triplets()
  settings = cutting.CutSettings(8, core=core, first_tier=16)
  blocks = resident.plan(counts.vocab_size, settings)
  blocks, codes = resident.cut(device_counts.put(counts), blocks, settings)
  matrix = np.zeros((8 * blocks.num_blocks,) * 2, np.uint16)
  position = blocks.position
  matrix[position[counts.row], position[counts.col]] = codec.encode(
    counts.count.astype(np.float32)
  )
  assert len(blocks.pair) == blocks.num_blocks**2 - (
    (blocks.num_blocks - 3) ** 2 if core else 0
  )
  for (row, col), code, number in zip(
    blocks.pair - [0, blocks.num_blocks], codes, blocks.num_counts, strict=True
  ):
    tile = matrix[8 * row :][:8, 8 * col :][:, :8]
    np.testing.assert_allclose(np.asarray(code, int), tile, atol=1)
    assert number == np.count_nonzero(tile)


def test_positions_are_those_of_files(tmp_path):
  counts, settings = make_triplets(), cutting.CutSettings(8, first_tier=16)
  blocks = resident.plan(counts.vocab_size, settings)
  blocks, _ = resident.cut(device_counts.put(counts), blocks, settings)
  files = cutting.build(counts, tmp_path, settings)
  np.testing.assert_array_equal(blocks.position, files.position)


def test_a_stopped_run_resumes_to_the_same_bytes(tmp_path, all_cells):
  class Killed(Exception):
    pass

  def kill(line):
    if line["epoch"] == 4:  # the fit of the other words
      raise Killed

  counts = make_triplets()
  settings = make_config(joint_epochs=1)
  want = loop.train(counts, settings)
  with pytest.raises(Killed):
    loop.train(counts, settings, workdir=tmp_path, on_epoch=kill)
  assert not (tmp_path / "checkpoints/blocks").exists()
  got = loop.train(counts, settings, workdir=tmp_path)
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_points_train_together_as_alone(all_cells):
  counts = make_triplets()
  changes = [{}, {"missing": 0.1}, {"x_max": 30.0}]
  points = [make_config(**change) for change in changes]
  lines = []
  together = train_together(counts, points, on_epoch=lines.append)
  for i, change in enumerate(changes):
    alone, costs = train(counts, **change)
    for a, b in zip(together[i], alone, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(lines[-1]["cost"][i], costs[-1], rtol=1e-4)


def test_points_that_train_together_fit_fewer_words_at_a_time(monkeypatch):
  """All need the memory of a group of cells."""
  settings = cutting.CutSettings(8, core=24)
  blocks = resident.plan(8 * 9, settings)  # 6 blocks outside of the core
  monkeypatch.setattr(resident, "_MOST_CELLS", 6 * 3 * 8**2)

  def most_blocks(num_points):
    jobs = resident.make_strip_jobs(
      blocks, make_config(), num_points=num_points
    )
    return max(job.load().block.size for job in jobs.fit[0])

  assert [most_blocks(num_points) for num_points in (1, 2, 6)] == [6, 3, 1]


def test_words_are_kept_near_where_they_started(all_cells):
  counts = make_triplets()
  start = model.init_params(jax.random.key(1), counts.vocab_size, 4)

  def distance(mu):
    params = loop.train(counts, make_config(retrofit=mu), init=start)
    moved = params.word + params.context - start.word - start.context
    return float(np.linalg.norm(moved))

  assert distance(100.0) < 0.35 * distance(0.0)


def test_an_engine_frees_the_memory_of_the_device(all_cells):
  """At once: a sweep makes many, and the garbage collector may come late."""
  counts = device_counts.put(make_triplets())
  engine = TileEngine(counts, make_config())
  for future in engine._programs.values():
    future.result()
  gc.disable()
  try:
    dropped = weakref.ref(engine)
    del engine
    assert dropped() is None
  finally:
    gc.enable()


def test_a_count_without_a_code_is_refused(all_cells):
  row = np.arange(8, dtype="i4")
  counts = Triplets(row, row, np.full(8, 1e14), 8)
  with pytest.raises(ValueError, match=r"1e\+14 is outside of 1e-07 to"):
    loop.train(counts, make_config())


def test_only_what_fits_one_accelerator_is_placed(monkeypatch):
  counts, settings = make_triplets(), make_config()
  needed = resident.memory_needed(counts, settings)
  assert needed > 2 * counts.vocab_size * 24 + 12 * len(counts.row)
  more = resident.memory_needed(counts, settings, num_points=3)
  assert more > needed

  def is_placed(settings):
    placed = resident.with_placed(counts, settings, lambda counts: counts)
    assert placed is counts or isinstance(placed, device_counts.DeviceCounts)
    return placed is not counts

  assert not is_placed(settings)  # a CPU
  for memory in (needed, needed + 1):
    monkeypatch.setattr(resident, "device_memory", lambda m=memory: m)
    assert is_placed(settings) == (memory > needed)
  for changes in ({"engine": "rows"}, {"missing": 0.0}):
    assert not is_placed(make_config(**changes))


@pytest.mark.parametrize("is_together", [False, True])
@pytest.mark.parametrize(
  "module, name", [(resident, "cut"), (device_counts, "put")]
)
def test_counts_that_turn_out_not_to_fit_train_from_files(
  monkeypatch, all_cells, is_together, module, name
):
  counts, settings = make_triplets(), make_config(epochs=2)
  tried = []

  def fill_memory(*_):
    tried.append(1)
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to")

  def run():
    if is_together:
      return train_together(counts, [settings, settings])[1]
    return loop.train(counts, settings)

  monkeypatch.setattr(module, name, fill_memory)
  params = run()
  monkeypatch.setattr(resident, "device_memory", lambda: 0)
  jax.tree.map(np.testing.assert_array_equal, params, run())
  assert len(tried) == 1


def test_an_accelerator_has_what_is_not_in_use(monkeypatch):
  class Device:
    platform = "gpu"

    def memory_stats(self):
      return {"bytes_limit": 9, "bytes_in_use": 2}

  monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
  assert resident.device_memory() == 7
