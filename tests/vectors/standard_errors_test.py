"""Standard errors against their definition, simulations and limits."""

import numpy as np
import pytest

from glove_jax.model import weight
from glove_jax.vectors.standard_errors import (
  Objective,
  StandardErrors,
  cosine_error,
  interval,
)
from glove_jax.vectors.word_vectors import WordVectors

WORDS = [f"w{i}" for i in range(40)]
NOISE = 0.3


def make_run(rng, words=40):
  """Tables of three dimensions, and the rows and columns of all pairs."""
  word, context = rng.normal(size=(2, words, 3)) / 2
  bias = rng.normal(size=(2, words)) / 4 + 1
  row, col = np.divmod(np.arange(words * words), words)
  return (word, context, *bias), row, col


def draw_counts(tables, row, col, rng, objective):
  """Counts whose logs vary by NOISE^2 / f around the predictions, and f."""
  word, context, word_bias, context_bias = tables
  log = np.einsum("nd,nd->n", word[row], context[col])
  log = log + word_bias[row] + context_bias[col]
  weights = objective.weight(np.exp(log))
  noise = rng.normal(size=len(row)) * NOISE / np.sqrt(weights)
  return np.exp(log + noise), weights


def fit(target, features, weights):
  root = np.sqrt(weights)
  return np.linalg.lstsq(features * root[:, None], target * root)[0]


def test_f_is_that_of_the_model():
  count = np.array([0.5, 9, 10, 99])
  np.testing.assert_allclose(
    Objective(10, 0.75).weight(count), weight(count, 10, 0.75), rtol=1e-6
  )


def test_covariances_are_those_of_the_paper_for_many_contexts():
  """sigma^2 (sum_j f_j c_j c_j^T)^-1, sigma^2 = R / (n - D), by loops."""
  rng = np.random.default_rng(0)
  tables, row, col = make_run(rng, words=400)
  objective = Objective(10.0, 0.75, "word")
  count, _ = draw_counts(tables, row, col, rng, objective)
  words = [str(i) for i in range(400)]
  found = StandardErrors(words, tables, (row, col, count), objective)
  word, context, word_bias, context_bias = tables
  moment, squares = np.zeros((3, 3)), 0.0
  for j in range(400):
    x = count[400 * 7 + j]
    f = min(1, x / 10) ** 0.75
    moment += f * np.outer(context[j], context[j])
    y = np.log(x) - word_bias[7] - context_bias[j]
    squares += f * (word[7] @ context[j] - y) ** 2
  expected = squares / (400 - 3) * np.linalg.inv(moment)
  np.testing.assert_allclose(found.covariance("7"), expected, rtol=0.03)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("how", ["word", "context", "sum", "concat"])
def test_covariances_are_those_of_refitted_vectors(how, symmetric):
  """A word that is fitted to counts drawn anew varies as the covariance says.

  sigma^2 is known here, so that only the form of the covariance is tested.
  """
  rng = np.random.default_rng(1)
  tables, row, col = make_run(rng)
  tables = (tables[0], tables[0][::-1] / 3 + tables[1], *tables[2:])
  objective = Objective(20.0, 0.75, how, symmetric, context_weight=0.5)
  count, _ = draw_counts(tables, row, col, rng, objective)
  if symmetric:
    count = count.reshape(40, 40)
    count = np.triu(count) + np.triu(count, 1).T
    count = count.reshape(-1)
  found = StandardErrors(WORDS, tables, (row, col, count), objective)
  word, context, _, _ = tables
  f = objective.weight(count[row == 5])
  other = objective.weight(count[col == 5])
  fits = []
  for _ in range(4000):
    noise, second = rng.normal(size=(2, 40)) * NOISE
    second = noise if symmetric else second
    parts = {
      "word": fit(noise / np.sqrt(f), context, f),
      "context": fit(second / np.sqrt(other), word, other),
    }
    both = list(parts.values())
    parts |= {"sum": both[0] + 0.5 * both[1], "concat": np.concatenate(both)}
    fits.append(parts[how])
  drawn, ours = np.cov(np.array(fits).T), found.covariance("w5")
  scale = np.trace(drawn) / np.trace(ours)  # sigma^2 as estimated
  assert np.linalg.norm(scale * ours - drawn) < 0.1 * np.linalg.norm(drawn)
  np.testing.assert_allclose(ours, ours.T)


def test_words_with_few_contexts_have_wide_but_bounded_errors():
  rng = np.random.default_rng(2)
  tables, row, col = make_run(rng)
  objective = Objective(20.0, 0.75, "word")
  count, _ = draw_counts(tables, row, col, rng, objective)
  kept = (row != 5) | (col < 2)  # two contexts in three dimensions
  kept &= row != 6  # and none
  counts = row[kept], col[kept], count[kept]
  found = StandardErrors(WORDS, tables, counts, objective)
  spread = tables[0].var(axis=0).mean()
  np.testing.assert_allclose(found.covariance("w6"), spread * np.eye(3))
  few = np.linalg.eigvalsh(found.covariance("w5"))
  many = np.linalg.eigvalsh(found.covariance("w7"))
  assert many[-1] < few[-1] <= spread * (1 + 1e-9)


