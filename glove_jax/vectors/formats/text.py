"""Vectors as lines of text: Stanford's, word2vec's, fastText's, and tables.

A line is a word and D numbers. Columns are separated by blanks or tabs, one or
several, or by commas or semicolons (csv). Lines are split from the right, so
that a word may hold blanks: `new york 0.1 0.2`. A comma in a number is a
decimal comma, if the columns are separated otherwise.
"""

import collections
import csv
import io
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from glove_jax import lazy
from glove_jax.text.symbols import UNK
from glove_jax.vectors.formats import opening
from glove_jax.vectors.word_vectors import WordVectors

# Only needed to write many vectors.
decimals = lazy.module("glove_jax.vectors.formats.decimals")

ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}
_CHUNK = 1 << 24  # bytes of text parsed at once; no line is longer
_ROWS = 4096  # vectors written as text at once
_MANY = 1 << 17  # numbers from which it pays to import numba
_SAMPLE = 1000  # lines by which the layout is known
_DIGITS = r"[-+]?(?:\d+(?:\.\d*|,\d+)?|[.,]\d+)(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(
  rf"{_DIGITS}|[-+]?(?:nan|inf(?:inity)?)".encode(), re.IGNORECASE
)
# A number after the last blank of a word: the line looks too wide.
NUMBER_AT_END = rf"[ \t\n\r\x0b\x0c]{_DIGITS}$"
_TOO_WIDE = re.compile(NUMBER_AT_END.encode())
# Byte-order marks, which are no part of the first word of a file.
_MARKS = "^(\ufeff|\udcef\udcbb\udcbf|\udcff\udcfe|\udcfe\udcff)"
_HEADER = re.compile(rb"\s*([1-9]\d{0,17})\s+([1-9]\d{0,17})\s*")


class Skipped(NamedTuple):
  """The lines that a reader has left out."""

  total: int
  first: tuple[int, ...]  # numbers of the first of them


class _Layout(NamedTuple):
  """How the lines of a file are split."""

  dim: int
  mark: bytes  # b"" for blanks, else the separator of csv


def header(line: bytes) -> tuple[int, int] | None:
  """(V, D) if the line is two positive integers, otherwise None."""
  match = _HEADER.fullmatch(line)
  return (int(match[1]), int(match[2])) if match else None


def read(
  opened: opening.Opened, limit: int | None, skip_bad_lines: bool
) -> tuple[WordVectors, Skipped]:
  """Reads lines of a word and D numbers, after any header "V D".

  D is taken from the header, or is the most frequent number of numbers in the
  first lines. A line whose word ends in a number is malformed, since it looks
  too wide. Empty lines do no harm.

  Args:
    opened: the file.
    limit: the most vectors to read, from the start; None reads all.
    skip_bad_lines: leaves malformed lines out, instead of an error.

  Raises:
    ValueError: there are no vectors, a line is malformed, or the header gives
      another number of lines; the message names the line.
    OSError: the file is damaged.
  """
  reader = _Reader(opened.name, limit, skip_bad_lines)
  for number, lines in _batches(opened):
    reader.add(number, lines)
    if reader.is_full:
      break
  return reader.result()


