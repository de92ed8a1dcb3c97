"""Words with their vectors: neighbours, analogies and other forms."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np

from glove_jax.config import EvaluateConfig, no_setting
from glove_jax.text.symbols import UNK
from glove_jax.vectors import search
from glove_jax.vectors.queries import are_words, listed, scaled
from glove_jax.vectors.tables import combine, floating

__all__ = ["WordVectors", "combine", "floating", "with_unk"]

_BATCH = 64  # queries scored at once
_CASED = 0.01  # more words than this share with capitals: cased vectors


class WordVectors:
  """Words and their vectors.

  `<unk>` stands for no particular word, so it is never an answer. If a word
  occurs twice, its first vector counts and the others are never answers.
  Methods that gensim has too go by gensim's names.

  Attributes:
    words: V words.
    vectors: [V, D] float32 or float64.
    counts: [V] int64, how often each word occurs in the text, or None.
    index: the row of each word.
    unit: [V, D] float32, the vectors scaled to length 1 (zero stays zero).
    is_cased: whether the words keep their capitals.

  >>> angles = np.deg2rad([90, 50, 0])
  >>> table = np.stack([np.cos(angles), np.sin(angles)], axis=1)
  >>> vectors = WordVectors(["north", "northeast", "east"], table)
  >>> vectors
  WordVectors(3 words, 2 dimensions, float64)
  >>> [word for word, cosine in vectors.neighbors("north", k=1)]
  ['northeast']
  >>> "east" in vectors, list(vectors)
  (True, ['north', 'northeast', 'east'])
  """

  def __init__(
    self,
    words: Sequence[str],
    vectors: np.ndarray,
    counts: Sequence[int] | None = None,
  ):
    """Keeps the words and vectors, and checks that they fit.

    Args:
      words: V words.
      vectors: [V, D].
      counts: [V], how often each word occurs.

    Raises:
      ValueError: shapes that do not fit, or words that are no strings.
    """
    self.words = tuple(words)
    self.vectors = floating(vectors)
    self.counts = None if counts is None else np.asarray(counts, np.int64)
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
    if counts is not None and self.counts.shape != (len(self.words),):
      raise ValueError(
        f"{len(self.words)} words do not fit counts of shape "
        f"{self.counts.shape}: give one count for each word."
      )
    for word in self.words:
      if not isinstance(word, str):
        raise ValueError(f"The word {word!r} is no string: give str only.")

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

  @property
  def index_to_key(self) -> list[str]:
    """The words in the order of the rows."""
    return list(self.words)

  @property
  def key_to_index(self) -> dict[str, int]:
    """The row of each word."""
    return dict(self.index)

  @property
  def vector_size(self) -> int:
    """D, the number of dimensions."""
    return self.vectors.shape[1]

  def __repr__(self) -> str:
    num, dim = self.vectors.shape
    return f"WordVectors({num} words, {dim} dimensions, {self.vectors.dtype})"

  def __len__(self) -> int:
    return len(self.words)

  def __iter__(self) -> Iterator[str]:
    return iter(self.words)

  def __contains__(self, word: object) -> bool:
    return isinstance(word, str) and word in self.index

  def __getitem__(self, word: str | Sequence[str]) -> np.ndarray:
    """The vector [D] of a word, or the vectors [N, D] of a list of words.

    Raises:
      ValueError: a word has no vector.
    """
    return self.vectors[
      self.id(word)
      if isinstance(word, str)
      else [self.id(one) for one in listed(word)]
    ]

  def id(self, word: str) -> int:
    """The row of a word; ValueError if it has none."""
    if not isinstance(word, str):
      raise ValueError(
        f"{word!r} is no word: give a string, or words[row] for a row."
      )
    if word not in self.index:
      raise ValueError(
        f"The word {word!r} is not among the {len(self)} words of these "
        "vectors: check its spelling and case, or train with a lower min_count."
      )
    return self.index[word]

  def neighbors(
    self, query: str | Sequence[str] | np.ndarray, k: int = 10
  ) -> list[tuple[str, float]]:
    """The k words of highest cosine to a word, to several, or to a vector.

    Args:
      query: a word, several words, which stand for the mean of their unit
        vectors, or a vector [D]. A word is not its own neighbour.
      k: the number of neighbours.

    Returns:
      (word, cosine), the highest first, ties in the order of the rows.

    Raises:
      ValueError: a word is unknown, the vector has another width or is not
        finite, or k < 1.
    """
    if isinstance(query, str):
      row = self.id(query)
      return self._best(self.unit @ self.unit[row], [row], k)
    if are_words(query):
      return self.most_similar(query, topn=k)
    return self._best(self.unit @ scaled(self._vector(query)), [], k)

  def neighbors_of_each(
    self, queries: Sequence[str] | np.ndarray, k: int = 10
  ) -> list[list[tuple[str, float]]]:
    """The neighbours of each of many words or vectors, faster than one by one.

    Args:
      queries: N words, or vectors [N, D].
      k: the number of neighbours of each.

    Returns:
      N lists as of `neighbors`.

    Raises:
      ValueError: as `neighbors`.
    """
    if isinstance(queries, str):
      raise ValueError(f"Give a list of words, not the one word {queries!r}.")
    if are_words(queries):
      rows = [[self.id(word)] for word in queries]
      table = self.unit[[row for (row,) in rows]]
    else:
      table = [scaled(self._vector(query)) for query in queries]
      table, rows = np.array(table), [[]] * len(table)
    found = []
    for start in range(0, len(rows), _BATCH):
      scores = table[start : start + _BATCH] @ self.unit.T
      found += [
        self._best(score, row, k)
        for score, row in zip(scores, rows[start:], strict=False)
      ]
    return found

  def most_similar(
    self, positive=(), negative=(), topn: int = 10
  ) -> list[tuple[str, float]]:
    """The words near what some words have and others have not.

    The query is the sum of the unit vectors of `positive` less that of
    `negative`, as in gensim.

    Args:
      positive: a word, a vector [D], or a list of words, vectors and
        (word, weight).
      negative: the same.
      topn: the number of words to return.

    Returns:
      (word, cosine), the highest first, without the words of the query.

    Raises:
      ValueError: as `neighbors`, or the query is empty.

    >>> table = [[1, 0, 0], [1, 1, 0], [1, 0, 2], [1, 1, 2], [-3, 1, -1]]
    >>> words = ["man", "woman", "king", "queen", "apple"]
    >>> vectors = WordVectors(words, table)
    >>> vectors.most_similar(["king", "woman"], ["man"], topn=1)[0][0]
    'queen'
    """
    target, rows = np.zeros(self.vector_size), []
    for sign, keys in ((1.0, listed(positive)), (-1.0, listed(negative))):
      for key in keys:
        weight = sign
        if isinstance(key, tuple) and len(key) == 2 and are_words(key[:1]):
          key, weight = key[0], sign * float(key[1])
        if isinstance(key, str):
          rows.append(self.id(key))
          target += weight * self.unit[rows[-1]]
        else:
          target += weight * scaled(self._vector(key))
    if not len(listed(positive)) + len(listed(negative)):
      raise ValueError("Give one word or more, as positive or negative.")
    return self._best(self.unit @ scaled(target), rows, topn)

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

  def subset(self, words: Sequence[str]) -> "WordVectors":
    """The vectors of some words, in their order.

    Raises:
      ValueError: a word has no vector, or there are none.
    """
    return self._rows([self.id(word) for word in listed(words)])

  def first(self, num: int) -> "WordVectors":
    """The vectors of the first `num` words, usually the most frequent."""
    return self if num >= len(self) else self._rows(slice(num))

  def save(self, path: str | os.PathLike, format: str | None = None) -> None:
    """Writes the vectors to a file, which `glove_jax.load` reads.

    Args:
      path: the file; packed if its name ends in .gz, .bz2, .xz, .zst or .zip.
      format: one of `formats.FORMATS`; by default that of the name: .txt, .bin,
        .vec, .npz, .safetensors or .parquet.

    Raises:
      ValueError: an unknown format, or a word that the format cannot hold.
      OSError: the file cannot be written.
      ImportError: the format needs a package that is not installed.
    """
    from glove_jax.vectors import formats  # here, since formats imports this

    formats.write_vectors(self, path, format)

  def evaluate(self, **settings) -> dict:
    """Asks question sets of the vectors.

    Args:
      **settings: `analogies`, `similarity` and the others of `EvaluateConfig`:
        names or files of sets. By default Google's analogies, WordSim-353 and
        SimLex-999.

    Returns:
      A dict of results as `vectors.evaluate` describes them, which shows as a
      table.

    Raises:
      FileNotFoundError: a file does not exist.
      ValueError: an unknown setting, or a file that is malformed.
    """
    from glove_jax.vectors import evaluate  # here, since evaluate imports this

    known = {f.name for f in dataclasses.fields(EvaluateConfig)}
    for name in settings.keys() - known:
      raise ValueError(no_setting(name, known))
    config = EvaluateConfig(**settings)
    return evaluate.Scores(evaluate.evaluate_vectors(self, config))

  def to_gensim(self):
    """These vectors as a `gensim.models.KeyedVectors`, with their counts."""
    from gensim import models  # here, since it takes a second to import

    rows = sorted(self.index.values())
    out = models.KeyedVectors(self.vectors.shape[1], dtype=self.vectors.dtype)
    out.add_vectors([self.words[row] for row in rows], self.vectors[rows])
    if self.counts is not None:
      for row in rows:
        out.set_vecattr(self.words[row], "count", int(self.counts[row]))
    return out

  def to_dataframe(self):
    """A `pandas.DataFrame` with a row for each word and D columns.

    Raises:
      ImportError: pandas is not installed.
    """
    try:
      import pandas
    except ImportError as error:
      raise ImportError(
        "A data frame needs pandas: pip install pandas."
      ) from error
    return pandas.DataFrame(self.vectors, pandas.Index(self.words, name="word"))

  def _rows(self, rows) -> "WordVectors":
    words = np.array(self.words, object)[rows].tolist()
    counts = None if self.counts is None else self.counts[rows]
    return WordVectors(words, self.vectors[rows], counts)

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

  def _best(self, score, excluded, k):
    if k < 1:
      raise ValueError(f"Cannot list {k} words: ask for 1 or more.")
    score[list({*excluded, *self._never.tolist()})] = -np.inf
    rows = search.top_rows(score, k)
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
  counts = vectors.counts
  if counts is not None:
    counts = [*counts, 0]
  return WordVectors((*vectors.words, UNK), table, counts)
