"""How good vectors are: analogy accuracy and agreement with people.

Every result is a plain dict that json can write. An analogy set gives

    {"kind": "analogies", "method": "add",
     "sections": {"family": score, ...},
     "semantic": score, "syntactic": score, "total": score}

where a score is `{"correct", "seen", "all", "accuracy", "coverage"}`:
`accuracy` is correct / seen, as published figures are, and `coverage` is
seen / all, so that correct / all is there too. A similarity set gives

    {"kind": "similarity", "spearman", "seen", "all", "coverage"}

A question or pair is *seen* if all its words have vectors. A ratio of
nothing, and a correlation of fewer than two pairs, is None. `evaluation.json`
holds one such dict for each set, under the set's name.

With `suite`, `sets` or `against` in the config there is more. Each score has

    "interval": [low, high]       at 95%
    "against": {"score", "difference", "interval", "p", "seen"}

where `score` is that of the other vectors and `difference` ours minus theirs,
both on what both have seen. An analogy set also has "methods": its total by
each method. A set of the suite that cannot be had has "missing": the reason.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from glove_jax import metrics
from glove_jax.config import EvaluateConfig, check_type
from glove_jax.vectors import (
  analogy,
  formats,
  intervals,
  sets,
  similarity,
  standard,
)
from glove_jax.vectors.formats import opening
from glove_jax.vectors.score_table import Scores, format_table
from glove_jax.vectors.sets import Pair, Relation, Sections
from glove_jax.vectors.word_vectors import WordVectors

__all__ = [
  "Scores",
  "check",
  "compare_analogies",
  "compare_similarity",
  "evaluate_vectors",
  "format_table",
  "question_files",
]


def check(config: EvaluateConfig) -> None:
  """Checks that everything an evaluation reads is there, and is readable.

  It takes some tens of milliseconds, so that a run can check before it counts.
  Sets of the standard suite that cannot be had are no error.

  Args:
    config: which sets to evaluate on, and other vectors to compare with.

  Raises:
    FileNotFoundError: a file that the config names does not exist.
    ValueError, OSError: a file that the config names is malformed.
  """
  check_type(config, EvaluateConfig)
  for entry in standard.find_sets(dataclasses.replace(config, suite="none")):
    _read(entry)
  if config.against:
    formats.load_vectors(config.against, limit=1)


def question_files(config: EvaluateConfig) -> list[pathlib.Path]:
  """The files that an evaluation reads, without duplicates.

  Sets of the standard suite that have not been downloaded yet are left out.

  Args:
    config: which sets to evaluate on, and other vectors to compare with.

  Raises:
    FileNotFoundError: a file that the config names does not exist.
    ValueError: the config is not an `EvaluateConfig`.
  """
  check_type(config, EvaluateConfig)
  plain = dataclasses.replace(config, suite="none")
  paths = [entry.path for entry in standard.find_sets(plain) if entry.path]
  if config.suite == "standard":
    paths += standard.cached_files()
  files = []
  for path in paths:
    files += sets.files_of(path)
  if config.against:
    files += opening.files_of(config.against)
  return list(dict.fromkeys(files))


def evaluate_vectors(
  vectors: WordVectors,
  config: EvaluateConfig,
  lowercase: bool | None = None,
  asked: dict | None = None,
) -> dict:
  """Evaluates vectors on every set that the config names.

  Args:
    vectors: the vectors.
    config: which sets to evaluate on, and how.
    lowercase: whether to look up words in lower case; by default if the
      vocabulary is in lower case.
    asked: receives by the name of each set its content and what the vectors
      answered: `analogy.Answers` or the cosines of pairs.

  Returns:
    Results by the name of the set, as the head of this file describes them.

  Raises:
    FileNotFoundError: a file that the config names does not exist.
    ValueError: a file that the config names is malformed, or the vectors are
      not finite.
  """
  entries = standard.find_sets(config)
  other = formats.load_vectors(config.against) if config.against else None
  results, contents = {}, []
  with metrics.progress("evaluating", len(entries), " sets") as bar:
    for entry in entries:
      content, reason = _read(entry)
      # A folder may have another copy of a set: its questions count once.
      if entry.kind or content is None or content not in contents:
        if content is None:
          method = config.analogy_method
          results[entry.name] = _missing(entry.kind, reason, method)
        else:
          results[entry.name], given = _evaluate(
            content, vectors, config, other, lowercase
          )
          if asked is not None:
            asked[entry.name] = content, given
      contents.append(content)
      bar.update()
  return results


def compare_analogies(
  vectors: WordVectors,
  sections: Sections,
  method: str = "add",
  other: WordVectors | None = None,
  lowercase: bool | None = None,
  given: analogy.Answers | None = None,
) -> dict:
  """Evaluates an analogy set by every method, with intervals and tests.

  Args:
    vectors: the vectors.
    sections: questions or relations, see `sets.read_analogies`.
    method: 'add' or 'mul', the method of the sections' scores.
    other: vectors to compare with.
    lowercase: as for `evaluate_vectors`; of `vectors` only.
    given: the answers of `vectors` by `method`, if they are known.

  Returns:
    A dict as the head of this file describes it.
  """
  methods = ["add", "mul"]
  items = [item for section in sections.values() for item in section[:1]]
  if items and all(isinstance(item, Relation) for item in items):
    methods.append("avg")
  known, results = {method: given}, {}
  for name in methods:
    ours = known.get(name) or analogy.ask(vectors, sections, name, lowercase)
    theirs = analogy.ask(other, sections, name) if other is not None else None
    results[name] = _compared(ours, theirs, sections, name)
  totals = {name: result["total"] for name, result in results.items()}
  return results[method] | {"methods": totals}


def compare_similarity(
  vectors: WordVectors,
  pairs: Sequence[Pair],
  other: WordVectors | None = None,
  lowercase: bool | None = None,
  given: np.ndarray | None = None,
) -> dict:
  """Evaluates a similarity set, with an interval and a test.

  Args:
    vectors: the vectors.
    pairs: see `sets.read_similarity`.
    other: vectors to compare with.
    lowercase: as for `evaluate_vectors`; of `vectors` only.
    given: the cosines of the pairs in `vectors`, if they are known.

  Returns:
    A dict as the head of this file describes it.
  """
  people = np.array([pair.score for pair in pairs], np.float64)
  cosine = given
  if cosine is None:
    cosine = similarity.cosines(vectors, pairs, lowercase)
  seen = ~np.isnan(cosine)
  result = similarity.score(cosine, pairs) | {
    "interval": intervals.spearman_interval(cosine[seen], people[seen])
  }
  if other is not None:
    theirs = similarity.cosines(other, pairs)
    both = seen & ~np.isnan(theirs)
    result["against"] = _against(
      intervals.spearman(theirs[both], people[both]),
      intervals.spearman_difference(cosine[both], theirs[both], people[both]),
      int(np.count_nonzero(both)),
    )
  return result


def _read(entry: standard.Entry) -> tuple[sets.Content | None, str]:
  """The content of a set, or None and the reason why it is missing.

  Raises:
    ValueError: a file is malformed that the config names, or that is of the
      suite; a file of the folder `sets` is only reported as missing.
  """
  if entry.path is None:
    return None, entry.reason
  try:
    return entry.read(), ""
  except (ValueError, OSError) as error:
    if entry.kind:
      raise
    return None, str(error)


def _evaluate(content, vectors, config, other, lowercase):
  """The result of a set, and what the vectors answer to it."""
  is_plain = not (config.sets or config.against) and config.suite == "none"
  if not isinstance(content, dict):
    cosine = similarity.cosines(vectors, content, lowercase)
    if is_plain:
      return similarity.score(cosine, content), cosine
    return compare_similarity(
      vectors, content, other, lowercase, cosine
    ), cosine
  method = config.analogy_method
  answers = analogy.ask(vectors, content, method, lowercase)
  if is_plain:
    return analogy.result(answers, content, method), answers
  return compare_analogies(
    vectors, content, method, other, lowercase, answers
  ), answers


def _missing(kind: str, reason: str, method: str) -> dict:
  """The result of a set that cannot be had: one without questions."""
  if kind != "analogies":
    return similarity.score(np.zeros(0), []) | {"missing": reason}
  none = np.zeros(0, bool)
  answers = analogy.Answers(np.zeros(0, np.int64), none, none)
  return analogy.result(answers, {}, method) | {"missing": reason}


def _compared(
  ours: analogy.Answers,
  theirs: analogy.Answers | None,
  sections: Sections,
  method: str,
) -> dict:
  """The result of one method, each score with its interval and comparison."""
  result = analogy.result(ours, sections, method)
  parts = [
    (score, ours.section == i)
    for i, score in enumerate(result["sections"].values())
  ]
  parts += [
    (result[name], kind) for name, kind in analogy.kinds(ours, sections)
  ]
  for score, chosen in parts:
    score["interval"] = intervals.accuracy_interval(
      score["correct"], score["seen"]
    )
    if theirs is not None:
      both = chosen & ours.seen & theirs.seen
      right = theirs.correct[both]
      score["against"] = _against(
        analogy.ratio(int(np.count_nonzero(right)), len(right)),
        intervals.accuracy_difference(ours.correct[both], right),
        len(right),
      )
  return result


def _against(score: float | None, difference: Mapping | None, seen: int):
  none = {"difference": None, "interval": None, "p": None, "seen": seen}
  return {"score": score} | dict(difference or none)
