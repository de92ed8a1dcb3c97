"""Word vectors: combining tables, neighbours, analogies."""

import functools
from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np

from glove_jax.text.symbols import UNK
from glove_jax.threads import default_threads

_MUL_EPSILON = 1e-3  # Levy & Goldberg (2014), section 4: keeps 3CosMul finite
_COLUMNS = 4096  # candidates, and ...
_ROWS = 128  # ... questions scored at once: 2 MiB, about what L2 holds
_TILE = 1 << 23  # most scores of question words held at once
_CASED = 0.01  # more words than this share with capitals: cased vectors


def combine(
  word: np.ndarray, context: np.ndarray, how: str = "sum"
) -> np.ndarray:
  """Combines the two tables that training fits into one.

  Args:
    word: [V, D].
    context: [V, D].
    how: 'sum' (the paper's choice, section 4.2), 'word', 'context', or
      'concat'.

  Returns:
    [V, D], or [V, 2 * D] for 'concat'.

  Raises:
    ValueError: `how` is unknown, or the two shapes differ.

  >>> combine(np.array([[1.0, 2.0]]), np.array([[3.0, 8.0]]))
  array([[ 4., 10.]])
  """
  if np.shape(word) != np.shape(context):
    raise ValueError(
      f"The word table is {np.shape(word)} and the context table "
      f"{np.shape(context)}: combine two tables of one training run."
    )
  if how == "sum":
    return word + context
  if how == "word":
    return word
  if how == "context":
    return context
  if how == "concat":
    return np.concatenate([word, context], axis=1)
  raise ValueError(
    f"Cannot combine tables by {how!r}: use sum, word, context or concat."
  )