class _Reader:
  """Collects the vectors of batches of lines."""

  def __init__(self, name: str, limit: int | None, skip_bad_lines: bool):
    self._name, self._limit, self._skip = name, limit, skip_bad_lines
    self._header, self._layout = None, None
    self._words, self._tables, self._bad = [], [], []
    self._num_lines = 0  # but the header and empty ones

  @property
  def is_full(self) -> bool:
    return self._limit is not None and len(self._words) >= self._limit

  def add(self, number: int, lines: list[bytes]) -> None:
    """Parses lines, the first of which has this number, from 1."""
    if self._layout is None:
      number, lines = self._set_layout(number, lines)
    numbered = [(number + i, x) for i, x in enumerate(lines) if x.strip()]
    if self._limit is not None and not self._skip:
      numbered = numbered[: self._limit - len(self._words)]
    self._num_lines += len(numbered)
    words, rows, where = [], [], []
    for number, line in numbered:
      parts = _split(line, self._layout)
      if parts is None:
        self._refuse(number)
        continue
      words.append(parts[0])
      rows.append(parts[1])
      where.append(number)
    table, good = parse(rows, self._layout.dim)
    for i in np.flatnonzero(~good):
      self._refuse(where[i])
    kept = (w for w, is_good in zip(words, good, strict=True) if is_good)
    self._words += [word.decode(**ENCODING) for word in kept]
    self._tables.append(table)

  def result(self) -> tuple[WordVectors, Skipped]:
    words = self._words[: self._limit]
    if not words:
      raise ValueError(
        f"{self._name} holds no vectors: write it again, or give another file."
      )
    found = self._num_lines
    # The header of glove.c does not count the <unk> that it appends.
    if (
      self._header
      and not self.is_full
      and self._header[0] not in (found, found - (words[-1] == UNK))
    ):
      raise ValueError(
        f"{self._name} says that it holds {self._header[0]} vectors, and it "
        f"holds {found}: it may be cut off, so write or fetch it again."
      )
    table = np.concatenate(self._tables)[: len(words)]
    skipped = Skipped(len(self._bad), tuple(self._bad[:5]))
    return WordVectors(words, table), skipped

  def _set_layout(self, number, lines):
    """Finds the layout; returns the lines that hold vectors."""
    self._header = header(lines[0])
    rest = lines[1:] if self._header else lines
    sample = [line for line in rest[:_SAMPLE] if line.strip()]
    self._layout = _find_layout(sample)
    if self._header and sample and self._layout.dim != self._header[1]:
      whole = _find_layout(lines[:_SAMPLE])
      if whole.dim == 1 and self._layout.dim == 1:
        self._header, self._layout = None, whole  # a number is a word
        return number, lines
    if self._header:
      self._layout = self._layout._replace(dim=self._header[1])
      return number + 1, rest
    if _names_columns(lines[0], self._layout):
      return number + 1, rest[1:]
    return number, lines

  def _refuse(self, number: int) -> None:
    self._bad.append(number)
    if not self._skip:
      raise ValueError(
        f"Line {number} of {self._name} is not a word and {self._layout.dim} "
        "numbers with a space between them, as other lines are: write or fetch "
        "the file again, remove the line, or read the others with "
        "skip_bad_lines."
      )


def _batches(opened: opening.Opened) -> Iterator[tuple[int, list[bytes]]]:
  """(number of the first line, lines without their ends) of a file."""
  number, rest = 1, b""
  while chunk := opened.file.read(_CHUNK):
    *lines, rest = (rest + chunk).split(b"\n")
    if len(rest) > _CHUNK:
      raise ValueError(
        f"Line {number + len(lines)} of {opened.name} has over {_CHUNK:,} "
        "characters: name a file of vectors."
      )
    if lines:
      yield number, lines
    number += len(lines)
  if rest:
    yield number, [rest]


def _find_layout(lines: list[bytes]) -> _Layout:
  """The separator and the number of numbers of most lines; at least 1.

  Ties go to blanks, then to the number that comes first.
  """
  best = _Layout(1, b"")
  for mark in (b"", b";", b","):
    widths = collections.Counter(
      _csv_width(line, mark) if mark else numbers_at_end(line) for line in lines
    )
    dim = widths.most_common(1)[0][0] if widths else 0
    if dim > best.dim or (not mark and dim):
      best = _Layout(dim, mark)
  return best


def numbers_at_end(line: bytes) -> int:
  """How many numbers follow the word that starts a line."""
  fields = line.split()
  first = 0 if line[:1].isspace() else 1  # an empty word
  number = 0
  for field in reversed(fields[first:]):
    if not _NUMBER.fullmatch(field):
      break
    number += 1
  return number


def _csv_fields(line: bytes, mark: bytes) -> list[str]:
  try:
    text = io.StringIO(line.decode(**ENCODING).strip("\r\n"))
    rows = csv.reader(text, delimiter=mark.decode(), skipinitialspace=True)
    return [field.strip() for field in next(rows, [])]
  except csv.Error:
    return []


def _csv_width(line: bytes, mark: bytes) -> int:
  """The number of numbers after the first field, if they are all the rest."""
  if mark not in line:
    return 0
  numbers = _csv_fields(line, mark)[1:]
  good = all(_NUMBER.fullmatch(x.encode(**ENCODING)) for x in numbers)
  return len(numbers) if good else 0


def _names_columns(line: bytes, layout: _Layout) -> bool:
  """Whether the first line of a table has the names of its columns.

  They are texts, or numbers from 0 or 1 as pandas writes them (`word,0,1,2`).
  """
  if layout.mark and not _csv_width(line, layout.mark):
    return True
  word, numbers = _split(line, layout) or (b"-", b"")
  names = numbers.split()
  counted = [[b"%d" % (i + k) for i in range(layout.dim)] for k in (0, 1)]
  return word in (b"", b'""', b"word") and names in counted


