"""Where compiled programs are kept."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from glove_jax.cache import kind_of_cpu
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training import compilation, loop

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


def test_programs_read_longest_ago_are_removed(
  configured, monkeypatch, tmp_path
):
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path))
  monkeypatch.setattr(compilation, "_KEPT_BYTES", 25)
  (tmp_path / "jax/folder").mkdir(parents=True)
  for name, read in (("old", 1), ("new", 3), ("newer", 4), ("older", 2)):
    path = tmp_path / "jax" / name
    path.write_bytes(bytes(10))
    os.utime(path, (read, 5 - read))
  compilation.keep_programs()
  names = {path.name for path in (tmp_path / "jax").iterdir()}
  assert names == {"new", "newer", "folder"} and configured


def test_each_kind_of_cpu_has_programs_of_its_own(
  configured, monkeypatch, tmp_path
):
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path))
  found = []
  for kind in ("one", "two", ""):
    monkeypatch.setattr(compilation, "kind_of_cpu", lambda kind=kind: kind)
    compilation.keep_programs()
    found.append(configured.pop(FOLDER, None))
  assert found == [str(tmp_path / "jax-one"), str(tmp_path / "jax-two"), None]


@pytest.mark.skipif(not kind_of_cpu(), reason="keeps none for this CPU")
def test_damaged_programs_are_compiled_again_without_a_word(tmp_path):
  """In a process of its own, since JAX settles on its cache."""
  code = (
    "import jax, warnings; warnings.simplefilter('error')\n"
    "from glove_jax.training.compilation import keep_programs\n"
    "keep_programs(); print(jax.jit(lambda x: x + 1)(1.0))"
  )
  environment = {k: v for k, v in os.environ.items() if "JAX" not in k}
  environment["GLOVE_JAX_CACHE"] = str(tmp_path)
  for _ in range(2):
    done = subprocess.run(
      [sys.executable, "-c", code],
      env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("2.0\n", "")
    programs = [path for path in tmp_path.glob("jax-*/*") if path.is_file()]
    assert programs
    for path in programs:
      path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_nothing_is_kept_against_a_setting(configured, monkeypatch, backend):
  monkeypatch.setattr(jax, "default_backend", lambda: backend)
  monkeypatch.setattr(type(jax.config), FOLDER, "/a")
  compilation.keep_programs()
  assert not configured


@pytest.mark.parametrize("home", ["~", "file"])
def test_nothing_is_kept_where_nothing_can_be_written(
  configured, monkeypatch, tmp_path, home
):
  """A user of a container may have no home; "~" is then not replaced."""
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  monkeypatch.setattr(os.path, "expanduser", lambda path: path)
  monkeypatch.chdir(tmp_path)
  (tmp_path / "file").touch()
  monkeypatch.setenv("GLOVE_JAX_CACHE", f"{home}/cache")
  compilation.keep_programs()
  assert not configured
  assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
  ("named", "said", "sentence"),
  [
    ("cuda", "", "with JAX_PLATFORMS=cuda: correct or unset it."),
    (None, "No\nGPU.", "on: check how JAX is installed (No GPU.)."),
  ],
)
def test_a_missing_device_is_a_sentence(monkeypatch, named, said, sentence):
  def fail(_):
    raise AssertionError(*said and [said])

  assert compilation.why_no_device() == ""
  for name in compilation._DEVICE_VARIABLES:
    monkeypatch.delenv(name, raising=False)
  if named:
    monkeypatch.setenv("JAX_PLATFORMS", named)
  monkeypatch.setattr(jax, "device_put", fail)
  assert compilation.why_no_device().endswith(sentence)


def test_settings_and_counts_are_checked_before_the_device_has_started(
  monkeypatch,
):
  class Reached(Exception):
    pass

  def fail(*_):
    raise Reached

  def wait():
    raise AssertionError("It waits for the device.")

  for name in ("devices", "local_devices", "device_count", "process_count"):
    monkeypatch.setattr(jax, name, wait)
  monkeypatch.setattr(loop, "wake_device", lambda: None)
  monkeypatch.setattr(loop, "check_memory", fail)  # which needs the device
  ids = np.arange(3, dtype=np.int32)
  with pytest.raises(Reached):
    loop.train(Triplets(ids, ids, np.ones(3), 3), TrainConfig())


def test_xla_knows_the_options_for_a_gpu(monkeypatch):
  assert compilation.options() is None
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  square = jax.jit(lambda a: a @ a, compiler_options=compilation.options())
  np.testing.assert_array_equal(square(np.eye(2)), np.eye(2))
