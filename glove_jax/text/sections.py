"""Sections of a corpus, for workers that read them side by side."""

import itertools
import os
from collections.abc import Sequence

from glove_jax.text import reading, sources
from glove_jax.text.reading import Position, Section

SECTION_BYTES = 32 << 20


def cut_sections(paths: Sequence[str]) -> list[Section]:
  """Cuts files into sections of about SECTION_BYTES.

  Small files share a section. Packed and encoded files, which cannot be entered
  in the middle, are never cut. With SECTION_BYTES = 10:

    sizes         a.txt 4, b.txt 5, c.txt 25, d.gz 30
    sections      a + b | c from 0 | c from 8 | c from 16 | d
    c is cut after the first newline after bytes 25 * 1/3 and 25 * 2/3

  Raises:
    OSError: a file is missing or cannot be read.
  """
  cuts, filled = [], 0
  for index, path in enumerate(paths):
    size = os.path.getsize(path)
    if not cuts or filled + size > SECTION_BYTES:
      cuts.append(Position(index))
      filled = 0
    filled += size
    if size > SECTION_BYTES and sources.is_plain(path):
      cuts += _cut_file(paths, index, size)
  cuts.append(Position(len(paths)))
  return [Section(*pair) for pair in itertools.pairwise(cuts)]


def _cut_file(paths: Sequence[str], index: int, size: int) -> list[Position]:
  """The cuts inside of one large file."""
  pieces = -(-size // SECTION_BYTES)
  ends = [size * piece // pieces for piece in range(1, pieces + 1)]
  cuts = {
    reading.find_cut(paths, index, low, high)
    for low, high in itertools.pairwise(ends)
  }
  return sorted(cut for cut in cuts if cut and cut.byte < size)