def test_pairs_that_never_occur_add_their_curvature():
  """By numerical second derivatives of both costs, with a known sigma^2."""
  rng = np.random.default_rng(5)
  tables, row, col = make_run(rng)
  objective = Objective(20.0, 0.75, "word", missing=0.5, missing_count=2.0)
  count, _ = draw_counts(tables, row, col, rng, objective)
  kept = (col < 25) & (rng.random(1600) < 0.5)
  limited = objective._replace(core=30)
  counts = row[kept], col[kept], count[kept]
  found = StandardErrors(WORDS, tables, counts, limited)
  word, context, word_bias, context_bias = tables
  mine = row[kept] == 5
  j, x = col[kept][mine], count[kept][mine]
  absent = np.setdiff1d(np.arange(30), j)

  def cost(w):
    p = context @ w + word_bias[5] + context_bias
    squares = objective.weight(x) @ (p[j] - np.log(x)) ** 2 / 2
    return squares + 0.5 * np.logaddexp(0, p[absent] - np.log(2)).sum()

  steps = np.eye(3) * 1e-3
  hessian = [
    [
      sum(
        s * t * cost(word[5] + s * a / 2 + t * b / 2)
        for s in (-1, 1)
        for t in (-1, 1)
      )
      for a in steps
    ]
    for b in steps
  ]
  residuals = context[j] @ word[5] + word_bias[5] + context_bias[j] - np.log(x)
  squares = objective.weight(x) @ residuals**2
  variance = (squares + 3 * found._usual) / max(len(j), 3)
  prior = variance / word.var(axis=0).mean() * np.eye(3)
  expected = variance * np.linalg.inv(np.array(hessian) / 1e-6 + prior)
  np.testing.assert_allclose(found.covariance("w5"), expected, rtol=1e-3)


def test_the_error_of_a_cosine_is_that_of_drawn_vectors():
  rng = np.random.default_rng(3)
  vectors = {w: rng.normal(size=4) for w in "abc"}

  class Errors:
    @staticmethod
    def covariance(word):
      return np.diag([1.0, 2, 3, 4]) * 1e-4 * (1 + "abc".index(word))

  def cosine(v):
    a, b, c = (v[w] / np.linalg.norm(v[w]) for w in "abc")
    return (a - 2 * b) @ c / np.linalg.norm(a - 2 * b)

  drawn = [
    cosine({
      w: rng.multivariate_normal(v, Errors.covariance(w))
      for w, v in vectors.items()
    })
    for _ in range(3000)
  ]  # fmt: skip
  found, error = cosine_error(Errors, vectors, {"a": 1.0, "b": -2.0}, "c")
  assert found == pytest.approx(cosine(vectors))
  assert error == pytest.approx(np.std(drawn), rel=0.05)


def test_intervals_of_vectors():
  rng = np.random.default_rng(4)
  tables, row, col = make_run(rng)
  objective = Objective(20.0, 0.75)
  count, _ = draw_counts(tables, row, col, rng, objective)
  made = WordVectors(WORDS, tables[0] + tables[1])
  with pytest.raises(ValueError, match="have no standard errors"):
    made.interval("w1", "w2")
  made.errors = lambda: StandardErrors(
    WORDS, tables, (row, col, count), objective
  )
  low, high = made.interval("w1", "w2")
  assert -1 < low < made.similarity("w1", "w2") < high < 1
  wide = made.interval("w1", "w2", level=0.99)
  assert wide[0] < low and high < wide[1]
  assert made.first(10).interval("w1", "w2") == (low, high)
  word, score = made.analogy("w1", "w2", "w3", k=1)[0]
  low, high = made.interval(["w2", "w3"], word, negative="w1")
  assert low < score < high
  assert made.interval("w1", "w1") == pytest.approx((1, 1))
  with pytest.raises(ValueError, match="'x' is not among"):
    made.interval("w1", "x")
  with pytest.raises(ValueError, match="level must be between 0 and 1"):
    interval(0.5, 0.1, level=95)


def test_words_that_were_not_trained_have_none():
  tables = [np.ones((1, 2)), np.ones((1, 2)), np.ones(1), np.ones(1)]
  counts = [np.zeros(1, int), np.zeros(1, int), np.ones(1)]
  found = StandardErrors(["a"], tables, counts, Objective(10, 0.75))
  with pytest.raises(ValueError, match="was not trained on these counts"):
    found.covariance("<unk>")
  with pytest.raises(ValueError, match="do not fit tables"):
    StandardErrors(["a", "b"], tables, counts, Objective(10, 0.75))
