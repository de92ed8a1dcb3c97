"""Builds the reference of all public names from their docstrings.

    python docs/build.py

writes docs/_build, whose index.html is the first page. A docstring that cannot
be rendered, or a module that cannot be imported, is an error.
"""

import pathlib
import pkgutil
import sys
import warnings

import pdoc
import pdoc.render

ROOT = pathlib.Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "_build"


def main() -> None:
  sys.path.insert(0, str(ROOT))
  import glove_jax

  for name in glove_jax.__all__:
    vars(glove_jax)[name] = getattr(glove_jax, name)  # loaded when first used
  rooms = [
    f"glove_jax.{m.name}" for m in pkgutil.iter_modules(glove_jax.__path__)
  ]
  rooms.remove("glove_jax.__main__")
  warnings.simplefilter("error")
  # Types of optax and jax refer to names that only their own files know.
  warnings.filterwarnings("ignore", "Error parsing type annotation")
  pdoc.render.configure(docformat="google", show_source=False)
  pdoc.pdoc("glove_jax", *rooms, output_directory=OUTPUT)
  print(f"The reference is in {OUTPUT / 'index.html'}.")


if __name__ == "__main__":
  main()
