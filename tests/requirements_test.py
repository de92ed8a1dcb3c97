"""The lock file: versions within our ranges, each with hashes."""

import pathlib
import re

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")


def requirements(name):
  """The requirements of a file and of those that it includes, by package."""
  found = []
  for line in (ROOT / name).read_text().splitlines():
    line = line.partition("#")[0].strip()
    if line.startswith("-r"):
      found += requirements(line.removeprefix("-r").strip())
    elif line:
      found.append(Requirement(line))
  return found


def locked():
  """(the pinned requirement, its hashes) of each entry of the lock file."""
  text = (ROOT / "requirements-lock.txt").read_text()
  entries = re.split(r"\n(?=\w)", re.sub(r"^ *#.*\n", "", text, flags=re.M))
  for entry in entries:
    pin, *hashes = re.split(r"\s*\\\n\s*", entry.strip())
    yield Requirement(pin), hashes


def name_of(requirement):
  return re.sub(r"[-_.]+", "-", requirement.name).lower()


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_file_fits_the_ranges(python):
  system = {"python_version": python, "python_full_version": f"{python}.1"}
  pins = {
    name_of(pin): str(pin.specifier).removeprefix("==")
    for pin, _ in locked()
    if pin.marker is None or pin.marker.evaluate(system)
  }
  for wanted in requirements("requirements-dev.txt"):
    assert name_of(wanted) in pins, f"{wanted}: run .ci/lock"
    version = pins[name_of(wanted)]
    assert wanted.specifier.contains(version), f"{wanted}: run .ci/lock"


def test_every_entry_is_one_version_with_hashes():
  for pin, hashes in locked():
    assert re.fullmatch(r"==[\w.+!]+", str(pin.specifier)), pin
    assert hashes, pin
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes)


def test_ci_installs_from_the_lock_file_alone():
  text = (ROOT / ".ci" / "run").read_text()
  installs = re.findall(r"^pip install .*$", text, re.M)
  assert installs == [
    "pip install --quiet --require-hashes -r requirements-lock.txt"
  ]
