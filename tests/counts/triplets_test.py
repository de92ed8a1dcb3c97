import json
import os
import pathlib
import struct
import zlib

import numpy as np
import pytest

from glove_jax.counts import column_files, cooccur, triplets


def make(row=(0, 1, 1), col=(1, 0, 2), count=(1.5, 1.5, 0.25), vocab_size=3):
  return triplets.Triplets(
    np.array(row, np.int32),
    np.array(col, np.int32),
    np.array(count, np.float64),
    vocab_size,
  )


def assert_same(a, b):
  assert a.vocab_size == b.vocab_size
  for name, kind in (("row", "i"), ("col", "i"), ("count", "f")):
    left, right = getattr(a, name), getattr(b, name)
    np.testing.assert_array_equal(left, right)
    assert left.dtype.kind == right.dtype.kind == kind


def test_triplets_of_counts_are_sorted():
  counts = cooccur.count([[2, 0, 1], [1, 2]], 4, window=2)
  found = counts.triplets()
  assert list(zip(*(a.tolist() for a in found[:3]), strict=True)) == [
    (0, 1, 1.0),
    (0, 2, 1.0),
    (1, 0, 1.0),
    (1, 2, 1.5),
    (2, 0, 1.0),
    (2, 1, 1.5),
  ]
  assert_same(triplets.check(found), found)


def test_folder_round_trip_is_mapped(tmp_path):
  triplets.write_triplets(make(), tmp_path / "counts")
  found = triplets.read_triplets(tmp_path / "counts")
  assert_same(found, make())
  assert isinstance(found.count, np.memmap)
  triplets.write_triplets(make(vocab_size=7), tmp_path / "counts")
  assert triplets.read_triplets(tmp_path / "counts").vocab_size == 7


def test_folder_round_trip_of_nothing(tmp_path):
  triplets.write_triplets(make((), (), ()), tmp_path)
  assert_same(triplets.read_triplets(tmp_path), make((), (), ()))


def test_an_unfinished_folder_is_none(tmp_path):
  with pytest.raises(FileNotFoundError, match="no finished counts"):
    triplets.read_triplets(tmp_path / "missing")
  triplets.write_triplets(make(), tmp_path)
  (tmp_path / "manifest.json").unlink()
  with pytest.raises(FileNotFoundError, match="no finished counts"):
    triplets.read_triplets(tmp_path)


def test_a_killed_rewrite_leaves_no_finished_folder(tmp_path, monkeypatch):
  triplets.write_triplets(make(), tmp_path)

  def killed(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(column_files, "_write_header", killed)
  with pytest.raises(KeyboardInterrupt):
    triplets.write_triplets(make(vocab_size=9), tmp_path)
  assert not (tmp_path / "manifest.json").exists()
  assert not list(tmp_path.glob(".*"))


def test_float64_and_shards_with_checksums(tmp_path, monkeypatch):
  monkeypatch.setattr(column_files, "SHARD", 2)
  triplets.write_triplets(make(), tmp_path, count_dtype="float64", window=5)
  assert triplets.read_triplets(tmp_path).count.dtype == np.float64
  facts = column_files.read_manifest(tmp_path)
  assert facts["window"] == 5 and facts["total"] == 3.25
  assert [(s["start"], s["size"], s["rows"]) for s in facts["shards"]] == [
    (0, 2, [0, 1]),
    (2, 1, [1, 1]),
  ]
  assert facts["shards"][1]["crc32"]["col"] == zlib.crc32(struct.pack("<i", 2))
  triplets.verify_triplets(tmp_path)
  path = tmp_path / "count.npy"
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  with pytest.raises(
    ValueError, match=r"count.npy differs .* in triplets 2 to"
  ):
    triplets.verify_triplets(tmp_path)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_blocks_changes_no_byte(tmp_path, monkeypatch, size):
  monkeypatch.setattr(column_files, "SHARD", 7)
  rng = np.random.default_rng(0)
  columns = rng.integers(9, size=50), rng.integers(9, size=50), rng.random(50)
  whole = triplets.Triplets(*columns, 9)
  triplets.write_triplets(whole, tmp_path / "a")
  blocks = (
    [column[start : start + size] for column in columns]
    for start in range(0, 50, size)
  )
  column_files.write_blocks(blocks, tmp_path / "b", vocab_size=9)
  for name in ("row.npy", "col.npy", "count.npy", "manifest.json"):
    first, second = (tmp_path / folder / name for folder in "ab")
    assert first.read_bytes() == second.read_bytes()


def _truncate(folder):
  data = (folder / "count.npy").read_bytes()
  (folder / "count.npy").write_bytes(data[:-4])


def _other_size(folder):
  np.save(folder / "row.npy", np.zeros(2, np.int32))


def _other_dtype(folder):
  np.save(folder / "row.npy", np.zeros(3, np.int64))


def _missing(folder):
  (folder / "col.npy").unlink()


def _garbled(folder):
  (folder / "manifest.json").write_text("{")


def _no_size(folder):
  (folder / "manifest.json").write_text('{"format": 2, "vocab_size": 3}')


def _other_format(folder):
  facts = json.loads((folder / "manifest.json").read_text())
  (folder / "manifest.json").write_text(json.dumps({**facts, "format": 99}))


@pytest.mark.parametrize(
  "damage",
  [
    _truncate,
    _other_size,
    _other_dtype,
    _missing,
    _garbled,
    _no_size,
    _other_format,
  ],
)
def test_a_damaged_folder_is_refused(tmp_path, damage):
  triplets.write_triplets(make(), tmp_path)
  damage(tmp_path)
  with pytest.raises(ValueError, match="are damaged, count again"):
    triplets.read_triplets(tmp_path)


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    (make((), (), ()), "There are no co-occurrences"),
    (make(row=(0, 1, 3)), "row holds the id 3, outside 0..2"),
    (make(col=(0, -1, 2)), "col holds the id -1, outside 0..2"),
    (make(count=(1, 0, 1)), "count 1 is 0.0: counts must be finite and pos"),
    (make(count=(1, 1, -2)), "count 2 is -2.0"),
    (make(count=(np.nan, 1, 1)), "count 0 is nan"),
    (make(count=(1, np.inf, 1)), "count 1 is inf"),
    (make(count=(1, 1)), "3 rows, 3 columns and 2 counts"),
    (make()._replace(row=[0, 1, 2]), "row must be a NumPy array of integers"),
    (make()._replace(col=np.ones(3)), "col must be a NumPy array of integers"),
    (make()._replace(count=np.array(["1"])), "count must be .* of numbers"),
    (np.eye(3), "must be Triplets.*not of type ndarray"),
  ],
)
def test_check_says_what_is_wrong(bad, message):
  with pytest.raises(ValueError, match=message):
    triplets.check(bad)


