"""Arrays outside of the heap."""

import numpy as np
import pytest

from glove_jax import memory


def test_lazy_zeros_have_any_shape():
  array = memory.lazy_zeros((2, 3), np.uint16)
  array[1, 2] = 7
  assert array.tolist() == [[0, 0, 0], [0, 0, 7]]
  assert memory.lazy_zeros(0, np.float32).shape == (0,)


def test_a_scratch_array_keeps_its_values_and_leaves_no_file(tmp_path):
  array = memory.scratch(10_000, np.int32, tmp_path / "new")
  array[:] = np.arange(10_000)
  memory.release(array, array[5000:])
  assert array[9_999] == 9_999 and array[0] == 0
  assert not list((tmp_path / "new").iterdir())


def test_a_scratch_array_that_the_disk_cannot_hold_is_an_error(tmp_path):
  with pytest.raises(OSError):
    memory.scratch(1 << 58, np.uint8, tmp_path)
