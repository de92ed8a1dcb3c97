"""Where compiled programs are kept."""

import jax
import pytest

from glove_jax.training import compilation

FOLDER = "jax_compilation_cache_dir"


@pytest.fixture
def configured(monkeypatch):
  """What is set, instead of setting it."""
  made = {}
  monkeypatch.setattr(jax.config, "update", made.__setitem__)
  monkeypatch.setattr(compilation.compilation_cache, "reset_cache", lambda: 0)
  monkeypatch.setattr(type(jax.config), FOLDER, None)
  return made


def test_an_accelerators_programs_are_kept_in_the_cache(
  configured, monkeypatch, tmp_path
):
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path))
  compilation.keep_programs()
  assert configured[FOLDER] == str(tmp_path / "jax")
  assert configured["jax_persistent_cache_min_compile_time_secs"] == 0


@pytest.mark.parametrize(("backend", "folder"), [("cpu", None), ("gpu", "/a")])
def test_nothing_is_kept_for_a_cpu_or_against_a_setting(
  configured, monkeypatch, backend, folder
):
  monkeypatch.setattr(jax, "default_backend", lambda: backend)
  monkeypatch.setattr(type(jax.config), FOLDER, folder)
  compilation.keep_programs()
  assert not configured
