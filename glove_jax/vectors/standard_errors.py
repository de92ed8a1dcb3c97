"""Standard errors of word vectors, from the counts that they were fitted to.

With the other table held fixed, a word's vector w minimises

    sum_j f(X_j) (w . c_j - y_j)^2,    y_j = log X_j - b - b~_j,

a weighted regression on the vectors c_j of its n contexts. If log X_j varies
by sigma^2 / f(X_j) around its prediction, the covariance of w is

    sigma^2 A^-1,    A = sum_j f(X_j) c_j c_j^T

(GloVe-V: Vallebueno et al., 2024, arXiv 2406.12165). Two things are added so
that every word has errors, not only those with more contexts than dimensions:

- w has the prior N(0, tau^2 I), tau^2 being the variance of the table. The
  covariance is then sigma^2 (A + lambda I)^-1 with lambda = sigma^2 / tau^2. It
  is that of the paper for words with many contexts, and at most tau^2 I.
- sigma^2 is (R + D sigma_0^2) / (max(n - D, 0) + D), where R is the word's sum
  of weighted squared residuals and sigma_0^2 the average of all counts: few
  contexts can be fitted without residuals, which does not make them precise.

A word + context vector has two such regressions. Symmetric counts are the same
numbers in both, so that their errors add up before they are squared: with
g_j = (A + lambda I)^-1 c_j and h_j = (B + mu I)^-1 w_j, the part of the
covariance that comes from the counts is sigma^2 sum_j f(X_j) (g_j + h_j)(g_j +
h_j)^T, which is that of each plus twice what they share.

Errors of different words, and of the fixed table and biases, are ignored, as in
the paper, and so is that words of one document come together. Training on other
documents changes vectors several times as much: docs/vectors.md has figures.
If pairs that never occur train too (`missing`), the curvature of their costs is
added to A, as if they were further counts.
"""

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

_SAMPLE = 1 << 18  # counts from which sigma_0^2 is estimated


class Objective(NamedTuple):
  """What the vectors were fitted to."""

  x_max: float
  alpha: float
  how: str = "sum"  # how the tables are combined, see `tables.combine`
  symmetric: bool = True  # whether X is
  context_weight: float = 1.0  # with 'sum', see `tables.combine`
  missing: float = 0.0  # w0 of pairs that never occur
  missing_count: float = 1.0  # x0
  core: int = 0  # only so many words are contexts; 0: all are

  def weight(self, count: np.ndarray) -> np.ndarray:
    """f(X), as `model.weight`, which loads jax."""
    return np.minimum(1.0, count / self.x_max) ** self.alpha


class _Side(NamedTuple):
  """One of the two regressions of a word."""

  weight: np.ndarray  # [n] f(X_j)
  gain: np.ndarray  # [n, D] what a change of y_j / f(X_j) adds to the vector
  prior: np.ndarray  # [D, D] the part of the covariance that is the prior's
  variance: float  # sigma^2

  def covariance(self) -> np.ndarray:
    """sigma^2 sum_j f(X_j) g_j g_j^T, of gains g_j, and the prior's part."""
    noise = self.variance * self.weight[:, None]
    return (noise * self.gain).T @ self.gain + self.prior


