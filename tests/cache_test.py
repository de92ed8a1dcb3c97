"""Where the cache is."""

import os

import pytest

from glove_jax.cache import cache_folder, make_writable


@pytest.mark.parametrize(
  ("named", "folder"),
  [
    (None, "/home/me/.cache/glove_jax"),
    ("", "/home/me/.cache/glove_jax"),
    ("~/there", "/home/me/there"),
    ("/there", "/there"),
  ],
)
def test_the_cache_is_in_the_home_folder_or_where_the_user_says(
  named, folder, monkeypatch
):
  monkeypatch.setenv("HOME", "/home/me")
  monkeypatch.delenv("GLOVE_JAX_CACHE", raising=False)
  if named is not None:
    monkeypatch.setenv("GLOVE_JAX_CACHE", named)
  assert cache_folder() == folder


def test_without_a_home_the_cache_must_be_named(monkeypatch):
  """A user of a container may have no home; "~" is then not replaced."""
  monkeypatch.setattr(os.path, "expanduser", lambda path: path)
  monkeypatch.delenv("GLOVE_JAX_CACHE", raising=False)
  with pytest.raises(FileNotFoundError, match="set GLOVE_JAX_CACHE"):
    cache_folder()


def test_a_cache_that_cannot_be_written_names_its_variable(tmp_path):
  make_writable(tmp_path / "new/folder")
  assert not list((tmp_path / "new/folder").iterdir())
  (tmp_path / "file").touch()
  with pytest.raises(OSError, match=r"Not a dir.*/file/a'.*GLOVE_JAX_CACHE"):
    make_writable(tmp_path / "file/a")
