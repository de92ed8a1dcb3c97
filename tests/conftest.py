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

# Equal programs compile once for all tests, also in the processes they start.
_COMPILED = tempfile.mkdtemp(prefix="compiled-")
os.environ |= {
  "JAX_COMPILATION_CACHE_DIR": _COMPILED,
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
  "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}


def pytest_unconfigure(config):
  shutil.rmtree(_COMPILED, ignore_errors=True)


DATA = pathlib.Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def parity(tmp_path_factory) -> pathlib.Path:
  """A folder with what Stanford's programs computed: tests/data/parity."""
  folder = tmp_path_factory.mktemp("parity")
  for packed in sorted((DATA / "parity").glob("*.xz")):
    (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
  return folder
