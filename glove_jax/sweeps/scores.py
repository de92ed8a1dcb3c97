"""What a point is scored by: its results as columns, and every answer of it."""

import io
import os
import pathlib
from collections.abc import Callable, Collection, Mapping

import numpy as np

from glove_jax import atomic
from glove_jax.config import EvaluateConfig
from glove_jax.vectors import analogy, evaluate
from glove_jax.vectors.word_vectors import WordVectors

# vectors -> a score, or scores by name
Evaluator = Callable[[WordVectors], float | Mapping[str, float]]
# What each question was answered, by column of the results: [N] float32, 1 or 0
# for a right or wrong answer, the cosine of a pair, NaN if not seen. The scores
# of people for the pairs of a set are under its name and `PEOPLE`.
Answers = dict[str, np.ndarray]
PEOPLE = "/people"

# Columns beside the scores and the settings that vary.
_COLUMNS = {"point", "seed", "cost", "train_seconds", "wall_seconds", "error"}
_PARTS = ("semantic", "syntactic")


def evaluate_point(
  vectors: WordVectors,
  config: EvaluateConfig,
  evaluator: Evaluator | None,
  varied: Collection[str] = (),
) -> tuple[dict, Answers]:
  """Scores vectors.

  Args:
    vectors: the vectors.
    config: the question sets.
    evaluator: a score of one's own, beside them.
    varied: the settings that are columns too.

  Returns:
    Results as evaluation.json holds them, and the answers.

  Raises:
    ValueError: a score has the name of another column.
  """
  asked: dict = {}
  results = evaluate.evaluate_vectors(vectors, config, asked=asked)
  if evaluator:
    found = evaluator(vectors)
    scores = found if isinstance(found, Mapping) else {"score": found}
    if taken := sorted(scores.keys() & {*_COLUMNS, *varied, *results}):
      raise ValueError(
        f"evaluate returns a score named {taken[0]}, which names another "
        "column of the results: rename it."
      )
    results |= {
      name: {"kind": "score", "score": float(score)}
      for name, score in scores.items()
    }
  return results, _answers(asked)


def _answers(asked: Mapping) -> Answers:
  out = {}
  for name, (content, given) in asked.items():
    if isinstance(content, dict):
      right = np.where(given.seen, given.correct, np.nan).astype(np.float32)
      for part, chosen in analogy.kinds(given, content):
        out[name if part == "total" else f"{name}_{part}"] = right[chosen]
    else:
      out[name] = given.astype(np.float32)
      out[name + PEOPLE] = np.array([pair[2] for pair in content], np.float32)
  return out


def write_answers(answers: Answers, path: str | os.PathLike) -> None:
  with atomic.write_whole(path) as file:
    np.savez_compressed(file, **answers)  # type: ignore[arg-type]


def read_answers(path: str | os.PathLike) -> Answers:
  """The answers of a point; none if it is of an earlier version."""
  path = pathlib.Path(path)
  if not path.exists():
    return {}
  with np.load(io.BytesIO(path.read_bytes())) as arrays:
    return dict(arrays)


def flat(results: Mapping) -> dict[str, float]:
  """The score of each question set; an analogy set has three.

  A set of which no question could be asked has none.

  Args:
    results: of `evaluate_point`.
  """
  scores = {}
  for name, result in results.items():
    if result["kind"] == "score":
      scores[name] = result["score"]
      continue
    if result["kind"] == "similarity":
      scores[name] = result["spearman"]
      continue
    scores[name] = result["total"]["accuracy"]
    for part in _PARTS:
      scores[f"{name}_{part}"] = result[part]["accuracy"]
  return {name: score for name, score in scores.items() if score is not None}


def set_of(name: str, sets: Mapping | list[str]) -> str | None:
  """The question set that a column is a score of, if it is one.

  >>> set_of("google_semantic", ["google", "wordsim353"])
  'google'
  """
  for part in _PARTS:
    if name.removesuffix(f"_{part}") in sets:
      return name.removesuffix(f"_{part}")
  return name if name in sets else None


def covered(results: Mapping) -> dict[str, float]:
  """`<set>_n`, how many questions a score is of, and `<set>_coverage`."""
  found = {}
  for name, result in results.items():
    score = result.get("total", result)
    if "seen" in score:
      found[f"{name}_n"] = score["seen"]
      found[f"{name}_coverage"] = score["coverage"]
  return found


def describe(results: Mapping) -> str:
  """The scores of a point as one line, each with what it is of.

  >>> describe({"ws": {"kind": "similarity", "spearman": 0.5, "seen": 3,
  ...                  "all": 4}})
  'ws 0.5000 (3 of 4)'
  """
  scores, parts = flat(results), []
  for name, result in results.items():
    score = result.get("total", result)
    text = f"{name} {scores[name]:.4f}" if name in scores else f"{name} -"
    if "seen" in score:
      text += f" ({score['seen']:,} of {score['all']:,})"
    parts.append(text)
  return ", ".join(parts)
