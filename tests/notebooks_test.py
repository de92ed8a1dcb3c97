"""Every notebook runs from its first cell to its last."""

import json
import pathlib

import notebook_pages
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name):
  """The copy with outputs stays for `docs/build.py`, and is not made twice."""
  notebook = json.loads((FOLDER / name).read_text())
  cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
  # Without outputs, changes of a notebook are changes of its text and code.
  assert not any(cell["outputs"] for cell in cells)
  code = "\n\n".join("".join(cell["source"]) for cell in cells)
  assert "import glove_jax\n" in code and "sys.path" not in code
  page = notebook_pages.page(notebook_pages.executed(FOLDER / name))
  printed = page.split('<pre class="output">')[1:]
  assert sum(len(text.splitlines()) for text in printed) >= 3
  pictures = code.count("pyplot.subplots(") + code.count("plots.draw(")
  assert page.count('<img alt="a plot"') == pictures


def test_all_notebooks_are_here():
  assert len(NOTEBOOKS) == 5


def test_a_cell_that_fails_is_an_error(tmp_path, monkeypatch):
  monkeypatch.setattr(notebook_pages, "OUTPUT", tmp_path / "out")
  cell = {"cell_type": "code", "source": ["print(1)\n", "1 / 0"]}
  path = tmp_path / "bad.ipynb"
  path.write_text(json.dumps({"cells": [cell], "metadata": {}}))
  with pytest.raises(RuntimeError, match="ZeroDivisionError"):
    notebook_pages.executed(path)
  assert not (tmp_path / "out").exists()


def test_a_cell_shows_what_it_prints_and_its_last_value():
  notebook = {"cells": [
    {"cell_type": "code", "source": ["x = 3\n", "print('<a>')\n", "x + 1"]},
    {"cell_type": "code", "source": ["x;"]},
    {"cell_type": "markdown", "source": ["With $a_1 b_1$ and `$x$`."]},
  ]}  # fmt: skip
  notebook_pages.run(notebook)
  page = notebook_pages.page(notebook)
  assert '<pre class="output">&lt;a&gt;\n</pre>' in page
  assert page.count('<pre class="output">') == 2 and ">4</pre>" in page
  assert "<mi>a</mi><mn>1</mn>" in page and "and <code>$x$</code>." in page
