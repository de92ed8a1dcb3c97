"""Builds the documentation as pages.

    python docs/build.py

writes docs/_build, whose index.html is the first page: the README, the pages
that it leads to, the notebooks with their outputs, and the reference of all
public names, from their docstrings. A docstring that cannot be rendered, a
module that cannot be imported, a notebook that fails, a link that leads
nowhere, and a page that nothing leads to are errors.
"""

import pathlib
import pkgutil
import sys
import warnings

import notebook_pages
import pages
import pdoc
import pdoc.render

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "_build"


def main() -> None:
  warnings.simplefilter("error")
  write_reference()
  found = pages.write_all(ROOT / "README.md", OUTPUT)
  if lost := {*(ROOT / "docs").glob("*.md")} - found:
    raise ValueError(f"No link leads to {lost.pop()}.")
  write_notebooks()
  print(f"The documentation is in {OUTPUT / 'index.html'}.")


def write_reference() -> None:
  sys.path.insert(0, str(ROOT))
  import glove_jax

  for name in glove_jax.__all__:
    vars(glove_jax)[name] = getattr(glove_jax, name)  # loaded when first used
  rooms = [
    f"glove_jax.{m.name}" for m in pkgutil.iter_modules(glove_jax.__path__)
  ]
  rooms.remove("glove_jax.__main__")
  with warnings.catch_warnings():
    # Types of optax and jax refer to names that only their own files know.
    warnings.filterwarnings("ignore", "Error parsing type annotation")
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc("glove_jax", *rooms, output_directory=OUTPUT / "reference")


def write_notebooks() -> None:
  titles = []
  for source in sorted(notebook_pages.FOLDER.glob("*.ipynb")):
    notebook = notebook_pages.executed(source)
    path = OUTPUT / pages.place(source)
    body = pages.linked(source, notebook_pages.page(notebook))
    pages.write(path, source.stem, body, OUTPUT)
    first = "".join(notebook["cells"][0]["source"])
    titles.append(f"- [{first.splitlines()[0][2:]}]({path.name})")
  body = pages.markdown("\n".join(["# Notebooks", "", *titles]))
  pages.write(OUTPUT / "notebooks" / "index.html", "", body, OUTPUT)


if __name__ == "__main__":
  main()
