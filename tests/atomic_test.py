"""Files that are written whole: what errors say."""

import os

import pytest

from glove_jax import atomic


def test_an_error_names_the_file_and_not_its_hidden_part(tmp_path):
  (tmp_path / "file").touch()
  for path in (tmp_path, tmp_path / "none/x", tmp_path / "file/x"):
    with pytest.raises(OSError) as caught:
      atomic.write_text(path, "text")
    assert str(caught.value).endswith(f": {str(path)!r}")
  with (
    pytest.raises(FileNotFoundError) as caught,
    atomic.write_folder(tmp_path / "none/x"),
  ):
    pass
  assert str(caught.value).endswith(f": {str(tmp_path / 'none/x')!r}")
  assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_of_another_file_stays_as_it_is(tmp_path):
  with (
    pytest.raises(FileNotFoundError, match="other"),
    atomic.write_whole(tmp_path / "a"),
  ):
    (tmp_path / "other").read_bytes()
  assert not list(tmp_path.iterdir())


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
  os.mkfifo(tmp_path / "pipe")
  with pytest.raises(ValueError, match="/pipe is a pipe or a device: name a f"):
    atomic.write_text(tmp_path / "pipe", "text")
