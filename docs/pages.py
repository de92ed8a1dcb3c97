"""Pages of the documentation: Markdown as HTML, with all that it links to."""

import os
import pathlib
import re
import shutil

import latex2mathml.converter
import markdown2
from pygments.formatters import HtmlFormatter

ROOT = pathlib.Path(__file__).parent.parent
_EXTRAS = [
  "code-friendly", "cuddled-lists", "header-ids", "tables",
  "fenced-code-blocks",
]  # fmt: skip
_MATH = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.S)
_LINK = re.compile(r'(?<= )(href|src)="([^"]+)"')
_PLACES = {
  "Home": "index.html",
  "Tutorials": "docs/tutorials/index.html",
  "Notebooks": "notebooks/index.html",
  "Reference": "reference/index.html",
}
_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 50em; margin: auto; padding: 1em;
  overflow-wrap: break-word }
nav a { margin-right: 1.5em }
pre, code { font-size: 14px; background: #f5f5f5 }
pre { padding: .6em; overflow-x: auto }
pre.output { background: white; border-left: 3px solid #ddd }
table { border-collapse: collapse; display: block; overflow-x: auto }
td, th { border: 1px solid #ddd; padding: .2em .6em }
img { max-width: 100% }
"""


def write_all(first: pathlib.Path, output: pathlib.Path) -> set[pathlib.Path]:
  """Renders a Markdown file and those that it leads to; copies other files.

  Args:
    first: the first page, in the root folder.
    output: receives the pages, in the same folders as their sources.

  Returns:
    The Markdown files.

  Raises:
    ValueError: a link leads to no file, or to no heading of it.
  """
  todo, bodies, links = [first], {}, []
  while todo:
    source = todo.pop()
    if source in bodies:
      continue
    bodies[source] = markdown(source.read_text())
    for url in re.findall(_LINK, bodies[source]):
      if target := _target(source, url[1]):
        links.append((source, url[1], *target))
        todo += [target[0]] if target[0].suffix == ".md" else []
  for source, url, target, heading in links:
    if heading and f'id="{heading}"' not in bodies[target]:
      raise ValueError(f"{source}: {url} leads to no heading of {target}.")
    if target.suffix not in (".md", ".ipynb") and target.is_file():
      copy = output / target.relative_to(ROOT)
      copy.parent.mkdir(parents=True, exist_ok=True)
      shutil.copyfile(target, copy)
  for source, body in bodies.items():
    write(output / place(source), source.stem, linked(source, body), output)
  return {*bodies}


def linked(source: pathlib.Path, body: str) -> str:
  """The HTML of a file with links to pages, not to what they are made from.

  Raises:
    ValueError: a link leads to no file.
  """
  return re.sub(_LINK, lambda match: _as_html(source, match), body)


def place(source: pathlib.Path) -> pathlib.Path:
  """Where the page of a file is: README.md -> index.html."""
  path = source.relative_to(ROOT)
  if path.name == "README.md":
    return path.with_name("index.html")
  return path.with_suffix(".html" if path.suffix in (".md", ".ipynb") else "")


def markdown(text: str) -> str:
  """Markdown as HTML; formulas between $ or $$ become MathML."""
  formulas = []

  def keep(match):
    formulas.append(match[0])
    return f"FORMULA{len(formulas) - 1}E"

  in_code = re.split(r"(```.*?```|`[^`\n]+`)", text, flags=re.S)
  in_code[::2] = [re.sub(_MATH, keep, part) for part in in_code[::2]]
  page = str(markdown2.markdown("".join(in_code), extras=_EXTRAS))
  return re.sub(r"FORMULA(\d+)E", lambda m: _mathml(formulas[int(m[1])]), page)


def _mathml(formula: str) -> str:
  """A formula between $ or $$ as MathML, which browsers show by themselves."""
  kind = "block" if formula.startswith("$$") else "inline"
  return latex2mathml.converter.convert(formula.strip("$"), display=kind)


def write(
  path: pathlib.Path, title: str, body: str, output: pathlib.Path
) -> None:
  """Writes a page.

  Args:
    path: the file.
    title: of the page, unless it has a heading.
    body: its HTML.
    output: the folder of all pages, for the links that each one has.
  """
  if heading := re.search(r"<h1.*?>(.*?)</h1>", body):
    title = re.sub("<.*?>", "", heading[1])
  up = os.path.relpath(output, path.parent)
  places = (f'<a href="{up}/{p}">{name}</a>' for name, p in _PLACES.items())
  colours = HtmlFormatter().get_style_defs(".codehilite")
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(
    f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8">\n'
    f"<title>{title} - glove_jax</title>\n<style>{_STYLE}{colours}</style>\n"
    f"<nav>{' '.join(places)}</nav>\n{body}\n</html>\n"
  )


def _target(source, url) -> tuple[pathlib.Path, str] | None:
  """The file and the heading that a link leads to; None for the web."""
  if re.match(r"[a-z]+:", url):
    return None
  name, _, heading = url.partition("#")
  target = (source.parent / name).resolve() if name else source
  if (target / "README.md").is_file():
    target = target / "README.md"
  if not target.exists():
    raise ValueError(f"{source} links to {url}, which does not exist.")
  return target, heading


def _as_html(source: pathlib.Path, match: re.Match) -> str:
  kind, url = match.groups()
  if not (found := _target(source, url)):
    return match[0]
  target, heading = found
  path = target / "index.html" if target.is_dir() else ROOT / place(target)
  if target.suffix not in ("", ".md", ".ipynb"):
    path = target
  name = os.path.relpath(path, source.parent)
  return f'{kind}="{name}{"#" * bool(heading)}{heading}"'
