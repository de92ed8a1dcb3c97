"""Fixtures that several test files share."""

import gzip
import lzma
import os
import pathlib
import shutil

import hypothesis
import pytest
from spaced_text import make_text

from glove_jax.cache import kind_of_cpu

# In CI the same examples every time; elsewhere new ones.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
  hypothesis.settings.load_profile("ci")

# These take longest, so they start first: then no CPU waits for one at the end.
LONGEST = (
  "sharding_test.py", "multihost_test.py", "notebooks_test.py", "run_test.py",
  "doctest_test.py", "sweeps_test.py", "engine_test.py", "layout_test.py",
)  # fmt: skip
KEPT_BYTES = 1 << 29  # of programs; all tests have a tenth of it


# Equal programs compile once, in all processes and later runs of the tests.
# `pytest --cache-clear` forgets them.
if "PYTEST_XDIST_WORKER" not in os.environ:
  kept = pathlib.Path(__file__).parents[1] / ".pytest_cache/d"
  programs = kept / f"programs-{kind_of_cpu()}"
  if sum(path.stat().st_size for path in programs.glob("*")) > KEPT_BYTES:
    shutil.rmtree(programs)
  os.environ |= {
    "JAX_COMPILATION_CACHE_DIR": str(programs),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
  }


def pytest_collection_modifyitems(items):
  rank = {name: number for number, name in enumerate(LONGEST)}
  items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True, scope="session")
def save_every_state():
  """However slow the disk is, tests find the checkpoints they expect."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr("glove_jax.training.checkpoint._QUICK", float("inf"))
    yield


@pytest.fixture(autouse=True, scope="session")
def write_without_waiting():
  """No file of a test needs to outlive a crash of the machine."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(os, "fsync", lambda file: None)
    patch.setattr("glove_jax.counts.column_files._sync", lambda file: None)
    yield


DATA = pathlib.Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def parity(tmp_path_factory) -> pathlib.Path:
  """A folder with what Stanford's programs computed: tests/data/parity."""
  folder = tmp_path_factory.mktemp("parity")
  for packed in sorted((DATA / "parity").glob("*.xz")):
    (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
  return folder


@pytest.fixture
def small_sections(monkeypatch):
  """Sizes at which a small text has many blocks and sections."""
  monkeypatch.setattr("glove_jax.text.reading.BLOCK_BYTES", 100)
  monkeypatch.setattr("glove_jax.text.sections.SECTION_BYTES", 1700)


@pytest.fixture
def paths(tmp_path):
  """A text, a compressed one, one on a single line, an empty one, a short."""
  (tmp_path / "a.txt").write_text(make_text(0))
  with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
    file.write(make_text(1))
  (tmp_path / "c.txt").write_text(make_text(2, spaces=" "))
  (tmp_path / "d.txt").write_text("")
  (tmp_path / "e.txt").write_text("é1 é2\n")
  return [str(path) for path in sorted(tmp_path.glob("?.txt*"))]
