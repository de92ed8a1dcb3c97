"""Commands: which flags each uses, and what they are asked."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from run_py import run, sentence

import experiments
from glove_jax import commands
from glove_jax.vectors import formats, queries
from glove_jax.vectors.word_vectors import WordVectors

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def file(tmp_path):
  """A file of four vectors."""
  path = tmp_path / "v.txt"
  table = np.array([[1.0, 0], [1, 1], [0, 1], [1, 2]])
  words = ["king", "queen", "new york", "man\x1b[2J"]
  formats.write_vectors(WordVectors(words, table), path)
  return path


def test_questions_of_neighbors():
  vectors = WordVectors(["new york", "-"], np.eye(2))

  def ask(*arguments):
    return queries.questions(list(arguments), vectors)

  assert ask("a", "b") == [("a", ["a"], []), ("b", ["b"], [])]
  expected = [("a - b + c", ["a", "c"], ["b"])]
  assert ask("a", "-", "b", "+", "c") == ask("a - b + c") == expected
  assert ask("a b") == [("a b", ["a", "b"], [])]
  assert ask("new york") == [("new york", ["new york"], [])]
  assert ask("-") == [("-", ["-"], [])]
  for arguments in (["a", "-"], ["a -"]):
    with pytest.raises(ValueError, match="'a -' has no word after its last"):
      ask(*arguments)


def test_counting_loads_only_what_it_needs(tmp_path):
  text = tmp_path / "text.txt"
  text.write_text("to be or not to be\n" * 9)
  code = """
import sys
from glove_jax import commands
commands.main()
print(*sys.modules)
import scipy.linalg.cython_blas  # which was held back only for a moment
"""
  done = subprocess.run(
    [sys.executable, "-c", code, "count", f"--corpus={text}",
     f"--workdir={tmp_path / 'run'}"],
    capture_output=True, text=True, check=True, cwd=ROOT,
  )  # fmt: skip
  loaded = set(done.stdout.splitlines()[-1].split())
  heavy = {"jax", "scipy.linalg", "pandas", "gensim", "glove_jax.vectors"}
  assert "numba.np.arraymath" in loaded and not heavy & loaded


@pytest.mark.parametrize(
  "arguments, flag",
  [
    (["neighbors", "king", "--dim=7"], "--dim"),
    (["similarity", "king", "queen", "--k=3"], "--k"),
    (["convert", "a", "b", "--workdir=c"], "--workdir"),
    (["count", "--epochs=3"], "--epochs"),
    (["--seeds=3"], "--seeds is for sweeps"),
    (["--trials=3", "--sweep=dim=1,2"], "--trials is for searches"),
    (["export", "--output=v.npz", "--input=v", "--seed=3"], "--seed"),
    (["convert", "a", "b", "--max_vocab=-3"], "--max_vocab must be at least 0"),
  ],
)
def test_a_flag_without_effect_is_an_error(arguments, flag):
  sentence(run(*arguments), flag)


def test_files_are_asked_and_converted(file, tmp_path):
  flag = f"--input={file}"
  done = run("similarity", flag, "king", "queen")
  assert done.stdout == " 0.707  king queen\n"
  done = run("neighbors", flag, "king + new york", "--k=1")
  assert done.returncode == 1  # "new" and "york" are no words
  done = run("neighbors", flag, "king", "+", "new york", "--k=1")
  assert done.stdout == "king + new york:\n   1.000  queen\n"
  done = run("neighbors", flag, "queen", "--max_vocab=3")
  assert len(done.stdout.splitlines()) == 3
  done = run("neighbors", flag, "queen")
  assert r"man\x1b[2J" in done.stdout and "\x1b" not in done.stdout
  output = tmp_path / "v.vec.gz"
  assert run("convert", file, output, "--max_vocab=2").returncode == 0
  assert formats.load_vectors(output).words == ("king", "queen")
  done = run("export", flag, f"--output={tmp_path / 'v.safetensors'}")
  assert done.stdout.startswith("safetensors is in ")
  assert len(formats.load_vectors(tmp_path / "v.safetensors")) == 4


def test_help_is_that_of_the_command():
  whole = run("--help")
  assert whole.returncode == 0 and not whole.stderr
  for name in commands.COMMANDS:
    assert re.search(rf"^  {name}\b", whole.stdout, re.M)
  texts = {run(*x).stdout for x in (["neighbors", "-h"], ["help", "neighbors"])}
  (text,) = texts
  assert "neighbors WORD" in text and "--input" in text and "--dim" not in text
  sentence(run("help", "nothing"), "There is no command 'nothing'")
  assert re.fullmatch(r"glove_jax \d+\.\d+\.\d+\n", run("--version").stdout)


def test_installed_the_experiments_are_in_the_package(tmp_path):
  package = tmp_path / "glove_jax"
  package.mkdir()
  for path in (*(ROOT / "glove_jax").iterdir(), ROOT / "experiments"):
    (package / path.name).symlink_to(path)
  done = subprocess.run(
    [sys.executable, "-P", "-m", "glove_jax", "--help"],
    env=os.environ | {"PYTHONPATH": str(tmp_path)},
    cwd=tmp_path, capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert all(f"\n  {name}" in done.stdout for name in experiments.NAMES)


def test_each_optional_requirement_is_in_an_extra():
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  extras = project["optional-dependencies"].values()
  lines = (ROOT / "requirements-optional.txt").read_text().splitlines()
  wanted = {line.partition("#")[0].strip() for line in lines} - {""}
  assert {line for extra in extras for line in extra} == wanted
  assert project["scripts"] == {"glove-jax": "glove_jax.commands:main"}


def test_an_empty_corpus_is_one_sentence(tmp_path):
  (tmp_path / "empty.txt").write_text("")
  done = run(f"--corpus={tmp_path}/empty.txt", f"--workdir={tmp_path}/run")
  sentence(done, "empty")


def test_vectors_of_another_width_are_one_sentence(tmp_path):
  (tmp_path / "bad.txt").write_text("a 1 2 3\nb 1 2\nc 4 5 6\n")
  done = run("neighbors", f"--input={tmp_path}/bad.txt", "a")
  sentence(done, "bad.txt", "Line 2")
