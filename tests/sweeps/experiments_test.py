"""The parts of experiments that compute something themselves."""

import numpy as np
import pytest

import experiments
from glove_jax.counts import triplets
from glove_jax.sweeps import command, plots, results
from glove_jax.sweeps.options import SweepConfig
from glove_jax.vectors.word_vectors import WordVectors


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  """A text of two topics of 20 words each."""
  rng = np.random.default_rng(0)
  topics = np.array([f"w{i}" for i in range(40)]).reshape(2, 20)
  path = tmp_path_factory.mktemp("text") / "text.txt"
  path.write_text(
    "".join(" ".join(rng.choice(topics[i % 2], 30)) + "\n" for i in range(200))
  )
  return str(path)


def run(name, text, workdir, labels=None, **settings):
  """Runs an experiment on a small text; returns rows and vectors by label."""
  settings = {
    "corpus": text, "analogies": (), "similarity": (), "dim": 8, "window": 3,
  } | settings  # fmt: skip
  module = experiments.load(name)
  points = [p for p in module.get_sweep() if not labels or p["label"] in labels]
  plan = command.make_plan(
    SweepConfig(experiment=name), settings, module, sweep=points
  )
  config = SweepConfig(experiment=name)
  found = {}

  def keep(vectors):
    found[len(found)] = vectors
    return plan.evaluate(vectors) if plan.evaluate else {"none": 0.0}

  kept = plan._replace(evaluate=keep)
  assert command.run(kept, config, workdir, lambda line: None) == 0
  rows = results.read_results(plan.points, workdir)
  return {row["label"]: (row, found[i]) for i, row in enumerate(rows)}


def test_baselines_find_the_topics(text, tmp_path):
  pytest.importorskip("gensim")
  labels = ("CBOW", "PPMI and SVD", "GloVe, missing pairs")
  found = run("baselines", text, tmp_path / "w", labels, growth=(), epochs=8)
  assert set(found) == set(labels)
  for name, (row, vectors) in found.items():
    assert set(vectors.words) == {f"w{i}" for i in range(40)}, name
    assert row["train_seconds"] > 0 and row["cost"] is None
    near = [vectors.neighbors(f"w{i}", 5) for i in range(40)]
    same = [
      (i < 20) == (int(other[1:]) < 20)
      for i, others in enumerate(near)
      for other, _ in others
    ]
    assert np.mean(same) > 0.7, name


def test_a_factorised_matrix_is_that_of_its_formula():
  rng = np.random.default_rng(0)
  x = rng.poisson(2, (12, 12)).astype(float)
  row, col = np.nonzero(x)
  counts = triplets.Triplets(row, col, x[row, col], 12)
  smooth = x.sum(axis=0) ** 0.75
  with np.errstate(divide="ignore"):
    pmi = np.log(x / x.sum(axis=1)[:, None] / (smooth / smooth.sum()))
  u, s, _ = np.linalg.svd(np.maximum(pmi, 0))
  expected = (u[:, :3] * np.sqrt(s[:3])) @ (u[:, :3] * np.sqrt(s[:3])).T
  table = experiments.load("baselines").factorise(counts, 3)
  np.testing.assert_allclose(table @ table.T, expected, atol=1e-4)


def test_changes_after_training_are_of_one_training(text, tmp_path):
  found = run("postprocessing", text, tmp_path / "w", growth=(), epochs=2)
  assert len({row["cost"] for row, _ in found.values()}) == 1
  word, context = (found[k][1].vectors for k in ("word", "context"))
  np.testing.assert_array_equal(
    found["word + context"][1].vectors, word + context
  )
  centred = found["sum, centred"][1].vectors
  np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-6)
  top = found["sum, without top 3"][1].vectors
  assert np.linalg.matrix_rank(top, tol=1e-4) == 8 - 3


def test_length_and_frequency_with_and_without_the_mean():
  """Words along the mean grow with frequency, across it they shrink."""
  table = np.array([[4, 0.1], [4, -0.1], [3, 0.3], [3, -0.3], [1, 0.5],
                    [1, -0.5]])  # fmt: skip
  counts = [9, 9, 5, 5, 1, 1]
  vectors = WordVectors(list("abcdef"), table, counts)
  scores = experiments.load("length").evaluate(vectors)
  assert scores["length_frequency"] == pytest.approx(1)
  assert scores["length_frequency_rest"] == pytest.approx(-1)
  part = 52 / (52 + 2 * (0.01 + 0.09 + 0.25))
  assert scores["along_mean"] == pytest.approx(part)


def test_logistic_regression_separates_what_can_be():
  rng = np.random.default_rng(0)
  labels = np.arange(300) % 3
  x = np.eye(3)[labels] + rng.normal(0, 0.2, (300, 3))
  weights = experiments.load("downstream").fit(x, labels, 3)
  predicted = np.argmax(x @ weights[:-1] + weights[-1], axis=1)
  assert np.mean(predicted == labels) > 0.97


def test_a_curve_joins_the_lengths_of_training():
  rows = [
    {"point": f"{label}{n}", "label": label, "epochs": n, "seed": s}
    | {"train_seconds": n * (1.0 + s), "cost": 1.0 / n}
    for label in "ab"
    for n in (1, 2, 4)
    for s in (0, 1)
  ]
  plot = plots.Plot(
    "c", "T", "scatter", x="train_seconds", by="label", along="epochs",
    measures=("cost",),
  )  # fmt: skip
  (axis,) = plots.draw(plot, rows).axes
  x = [
    np.asarray(line.get_xdata(), float)
    for line in axis.lines
    if line.get_marker() == "o" and len(line.get_xdata()) == 3
  ]
  np.testing.assert_allclose(x[0], [1.5, 3, 6])
