"""Words with a row of a table each."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from glove_jax.vectors.queries import listed
from glove_jax.vectors.tables import floating

_CASED = 0.01  # more words than this share with capitals: cased vectors


class WordRows:
  """V words and their vectors [V, D]: the data of `WordVectors`."""

  def __init__(
    self,
    words: Sequence[str],
    vectors: np.ndarray,
    counts: Sequence[int] | np.ndarray | None = None,
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
    self.counts: np.ndarray | None = None
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
    if counts is not None:
      self.counts = np.asarray(counts, np.int64)
      if self.counts.shape != (len(self.words),):
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

    That of one word is a view of `vectors`, and read-only as gensim's is.

    Raises:
      ValueError: a word has no vector.
    """
    if not isinstance(word, str):
      return self.vectors[[self.id(one) for one in listed(word)]]
    vector = self.vectors[self.id(word)]
    vector.setflags(write=False)
    return vector

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
