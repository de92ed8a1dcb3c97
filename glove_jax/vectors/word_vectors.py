"""Words with their vectors: neighbours, analogies and other forms."""

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from glove_jax import lazy
from glove_jax.config import EvaluateConfig, make_part
from glove_jax.text.symbols import UNK
from glove_jax.vectors import sentences, standard_errors
from glove_jax.vectors.neighbors import Neighbors
from glove_jax.vectors.queries import listed
from glove_jax.vectors.standard_errors import StandardErrors


class WordVectors(Neighbors):
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
    errors: returns the `StandardErrors` of a run's vectors, or None.

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

  errors: Callable[[], StandardErrors] | None = None

  def interval(
    self,
    first: str | Sequence[str],
    second: str,
    negative: str | Sequence[str] = (),
    level: float = 0.95,
  ) -> tuple[float, float]:
    """The interval of a cosine, from the standard errors of a run's vectors.

    `interval(["king", "woman"], "queen", negative=["man"])` is that of an
    answer of `most_similar` or `analogy`. It says how exactly the counts
    determine the vectors, which is a lower bound: other documents or another
    seed change cosines more, see docs/vectors.md.

    Args:
      first: a word, or several, whose unit vectors are added.
      second: the word that it is compared with.
      negative: words whose unit vectors are subtracted.
      level: the probability of the interval.

    Returns:
      Its ends.

    Raises:
      ValueError: a word has no vector, or the vectors are not those of a run
        with its counts.
    """
    weights: dict[str, float] = {}
    for sign, words in ((1.0, first), (-1.0, negative)):
      for word in listed(words):
        weights[word] = weights.get(word, 0.0) + sign
    vectors = {word: self[word] for word in {*weights, second}}
    if self.errors is None:
      raise ValueError(
        "These vectors have no standard errors, which are computed from counts "
        "and tables: take the vectors of a run's work directory."
      )
    found = standard_errors.cosine_error(
      self.errors(), vectors, weights, second
    )
    return standard_errors.interval(*found, level)

  def subset(self, words: Sequence[str]) -> "WordVectors":
    """The vectors of some words, in their order.

    Raises:
      ValueError: a word has no vector, or there are none.
    """
    return self._rows([self.id(word) for word in listed(words)])

  def first(self, num: int) -> "WordVectors":
    """The vectors of the first `num` words, usually the most frequent.

    Raises:
      ValueError: `num` is not a positive integer.
    """
    if not isinstance(num, int | np.integer) or num < 1:
      raise ValueError(f"num must be a positive integer, got {num!r}.")
    return self if num >= len(self) else self._rows(slice(num))

  def weighted(self, sif: float | None = 1e-3, remove: int = 0):
    """Vectors whose means are better vectors of sentences.

    Args:
      sif: a of the weight a / (a + p(w)) that each vector is multiplied by
        (Arora et al., 2017); None leaves the lengths as they are.
      remove: how many common directions to remove afterwards.

    Returns:
      `WordVectors` of the same words.

    Raises:
      ValueError: the counts are unknown, or a value is out of range.

    >>> vectors = WordVectors(["the", "cat"], np.eye(2), counts=[9, 1])
    >>> vectors.weighted(sif=0.1).vectors
    array([[0.1, 0. ],
           [0. , 0.5]])
    """
    table = self.vectors
    if sif is not None:
      scale = sentences.weights(self.counts, sif)[:, None]
      table = (table * scale).astype(table.dtype)
    if remove:
      table = sentences.without_common(table, self.counts, remove)
    return WordVectors(self.words, table, self.counts)

  def encode(
    self,
    texts: str | Iterable[str],
    tokenizer: str = "word",
    lowercase: bool | None = None,
  ) -> np.ndarray:
    """The mean of the vectors of the words of each text; `weighted` helps.

    Args:
      texts: a text, or N texts. Words without a vector are left out.
      tokenizer: 'word' or 'whitespace', as in training.
      lowercase: whether to lowercase them; by default unless the words keep
        their capitals.

    Returns:
      [D] of one text or [N, D]; zeros where no word has a vector.

    Raises:
      ValueError: a text is no string, or the tokenizer is unknown.

    >>> vectors = WordVectors(["a", "cat"], np.eye(2))
    >>> vectors.encode(["A cat, a cat.", "dogs"])
    array([[0.5, 0.5],
           [0. , 0. ]])
    """
    if isinstance(texts, str):
      return sentences.encode(self, [texts], tokenizer, lowercase)[0]
    return sentences.encode(self, texts, tokenizer, lowercase)

  def save(self, path: str | os.PathLike, format: str | None = None) -> None:
    """Writes the vectors to a file, which `glove_jax.load` reads.

    Args:
      path: the file; packed if its name ends in .gz, .bz2, .xz, .zst or .zip.
        The folder, for the formats projector and model2vec.
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

    config = make_part(EvaluateConfig, settings)
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
    with lazy.needed("A data frame needs pandas: pip install pandas."):
      import pandas
    return pandas.DataFrame(self.vectors, pandas.Index(self.words, name="word"))

  def _rows(self, rows) -> "WordVectors":
    words = np.array(self.words, object)[rows].tolist()
    counts = None if self.counts is None else self.counts[rows]
    some = WordVectors(words, self.vectors[rows], counts)
    some.errors = self.errors
    return some


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
  counts = None if vectors.counts is None else np.append(vectors.counts, 0)
  more = WordVectors((*vectors.words, UNK), table, counts)
  more.errors = vectors.errors
  return more
