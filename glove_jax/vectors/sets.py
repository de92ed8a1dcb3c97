"""Readers of evaluation sets, in the forms in which they are published.

A file's form is recognised by its content, never by its name:

| form           | a line                                                     |
|----------------|------------------------------------------------------------|
| questions      | `a b c d`, for "a is to b as c is to d"; `: name` starts a |
|                | section; a fifth column such as `JJ_JJR` names it too      |
| MSR            | `a b c` or `a b JJ_JJR c`; d is in a file beside it that   |
|                | ends in `.answers`                                         |
| BATS           | a word, a tab, and its right answers with `/` between them |
| word pairs     | two words and a score                                      |

Columns are separated by tabs, semicolons, commas or spaces. A comma is read
as a decimal point if the columns are separated otherwise, or quoted. A byte
order mark, CRLF, blank lines and comments (`#`) do no harm.
"""

import collections
import csv
import itertools
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.text.pipes import refuse_pipe

_CATEGORY = re.compile(r"[A-Z]+_[A-Z]+")  # as JJ_JJR: MSR's parts of speech
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_LEMMA = re.compile(r".+-[nvjar]")  # as sun-n, in a form of MEN
_SCORE_NAME = re.compile(r"mean|average|avg", re.IGNORECASE)
_SECTION = "\n"  # in the place of a first word: the second names a section
_LONGEST = 100_000  # characters in a line; csv reads no field longer than that
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Question = tuple[str, str, str, str]


class Relation(NamedTuple):
  """A word and its right answers, the best known first.

  Each ordered pair of relations of a section is a question: with
  ("man", ("woman",)) and ("king", ("queen", "empress")), "man is to woman as
  king is to ?" has two right answers.
  """

  word: str
  answers: tuple[str, ...]


class Pair(NamedTuple):
  """Two words and how similar people find them."""

  first: str
  second: str
  score: float


Sections = dict[str, list[Question] | list[Relation]]
Content = Sections | list[Pair]


def read_set(path: str | os.PathLike) -> Content:
  """Reads a set of either kind: a dict of analogies or a list of word pairs.

  Args:
    path: a file, or a folder of BATS.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is in none of the forms, or a line is malformed.
  """
  if os.path.isdir(path) or not _looks_like_pairs(path):
    return read_analogies(path)
  return read_similarity(path)


