"""Fixtures that several test files share."""

import lzma
import os
import pathlib
import shutil
import tempfile

import hypothesis
import pytest

# In CI the same examples every time; elsewhere new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
  hypothesis.settings.load_profile("ci")

# Equal programs compile once for all tests, in all processes of the tests.
if "PYTEST_XDIST_WORKER" not in os.environ:
  os.environ |= {
    "JAX_COMPILATION_CACHE_DIR": tempfile.mkdtemp(prefix="compiled-"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
  }


def pytest_unconfigure(config):
  if "PYTEST_XDIST_WORKER" not in os.environ:
    shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def save_every_state():
  """However slow the disk is, tests find the checkpoints they expect."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr("glove_jax.training.checkpoint._QUICK", float("inf"))
    yield


DATA = pathlib.Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def parity(tmp_path_factory) -> pathlib.Path:
  """A folder with what Stanford's programs computed: tests/data/parity."""
  folder = tmp_path_factory.mktemp("parity")
  for packed in sorted((DATA / "parity").glob("*.xz")):
    (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
  return folder
