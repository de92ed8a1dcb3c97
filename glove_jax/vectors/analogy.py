"""Analogy questions: asking them, and counting the right answers.

"man is to king as woman is to ?" is answered by the word d of highest

    3CosAdd  cos(d, b - a + c)                      Mikolov et al. (2013)
    3CosMul  cos(d, b) cos(d, c) / (cos(d, a) + e)  Levy & Goldberg (2014)
    3CosAvg  cos(d, c + mean(b) - mean(a))          Drozd et al. (2016)

of all words but those of the question. The means of 3CosAvg are over all
other pairs of the section; therefore it asks one question for each pair and is
defined for relations (BATS) only. `WordVectors.answers` computes the first two.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.vectors.sets import Question, Relation, Sections, is_syntactic
from glove_jax.vectors.word_vectors import WordVectors

NAMES = {"add": "3CosAdd", "mul": "3CosMul", "avg": "3CosAvg"}


class Answers(NamedTuple):
  """How each of N questions of a set was answered."""

  section: np.ndarray  # [N] int, position of the question's section
  seen: np.ndarray  # [N] bool, all its words have vectors
  correct: np.ndarray  # [N] bool


class _Asked(NamedTuple):
  """The N questions of one section as rows of the vectors; -1 is unknown."""

  words: np.ndarray  # [N, 3] int, a, b and c
  right: np.ndarray  # [N] int, position of the right answers in `answers`
  answers: np.ndarray  # [P, A] int, right answers, padded with -1


def evaluate_analogies(
  vectors: WordVectors,
  sections: Sections,
  *,
  method: str = "add",
  lowercase: bool | None = None,
) -> dict:
  """Answers analogy questions, and counts the right answers.

  Args:
    vectors: the vectors.
    sections: questions or relations by section, see `sets.read_analogies`.
    method: 'add' (3CosAdd), 'mul' (3CosMul) or, for relations, 'avg'
      (3CosAvg).
    lowercase: whether to look up words in lower case; by default if the
      vocabulary is in lower case.

  Returns:
    A dict of kind "analogies", see `glove_jax.vectors.evaluate`.

  Raises:
    ValueError: the method is unknown or not defined for these sections, or
      the vectors are not finite.

  >>> table = [[1, 0, 0], [1, 1, 0], [1, 0, 2], [1, 1, 2], [-3, 1, -1]]
  >>> words = ["man", "woman", "king", "queen", "apple"]
  >>> vectors = WordVectors(words, np.array(table, float))
  >>> questions = {"family": [("man", "woman", "king", "queen")]}
  >>> evaluate_analogies(vectors, questions)["total"]["accuracy"]
  1.0
  """
  return result(ask(vectors, sections, method, lowercase), sections, method)


def ask(
  vectors: WordVectors,
  sections: Sections,
  method: str = "add",
  lowercase: bool | None = None,
) -> Answers:
  """Answers the questions of a set; arguments as for `evaluate_analogies`."""
  if method not in NAMES:
    raise ValueError(
      f"There is no analogy method {method!r}: use add or mul or, for "
      "relations, avg."
    )
  change = fold(vectors, lowercase)
  if method == "avg":
    parts = [
      _ask_average(vectors, relations, name, change)
      for name, relations in sections.items()
    ]
  else:
    parts = _ask_each(vectors, list(sections.values()), method, change)
  section = np.repeat(np.arange(len(parts)), [len(seen) for seen, _ in parts])
  seen, correct = (
    np.concatenate([np.zeros(0, bool), *(part[i] for part in parts)])
    for i in (0, 1)
  )
  return Answers(section, seen, correct)


def result(answers: Answers, sections: Sections, method: str) -> dict:
  """The result of a set from the answers to its questions by one method."""
  each = {
    name: _score(answers, answers.section == i)
    for i, name in enumerate(sections)
  }
  return {"kind": "analogies", "method": method, "sections": each} | {
    name: _score(answers, kind) for name, kind in kinds(answers, sections)
  }


def kinds(answers: Answers, sections: Sections) -> list[tuple[str, np.ndarray]]:
  """Which questions are semantic, syntactic and either: [N] bool by name."""
  syntactic = np.array([is_syntactic(name) for name in sections], bool)
  chosen = syntactic[answers.section]
  return [
    ("semantic", ~chosen),
    ("syntactic", chosen),
    ("total", np.ones(len(chosen), bool)),
  ]


def fold(vectors: WordVectors, lowercase: bool | None = None):
  """The function that a set's words pass through before they are looked up.

  Args:
    vectors: the vectors.
    lowercase: whether to fold to lower case; by default if the vocabulary is
      in lower case, so that "Athens" of cased vectors is found.
  """
  if lowercase is None:
    lowercase = not vectors.is_cased
  return str.lower if lowercase else str


def ratio(part: int, whole: int) -> float | None:
  """part / whole, or None if the whole is 0."""
  return part / whole if whole else None


def _score(answers: Answers, chosen: np.ndarray) -> dict:
  correct, seen, number = (
    int(np.count_nonzero(chosen & mask))
    for mask in (answers.correct, answers.seen, True)
  )
  return {
    "correct": correct,
    "seen": seen,
    "all": number,
    "accuracy": ratio(correct, seen),
    "coverage": ratio(seen, number),
  }


def _ask_each(vectors, sections, method, change):
  """(seen, correct) of each section, by 3CosAdd or 3CosMul.

  The questions of all sections are answered in one call, which looks at each
  distinct word of the set once.
  """
  asked = [_encode(vectors, section, change) for section in sections]
  seen = [
    (x.words >= 0).all(axis=1) & (x.answers >= 0).any(axis=1)[x.right]
    for x in asked
  ]
  known = [x.words[mask] for x, mask in zip(asked, seen, strict=True)]
  found = vectors.answers(
    np.concatenate([np.zeros((0, 3), np.int64), *known]), method
  )
  parts, start = [], 0
  for x, mask, rows in zip(asked, seen, known, strict=True):
    answer = np.full(len(mask), -2)
    answer[mask] = found[start : start + len(rows)]
    start += len(rows)
    right = np.zeros(len(mask), bool)
    for column in x.answers.T:
      right |= column[x.right] == answer
    parts.append((mask, right & (answer >= 0)))
  return parts


def _ask_average(vectors, relations, name, change):
  """(seen, correct) of the pairs of one section, by 3CosAvg."""
  if any(not isinstance(item, Relation) for item in relations):
    raise ValueError(
      f"3CosAvg averages over the pairs of a relation, and the section "
      f"{name!r} has questions of four words: use add or mul."
    )
  word, answers = _encode_relations(vectors, relations, change)
  known = (word >= 0) & (answers >= 0).any(axis=1)
  seen = known & (np.count_nonzero(known) > 1)
  if not seen.any():
    return seen, seen
  unit, rows = vectors.unit, word[seen]
  weight = (answers[seen] >= 0)[:, :, None]  # [N, A, 1]
  images = (unit[answers[seen]] * weight).sum(axis=1) / weight.sum(axis=1)
  offset = images - unit[rows]  # [N, D]
  others = (offset.sum(axis=0) - offset) / (len(offset) - 1)
  found = vectors.closest(unit[rows] + others, rows[:, None])
  correct = np.zeros(len(word), bool)
  correct[seen] = (answers[seen] == found[:, None]).any(axis=1) & (found >= 0)
  return seen, correct


def _encode(vectors, section: Sequence[Question | Relation], change) -> _Asked:
  if section and isinstance(section[0], Relation):
    return _pair_up(vectors, section, change)
  get = vectors.index.get
  rows = [get(change(word), -1) for words in section for word in words]
  rows = np.array(rows, np.int64).reshape(-1, 4)
  return _Asked(rows[:, :3], np.arange(len(rows)), rows[:, 3:])


def _pair_up(vectors, relations: Sequence[Relation], change) -> _Asked:
  """Every ordered pair of relations of different words, as a question.

  b is the first answer of the first relation that has a vector.
  """
  word, answers = _encode_relations(vectors, relations, change)
  texts = np.array([change(relation.word) for relation in relations])
  first, second = np.nonzero(texts[:, None] != texts)
  words = np.stack([word[first], answers[first, 0], word[second]], axis=1)
  return _Asked(words, second, answers)


def _encode_relations(vectors, relations, change):
  """[P] rows of the words and [P, A] of their answers, the known ones first."""
  get = vectors.index.get
  word = np.array([get(change(x.word), -1) for x in relations], np.int64)
  known = []
  for relation in relations:
    rows = [get(change(answer), -1) for answer in relation.answers]
    known.append([row for row in dict.fromkeys(rows) if row >= 0])
  answers = np.full((len(word), max(map(len, known), default=0) or 1), -1)
  for i, rows in enumerate(known):
    answers[i, : len(rows)] = rows
  return word, answers