def read_analogies(path: str | os.PathLike) -> Sections:
  """Reads the analogy questions, or the relations, of each section.

  Args:
    path: a file of questions or relations, or a folder with files of
      relations at any depth, each of which is a section.

  Returns:
    The questions (a, b, c, d) or the relations by section, in the order of
    the file. A question outside any section goes into "questions", and a
    relation into a section named after the file.

  Raises:
    FileNotFoundError: there is no such file or folder.
    ValueError: a line has another number of words than the others, or there
      are no questions at all.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return _read_folder(path)
  rows = [(number, _words(line)) for number, line in _lines(path)]
  data = [(number, row) for number, row in rows if row[:1] != [_SECTION]]
  if not data:
    raise ValueError(
      f"{path} holds no analogy questions: give lines of four words."
    )
  width = len(data[0][1])
  category = next(
    (i for i, x in enumerate(data[0][1]) if _CATEGORY.fullmatch(x)), None
  )
  if width == 2 and category == 0:
    raise ValueError(
      f"{path} holds answers without questions: name the file of questions."
    )
  if width == 2:
    return _by_section(rows, path.stem, lambda n, row: _relation(path, n, row))
  answers = path.with_suffix(".answers")
  if answers.is_file() and width == (3 if category is None else 4):
    rows = _with_answers(data, category, answers)
  elif width == 5 and category is not None:
    rows = _under_categories(data, category)
  return _by_section(rows, "questions", lambda n, row: _question(path, n, row))


def read_similarity(path: str | os.PathLike) -> list[Pair]:
  """Reads word pairs and scores.

  The two words come first, but for an index or a column of letters in front
  of them. The score is the first column of numbers after the words or, if a
  line of column names says so, the column of means. Other columns are
  ignored. The endings of lemmas such as `sun-n` are removed.

  Returns:
    The pairs in the order of the file, repeated ones as often as they occur.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: a line has no score where the others have it, or there are no
      pairs at all.
  """
  rows = [(number, _columns(line)) for number, line in _lines(path, ("#",))]
  rows, column = _score_column(rows)
  shift = _first_word(rows, column)
  pairs = []
  for number, row in rows:
    score = _number(row[column]) if column and len(row) > column else None
    if score is None or not all(row[shift : shift + 2]):
      raise ValueError(
        f"Line {number} of {path} is not two words and a score: separate the "
        "three by a tab, a comma or spaces."
      )
    pairs.append(Pair(row[shift], row[shift + 1], score))
  if not pairs:
    raise ValueError(
      f"{path} holds no word pairs: give lines of two words and a score."
    )
  if all(_LEMMA.fullmatch(word) for pair in pairs for word in pair[:2]):
    pairs = [Pair(a[:-2], b[:-2], score) for a, b, score in pairs]
  return pairs


def files_of(path: pathlib.Path) -> list[pathlib.Path]:
  """The files that a set is read from: all of a folder, or it and its answers.

  Args:
    path: a file, or a folder of BATS.
  """
  if path.is_dir():
    return sorted(file for file in path.rglob("*") if file.is_file())
  answers = path.with_suffix(".answers")
  return [path, answers] if answers.is_file() else [path]


def is_syntactic(section: str) -> bool:
  """Whether a section's name is that of a relation of grammar.

  Those of Google's set start with "gram", those of BATS with I or D and two
  digits, and those of MSR's set are pairs of parts of speech such as JJ_JJR.

  >>> [is_syntactic(name) for name in ("gram3-comparative", "family")]
  [True, False]
  """
  return bool(re.match(r"gram|[ID]\d\d\b", section)) or bool(
    _CATEGORY.fullmatch(section)
  )


def _read_folder(folder: pathlib.Path) -> Sections:
  """The relations of all .txt files below a folder, README files left out."""
  sections: Sections = {}
  for path in sorted(folder.rglob("*.txt")):
    if path.stem.lower().startswith(("readme", "licen", ".")):
      continue
    for name, content in read_analogies(path).items():
      name = path.stem if name == "questions" else name
      name = f"{path.parent.name}/{name}" if name in sections else name
      sections[name] = content
  if not sections:
    raise ValueError(
      f"{folder} holds no analogy questions: name a folder of .txt files with "
      "a word and its answers on each line."
    )
  return sections


def _by_section(rows, name, parse) -> Sections:
  sections: Sections = {}
  for number, row in rows:
    if row[:1] == [_SECTION]:
      name = row[1]
    else:
      sections.setdefault(name, []).append(parse(number, row))
  return sections


def _question(path, number, row) -> Question:
  if len(row) != 4:
    raise ValueError(
      f"Line {number} of {path} has {len(row)} words: an analogy question "
      "has four, and a section starts with a colon."
    )
  return tuple(row)


def _relation(path, number, row) -> Relation:
  answers = tuple(x for x in "".join(row[1:]).split("/") if x)
  if len(row) != 2 or not answers:
    raise ValueError(
      f"Line {number} of {path} has {len(row)} columns: the lines before it "
      "are a word, a tab and its answers with a slash between them."
    )
  return Relation(row[0], answers)


def _under_categories(rows, column) -> Iterator[tuple[int, list[str]]]:
  """Rows a b c d, each after a row that names its section."""
  for number, row in rows:
    if len(row) > column:
      yield number, [_SECTION, row[column]]
    yield number, row[:column] + row[column + 1 :]


def _with_answers(rows, column, path) -> Iterator[tuple[int, list[str]]]:
  """MSR's rows, with the fourth word from the file of answers."""
  answers = [_words(line) for _, line in _lines(path, ("#",))]
  if len(answers) != len(rows):
    raise ValueError(
      f"{path} has {len(answers)} answers to {len(rows)} questions: fetch the "
      "two files of one set."
    )
  for (number, row), answer in zip(rows, answers, strict=True):
    category = [x for x in (*row, *answer[:-1]) if _CATEGORY.fullmatch(x)]
    yield number, [_SECTION, category[0] if category else "questions"]
    words = row if column is None else row[:column] + row[column + 1 :]
    yield number, [*words, *answer[-1:]]


def _words(line: str) -> list[str]:
  """The words of a line of questions, or [_SECTION, name]."""
  if line.startswith(":"):
    return [_SECTION, line[1:].strip()]
  mark = next((m for m in "\t;," if m in line), None)
  return [x for x in (word.strip() for word in line.split(mark)) if x]


