"""Stanford's records: their bytes, their order, and files that are none."""

import struct

import numpy as np
import pytest
from triplets_test import assert_same, make

from glove_jax.counts import stanford, triplets


def test_records_are_stanfords_bytes(tmp_path):
  path = tmp_path / "c.bin"
  stanford.write_records(make(), path)
  assert path.read_bytes() == b"".join(
    struct.pack("<iid", *record)
    for record in [(1, 2, 1.5), (2, 1, 1.5), (2, 3, 0.25)]
  )
  assert_same(stanford.read_records(path), make())
  assert stanford.read_records(path, vocab_size=5).vocab_size == 5


@pytest.mark.parametrize("name", ["cooccur_symmetric", "shuffled"])
def test_stanfords_records_round_trip(parity, tmp_path, monkeypatch, name):
  monkeypatch.setattr(stanford, "_BLOCK", 1000)
  found = stanford.read_records(parity / f"{name}.bin")
  assert found.vocab_size == 599 and len(found.row) == 79528
  stanford.write_records(found, tmp_path / "c.bin")
  expected = (parity / f"{name}.bin").read_bytes()
  assert (tmp_path / "c.bin").read_bytes() == expected


def test_bad_record_files(tmp_path):
  path = tmp_path / "c.bin"
  with pytest.raises(FileNotFoundError, match=r"Records .*no such file"):
    stanford.read_records(path)
  stanford.write_records(make(), path)
  with pytest.raises(ValueError, match=r"c.bin, .* 0 on: col holds the id 2"):
    stanford.read_records(path, vocab_size=2)
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(ValueError, match=r"c.bin is truncated: 47 bytes"):
    stanford.read_records(path)
  path.write_bytes(struct.pack("<iid", 0, 1, 1.0))
  with pytest.raises(ValueError, match="row holds the id -1, outside"):
    stanford.read_records(path)
  path.write_bytes(b"")
  with pytest.raises(ValueError, match="There are no co-occurrences"):
    stanford.read_records(path)


def test_nothing_is_written_where_there_is_no_folder(tmp_path):
  with pytest.raises(OSError, match="missing"):
    stanford.write_records(make(), tmp_path / "missing" / "c.bin")


@pytest.mark.parametrize("size", [1 << 20, 20])
def test_shuffled_records(tmp_path, monkeypatch, size):
  monkeypatch.setattr(stanford, "_SHUFFLED", size)
  count = np.arange(1, 101.0)
  ids = np.arange(100, dtype=np.int32)
  made = triplets.Triplets(ids, ids, count, 100)
  for name, seed in (("a", 0), ("b", 0), ("c", 1)):
    stanford.write_shuffled_records(made, tmp_path / name, seed=seed)
  a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
  assert a == b != c
  found = stanford.read_records(tmp_path / "a")
  assert (found.row != ids).sum() > 80
  assert sorted(found.row) == ids.tolist()
  np.testing.assert_array_equal(found.count, found.row + 1.0)
