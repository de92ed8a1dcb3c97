"""Search over all words: the best answers to many questions at once.

Everything here works on rows of unit vectors [V, D], block by block, so that
memory stays bounded whatever the number of words and questions.
"""

import functools
from collections.abc import Callable
from concurrent import futures
from typing import NamedTuple

import numpy as np

from glove_jax.threads import default_threads
from glove_jax.vectors import on_device

_MUL_EPSILON = 1e-3  # Levy & Goldberg (2014), section 4: keeps 3CosMul finite
_COLUMNS = 4096  # candidates, and ...
_ROWS = 128  # ... questions scored at once: 2 MiB, about what L2 holds
_TILE = 1 << 23  # most scores held at once
_DEVICE = 1 << 32  # multiplications from which it pays to import jax


def check_questions(questions: np.ndarray, size: int) -> np.ndarray:
  """Returns analogy questions [N, 3] as int64.

  Raises:
    ValueError: they are not [N, 3] integers, each from 0 to size - 1.
  """
  questions = np.asarray(questions)
  if questions.size and (
    questions.ndim != 2
    or questions.shape[1] != 3
    or questions.dtype.kind not in "iu"
    or questions.min() < 0
    or questions.max() >= size
  ):
    raise ValueError(
      f"Questions of shape {questions.shape} and type {questions.dtype} are "
      f"not rows of a, b and c: give [N, 3] integers from 0 to {size - 1}."
    )
  return questions.astype(np.int64).reshape(-1, 3)