class StandardErrors:
  """The covariances of the vectors of one run, computed when asked for.

  Args:
    words: V words.
    tables: word [V, D], context [V, D], word bias [V] and context bias [V], as
      `Params`.
    counts: row [N], col [N] and count [N], as `Triplets`; may be mapped from
      disk.
    objective: weights and form of the vectors.

  Raises:
    ValueError: the tables do not fit the words.
  """

  def __init__(
    self,
    words: Sequence[str],
    tables: Sequence[np.ndarray],
    counts: Sequence[np.ndarray],
    objective: Objective,
  ):
    self._index = {word: i for i, word in enumerate(words)}
    tables = [np.asarray(table, np.float64) for table in tables[:4]]
    self._word, self._context, self._word_bias, self._context_bias = tables
    if {len(table) for table in tables} != {len(words)}:
      raise ValueError(
        f"{len(words)} words do not fit tables of {len(self._word)} rows."
      )
    self._counts = counts[:3]
    self._objective = objective
    self._usual = self._average_variance()
    self._known: dict[str, np.ndarray] = {}

  def covariance(self, word: str) -> np.ndarray:
    """The covariance [D, D] of a word's vector; [2D, 2D] of 'concat'.

    Raises:
      ValueError: the word is not among those that were trained.
    """
    if word not in self._index:
      raise ValueError(
        f"The word {word!r} was not trained on these counts, so that its "
        "vector has no standard errors."
      )
    if word not in self._known:
      self._known[word] = self._covariance(self._index[word])
    return self._known[word]

  def _covariance(self, i: int) -> np.ndarray:
    how, symmetric = self._objective.how, self._objective.symmetric
    first = self._side(i, 0, self._word, self._context)
    axis = 0 if symmetric else 1
    second = self._side(i, axis, self._context, self._word)
    word, context = first.covariance(), second.covariance()
    cross = np.zeros_like(word)  # of word and context vector
    if symmetric:
      noise = np.sqrt(first.variance * second.variance) * first.weight
      cross = (first.gain * noise[:, None]).T @ second.gain
    if how == "concat":
      return np.block([[word, cross], [cross.T, context]])
    scale = self._objective.context_weight
    a, b = {"sum": (1.0, scale), "word": (1, 0), "context": (0, 1)}[how]
    return a**2 * word + b**2 * context + a * b * (cross + cross.T)

  def _side(self, i, axis, table, other) -> _Side:
    """The regression of row i of a table on rows of the other."""
    limit = self._objective.core or len(table)
    chosen = np.flatnonzero(self._counts[axis] == i)
    chosen = chosen[self._counts[1 - axis][chosen] < limit]
    contexts = np.asarray(self._counts[1 - axis][chosen])
    count = np.asarray(self._counts[2][chosen], np.float64)
    bias, other_bias = self._word_bias, self._context_bias
    if table is self._context:
      bias, other_bias = other_bias, bias
    features, weight = other[contexts], self._objective.weight(count)
    target = np.log(count) - bias[i] - other_bias[contexts]
    squares = weight @ (features @ table[i] - target) ** 2
    n, dim = features.shape
    variance = (squares + dim * self._usual) / (max(n - dim, 0) + dim)
    ridge = variance / max(table.var(axis=0).mean(), 1e-30) * np.eye(dim)
    if self._objective.missing:
      absent = np.setdiff1d(np.arange(min(limit, len(table))), contexts)
      predicted = other[absent] @ table[i] + bias[i] + other_bias[absent]
      ridge += self._curvature(predicted, other[absent])
    moment = (features * weight[:, None]).T @ features
    inverse = np.linalg.inv(moment + ridge)
    prior = variance * inverse @ ridge @ inverse
    return _Side(weight, features @ inverse, prior, variance)

  def _curvature(self, predicted, features) -> np.ndarray:
    """What pairs that never occur add to A: w0 s (1 - s) c c^T each.

    It is the second derivative of w0 softplus(prediction - log x0), where s is
    the logistic function.
    """
    z = predicted - np.log(self._objective.missing_count)
    share = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    weight = self._objective.missing * share * (1 - share)
    return (features * weight[:, None]).T @ features

  def _average_variance(self) -> float:
    """sigma_0^2: of a sample of counts, for the parameters they leave."""
    num, dim = len(self._counts[2]), self._word.shape[1]
    step = max(1, num // _SAMPLE)
    row, col, count = (np.asarray(column[::step]) for column in self._counts)
    count = count.astype(np.float64)
    predicted = np.einsum("nd,nd->n", self._word[row], self._context[col])
    predicted += self._word_bias[row] + self._context_bias[col]
    squares = self._objective.weight(count) * (predicted - np.log(count)) ** 2
    free = max(num - len(self._word) * dim, num / 2)
    return float(squares.mean() * num / free)


class Once:
  """The standard errors that `make` returns, made when first called for.

  Vectors and their subsets share one, so that tables are read once for all.
  Vectors with it can be pickled, which those with a `functools.cache` cannot.
  """

  def __init__(self, make: Callable[[], StandardErrors]):
    self._make = make

  def __call__(self) -> StandardErrors:
    return self._errors

  @functools.cached_property
  def _errors(self) -> StandardErrors:
    return self._make()


def cosine_error(
  errors: StandardErrors,
  vectors: Mapping[str, np.ndarray],
  weights: Mapping[str, float],
  other: str,
) -> tuple[float, float]:
  """The cosine of a weighted sum of unit vectors and a word, and its error.

  By the delta method: the gradient of the cosine with respect to each vector,
  on both sides of the covariance of that vector.

  Args:
    errors: the covariances.
    vectors: the vector [D] of each word.
    weights: the weight of each word of the sum.
    other: the word that the sum is compared with.

  Returns:
    The cosine and its standard error.
  """
  unit, length = {}, {}
  for word in {*weights, other}:
    length[word] = np.linalg.norm(vectors[word]) or 1.0
    unit[word] = np.asarray(vectors[word], np.float64) / length[word]
  total = sum(weight * unit[word] for word, weight in weights.items())
  norm = np.linalg.norm(total) or 1.0
  cosine = float(total @ unit[other] / norm)
  along = (unit[other] - cosine * total / norm) / norm  # d cosine / d total
  slopes = {word: weight * along for word, weight in weights.items()}
  slopes[other] = slopes.get(other, 0) + total / norm
  variance = 0.0
  for word, slope in slopes.items():
    slope = (slope - unit[word] * (unit[word] @ slope)) / length[word]
    variance += slope @ errors.covariance(word) @ slope
  return cosine, float(np.sqrt(max(variance, 0.0)))


def interval(
  cosine: float, error: float, level: float = 0.95
) -> tuple[float, float]:
  """The interval of a cosine, symmetric after Fisher's z = atanh(cosine).

  So it stays between -1 and 1.

  >>> [round(end, 2) for end in interval(0.5, 0.1)]
  [0.28, 0.67]

  Raises:
    ValueError: the level is not between 0 and 1.
  """
  if not 0 < level < 1:
    raise ValueError(f"level must be between 0 and 1, got {level}.")
  if abs(cosine) >= 1 - 1e-12:
    return cosine, cosine
  reach = statistics.NormalDist().inv_cdf((1 + level) / 2)
  reach *= error / (1 - cosine**2)
  z = np.arctanh(cosine)
  return float(np.tanh(z - reach)), float(np.tanh(z + reach))
