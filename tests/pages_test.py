"""Pages of the documentation, and the links between them."""

import pages
import pytest


@pytest.fixture
def site(tmp_path, monkeypatch):
  monkeypatch.setattr(pages, "ROOT", tmp_path)
  (tmp_path / "docs").mkdir()
  (tmp_path / "docs" / "b.md").write_text("# Two words\n![](b.png)\n")
  (tmp_path / "docs" / "b.png").write_bytes(b"picture")
  return tmp_path


def test_links_lead_to_the_pages(site):
  first = site / "README.md"
  first.write_text("# A\n[b](docs/b.md#two-words) [web](https://x.org/a.md)\n")
  assert pages.write_all(first, site / "out") == {first, site / "docs/b.md"}
  page = (site / "out" / "index.html").read_text()
  assert 'href="docs/b.html#two-words"' in page and "https://x.org/a.md" in page
  other = (site / "out" / "docs" / "b.html").read_text()
  assert 'href="../index.html"' in other and "<title>Two words" in other
  assert (site / "out" / "docs" / "b.png").read_bytes() == b"picture"


def test_links_of_a_notebook_lead_to_the_pages(site):
  notebook = site / "notebooks" / "a.ipynb"
  body = pages.markdown("[b](../docs/b.md#two-words)")
  link = 'href="../docs/b.html#two-words"'
  assert link in pages.linked(notebook, body)
  with pytest.raises(ValueError, match="does not exist"):
    pages.linked(notebook, pages.markdown("[b](../docs/none.md)"))


@pytest.mark.parametrize("link, message", [
  ("docs/none.md", "does not exist"),
  ("docs/b.md#three", "leads to no heading"),
])  # fmt: skip
def test_a_link_that_leads_nowhere_is_an_error(site, link, message):
  first = site / "README.md"
  first.write_text(f"[b]({link})\n")
  with pytest.raises(ValueError, match=message):
    pages.write_all(first, site / "out")


def test_formulas_need_no_network(tmp_path):
  text = "# A\n$x_i < 1$ but `$HOME`\n\n$$\\frac12\n\\log X$$\n"
  body = pages.markdown(text)
  assert body.count("<math") == 2 and body.count('display="block"') == 1
  assert "<msub><mi>x</mi><mi>i</mi></msub>" in body and "<mfrac>" in body
  assert "<code>$HOME</code>" in body
  pages.write(tmp_path / "a.html", "a", body, tmp_path)
  page = (tmp_path / "a.html").read_text()
  assert "<math" in page and "<script" not in page
