"""The examples in docstrings run, and so does the program in the README."""

import doctest
import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest
from house_test import MODULES, PACKAGE

README = pathlib.Path(__file__).parent.parent / "README.md"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def count_examples(name):
  path = PACKAGE / (name.replace(".", "/") + ".py")
  return path.read_text().count(">>> ")


@pytest.mark.parametrize("name", [m for m in MODULES if count_examples(m)])
def test_examples_in_docstrings(name):
  module = importlib.import_module(f"glove_jax.{name}")
  failed, run = doctest.testmod(module, optionflags=OPTIONS)
  assert not failed and run == count_examples(name)


@pytest.mark.slow
def test_the_program_in_the_readme(tmp_path):
  (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
  done = subprocess.run(
    [sys.executable, "-c", program],
    capture_output=True,
    text=True,
    check=True,
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(README.parent)},
  )
  assert done.stdout.startswith("[") and "king" not in done.stdout
