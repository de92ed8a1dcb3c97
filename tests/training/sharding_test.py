"""What needs no devices, and the tests of eight in a process of their own."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import collectives
from glove_jax import config
from glove_jax.training import batches, engine, sharding


def test_on_eight_devices():
  """Runs on_eight/ in one process: jax settles on its devices as it starts."""
  flags = "--xla_force_host_platform_device_count=8"
  done = subprocess.run(
    [
      sys.executable,
      "-m",
      "pytest",
      "-q",
      "-n0",
      "tests/training/on_eight",
    ],
    cwd=pathlib.Path(__file__).parents[2],
    env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_one_device_has_no_mesh():
  assert sharding.make_placement(config.TrainConfig(mesh=1)).mesh is None


@pytest.mark.parametrize(
  "changes, message",
  [({"mesh": 99}, "mesh=99 asks for more devices"),
   ({"placement": "dim"}, "engine=rows or dense, not blocked"),
   ({"placement": "blocks", "engine": "rows"}, "engine=blocked, not rows")],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    sharding.make_placement(config.make_config(**changes).train)


def test_communication_is_found_in_a_program():
  text = """
  %a = f32[64]{0} all-reduce(%x), replica_groups={{0,1}}, to_apply=%add
  %b = (f32[4,8]{1,0}, bf16[]) all-gather-start(%y), dimensions={0}
  %c = f32[4,8]{1,0} all-gather-done(%b)
  %all-reduce.1 = f32[2]{0} add(%p, %q)
  """
  found = collectives.transfers(text)
  assert found == [
    ("all-reduce", ["f32[64]"]),
    ("all-gather", ["f32[4,8]", "bf16[]"]),
  ]
  assert [transfer.num_bytes for transfer in found] == [256, 130]


def test_batches_are_filled_up_with_words_of_their_own():
  class Mesh:
    size = 4

  position = np.array([[7, 8, 9], [4, 5, 6]])
  picks = batches.Picks(position, np.ones((2, 3), bool))
  padded = sharding.pad_batches(engine.Placement("batch", Mesh()), picks)
  np.testing.assert_array_equal(padded.position, [[7, 8, 9, 9], [4, 5, 6, 6]])
  np.testing.assert_array_equal(padded.mask, [[1, 1, 1, 0]] * 2)
