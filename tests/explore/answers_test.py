"""The page's questions: what is asked and what JSON comes back."""

import json

import numpy as np
import pytest

from glove_jax.explore import answers, flat
from glove_jax.explore.server import Explorer, NamedVectors
from glove_jax.vectors.standard_errors import Objective, StandardErrors
from glove_jax.vectors.word_vectors import WordVectors

WORDS = ["man", "woman", "king", "queen", "apple"]
TABLE = [[1, 0, 0], [1, 1, 0], [1, 0, 2], [1, 1, 2], [-3, 1, -1]]


@pytest.fixture
def vectors():
  return WordVectors(WORDS, TABLE, [50, 40, 30, 20, 10])


@pytest.fixture
def sure():
  """Vectors with standard errors, from random tables and counts."""
  rng = np.random.default_rng(0)
  word, context = rng.normal(size=(2, 12, 3))
  bias = np.zeros(12)
  row, col = map(np.ravel, np.indices((12, 12)))
  counts = row, col, np.exp(rng.normal(size=144))
  words = [f"w{i}" for i in range(12)]
  found = WordVectors(words, word + context)
  tables = word, context, bias, bias
  found.errors = lambda: StandardErrors(
    words, tables, counts, Objective(10, 0.75)
  )
  return found


def names(answer):
  return [found["word"] for found in answer["answers"]]


def test_neighbors_are_those_of_the_vectors(vectors):
  answer = answers.neighbors(vectors, {"q": " king ", "k": "2"})
  found = vectors.neighbors("king", 2)
  assert names(answer) == [word for word, _ in found]
  assert [x["cosine"] for x in answer["answers"]] == pytest.approx(
    [cosine for _, cosine in found], abs=1e-4
  )
  assert answer["answers"][0]["count"] == 20
  assert answer["words"] == ["king"]


def test_sums_and_analogies(vectors):
  answer = answers.neighbors(vectors, {"q": "king - man + woman", "k": "1"})
  assert names(answer) == ["queen"]
  assert answer["words"] == ["king", "woman", "man"]
  query = {"a": "man", "b": "king", "c": "woman", "k": "1"}
  assert names(answers.analogy(vectors, query)) == ["queen"]
  answer = answers.similarity(vectors, {"a": "man", "b": "king"})
  assert answer["answers"][0]["cosine"] == pytest.approx(0.2**0.5, abs=1e-4)


def test_intervals_are_those_of_the_vectors(sure):
  query = {"q": "w1 - w2 + w3", "k": "2", "intervals": "1"}
  for answer in answers.neighbors(sure, query)["answers"]:
    ends = sure.interval(["w1", "w3"], answer["word"], ["w2"])
    assert answer["interval"] == pytest.approx(ends, abs=1e-4)
    assert answer["interval"][0] < answer["cosine"] < answer["interval"][1]
  query = {"a": "w2", "b": "w1", "c": "w3", "k": "2", "intervals": "1"}
  answer = answers.analogy(sure, query)["answers"][0]
  ends = sure.interval(["w1", "w3"], answer["word"], ["w2"])
  assert answer["interval"] == pytest.approx(ends, abs=1e-4)


def test_without_counts_there_is_a_note_and_no_interval(vectors):
  query = {"q": "king", "intervals": "1"}
  answer = answers.neighbors(vectors, query)
  assert "no standard errors" in answer["note"]
  assert "interval" not in answer["answers"][0]
  assert not answers.about(vectors)["intervals"]


def test_an_unknown_word_is_a_sentence_with_near_spellings(vectors):
  answer = answers.neighbors(vectors, {"q": "King - mann"})
  assert answer["error"] == '"King", "mann" are not among the 5 words.'
  assert answer["near"] == {"King": ["king"], "mann": ["man"]}
  answer = answers.similarity(vectors, {"a": "<script>", "b": "x" * 10_000})
  assert answer["near"] == {"<script>": [], "x" * 10_000: []}


