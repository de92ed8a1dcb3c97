"""What word vectors are asked: neighbours, similarities and analogies."""

import functools
from collections.abc import Sequence

import numpy as np

from glove_jax.text.symbols import UNK
from glove_jax.vectors import ann, search
from glove_jax.vectors.queries import are_words, array_or_list, listed, scaled
from glove_jax.vectors.word_rows import WordRows


class Neighbors(WordRows):
  """Words and vectors that answer questions: a part of `WordVectors`."""

  def neighbors(
    self,
    query: str | Sequence[str] | np.ndarray,
    k: int = 10,
    approximate: bool = False,
  ) -> list[tuple[str, float]]:
    """The k words of highest cosine to a word, to several, or to a vector.

    Args:
      query: a word, several words, which stand for the mean of their unit
        vectors, or a vector [D]. A word is not its own neighbour.
      k: the number of neighbours.
      approximate: whether to search the index of `ann`, which is built at the
        first such question: for many questions about millions of words. A few
        neighbours may be missed.

    Returns:
      (word, cosine), the highest first, ties in the order of the rows.

    Raises:
      ValueError: a word is unknown, the vector has another width or is not
        finite, or k < 1.
      ImportError: `approximate` without its package.
    """
    if isinstance(query, str):
      row = self.id(query)
      return self._nearest(self.unit[row], [row], k, approximate)
    query = array_or_list(query)
    if are_words(query):
      return self.most_similar(query, topn=k, approximate=approximate)
    return self._nearest(scaled(self._vector(query)), [], k, approximate)

  def neighbors_of_each(
    self,
    queries: Sequence[str] | np.ndarray,
    k: int = 10,
    approximate: bool = False,
  ) -> list[list[tuple[str, float]]]:
    """The neighbours of each of many words or vectors, faster than one by one.

    Args:
      queries: N words, or vectors [N, D].
      k: the number of neighbours of each.
      approximate: as for `neighbors`.

    Returns:
      N lists as of `neighbors`.

    Raises:
      ValueError: as `neighbors`.
    """
    if isinstance(queries, str):
      raise ValueError(f"Give a list of words, not the one word {queries!r}.")
    queries = array_or_list(queries)
    if are_words(queries):
      rows = [[self.id(word)] for word in queries]
      table = self.unit[[row for (row,) in rows]]
    else:
      rows = [[] for _ in queries]
      table = np.array([scaled(self._vector(query)) for query in queries])
    return self._search(table, rows, k, approximate) if rows else []

  def most_similar(
    self, positive=(), negative=(), topn: int = 10, approximate: bool = False
  ) -> list[tuple[str, float]]:
    """The words near what some words have and others have not.

    The query is the sum of the unit vectors of `positive` less that of
    `negative`, as in gensim.

    Args:
      positive: a word, a vector [D], or a list of words, vectors and
        (word, weight).
      negative: the same.
      topn: the number of words to return.
      approximate: as for `neighbors`.

    Returns:
      (word, cosine), the highest first, without the words of the query.

    Raises:
      ValueError: as `neighbors`, or the query is empty.

    >>> from glove_jax import WordVectors
    >>> table = [[1, 0, 0], [1, 1, 0], [1, 0, 2], [1, 1, 2], [-3, 1, -1]]
    >>> words = ["man", "woman", "king", "queen", "apple"]
    >>> vectors = WordVectors(words, table)
    >>> vectors.most_similar(["king", "woman"], ["man"], topn=1)[0][0]
    'queen'
    """
    target, rows = np.zeros(self.vector_size), []
    positive, negative = listed(positive), listed(negative)
    for sign, keys in ((1.0, positive), (-1.0, negative)):
      for key in keys:
        weight = sign
        if isinstance(key, tuple) and len(key) == 2 and are_words(key[:1]):
          key, weight = key[0], sign * float(key[1])
        if isinstance(key, str):
          rows.append(self.id(key))
          target += weight * self.unit[rows[-1]]
        else:
          target += weight * scaled(self._vector(key))
    if not len(positive) + len(negative):
      raise ValueError("Give one word or more, as positive or negative.")
    return self._nearest(scaled(self._vector(target)), rows, topn, approximate)

  def similarity(self, first: str, second: str) -> float:
    """The cosine of two words; ValueError if one has no vector."""
    rows = [self.id(first), self.id(second)]
    a, b = self.unit[rows].astype(np.float64)
    return float(np.clip(a @ b, -1, 1))

  def doesnt_match(self, words: Sequence[str]) -> str:
    """The word that is farthest from the mean of the others and itself.

    Raises:
      ValueError: a word has no vector, or there are none.
    """
    words = list(listed(words))
    if not words:
      raise ValueError("Give words: the one that does not match is returned.")
    table = self.unit[[self.id(word) for word in words]]
    return words[int(np.argmin(table @ table.mean(axis=0)))]

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
    gain, loss = search.terms(self.unit[rows] @ self.unit.T, method)
    score = gain[1] - loss[0] + gain[2]
    if method == "mul":
      score = np.exp(score)
    else:
      score /= np.linalg.norm(self.unit[rows].T @ [-1, 1, 1]) or 1.0
    return self._best(score, rows, k)

  def answers(self, questions: np.ndarray, method: str = "add") -> np.ndarray:
    """The best answer to each of many analogy questions, as by `analogy`.

    Args:
      questions: [N, 3] integers, the rows of a, b and c.
      method: 'add' or 'mul'.

    Returns:
      [N] int64: the row of each answer, the lowest of equal ones; -1 if the
      vocabulary has no other words.

    Raises:
      ValueError: questions that are not [N, 3] rows, or an unknown method.
    """
    questions = search.check_questions(questions, len(self))
    return search.best_answers(self.unit, questions, self._never, method)

  def closest(self, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """The word of highest cosine to each of many vectors.

    Args:
      queries: [N, D].
      excluded: [N, E] integers, rows that are not answers to the query.

    Returns:
      [N] int64: the row of each answer, the lowest of equal ones; -1 if the
      vocabulary has no other words.
    """
    return search.closest(self.unit, queries, excluded, self._never)

  def _vector(self, query) -> np.ndarray:
    """A query [D] as float64, checked."""
    try:
      query = np.asarray(query, np.float64)
    except (ValueError, TypeError) as error:
      raise ValueError(
        f"{query!r} is neither a word, nor words, nor a vector: give one kind."
      ) from error
    if query.shape != self.vectors.shape[1:] or not np.isfinite(query).all():
      raise ValueError(
        f"A query of shape {query.shape} has no neighbours here: give "
        f"{self.vectors.shape[1]} finite numbers."
      )
    return query

  def _nearest(self, target, excluded, k, approximate):
    """The words nearest to one unit vector [D], without some rows."""
    if approximate:
      return self._search(target[None], [excluded], k, approximate)[0]
    return self._best(self.unit @ target, excluded, k)

  def _search(self, targets, excluded, k, approximate):
    """The words nearest to each unit vector [N, D], without [N, E] rows."""
    _check_k(k)
    excluded = np.array(excluded, np.int64).reshape(len(targets), -1)
    if approximate:
      rows, scores = self._index.search(targets, excluded, k)
    else:
      rows, scores = search.top(self.unit, targets, excluded, self._never, k)
    return [
      [
        (self.words[row], score)
        for row, score in zip(*found, strict=True)
        if score > -np.inf
      ]
      for found in zip(rows.tolist(), scores.tolist(), strict=True)
    ]

  def _best(self, score, excluded, k):
    """The words of highest score [V], without some rows."""
    _check_k(k)
    score[list({*excluded, *self._never.tolist()})] = -np.inf
    rows = search.top_rows(score, k)
    return [(self.words[row], float(score[row])) for row in rows]

  @functools.cached_property
  def _index(self) -> ann.Index:
    """The index of approximate search."""
    return ann.Index(self.unit, self._never)

  @functools.cached_property
  def _never(self) -> np.ndarray:
    """Rows that are never answers: `<unk>` and words that occurred before."""
    never = {self.index[UNK]} if UNK in self.index else set()
    if len(self.index) < len(self):
      never |= {i for i, word in enumerate(self.words) if self.index[word] != i}
    return np.array(sorted(never), np.int64)


def _check_k(k: int) -> None:
  if not isinstance(k, int | np.integer) or k < 1:
    raise ValueError(f"Cannot list {k!r} words: ask for 1 or more.")
