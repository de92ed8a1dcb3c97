"""States come back as they were, whole or not at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import model
from glove_jax.training import checkpoint, engine, optimizers


def make_state(dtype=jnp.float32, dim=3, seed=0):
  params = model.init_params(jax.random.key(seed), 5, dim, dtype)
  return engine.init_state(params, optimizers.make_optimizer("adam"))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_round_trip(tmp_path, dtype):
  state = make_state(dtype)
  checkpoint.save(tmp_path, 3, state)
  back = checkpoint.restore(tmp_path, 3, jax.eval_shape(lambda: state))
  assert jax.tree.structure(back) == jax.tree.structure(state)
  for got, want in zip(
    jax.tree.leaves(back), jax.tree.leaves(state), strict=True
  ):
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got[...], want)


def test_no_more_is_read_than_is_asked_for(tmp_path):
  table = jnp.arange(20.0).reshape(5, 4)
  checkpoint.save(tmp_path, 1, {"a": table, "b": jnp.ones(())})
  saved = checkpoint.restore(tmp_path, 1, {"a": table, "b": jnp.ones(())})
  part = saved["a"][slice(1, 3), slice(None, 2)]
  np.testing.assert_array_equal(part, [[4, 5], [8, 9]])
  assert saved["b"][()] == 1


def test_the_last_two_are_kept(tmp_path):
  for epoch in (1, 2, 3, 4):
    checkpoint.save(tmp_path, epoch, make_state())
  assert checkpoint.epochs(tmp_path) == [3, 4]
  assert len(list(tmp_path.iterdir())) == 2


def test_halves_of_later_epochs_are_dropped(tmp_path):
  names = ["epoch_000002.npz", "epoch_000003.0-of-2.npz"]
  names += ["epoch_000004.0-of-2.npz", "epoch_000004.1-of-2.npz"]
  names += ["epoch_000005.0-of-2.npz", "epoch_000005.1-of-3.npz"]
  for name in names:
    (tmp_path / name).touch()
  assert checkpoint.epochs(tmp_path) == [2, 4]
  checkpoint.drop_incomplete(tmp_path, 4)
  names.remove("epoch_000005.0-of-2.npz")  # another process has the other
  assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_equal_states_give_equal_bytes(tmp_path):
  for name in ("a", "b"):
    checkpoint.save(tmp_path / name, 1, make_state())
  a, b = ((tmp_path / n / "epoch_000001.npz").read_bytes() for n in "ab")
  assert a == b


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
  checkpoint.save(tmp_path, 1, make_state())
  before = (tmp_path / "epoch_000001.npz").read_bytes()

  def full_disk(file, **arrays):
    file.write(b"half")
    raise OSError("No space left on device")

  monkeypatch.setattr(np, "savez", full_disk)
  with pytest.raises(OSError, match="No space left"):
    checkpoint.save(tmp_path, 1, make_state(seed=1))
  assert (tmp_path / "epoch_000001.npz").read_bytes() == before
  assert len(list(tmp_path.iterdir())) == 1


def test_another_shape_is_refused(tmp_path):
  checkpoint.save(tmp_path, 1, make_state())
  with pytest.raises(ValueError, match="other shapes"):
    checkpoint.restore(tmp_path, 1, make_state(dim=4))


def test_a_damaged_file_is_named(tmp_path):
  (tmp_path / "epoch_000001.npz").write_bytes(b"half a file")
  with pytest.raises(ValueError, match="epoch_000001"):
    checkpoint.restore(tmp_path, 1, make_state())
