"""The Python of the tutorials runs, and their flags exist."""

import pathlib
import re

import numpy as np
import pytest

from glove_jax import commands, config

FOLDER = pathlib.Path(__file__).parent.parent / "docs" / "tutorials"
PAGES = sorted(FOLDER.glob("*.md"))
# Instead of the settings that a page would have for real text.
CHEAP = ", dim=50, engine='dense', bias_init='random', epochs=2"


def blocks(page, kind):
  return re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.S)


@pytest.mark.parametrize(
  "page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  words = ["king", "queen", "man", "woman", *(f"w{i}" for i in range(20))]
  lines = [" ".join(rng.choice(words, 12)) for _ in range(50)]
  pathlib.Path("wiki.txt").write_text("\n".join(lines))
  code = "\n".join(blocks(page, "python"))
  exec(re.sub(r",\s+dim=50", CHEAP, code), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_flags_and_links_of_a_page_exist(page):
  known = {f.name for f in config.fields()}
  known |= {
    flag for command in commands.COMMANDS.values() for flag in command.flags
  }
  text = "\n".join(
    line for line in page.read_text().splitlines() if "spacy" not in line
  )
  flags = set(re.findall(r"--([a-z_]+)", text)) - {"ntasks"}
  assert flags <= known, flags - known
  for link in re.findall(r"\]\(([^)#]+)", text):
    assert (FOLDER / link).exists(), link


def test_every_page_is_listed():
  index = (FOLDER / "README.md").read_text()
  assert {page.name for page in PAGES} - {"README.md"} == set(
    re.findall(r"\]\(([a-z_]+\.md)\)", index)
  )