def _split(line: bytes, layout: _Layout) -> tuple[bytes, bytes] | None:
  """(word, its numbers with a blank between), or None if malformed.

  b"new york 0.5 1" with D 2 -> (b"new york", b"0.5 1")
  b"king\\t0.5\\t1"  with D 2 -> (b"king", b"0.5 1")
  b"part 7 0.5 1"  with D 2 -> None, since it looks like three numbers
  """
  dim = layout.dim
  if layout.mark:
    fields = [x.encode(**ENCODING) for x in _csv_fields(line, layout.mark)]
    if len(fields) != dim + 1:
      return None
    return fields[0], b" ".join(fields[1:])
  line = line.rstrip(b" \t\r")
  if line.count(b" ") == dim:  # nearly always
    word, _, numbers = line.partition(b" ")
    if b"\t" not in numbers:
      return word, numbers
  fields = line.rsplit(None, dim)
  if len(fields) == dim and line[:1].isspace():
    return b"", b" ".join(fields)
  if len(fields) <= dim or _TOO_WIDE.search(fields[0]):
    return None
  return fields[0].lstrip(), b" ".join(fields[1:])


def parse(rows: list[bytes], dim: int) -> tuple[np.ndarray, np.ndarray]:
  """The numbers [n, dim] of the good rows as float32, and which are good."""
  good = np.ones(len(rows), bool)
  if not rows:
    return np.zeros((0, dim), np.float32), good
  try:
    table = _load(rows)
    if table.shape == (len(rows), dim):
      return table, good
  except ValueError:
    pass
  for i, row in enumerate(rows):
    fields = row.split()
    good[i] = len(fields) == dim and all(map(_NUMBER.fullmatch, fields))
  kept = [
    b" ".join(row.replace(b",", b".").split())
    for row, is_good in zip(rows, good, strict=True)
    if is_good
  ]
  return _load(kept) if kept else np.zeros((0, dim), np.float32), good


def _load(rows: list[bytes]) -> np.ndarray:
  text = (row.decode("latin-1") for row in rows)
  return np.loadtxt(text, np.float32, comments=None, delimiter=" ", ndmin=2)


def write(
  vectors: WordVectors, path: str | os.PathLike, *, with_header: bool
) -> None:
  """Writes a line for each word, with 6 decimals.

  Raises:
    ValueError: a word that could not be read back, see `check_words`.
    OSError: the file cannot be written.
  """
  check_words(vectors.words, path)
  with opening.write_file(path) as file:
    if with_header:
      file.write(b"%d %d\n" % vectors.vectors.shape)
    numbers = with_decimals(vectors.vectors)
    for word, text in zip(vectors.words, numbers, strict=True):
      file.write(word.encode(**ENCODING) + text + b"\n")


def with_decimals(table: np.ndarray) -> Iterator[bytes]:
  """The numbers of each row with 6 decimals, a blank before each.

  >>> list(with_decimals(np.array([[0.5, -1]])))
  [b' 0.500000 -1.000000']
  """
  if table.dtype != np.float32 or table.size < _MANY:
    yield from map(_format, table)
    return
  for start in range(0, len(table), _ROWS):
    rows = table[start : start + _ROWS]
    for row, text in zip(rows, decimals.lines(rows), strict=True):
      yield text or _format(row)


def _format(row: np.ndarray) -> bytes:
  return (" %.6f" * len(row) % tuple(row.tolist())).encode()


def check_words(words, path: str | os.PathLike) -> None:
  """Checks that a reader of lines finds the end of each word.

  Raises:
    ValueError: a word has a line break, or a number after its last blank, or
      blanks in it and at one of its ends.
  """
  refuse_words(words, rf"\n|{NUMBER_AT_END}|^ |^\s.* | $| .*\s$", path)
  refuse_words(words[:1], _MARKS, path)


def refuse_words(words, pattern: str, path: str | os.PathLike) -> None:
  """Raises a ValueError if a word matches a pattern."""
  compiled = re.compile(pattern, re.ASCII | re.DOTALL)
  found = next((word for word in words if compiled.search(word)), None)
  if found is not None:
    raise ValueError(
      f"The word {found!r} cannot be written to {path}, since a reader could "
      "not find its end: leave it out, or write another format."
    )
