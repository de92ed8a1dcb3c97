"""States come back as they were, whole or not at all."""

import errno

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glove_jax import memory, model
from glove_jax.training import checkpoint, engine, optimizers


def make_state(dtype=jnp.float32, dim=3, seed=0):
  params = model.init_params(jax.random.key(seed), 5, dim, dtype)
  opt_state = optimizers.make_optimizer("adam").init(params)
  return engine.TrainState(params, opt_state)


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


def test_states_are_saved_in_a_tenth_of_the_time(tmp_path, monkeypatch):
  clock = iter([0.0, 2.0, 19.0, 21.0, 22.0, 22.5, 23.5])
  monkeypatch.setattr(checkpoint, "_QUICK", 0.1)
  monkeypatch.setattr(checkpoint.time, "monotonic", lambda: next(clock))
  saver, state = checkpoint.Saver(tmp_path), make_state()
  saver.offer(1, state, must=False)  # from 0 to 2
  saver.offer(2, state, must=False)  # at 19
  assert checkpoint.epochs(tmp_path) == [1]
  saver.offer(3, state, must=False)  # from 21 to 22
  assert checkpoint.epochs(tmp_path) == [1, 3]
  saver.offer(4, state, must=True)  # from 22.5 to 23.5
  assert checkpoint.epochs(tmp_path) == [3, 4]


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

  def full_disk(file, arrays):
    file.write(b"half")
    raise OSError("No space left on device")

  monkeypatch.setattr(memory, "write_arrays", full_disk)
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


def _flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def _without_an_array(path):
  with np.load(path) as file:
    arrays = dict(file)
  arrays.popitem()
  first = next(iter(arrays))
  np.savez(path, **{key: arrays[key] for key in arrays if key != first})


def _other_shape(path):
  with np.load(path) as file:
    np.savez(path, **{key: array[None] for key, array in file.items()})


DAMAGE = {
  "truncated": lambda path: path.write_bytes(path.read_bytes()[:-99]),
  "half": lambda path: path.write_bytes(path.read_bytes()[:700]),
  "empty": lambda path: path.write_bytes(b""),
  "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
  "flipped": _flip,
  "text": lambda path: path.write_text("no zip"),
  "array": lambda path: np.save(path.open("wb"), np.zeros(3)),
  "others": lambda path: np.savez(path, weights=np.zeros(3)),
  "objects": lambda path: np.savez(path, **{"0:0-1": np.array([{}])}),
  "incomplete": _without_an_array,
  "shape": _other_shape,
  "nothing": lambda path: np.savez(path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_falls_back_to_the_checkpoint_before(tmp_path, damage):
  said = []
  for epoch in (6, 7):
    checkpoint.save(tmp_path, epoch, make_state(seed=epoch))
  assert checkpoint.find_last(tmp_path, 9, said.append) == 7 and not said
  assert checkpoint.find_last(tmp_path, 6, said.append) == 6 and not said
  DAMAGE[damage](tmp_path / "epoch_000007.npz")
  assert checkpoint.find_last(tmp_path, 9, said.append) == 6
  assert said == [
    f"The checkpoint of pass 7 in {tmp_path} was damaged and is removed: "
    "training resumes from pass 6."
  ]
  assert checkpoint.epochs(tmp_path) == [6]
  DAMAGE[damage](tmp_path / "epoch_000006.npz")
  assert checkpoint.find_last(tmp_path, 9, said.append) == 0
  assert said[1].endswith("is removed: training starts anew.")
  assert not list(tmp_path.iterdir())


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
  state = {"a": jnp.arange(4.0), "b": jnp.ones(())}
  checkpoint.save(tmp_path, 1, state)
  path = tmp_path / "epoch_000001.npz"
  whole = path.read_bytes()
  noticed = 0
  for i in range(len(whole)):
    path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x81]) + whole[i + 1 :])
    try:
      checkpoint.check(tmp_path, 1)
    except ValueError as error:
      noticed += 1
      assert str(path) in str(error)
      continue
    back = checkpoint.restore(tmp_path, 1, state)
    np.testing.assert_array_equal(back["a"][...], state["a"])
    assert back["b"][()] == 1
  assert noticed > 0.6 * len(whole)


@pytest.mark.parametrize("error", [
  PermissionError("Permission denied"),
  OSError(errno.EMFILE, "Too many open files"),
])  # fmt: skip
def test_a_file_that_cannot_be_opened_is_not_damaged(
  tmp_path, monkeypatch, error
):
  checkpoint.save(tmp_path, 1, make_state())

  def refuse(*args, **kwargs):
    raise error

  monkeypatch.setattr(checkpoint.zipfile, "ZipFile", refuse)
  with pytest.raises(OSError, match=error.args[-1]):
    checkpoint.find_last(tmp_path, 1, print)
  assert (tmp_path / "epoch_000001.npz").exists()


def test_processes_agree_on_the_checkpoint(tmp_path, monkeypatch):
  """This process has a good share; the other says that its share is bad."""
  for epoch in (1, 2):
    checkpoint.save(tmp_path, epoch, make_state())
  answers = iter([[2, 2], [True, False], [1, 1], [True, True]])
  monkeypatch.setattr(
    checkpoint.multihost, "gather", lambda _: np.array(next(answers))
  )
  assert checkpoint.find_last(tmp_path, 5, print) == 1
  assert checkpoint.epochs(tmp_path) == [1]
