"""Cutting a corpus into sections."""

import itertools

import pytest

from glove_jax.text import reading, sections


def test_sections_are_all_of_the_corpus(small_sections, paths):
  found = sections.cut_sections(paths)
  assert len(found) > 15
  assert found[0].start == reading.Position()
  assert found[-1].end == reading.Position(len(paths))
  for one, other in itertools.pairwise(found):
    assert one.end == other.start
  assert all(part.start.byte == 0 for part in found if part.start.file == 1)
  assert any(part.start.begun for part in found if part.start.file == 2)
  whole = b"".join(block.data for block in reading.read_blocks(paths))
  parts = [
    block for part in found for block in reading.read_blocks(paths, part)
  ]
  assert b"".join(block.data for block in parts) == whole
  assert sections.cut_sections([]) == []


@pytest.mark.parametrize(
  "text, low, expected",
  [
    (b"ab cd\nef gh\n", 1, (0, 6, False)),
    (b"ab cd\nef gh\n", 5, (0, 6, False)),
    (b"ab cd ef", 1, (0, 3, True)),
    (b"ab \t ef", 2, None),  # whether the line was blank so far is not known
    (b"abcdef", 1, None),
    (b"a" * 150 + b"\nb", 1, (0, 151, False)),
    (b"ab cd " + b"e" * 100 + b"\n", 2, (0, 6, True)),
  ],
)
def test_a_cut_is_behind_a_line_or_else_a_word(
  tmp_path, monkeypatch, text, low, expected
):
  monkeypatch.setattr(reading, "BLOCK_BYTES", 100)
  path = tmp_path / "text.txt"
  path.write_bytes(text)
  assert reading.find_cut([str(path)], 0, low, len(text)) == expected