def best_answers(
  unit: np.ndarray, questions: np.ndarray, never: np.ndarray, method: str
) -> np.ndarray:
  """The best answer to each analogy question.

  Both scores are sums of one term for each word of the question. The cosines of
  the distinct words (some 900 in Google's 19,544 questions) with the vocabulary
  are therefore computed once, and a question costs one addition and one maximum
  for each candidate. Memory is some tens of MiB for each thread.

  Args:
    unit: [V, D] float32, unit vectors.
    questions: [N, 3] int64, the rows of a, b and c.
    never: [E] int64, rows that are never answers.
    method: 'add' or 'mul'.

  Returns:
    [N] int64: the row of each answer, the lowest of equal ones; -1 if there
    are no other words.
  """
  if not len(questions):
    return np.zeros(0, np.int64)
  plan = _make_plan(questions)
  tall = max(len(plan.words), len(plan.pairs))
  columns = max(64, min(_COLUMNS, _TILE // tall))
  solve = functools.partial(
    _best_in_columns, unit, plan, never, method, columns
  )
  best = np.full(len(questions), -np.inf, np.float32)
  answer = np.full(len(questions), -1)
  with futures.ThreadPoolExecutor(default_threads()) as pool:
    for score, row in pool.map(solve, range(0, len(unit), columns)):
      answer = np.where(score > best, row, answer)
      best = np.maximum(score, best)
  return answer


def closest(
  unit: np.ndarray,
  queries: np.ndarray,
  excluded: np.ndarray,
  never: np.ndarray,
) -> np.ndarray:
  """The row of highest cosine to each of many vectors.

  Args:
    unit: [V, D] float32, unit vectors.
    queries: [N, D].
    excluded: [N, E] integers, rows that are not answers to the query.
    never: [F] int64, rows that are never answers.

  Returns:
    [N] int64: the row of each answer, the lowest of equal ones; -1 if there
    are no other words.
  """
  queries = np.asarray(queries, np.float32)
  best = np.full(len(queries), -np.inf, np.float32)
  answer = np.full(len(queries), -1)
  columns = max(64, _TILE // max(1, len(queries)))
  for start in range(0, len(unit), columns):
    score = queries @ unit[start : start + columns].T
    score[:, _columns_of(never, start, score.shape[1])] = -np.inf
    _exclude(score, excluded, start)
    row = score.argmax(axis=1)
    highest = np.take_along_axis(score, row[:, None], axis=1)[:, 0]
    answer = np.where(highest > best, row + start, answer)
    best = np.maximum(highest, best)
  return answer


def top(
  unit: np.ndarray,
  queries: np.ndarray,
  excluded: np.ndarray,
  never: np.ndarray,
  k: int,
) -> tuple[np.ndarray, np.ndarray]:
  """The k rows of highest cosine to each of many vectors.

  A large search runs on the GPU or TPU, if JAX has one.

  Args:
    unit: [V, D] float32, unit vectors.
    queries: [N, D] float32, unit vectors.
    excluded: [N, E] int64, rows that are not answers to the query.
    never: [F] int64, rows that are never answers.
    k: the number of answers.

  Returns:
    rows [N, K] int64 and their scores [N, K], the highest first, equal ones in
    the order of the rows; K is k or, if that is less, V. Where there are no
    more answers, the score is -inf.
  """
  k = min(k, len(unit))
  find: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
  if len(queries) * unit.size >= _DEVICE and on_device.is_here():
    find = on_device.Search(unit, never, k)
  else:
    find = functools.partial(_top_of_block, unit, never, k)
  step = max(1, _TILE // len(unit))
  blocks = [
    find(queries[i : i + step], excluded[i : i + step])
    for i in range(0, len(queries), step)
  ]
  rows, scores = zip(*blocks, strict=True)
  return np.concatenate(rows), np.concatenate(scores)


def _top_of_block(unit, never, k, queries, excluded):
  """As `top`, of as many queries as fit in memory at once."""
  score = queries @ unit.T
  score[:, never] = -np.inf
  _exclude(score, excluded, 0)
  rows = np.zeros((len(score), k), np.int64)
  best = np.full((len(score), k), -np.inf, np.float32)
  for i, line in enumerate(score):
    found = top_rows(line, k)
    rows[i, : len(found)] = found
    best[i, : len(found)] = line[found]
  return rows, best


def top_rows(score: np.ndarray, k: int) -> np.ndarray:
  """The rows of the k highest scores [V], the highest first.

  Equal scores come in the order of the rows. Rows of score -inf are left out.
  """
  if k < len(score):
    least = np.partition(score, len(score) - k)[len(score) - k]
    rows = np.flatnonzero(score >= least)
  else:
    rows = np.arange(len(score))
  rows = rows[np.argsort(-score[rows], kind="stable")][:k]
  return rows[score[rows] > -np.inf]


def terms(cosines: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
  """What b and c add to a score, and what a subtracts: [.., V] each."""
  if method == "add":
    return cosines, cosines
  if method == "mul":
    moved = np.maximum((1 + cosines) / 2, np.finfo(np.float32).tiny)
    return np.log(moved), np.log(moved + np.float32(_MUL_EPSILON))
  raise ValueError(f"There is no analogy method {method!r}: use add or mul.")


class _Plan(NamedTuple):
  """N questions, with their distinct words and distinct (a, b) pairs."""

  questions: np.ndarray  # [N, 3] rows of the vectors
  words: np.ndarray  # [U] rows of the vectors
  pairs: np.ndarray  # [P, 2] positions in words
  pair: np.ndarray  # [N] positions in pairs
  third: np.ndarray  # [N] positions in words


def _make_plan(questions) -> _Plan:
  words, local = np.unique(questions, return_inverse=True)
  local = local.reshape(-1, 3)
  pairs, pair = np.unique(local[:, :2], axis=0, return_inverse=True)
  return _Plan(questions, words, pairs, pair.reshape(-1), local[:, 2])


def _best_in_columns(unit, plan, never, method, columns, start):
  """The best score [N] and its row [N] among `columns` rows from `start`.

  `gain` and `loss` hold a row for each distinct word of the questions, and
  `change` one for each distinct pair (a, b). For the questions (7, 2, 5) and
  (7, 2, 9), which are rows of the vectors:

    words  = 2 5 7 9          the distinct words
    pairs  = (2, 0)           a is words[2] = 7, b is words[0] = 2
    change[0] = gain[0] - loss[2]
    scores = change[0] + gain[1]      of the first question, third = 1
             change[0] + gain[3]      of the second, third = 3
  """
  candidates = unit[start : start + columns]
  gain, loss = terms(unit[plan.words] @ candidates.T, method)
  change = gain[plan.pairs[:, 1]] - loss[plan.pairs[:, 0]]
  change[:, _columns_of(never, start, len(candidates))] = -np.inf
  best = np.empty(len(plan.questions), np.float32)
  answer = np.empty(len(plan.questions), np.int64)
  for i in range(0, len(best), _ROWS):
    part = slice(i, i + _ROWS)
    score = change[plan.pair[part]]
    score += gain[plan.third[part]]
    _exclude(score, plan.questions[part], start)
    answer[part] = score.argmax(axis=1)
    best[part] = np.take_along_axis(score, answer[part, None], axis=1)[:, 0]
  return best, answer + start


def _exclude(score, excluded, start) -> None:
  """Sets scores [N, C] of the rows from `start` to -inf, in place.

  `excluded` is [N, E]: the rows that are not answers to each query.
  """
  local = np.asarray(excluded) - start
  query, position = np.nonzero((local >= 0) & (local < score.shape[1]))
  score[query, local[query, position]] = -np.inf


def _columns_of(rows, start, columns) -> np.ndarray:
  """The positions of those rows that are among `columns` rows from start."""
  local = rows - start
  return local[(local >= 0) & (local < columns)]