def _columns(line: str) -> list[str]:
  """The columns of a line of word pairs.

  The separator is the first of tab, semicolon, spaces and comma that leaves a
  number in the third column or later. Spaces come before the comma so that
  "sun moon 7,5" is read, unless a comma ends one of the words.
  """
  splits = [_split(line, mark) for mark in "\t;"]
  spaced = line.split()
  splits += [[] if "," in "".join(spaced[:2]) else spaced, _split(line, ",")]
  for row in splits:
    if _first_number(row):
      return row
  return next((row for row in splits if len(row) > 1), spaced)


def _split(line: str, mark: str) -> list[str]:
  row = next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])
  return [field.strip() for field in row]


def _first_number(row: Sequence[str]) -> int | None:
  """The first column after the second that holds a number."""
  return next((i for i in range(2, len(row)) if _number(row[i]) is not None), 0)


def _score_column(rows) -> tuple[list, int]:
  """The rows without a line of column names, and the column of the score.

  The score is where most lines have their first number. A first line without
  a number, or with a name in that column, holds the names of the columns:

    Word 1,Word 2,Human (mean),1,2        first number in column 3: names
    love,sex,6.77,9,6                     in column 2
  """
  found = [_first_number(row) for _, row in rows]
  usual = [x for x in reversed(found) if x] or [0]
  column = collections.Counter(usual).most_common(1)[0][0]
  if not rows or found[0] == column != 0:
    return rows, column
  names = rows[0][1]
  if found[0] and len("".join(names[column : column + 1])) < 3:
    return rows, column  # no name but, as N for noun, a malformed line
  means = [i for i in range(2, len(names)) if _SCORE_NAME.search(names[i])]
  if means and all(
    len(row) > means[0] and _number(row[means[0]]) is not None
    for _, row in rows[1:]
  ):
    column = means[0]
  return rows[1:], column


def _first_word(rows, column: int) -> int:
  """The column of the first word: 1 after an index or a column of letters."""
  table = [row for _, row in rows if len(row) > column]
  if column < 3 or not table:
    return 0
  first, third = ([row[i] for row in table] for i in (0, 2))
  if all(x.isascii() and x.isdigit() for x in first):
    steps = np.diff([int(x) for x in first])
    return int((steps == 1).all())
  is_short = [max(map(len, texts)) <= 2 for texts in (first, third)]
  return int(is_short == [True, False])


def _looks_like_pairs(path: str | os.PathLike) -> bool:
  """Whether most of the first lines are two words and a number."""
  lines = [line for _, line in itertools.islice(_lines(path), 50)]
  if any(line.startswith(":") for line in lines):
    return False
  rows = [_columns(line) for line in lines]
  scored = [_first_number(row) and _number(row[1]) is None for row in rows]
  return 2 * sum(map(bool, scored)) >= max(1, len(rows))


def _lines(path, comments=("#", "//")) -> Iterator[tuple[int, str]]:
  """(number, stripped text) of each line that is neither empty nor comment."""
  refuse_pipe(path)
  if not os.path.isfile(path):
    raise FileNotFoundError(
      f"There is no evaluation file {path}: check the path."
    )
  with open(path, "rb") as file:
    start = file.read(1 << 12)
  encoding = "utf-16" if start.startswith(_UTF_16) else "utf-8-sig"
  if encoding == "utf-8-sig" and b"\0" in start:
    raise ValueError(
      f"{path} is not a text file: name an evaluation set, unpacked."
    )
  with open(path, encoding=encoding, errors="surrogateescape") as file:
    try:
      for number, line in enumerate(file, 1):
        line = line.strip()
        if len(line) > _LONGEST:
          raise ValueError(
            f"Line {number} of {path} has {len(line):,} characters: name an "
            "evaluation set, not a corpus."
          )
        if line and not line.startswith(comments):
          yield number, line
    except UnicodeDecodeError as error:
      raise ValueError(f"{path} is not valid {encoding}: {error}.") from error


def _number(text: str) -> float | None:
  if _DECIMAL_COMMA.fullmatch(text):
    text = text.replace(",", ".")
  try:
    value = float(text)
  except ValueError:
    return None
  return value if np.isfinite(value) else None
