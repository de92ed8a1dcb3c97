"""The examples in docstrings run, and so do the programs in the documents."""

import doctest
import importlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from house_test import MODULES, PACKAGE

from glove_jax.text import datasets

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


def readme_program():
  (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
  return program


def test_ten_tasks_take_at_most_twenty_lines():
  lines = [line for line in readme_program().splitlines() if line.strip()]
  assert sum(line[0] != "#" for line in lines) <= 20
  assert sum(line[0] == "#" for line in lines) >= 8


def test_the_program_in_the_readme_on_a_small_text(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  words = ["king", "queen", "man", "woman", *(f"w{i}" for i in range(30))]
  lines = [" ".join(rng.choice(words, 12)) for _ in range(60)]
  pathlib.Path("wiki.txt").write_text("\n".join(lines))
  values = {}
  cheap = ", dim=50, engine='dense', bias_init='random', epochs=1"
  exec(readme_program().replace(", dim=50", cheap), values)
  assert values["vectors"].vectors.shape == (34, 50)
  assert values["items"].vectors.shape == (34, 20)
  assert len(values["frame"]) == 2 and (values["frame"]["cost"] > 0).all()
  assert set(values["scores"]) == {"google", "wordsim353", "simlex999"}


@pytest.mark.slow
def test_the_program_in_the_readme(tmp_path):
  text = datasets.load_corpus("enwiki_sample")
  (tmp_path / "wiki.txt").symlink_to(text)
  done = subprocess.run(
    [sys.executable, "-c", readme_program()],
    capture_output=True,
    text=True,
    check=True,
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(README.parent)},
  )
  assert done.stdout.startswith("[") and "king" not in done.stdout
