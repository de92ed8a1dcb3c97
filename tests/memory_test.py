"""Memory of arrays and files, and what is said when it is full."""

import mmap
import os

import numpy as np
import pytest

from glove_jax import memory


def test_lazy_zeros_have_any_shape():
  array = memory.lazy_zeros((2, 3), np.uint16)
  array[1, 2] = 7
  assert array.tolist() == [[0, 0, 0], [0, 0, 7]]
  assert memory.lazy_zeros(0, np.float32).shape == (0,)


def test_whole_zeros_start_where_jax_reads_them():
  array = memory.whole_zeros((3, 5, 7), np.uint16)
  assert array.shape == (3, 5, 7) and not array.any()
  assert array.ctypes.data % 64 == 0


def test_release_takes_back_the_pages_of_whole_zeros_alone():
  whole, lazy, usual = (
    zeros((2, 4096), np.uint16)
    for zeros in (memory.whole_zeros, memory.lazy_zeros, np.zeros)
  )
  for array in (whole, lazy, usual):
    array[:] = 7
    memory.release(array[1:, None])  # a view of a page of 4 KB or more
  assert (lazy == 7).all() and (usual == 7).all()
  assert not whole[1].any()


def test_release_of_a_slice_leaves_its_neighbours():
  size = mmap.PAGESIZE
  array = memory.whole_zeros(5 * size // 2, np.uint8)
  array[:] = 7
  memory.release(array[9:100], array[::2], array[size + 1 : 2 * size])
  assert (array == 7).all()
  memory.release(array[1 : 2 * size + 1])
  assert np.flatnonzero(array == 0).tolist() == [*range(size, 2 * size)]
  memory.release(array[2 * size :])  # the last page is not full
  assert not array[size:].any() and array[:size].all()


def test_any_c_library_and_system_will_do(monkeypatch):
  memory.trim()
  monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
  memory.trim()
  memory.keep_less()


def test_a_scratch_array_keeps_its_values_and_leaves_no_file(tmp_path):
  array = memory.scratch(10_000, np.int32, tmp_path / "new")
  array[:] = np.arange(10_000)
  memory.release(array, array[5000:])
  assert array[9_999] == 9_999 and array[0] == 0
  assert not list((tmp_path / "new").iterdir())


def test_a_scratch_array_that_the_disk_cannot_hold_is_an_error(tmp_path):
  with pytest.raises(OSError):
    memory.scratch(1 << 58, np.uint8, tmp_path)


def test_large_writes_go_in_small_pieces(tmp_path, monkeypatch):
  monkeypatch.setattr(memory, "_PIECE", 100)
  path, array = tmp_path / "a", np.arange(9000).reshape(9, 1000)
  with memory.open_to_write(path) as file:
    assert file.raw.write(b"a" * 250) == 100  # its buffer writes the rest
    file.write(b"bc")
    file.write(array)
  assert path.read_bytes() == b"a" * 100 + b"bc" + array.tobytes()
  with memory.open_to_write(os.open(path, os.O_WRONLY)) as file:
    file.write(b"de")  # over what is there
  assert path.read_bytes()[:103] == b"de" + b"a" * 98 + b"bc\0"


def test_arrays_are_written_as_numpy_writes_them(tmp_path):
  arrays = {
    "a": np.arange(6.0).reshape(2, 3),
    "words": np.array(["é", "word"]),
    "none": np.zeros((0, 4), np.float32),
    "1:0-2,0-3": np.float32(7),
  }
  with memory.open_to_write(tmp_path / "ours") as file:
    memory.write_arrays(file, arrays | {"columns": np.eye(3, 4).T})
  with np.load(tmp_path / "ours") as read:
    assert list(read) == [*arrays, "columns"]
    assert (read["columns"] == np.eye(4, 3)).all()
    for name, array in arrays.items():
      assert read[name].dtype == np.asarray(array).dtype
      np.testing.assert_array_equal(read[name], array)
  for name, write in (("ours", memory.write_arrays), ("theirs", savez)):
    with open(tmp_path / name, "wb") as file:
      write(file, arrays)
  assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def savez(file, arrays):
  np.savez(file, **arrays)


def test_what_is_not_in_the_file_is_kept(tmp_path):
  """Changes of a copy, and of an array that is mapped to be changed."""
  np.save(tmp_path / "a.npy", np.arange(10_000))
  copied = np.load(tmp_path / "a.npy", mmap_mode="r").astype(np.int32)
  changed = np.load(tmp_path / "a.npy", mmap_mode="c")
  for array in (copied, changed):
    array *= 2
    memory.release(array, array[5000:])
    assert array[9_999] == 19_998


def test_the_sentence_has_one_line_and_is_not_repeated():
  jax_error = RuntimeError("RESOURCE_EXHAUSTED: Out of memory\n  allocating 9")
  error = memory.too_little(jax_error)
  assert str(error) == (
    "There is too little memory for these settings: lower dim, max_vocab or "
    "batch_size (RESOURCE_EXHAUSTED: Out of memory allocating 9)."
  )
  assert memory.too_little(error, lower="--dim") is error
  python = memory.too_little(MemoryError("no room"), lower="--dim")
  assert str(python).endswith("settings: lower --dim (no room).")
