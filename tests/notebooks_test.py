"""Every notebook runs from its first cell to its last."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name):
  notebook = json.loads((FOLDER / name).read_text())
  cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
  # Without outputs, changes of a notebook are changes of its text and code.
  assert not any(cell["outputs"] for cell in cells)
  code = "\n\n".join("".join(cell["source"]) for cell in cells)
  assert "import glove_jax\n" in code and "sys.path" not in code
  done = subprocess.run(
    [sys.executable, "-"],
    input=code,
    env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(FOLDER.parent)},
    cwd=FOLDER,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  assert len(done.stdout.splitlines()) >= 3


def test_all_notebooks_are_here():
  assert len(NOTEBOOKS) == 5
