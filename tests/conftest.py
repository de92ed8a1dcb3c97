"""Fixtures that several test files share."""

import lzma
import os
import pathlib

import hypothesis
import pytest

# In CI the same examples every time; elsewhere new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
  hypothesis.settings.load_profile("ci")

DATA = pathlib.Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def parity(tmp_path_factory) -> pathlib.Path:
  """A folder with what Stanford's programs computed: tests/data/parity."""
  folder = tmp_path_factory.mktemp("parity")
  for packed in sorted((DATA / "parity").glob("*.xz")):
    (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
  return folder