def test_check_looks_at_its_rows_only():
  bad = make(row=(0, 1, 3), col=(2, 0, 1))
  assert_same(triplets.check(bad, slice(0, 2)), bad)
  with pytest.raises(ValueError, match="row holds the id 3"):
    triplets.check(bad, slice(2, 3))


def test_a_flipped_byte_of_the_manifest_is_noticed(tmp_path):
  triplets.write_triplets(make(), tmp_path, window=5)
  path = tmp_path / "manifest.json"
  path.write_text(path.read_text().replace('"window": 5', '"window": 7'))
  with pytest.raises(ValueError, match=r"manifest\.json differs"):
    column_files.read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["row.npy", "col.npy", "count.npy"])
def test_any_damage_is_a_value_error(tmp_path, name):
  """Truncated at every byte, every byte flipped, not an array at all."""
  triplets.write_triplets(make(), tmp_path)
  path = tmp_path / name
  whole = path.read_bytes()
  damaged = [whole[:i] for i in range(len(whole))]
  for i in range(len(whole)):
    damaged += [
      whole[:i] + bytes([whole[i] ^ f]) + whole[i + 1 :] for f in (1, 0x80)
    ]
  damaged += [b"PK\x03\x04" + whole, b"\0" * len(whole)]
  for content in damaged:
    path.write_bytes(content)
    try:
      triplets.verify_triplets(tmp_path)
    except ValueError as error:
      assert "are damaged, count again" in str(error)
    else:  # a space of the header
      read = triplets.read_triplets(tmp_path)
      np.testing.assert_array_equal(read.count, make().count)
      np.testing.assert_array_equal(read.row, make().row)
      np.testing.assert_array_equal(read.col, make().col)


def test_columns_are_on_disk_before_the_manifest(tmp_path, monkeypatch):
  synced = []

  def fsync(number):
    path = pathlib.Path(os.readlink(f"/proc/self/fd/{number}"))
    synced.append(path.name.split(".")[1])

  monkeypatch.setattr(os, "fsync", fsync)
  triplets.write_triplets(make(), tmp_path)
  assert synced == ["row", "col", "count", "manifest"]


def test_counts_know_their_vocabulary(tmp_path):
  triplets.write_triplets(make(), tmp_path / "counts", vocab="abc")
  triplets.check_vocab(tmp_path / "counts", "abc")
  with pytest.raises(
    ValueError, match=r"are of another vocabulary than .*/vocab.txt: count"
  ):
    triplets.check_vocab(tmp_path / "counts", "abd")
  triplets.write_triplets(make(), tmp_path / "counts")  # without one
  triplets.check_vocab(tmp_path / "counts", "abc")
