"""How good vectors are: analogy accuracy and agreement with people.

Every result is a plain dict that json can write. An analogy set gives

    {"kind": "analogies", "method": "add",
     "sections": {"family": score, ...},
     "semantic": score, "syntactic": score, "total": score}

where a score is `{"correct", "seen", "all", "accuracy", "coverage"}`:
`accuracy` is correct / seen, as published figures are, and `coverage` is
seen / all, so that correct / all is there too. A similarity set gives

    {"kind": "similarity", "spearman", "seen", "all", "coverage"}.

A question or pair is *seen* when all its words have vectors. A ratio of
nothing, and a correlation of fewer than two pairs, is None. `evaluation.json`
holds one such dict for each set, under the set's name.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax import metrics
from glove_jax.config import EvaluateConfig
from glove_jax.text import datasets
from glove_jax.vectors.word_vectors import WordVectors


class Pair(NamedTuple):
  """Two words and how similar people find them."""

  first: str
  second: str
  score: float


def read_analogies(
  path: str | os.PathLike,
) -> dict[str, list[tuple[str, str, str, str]]]:
  """The questions of each section of a file like Google's questions-words.txt.

  A line ": name" starts a section; every other line is four words a b c d, for
  "a is to b as c is to d". Empty lines and lines that start with # or // are
  skipped. Questions before any section are in one called "questions".

  Raises:
    FileNotFoundError: no such file.
    ValueError: a line of another number of words, or no questions at all.
  """
  sections: dict[str, list[tuple[str, str, str, str]]] = {}
  name = "questions"
  for number, line in _lines(path, ("#", "//")):
    words = tuple(line.split())
    if line.startswith(":"):
      name = line[1:].strip()
    elif len(words) == 4:
      sections.setdefault(name, []).append(words)
    else:
      raise ValueError(
        f"Line {number} of {path} has {len(words)} words: an analogy question "
        "has four, and a section starts with a colon."
      )
  if not sections:
    raise ValueError(
      f"{path} holds no analogy questions: give lines of four words."
    )
  return sections


def evaluate_analogies(
  vectors: WordVectors,
  sections: Mapping[str, Sequence[tuple[str, str, str, str]]],
  *,
  method: str = "add",
  lowercase: bool = True,
) -> dict:
  """Answers analogy questions, and counts the right answers.

  The answer is the best of all words but the question's own three, as in
  Stanford's evaluate.py. Sections whose name starts with "gram" are syntactic,
  the others semantic.

  Args:
    vectors: the vectors.
    sections: questions by section, as `read_analogies` gives them.
    method: 'add' (3CosAdd) or 'mul' (3CosMul), see `WordVectors.analogy`.
    lowercase: look up the words of the questions in lower case.

  Returns:
    The dict that the head of this module describes.

  Raises:
    ValueError: an unknown method, or vectors that are not finite.
  """
  questions = [q for section in sections.values() for q in section]
  ids = _encode(vectors, questions, 4, lowercase)
  seen = (ids >= 0).all(axis=1)
  correct = np.zeros(len(ids), bool)
  correct[seen] = vectors.answers(ids[seen, :3], method) == ids[seen, 3]
  section = np.repeat(
    np.arange(len(sections)), [len(s) for s in sections.values()]
  )
  is_syntactic = np.array([n.startswith("gram") for n in sections], bool)
  syntactic = is_syntactic[section]

  def score(chosen):
    right, known, number = (
      int(np.count_nonzero(chosen & mask)) for mask in (correct, seen, True)
    )
    return {
      "correct": right,
      "seen": known,
      "all": number,
      "accuracy": _ratio(right, known),
      "coverage": _ratio(known, number),
    }

  return {
    "kind": "analogies",
    "method": method,
    "sections": {n: score(section == i) for i, n in enumerate(sections)},
    "semantic": score(~syntactic),
    "syntactic": score(syntactic),
    "total": score(np.ones(len(ids), bool)),
  }


def read_similarity(path: str | os.PathLike) -> list[Pair]:
  """Word pairs and scores, in the forms that such sets are published in.

  A line holds two words and, somewhere after them, a number; the first is the
  score, so that SimLex-999's part of speech and what follows the score do not
  matter. A line with a tab is split at tabs, else at commas or semicolons if
  it has any, else at spaces. Empty lines, lines that start with #, and a first
  line without a number (the names of the columns) are skipped.

  Raises:
    FileNotFoundError: no such file.
    ValueError: another line without a score, or no pairs at all.
  """
  pairs = []
  for place, (number, line) in enumerate(_lines(path, ("#",))):
    mark = next((m for m in "\t,;" if m in line), None)
    fields = [field.strip().strip('"') for field in line.split(mark)]
    scores = [x for x in map(_number, fields[2:]) if x is not None]
    if scores:
      pairs.append(Pair(fields[0], fields[1], scores[0]))
    elif place:
      raise ValueError(
        f"Line {number} of {path} is not two words and a score: separate the "
        "three by a tab, a comma or spaces."
      )
  if not pairs:
    raise ValueError(
      f"{path} holds no word pairs: give lines of two words and a score."
    )
  return pairs


def evaluate_similarity(
  vectors: WordVectors, pairs: Sequence[Pair], *, lowercase: bool = True
) -> dict:
  """Spearman's rank correlation of cosines with people's scores.

  Equal values share the mean of their ranks, as in `scipy.stats.spearmanr`.

  Args:
    vectors: the vectors.
    pairs: as `read_similarity` gives them.
    lowercase: look up the words in lower case.

  Returns:
    The dict that the head of this module describes.

  Raises:
    ValueError: vectors that are not finite.
  """
  ids = _encode(vectors, [pair[:2] for pair in pairs], 2, lowercase)
  seen = (ids >= 0).all(axis=1)
  first, second = vectors.unit[ids[seen].T].astype(np.float64)
  cosines = np.einsum("ij,ij->i", first, second)
  scores = np.array([pair[2] for pair in pairs], np.float64)[seen]
  spearman = None
  if len(scores) > 1 and np.ptp(scores) > 0 and np.ptp(cosines) > 0:
    from scipy import stats  # takes 0.4 s, which counting need not wait for

    spearman = float(stats.spearmanr(cosines, scores).statistic)
  return {
    "kind": "similarity",
    "spearman": spearman,
    "seen": len(scores),
    "all": len(pairs),
    "coverage": _ratio(len(scores), len(pairs)),
  }


def evaluate_vectors(vectors: WordVectors, config: EvaluateConfig) -> dict:
  """Asks the vectors every question set that the config names.

  Returns:
    Results by the name of the set, as the head of this file describes them.
  """
  results, number = {}, len(config.analogies) + len(config.similarity)
  with metrics.progress("evaluating", number, " sets") as bar:
    for name in config.analogies:
      results[_set_name(name)] = evaluate_analogies(
        vectors,
        read_analogies(_evaluation_file(name)),
        method=config.analogy_method,
      )
      bar.update()
    for name in config.similarity:
      results[_set_name(name)] = evaluate_similarity(
        vectors, read_similarity(_evaluation_file(name))
      )
      bar.update()
  return results


def _evaluation_file(name: str) -> str:
  known = name in datasets.evaluation_sets()
  return datasets.evaluation_set(name) if known else name


def _set_name(name: str) -> str:
  return pathlib.Path(name).stem


def format_table(results: Mapping[str, Mapping]) -> str:
  """A text table of results by the name of their set.

  Accuracies and coverages are in percent; a correlation is as it is.
  """
  rows = [("", "score", "seen/all", "coverage")]
  for name, result in results.items():
    if result["kind"] == "similarity":
      rows.append(_row(name, result, result["spearman"], "{:.4f}"))
      continue
    totals = {n: result[n] for n in ("semantic", "syntactic", "total")}
    rows.append((f"{name} (3Cos{result['method'].title()})", "", "", ""))
    for part, score in (result["sections"] | totals).items():
      rows.append(_row(f"  {part}", score, score["accuracy"], "{:.2%}"))
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return "\n".join(
    "  ".join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
    ).rstrip()
    for row in rows
  )


def _row(name, score, value, form):
  coverage = score["coverage"]
  return (
    name,
    "-" if value is None else form.format(value),
    f"{score['seen']}/{score['all']}",
    "-" if coverage is None else f"{coverage:.1%}",
  )


def _encode(vectors, tuples, width, lowercase):
  """[N, width] int64 rows of the words; -1 marks a word without a vector."""
  change = str.lower if lowercase else str
  get = vectors.index.get
  ids = [get(change(word), -1) for words in tuples for word in words]
  return np.array(ids, np.int64).reshape(-1, width)


def _lines(path, comments):
  """(number, stripped text) of each line that is neither empty nor comment."""
  if not os.path.isfile(path):
    raise FileNotFoundError(
      f"There is no evaluation file {path}: check the path."
    )
  with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
    for number, line in enumerate(file, 1):
      line = line.strip()
      if line and not line.startswith(comments):
        yield number, line


def _number(text: str) -> float | None:
  try:
    value = float(text)
  except ValueError:
    return None
  return value if np.isfinite(value) else None


def _ratio(part: int, whole: int) -> float | None:
  return part / whole if whole else None
