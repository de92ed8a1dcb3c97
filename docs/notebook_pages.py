"""Notebooks with their outputs, as pages.

    python docs/notebook_pages.py notebooks/sweep.ipynb copy.ipynb

runs a notebook and writes a copy that has the outputs. `executed` does so
unless that copy is there already, of the same notebook and the same package.
"""

import ast
import base64
import contextlib
import hashlib
import html
import io
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
OUTPUT = ROOT / "docs" / "_build" / "notebooks"


def executed(source: pathlib.Path) -> dict:
  """A notebook with the outputs of its cells.

  Raises:
    RuntimeError: a cell has failed or warned; the message is its traceback.
  """
  output, key = OUTPUT / source.name, _key(source)
  if output.exists():
    notebook = json.loads(output.read_text())
    if notebook["metadata"].get("key") == key:
      return notebook
  done = subprocess.run(
    [sys.executable, "-W", "error", __file__, source, output, key],
    env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)},
    cwd=FOLDER,
    capture_output=True,
    text=True,
    timeout=300,
  )
  if done.returncode:
    raise RuntimeError(done.stderr)
  return json.loads(output.read_text())


def _key(source: pathlib.Path) -> str:
  """A hash of all that the outputs depend on here."""
  files = [source, *sorted((ROOT / "glove_jax").rglob("*.py"))]
  digest = hashlib.sha256()
  for file in files:
    digest.update(hashlib.sha256(file.read_bytes()).digest())
  return digest.hexdigest()[:16]


def run(notebook: dict) -> None:
  """Runs the cells of a notebook in order, and puts their outputs in it."""
  names = {"__name__": "__main__"}
  cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
  for number, cell in enumerate(cells, 1):
    cell["execution_count"] = number
    cell["outputs"] = _run_cell("".join(cell["source"]), names, number)


def _run_cell(source: str, names: dict, number: int) -> list[dict]:
  """What a cell prints, the value of its last line, and its figures."""
  tree, last, value = ast.parse(source), None, None
  if isinstance(tree.body[-1], ast.Expr) and not source.endswith(";"):
    last = ast.Expression(tree.body.pop().value)
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    exec(compile(tree, f"cell {number}", "exec"), names)
    if last:
      value = eval(compile(last, f"cell {number}", "eval"), names)
  outputs = []
  if text := printed.getvalue():
    outputs.append({"output_type": "stream", "name": "stdout", "text": text})
  if value is not None:
    outputs.append(
      {"output_type": "execute_result", "execution_count": number}
      | {"metadata": {}, "data": _shown(value)}
    )
  for figure in _figures():
    data = {"image/png": _png(figure), "text/plain": repr(figure)}
    outputs.append(
      {"output_type": "display_data", "metadata": {}, "data": data}
    )
  return outputs


def _shown(value) -> dict[str, str]:
  data = {"text/plain": repr(value)}
  if hasattr(value, "_repr_html_"):
    data["text/html"] = value._repr_html_()
  if hasattr(value, "_repr_png_"):
    data["image/png"] = base64.b64encode(value._repr_png_()).decode()
  return data


def _figures() -> list:
  """The figures that pyplot has open, which are closed."""
  pyplot = sys.modules.get("matplotlib.pyplot")
  if not pyplot:
    return []
  figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
  pyplot.close("all")
  return figures


def _png(figure) -> str:
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=100)
  return base64.b64encode(buffer.getvalue()).decode()


def page(notebook: dict) -> str:
  """The HTML of a notebook with outputs."""
  import pages

  parts = []
  for cell in notebook["cells"]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
      parts.append(pages.markdown(source))
      continue
    parts.append(pages.markdown(f"```python\n{source}\n```"))
    parts += map(_output, cell["outputs"])
  return "\n".join(parts)


def _output(output: dict) -> str:
  data = output.get("data", {"text/plain": output.get("text", "")})
  if picture := data.get("image/png"):
    return f'<img alt="a plot" src="data:image/png;base64,{picture}">'
  if table := data.get("text/html"):
    return table
  return f'<pre class="output">{html.escape(data["text/plain"])}</pre>'


def main(source: str, output: str, key: str = "") -> None:
  notebook = json.loads(pathlib.Path(source).read_text())
  with contextlib.suppress(ImportError):
    from matplotlib import pyplot

    pyplot.show = lambda *arguments, **options: None  # figures stay open
  run(notebook)
  notebook["metadata"]["key"] = key
  path = pathlib.Path(output)
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_suffix(".part")
  part.write_text(json.dumps(notebook, indent=1))
  part.replace(path)


if __name__ == "__main__":
  main(*sys.argv[1:])
