"""Two bytes hold a count to 0.035%, or refuse it."""

import re
import zlib

import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import atomic, config, model
from glove_jax.counts import triplets
from glove_jax.training import loop
from glove_jax.training.tiles import codec, cutting, tile_files


def test_a_code_gives_back_its_count_and_weight():
  count = np.geomspace(1e-7, 1e13, 100_000)
  code = codec.encode(count)
  assert code[0] == 1 and code[-1] == 65535 and len(np.unique(code)) == 65535
  log_count, weight = codec.decode(jnp.asarray(code), x_max=10.0, alpha=0.75)
  np.testing.assert_allclose(log_count, np.log(count), atol=3.6e-4)
  want = model.weight(count, 10.0, 0.75)
  np.testing.assert_allclose(weight, want, rtol=3e-4)
  assert codec.decode(jnp.zeros(1, jnp.uint16), x_max=10.0, alpha=1.0)[1] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_does_not_fit_has_no_code(dtype):
  ends = np.array([1e-7, 1e13], dtype)
  assert codec.encode(ends).tolist() == [1, 65535]
  beyond = np.array([9.9e-8, 1.01e13, 1e-30, 1e30], dtype)
  assert codec.encode(beyond).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("bad", ["1e-08", "1e+14"])
@pytest.mark.parametrize("min_fill", [0.0, 2.0])  # all tiles, all lines
def test_a_count_that_does_not_fit_is_refused(tmp_path, bad, min_fill):
  row, col = np.divmod(np.arange(100, dtype=np.int32), 10)
  count = np.ones(100)
  count[37] = float(bad)
  counts = triplets.Triplets(row, col, count, 10)
  settings = cutting.CutSettings(tile_size=4, min_fill=min_fill)
  with pytest.raises(ValueError, match=f"count {re.escape(bad)} is outside"):
    cutting.build(counts, tmp_path / "blocks", settings)
  assert not tile_files.is_complete(tmp_path / "blocks")
  rows = config.make_config(engine="rows", dim=2, epochs=1, growth=[]).train
  loop.train(counts, rows)  # as the message says


def test_checksums_are_of_parts_of_files(tmp_path, monkeypatch):
  monkeypatch.setattr(tile_files, "_PART", 1 << 10)
  monkeypatch.setattr(tile_files, "_READ", 1 << 8)
  row, col = np.divmod(np.arange(3600), 60)
  counts = triplets.Triplets(row, col, 1.0 + row, 60)
  cutting.build(counts, tmp_path, cutting.CutSettings(tile_size=8))
  data = (tmp_path / "tiles.bin").read_bytes()
  want = [zlib.crc32(data[i : i + 1024]) for i in range(0, len(data), 1024)]
  manifest = atomic.read_json(tmp_path / tile_files._MANIFEST)
  assert len(want) > 1 and manifest["tiles.bin"] == want


def test_damaged_tiles_are_cut_again(tmp_path):
  rng = np.random.default_rng(0)
  row, col = np.nonzero(rng.random((40, 40)) < np.linspace(0.9, 0, 40))
  counts = triplets.Triplets(row, col, 1 + rng.random(len(row)), 40)
  settings = cutting.CutSettings(tile_size=8, min_fill=0.5)
  cutting.build(counts, tmp_path / "blocks", settings)
  assert tile_files.is_complete(tmp_path / "blocks")
  files = {p: p.read_bytes() for p in (tmp_path / "blocks").iterdir()}
  assert len(files) > 6
  for path, whole in files.items():
    middle = len(whole) // 2
    flipped = bytes([whole[middle] ^ 1])
    for damaged in (whole[:-9], whole[:middle] + flipped + whole[middle + 1 :]):
      path.write_bytes(damaged)
      assert not tile_files.is_complete(tmp_path / "blocks")
    path.write_bytes(whole)
  assert tile_files.is_complete(tmp_path / "blocks")
  (tmp_path / "blocks" / "tiles.bin").unlink()
  cutting.build(counts, tmp_path / "blocks", settings)
  for path, whole in files.items():
    assert path.read_bytes() == whole
