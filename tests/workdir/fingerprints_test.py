"""Files are known by their content, and read again when they may differ."""

import os

import pytest
import xxhash

from glove_jax.workdir import fingerprints
from glove_jax.workdir.fingerprints import Fingerprints


@pytest.fixture
def count_reads(monkeypatch):
  """The files that are read, in order."""
  read, hash_file = [], fingerprints.hash_file

  def watched(path):
    read.append(os.path.basename(path))
    return hash_file(path)

  monkeypatch.setattr(fingerprints, "hash_file", watched)
  return read


@pytest.fixture
def settled(monkeypatch):
  """No file is too young to be remembered: ctime cannot be set back."""
  monkeypatch.setattr(fingerprints, "_SETTLED_NS", -(10**18))


def test_the_hash_is_that_of_the_bytes(tmp_path):
  path = tmp_path / "a"
  path.write_bytes(b"ice steam" * 1000)
  want = xxhash.xxh3_128(b"ice steam" * 1000).hexdigest()
  assert Fingerprints().of(path) == want


def test_a_file_is_read_once_even_by_the_next_run(
  tmp_path, count_reads, settled
):
  path, cache = tmp_path / "a", tmp_path / "hashes.json"
  path.write_text("one")
  found = {Fingerprints(cache).of(path) for _ in range(3)}
  assert len(found) == 1 and count_reads == ["a"]


def test_a_file_of_the_same_size_and_time_is_told_from_the_old(
  tmp_path, settled
):
  path, cache = tmp_path / "a", tmp_path / "hashes.json"
  path.write_text("one")
  stat = path.stat()
  before = Fingerprints(cache).of(path)
  other = tmp_path / "b"
  other.write_text("two")
  os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
  os.replace(other, path)
  assert path.stat().st_mtime_ns == stat.st_mtime_ns
  assert Fingerprints(cache).of(path) != before


def test_a_young_file_is_read_again(tmp_path, count_reads):
  """Two writes within one tick of the clock leave the same time."""
  path = tmp_path / "a"
  path.write_text("one")
  known = Fingerprints(tmp_path / "hashes.json")
  known.of(path)
  known.of(path)
  assert count_reads == ["a", "a"]


def test_a_folder_is_its_files(tmp_path):
  folder = tmp_path / "counts"
  folder.mkdir()
  (folder / "row.npy").write_text("123")
  seen = [Fingerprints().of(folder)]
  (folder / "row.npy").write_text("124")
  seen.append(Fingerprints().of(folder))
  (folder / "row.npy").rename(folder / "col.npy")
  seen.append(Fingerprints().of(folder))
  (folder / "manifest.json").write_text("{}")
  seen.append(Fingerprints().of(folder))
  (folder / "col.npy").write_text("12")
  seen.append(Fingerprints().of(folder))
  assert len(set(seen)) == 5


def test_a_damaged_memory_only_costs_time(tmp_path):
  path, cache = tmp_path / "a", tmp_path / "hashes.json"
  path.write_text("one")
  for damage in ("{", "[1]", "3"):
    cache.write_text(damage)
    assert Fingerprints(cache).of(path) == fingerprints.hash_file(path)