class WordVectors:
  """Words and their vectors.

  `<unk>` stands for no particular word, so it is never an answer. If a word
  occurs twice, its first vector counts and the others are never answers.

  Attributes:
    words: V words.
    vectors: [V, D] float32 or float64.
    index: the row of each word.
    unit: [V, D] float32, the vectors scaled to length 1 (zero stays zero).
    is_cased: whether the words keep their capitals.

  >>> angles = np.deg2rad([90, 50, 0])
  >>> table = np.stack([np.cos(angles), np.sin(angles)], axis=1)
  >>> vectors = WordVectors(["north", "northeast", "east"], table)
  >>> [word for word, cosine in vectors.neighbors("north", k=1)]
  ['northeast']
  """

  def __init__(self, words: Sequence[str], vectors: np.ndarray):
    self.words = tuple(words)
    self.vectors = floating(vectors)
    if self.vectors.ndim != 2 or len(self.words) != len(self.vectors):
      raise ValueError(
        f"{len(self.words)} words do not fit vectors of shape "
        f"{self.vectors.shape}: give one row for each word."
      )
    if not self.vectors.size:
      raise ValueError(
        f"Vectors of shape {self.vectors.shape} hold nothing: give at least "
        "one word and one dimension."
      )

  @functools.cached_property
  def index(self) -> dict[str, int]:
    return dict(
      zip(reversed(self.words), range(len(self.words) - 1, -1, -1), strict=True)
    )

  @functools.cached_property
  def unit(self) -> np.ndarray:
    squares = np.einsum(
      "ij,ij->i", self.vectors, self.vectors, dtype=np.float64
    )
    if not np.isfinite(squares).all():
      word = self.words[int(np.argmin(np.isfinite(squares)))]
      raise ValueError(
        f"The vector of {word!r} has values that are not finite: train again "
        "with a smaller learning rate, or take an earlier checkpoint."
      )
    squares[squares == 0] = 1
    length = np.sqrt(squares).astype(self.vectors.dtype)[:, None]
    return (self.vectors / length).astype(np.float32, copy=False)

  @functools.cached_property
  def is_cased(self) -> bool:
    """Whether more than one word in a hundred has a capital letter."""
    num = sum(word != word.lower() for word in self.words)
    return num > _CASED * len(self)

  def __len__(self) -> int:
    return len(self.words)

  def __contains__(self, word: str) -> bool:
    return word in self.index

  def __getitem__(self, word: str) -> np.ndarray:
    """The vector [D] of a word; ValueError if it has none."""
    return self.vectors[self.id(word)]

  def id(self, word: str) -> int:
    """The row of a word; ValueError if it has none."""
    if word not in self.index:
      raise ValueError(
        f"The word {word!r} is not among the {len(self)} words of these "
        "vectors: check its spelling and case, or train with a lower min_count."
      )
    return self.index[word]

  def neighbors(
    self, query: str | np.ndarray, k: int = 10
  ) -> list[tuple[str, float]]:
    """The k words of highest cosine to a word, or to any vector [D].

    Args:
      query: a word, which is not its own neighbour, or a vector.
      k: the number of neighbours.

    Returns:
      (word, cosine), the highest first, ties in the order of the rows.

    Raises:
      ValueError: the word is unknown, the vector has another width or is not
        finite, or k < 1.
    """
    if isinstance(query, str):
      row = self.id(query)
      return self._best(self.unit @ self.unit[row], [row], k)
    query = np.asarray(query, np.float64)
    if query.shape != self.vectors.shape[1:] or not np.isfinite(query).all():
      raise ValueError(
        f"A query of shape {query.shape} has no neighbours here: give "
        f"{self.vectors.shape[1]} finite numbers."
      )
    scale = np.linalg.norm(query) or 1.0
    return self._best(self.unit @ (query / scale).astype(np.float32), [], k)

  def analogy(
    self, a: str, b: str, c: str, k: int = 10, method: str = "add"
  ) -> list[tuple[str, float]]:
    """The words d for which "a is to b as c is to d", without a, b and c.

    Args:
      a: such as man,
      b: king,
      c: woman.
      k: the number of words to return.
      method: 'add' for the cosine to b - a + c of unit vectors (3CosAdd,
        Mikolov et al., 2013), 'mul' for cos(d, b) cos(d, c) / (cos(d, a) +
        0.001) of cosines moved to [0, 1] (3CosMul, Levy & Goldberg, 2014).

    Returns:
      (word, score), the best first.

    Raises:
      ValueError: a word or the method is unknown, or k < 1.
    """
    rows = [self.id(word) for word in (a, b, c)]
    gain, loss = _terms(self.unit[rows] @ self.unit.T, method)
    score = gain[1] - loss[0] + gain[2]
    if method == "mul":
      score = np.exp(score)
    else:
      score /= np.linalg.norm(self.unit[rows].T @ [-1, 1, 1]) or 1.0
    return self._best(score, rows, k)

  def answers(self, questions: np.ndarray, method: str = "add") -> np.ndarray:
    """The best answer to each of many analogy questions, as by `analogy`.

    Both scores are sums of one term for each word of the question. The
    cosines of the distinct words (some 900 in Google's 19,544 questions) with
    the vocabulary are therefore computed once, and a question costs one
    addition and one maximum for each candidate. Memory is some tens of MiB
    for each thread.

    Args:
      questions: [N, 3] integers, the rows of a, b and c.
      method: 'add' or 'mul'.

    Returns:
      [N] int64: the row of each answer, the lowest of equal ones; -1 if the
      vocabulary has no other words.
    """
    questions = np.asarray(questions, np.int64).reshape(-1, 3)
    if not len(questions):
      return np.zeros(0, np.int64)
    plan = _make_plan(questions)
    tall = max(len(plan.words), len(plan.pairs))
    columns = max(64, min(_COLUMNS, _TILE // tall))
    solve = functools.partial(
      _best_in_columns, self.unit, plan, self._never, method, columns
    )
    best = np.full(len(questions), -np.inf, np.float32)
    answer = np.full(len(questions), -1)
    with futures.ThreadPoolExecutor(default_threads()) as pool:
      for score, row in pool.map(solve, range(0, len(self), columns)):
        answer = np.where(score > best, row, answer)
        best = np.maximum(score, best)
    return answer

  def closest(self, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """The word of highest cosine to each of many vectors.

    Args:
      queries: [N, D].
      excluded: [N, E] integers, rows that are not answers to the query.

    Returns:
      [N] int64: the row of each answer, the lowest of equal ones; -1 if the
      vocabulary has no other words.
    """
    queries = np.asarray(queries, np.float32)
    best = np.full(len(queries), -np.inf, np.float32)
    answer = np.full(len(queries), -1)
    columns = max(64, _TILE // max(1, len(queries)))
    for start in range(0, len(self), columns):
      score = queries @ self.unit[start : start + columns].T
      score[:, _columns_of(self._never, start, score.shape[1])] = -np.inf
      _exclude(score, excluded, start)
      row = score.argmax(axis=1)
      top = np.take_along_axis(score, row[:, None], axis=1)[:, 0]
      answer = np.where(top > best, row + start, answer)
      best = np.maximum(top, best)
    return answer

  def to_gensim(self):
    """These vectors as a `gensim.models.KeyedVectors`."""
    from gensim import models  # here, since it takes a second to import

    rows = sorted(self.index.values())
    out = models.KeyedVectors(self.vectors.shape[1], dtype=self.vectors.dtype)
    out.add_vectors([self.words[row] for row in rows], self.vectors[rows])
    return out

  def _best(self, score, excluded, k):
    if k < 1:
      raise ValueError(f"Cannot list {k} words: ask for 1 or more.")
    excluded = {*excluded, *self._never.tolist()}
    score[list(excluded)] = -np.inf
    rows = np.argsort(-score, kind="stable")
    rows = rows[: min(k, len(self) - len(excluded))]
    return [(self.words[row], float(score[row])) for row in rows]

  @functools.cached_property
  def _never(self) -> np.ndarray:
    """Rows that are never answers: `<unk>` and words that occurred before."""
    never = {self.index[UNK]} if UNK in self.index else set()
    if len(self.index) < len(self):
      never |= {i for i, word in enumerate(self.words) if self.index[word] != i}
    return np.array(sorted(never), np.int64)


def with_unk(vectors: WordVectors) -> WordVectors:
  """Adds Stanford's `<unk>` as the last word: the mean of the rarest words.

  The mean is over the last min(100, V) words, as in glove.c. Vectors that
  already have an `<unk>` are returned unchanged.
  """
  if UNK in vectors:
    return vectors
  table = vectors.vectors
  mean = table[-100:].mean(axis=0, dtype=np.float64, keepdims=True)
  table = np.concatenate([table, mean.astype(table.dtype)])
  return WordVectors((*vectors.words, UNK), table)


def floating(array) -> np.ndarray:
  """The array as float32 or float64, since numpy stores no bfloat16."""
  array = np.asarray(array)
  if array.dtype in (np.float32, np.float64):
    return array
  return array.astype(np.float32)


def _terms(cosines, method):
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
  gain, loss = _terms(unit[plan.words] @ candidates.T, method)
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