@pytest.mark.parametrize("question, query, what", [
  ("neighbors", {"q": " "}, "Type a word"),
  ("neighbors", {}, "Type a word"),
  ("neighbors", {"q": "-"}, '"-" is not among'),
  ("analogy", {"a": "man", "b": "king"}, "Type a word"),
  ("neighbors", {"q": "king", "k": "0"}, "k must be"),
  ("neighbors", {"q": "king", "k": "101"}, "k must be"),
  ("neighbors", {"q": "king", "k": "²"}, "k must be"),
  ("neighbors", {"q": "king", "k": "9" * 5000}, "k must be"),
  ("map", {"num": "-1"}, "num must be"),
  ("map", {"method": "umap"}, "no method 'umap': use 'tsne' or 'pca'"),
  ("neighbors", {"q": "king", "run": "1"}, "no run"),
  ("changes", {}, "one run"),
  ("nothing", {}, "no question"),
])  # fmt: skip
def test_a_bad_query_is_a_sentence(vectors, question, query, what):
  explorer = Explorer([NamedVectors("a", vectors)])
  try:
    sentence = explorer.answer(question, query)["error"]
  except ValueError as error:
    sentence = str(error)
  assert what in sentence and sentence.endswith(".") and "\n" not in sentence


def test_two_runs_are_asked_apart_and_compared(vectors):
  table = np.array(TABLE, float)[[2, 1, 0, 3, 4]]  # man and king are exchanged
  other = WordVectors([*WORDS[:4], "pear"], table)
  explorer = Explorer([NamedVectors("a", vectors), NamedVectors("b", other)])
  shown = explorer.answer("runs", {})["runs"]
  assert [run["name"] for run in shown] == ["a", "b"]
  first = explorer.answer("neighbors", {"q": "man", "run": "0"})
  second = explorer.answer("neighbors", {"q": "king", "run": "1"})
  assert first["answers"][0]["cosine"] == second["answers"][0]["cosine"]
  found = explorer.answer("changes", {"k": "1"})
  assert found["shared"] == 4
  common = {x["word"]: x["common"] for x in found["words"]}
  both = [some.subset(WORDS[:4]) for some in (vectors, other)]
  for word in WORDS[:4]:
    ours, theirs = (some.neighbors(word, 1)[0][0] for some in both)
    assert common[word] == (ours == theirs)
  assert found["mean"] == sum(common.values()) / 4
  assert found["words"][0]["common"] == 0


def test_runs_without_common_words_say_so(vectors):
  other = WordVectors(["x", "y"], np.eye(2))
  assert "too few" in answers.changes(vectors, other, {})["error"]


def test_an_answer_that_takes_long_is_computed_once(vectors, monkeypatch):
  calls = []
  monkeypatch.setitem(
    answers.QUESTIONS, "map", lambda *arguments: calls.append(1) or {}
  )
  explorer = Explorer([NamedVectors("a", vectors)])
  for _ in range(3):
    explorer.answer("map", {"num": "5"})
  assert len(calls) == 1


def test_vectors_that_are_not_finite_are_refused_at_once():
  broken = WordVectors(["a"], np.array([[np.nan]]))
  with pytest.raises(ValueError, match="not finite"):
    Explorer([NamedVectors("a", broken)])
  with pytest.raises(ValueError, match="nothing to explore"):
    Explorer([])


@pytest.mark.parametrize("method", flat.methods())
def test_a_map_keeps_groups_apart(method):
  rng = np.random.default_rng(0)
  middles = np.eye(4)[[0] * 20 + [1] * 20]
  table = middles + 0.05 * rng.normal(size=(40, 4))
  places = flat.positions(table, method)
  assert np.abs(places).max() == pytest.approx(1)
  assert np.array_equal(places, flat.positions(table, method))
  first, second = places[:20], places[20:]
  apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
  assert apart > 2 * max(first.std(), second.std())


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize("method", flat.methods())
def test_a_map_of_few_words(shape, method):
  for table in (np.zeros(shape), np.arange(np.prod(shape)).reshape(shape)):
    places = flat.positions(table, method)
    assert places.shape == (shape[0], 2) and np.isfinite(places).all()


def test_pca_is_that_of_the_covariance():
  table = np.random.default_rng(0).normal(size=(30, 5))
  directions = np.linalg.eigh(np.cov(table.T)).eigenvectors
  expected = (table - table.mean(axis=0)) @ directions[:, [-1, -2]]
  places = flat.positions(table)
  ratio = places / expected * np.abs(expected).max()
  assert np.abs(ratio) == pytest.approx(1)
  assert len({*np.sign(ratio[:, 0])}) == len({*np.sign(ratio[:, 1])}) == 1


def test_the_map_is_of_the_first_words_and_json(vectors):
  answer = answers.picture(vectors, {"num": "3", "method": "pca"})
  assert json.loads(json.dumps(answer))["words"] == WORDS[:3]
  assert len(answer["x"]) == len(answer["y"]) == 3
