"""Vectors: combining them, and questions asked of them."""

import sys

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import glove_jax
from glove_jax.vectors import on_device, search, tables, word_vectors
from glove_jax.vectors.word_vectors import WordVectors

# On a circle, in degrees: neighbours can be told by eye.
ANGLES = {"north": 90, "east": 0, "south": -90, "west": 180, "northeast": 50}


def circle() -> WordVectors:
  angles = np.deg2rad(list(ANGLES.values()))
  lengths = np.array([[1], [2], [3], [4], [0.5]])
  table = lengths * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  return WordVectors(list(ANGLES), table.astype(np.float32))


def random_vectors(vocab_size=50, dim=7, seed=0, unk=False) -> WordVectors:
  rng = np.random.default_rng(seed)
  words = [f"w{i}" for i in range(vocab_size)]
  made = WordVectors(words, rng.normal(size=(vocab_size, dim)))
  return word_vectors.with_unk(made) if unk else made


# Combining.


def test_combine():
  word, context = np.array([[1.0, 2.0]]), np.array([[3.0, 8.0]])
  expected = {
    "sum": [[4, 10]],
    "word": [[1, 2]],
    "context": [[3, 8]],
    "concat": [[1, 2, 3, 8]],
  }
  for how, table in expected.items():
    np.testing.assert_array_equal(tables.combine(word, context, how), table)
  with pytest.raises(ValueError, match="use sum, word"):
    tables.combine(word, context, "product")
  with pytest.raises(ValueError, match="one training run"):
    tables.combine(word, context[:, :1])


def test_bad_shapes_are_refused():
  with pytest.raises(ValueError, match="one row for each word"):
    WordVectors(["a", "b"], np.zeros((3, 2)))
  with pytest.raises(ValueError, match="hold nothing"):
    WordVectors([], np.zeros((0, 2)))


def test_vectors_that_are_not_finite_are_refused():
  table = np.ones((3, 2), np.float32)
  table[1, 0] = np.nan
  with pytest.raises(ValueError, match="of 'b' has values that are not finite"):
    WordVectors("abc", table).neighbors("a")


def test_bfloat16_becomes_float32():
  assert WordVectors("a", jnp.ones((1, 2), jnp.bfloat16)).vectors.dtype == "f4"


# Neighbours and analogies.


def test_neighbors_of_a_word():
  found = circle().neighbors("north", k=2)
  assert [word for word, _ in found] == ["northeast", "east"]
  cosines = [cosine for _, cosine in found]
  np.testing.assert_allclose(cosines, [np.cos(np.deg2rad(40)), 0], atol=1e-6)


def test_neighbors_of_a_vector():
  (word, cosine), *rest = circle().neighbors(np.array([0, -9]))
  assert word == "south" and len(rest) == 4
  assert cosine == pytest.approx(1)


def test_neighbors_are_at_most_the_other_words():
  assert len(circle().neighbors("north", k=99)) == 4
  assert WordVectors("a", np.ones((1, 2))).neighbors("a") == []


def test_equal_neighbors_come_in_the_order_of_the_rows():
  found = WordVectors("abcd", np.ones((4, 2))).neighbors("c", k=2)
  assert [word for word, _ in found] == ["a", "b"]


def test_a_zero_vector_is_near_nothing():
  made = WordVectors("abc", np.array([[1.0, 0], [0, 0], [-1, 0]]))
  assert made.neighbors("a") == [("b", 0.0), ("c", -1.0)]
  assert made.neighbors(np.zeros(2))[0] == ("a", 0.0)


def test_bad_neighbors():
  with pytest.raises(ValueError, match="'up' is not among the 5 words"):
    circle().neighbors("up")
  with pytest.raises(ValueError, match="1 or more"):
    circle().neighbors("north", k=0)
  with pytest.raises(ValueError, match=r"Cannot list 2\.5 words"):
    circle().neighbors("north", k=2.5)
  for num in (-1, 0, "3"):
    with pytest.raises(ValueError, match="num must be a positive integer"):
      circle().first(num)
  with pytest.raises(ValueError, match="give 2 finite numbers"):
    circle().neighbors(np.ones(3))
  with pytest.raises(ValueError, match="'up' is not among"):
    circle()["up"]


def test_unk_is_never_an_answer():
  made = WordVectors(["a", "<unk>", "b", "c", "d"], np.eye(5) + 1)
  assert "<unk>" not in [word for word, _ in made.neighbors("a")]
  assert "<unk>" not in [word for word, _ in made.analogy("a", "b", "c")]
  assert made.answers([[0, 2, 3]]) == [4]
  assert len(made.neighbors("<unk>")) == 4


def test_of_a_repeated_word_the_first_vector_counts():
  made = WordVectors(["a", "b", "a"], np.arange(6.0).reshape(3, 2))
  np.testing.assert_array_equal(made["a"], [0, 1])


def test_analogy_by_addition():
  # b - a + c of unit vectors is (0, 1) - (1, 0) + (-1, 0) = (-2, 1).
  made = circle()
  found = made.analogy("east", "north", "west")
  target = np.array([-2, 1]) / np.sqrt(5)
  expected = {
    word: float(made.unit[made.id(word)] @ target)
    for word in ("south", "northeast")
  }
  assert dict(found) == pytest.approx(expected)
  assert found[0][1] >= found[1][1]


def test_analogy_by_multiplication():
  # Cosines with east, north, west moved to [0, 1], of south: 1/2, 0, 1/2.
  made = circle()
  scores = dict(made.analogy("east", "north", "west", method="mul"))
  assert scores["south"] == pytest.approx(0, abs=1e-6)
  east, north, west = (
    (1 + np.cos(np.deg2rad(angle))) / 2 for angle in (50, 40, 130)
  )
  expected = north * west / (east + 0.001)
  assert scores["northeast"] == pytest.approx(expected, rel=1e-5)


def test_bad_analogies():
  with pytest.raises(ValueError, match="'up' is not among"):
    circle().analogy("north", "south", "up")
  with pytest.raises(ValueError, match="use add or mul"):
    circle().analogy("north", "south", "east", method="divide")
  with pytest.raises(ValueError, match="use add or mul"):
    circle().answers([[0, 1, 2]], method="divide")


def slow_answer(made, question, method):
  """The definition, one candidate at a time."""
  best, answer = -np.inf, -1
  unit = made.vectors / np.linalg.norm(made.vectors, axis=1, keepdims=True)
  a, b, c = unit[question]
  for row, d in enumerate(unit):
    if row in question or made.words[row] == "<unk>":
      continue
    x, y, z = ((1 + d @ other) / 2 for other in (a, b, c))
    score = d @ (b - a + c) if method == "add" else y * z / (x + 0.001)
    if score > best:
      best, answer = score, row
  return answer


@pytest.mark.parametrize("method", ["add", "mul"])
@pytest.mark.parametrize("blocks", [(4096, 128, 1 << 23), (64, 3, 1)])
def test_many_answers_are_those_of_the_definition(monkeypatch, method, blocks):
  for name, value in zip(("_COLUMNS", "_ROWS", "_TILE"), blocks, strict=True):
    monkeypatch.setattr(search, name, value)
  made = random_vectors(vocab_size=150, unk=True)
  questions = np.random.default_rng(2).integers(0, 150, size=(40, 3))
  expected = [slow_answer(made, q, method) for q in questions]
  np.testing.assert_array_equal(made.answers(questions, method), expected)
  words = [[made.words[i] for i in question] for question in questions]
  singly = [made.analogy(*q, k=1, method=method)[0][0] for q in words]
  assert singly == [made.words[i] for i in expected]


def test_no_questions_and_no_answers():
  made = random_vectors(vocab_size=3)
  assert made.answers(np.zeros((0, 3), int)).shape == (0,)
  assert made.answers([[0, 1, 2], [0, 1, 1]]).tolist() == [-1, 2]


def test_analogies_agree_with_gensim():
  made = random_vectors()
  keyed = made.to_gensim()
  for method, ask in (
    ("add", keyed.most_similar),
    ("mul", keyed.most_similar_cosmul),
  ):
    other = ask(positive=["w2", "w3"], negative=["w1"], topn=5)
    ours = made.analogy("w1", "w2", "w3", k=5, method=method)
    assert [word for word, _ in ours] == [word for word, _ in other]
  other = [word for word, _ in keyed.most_similar("w1", topn=5)]
  assert [word for word, _ in made.neighbors("w1", k=5)] == other


# <unk>.


def test_unk_is_the_mean_of_the_last_hundred():
  made = random_vectors(vocab_size=120, unk=True)
  assert made.words[-1] == "<unk>"
  np.testing.assert_allclose(made["<unk>"], made.vectors[20:120].mean(axis=0))
  few = random_vectors(vocab_size=3, unk=True)
  np.testing.assert_allclose(few["<unk>"], few.vectors[:3].mean(axis=0))
  assert word_vectors.with_unk(few) is few


# gensim's names.


def test_most_similar_agrees_with_gensim():
  made = random_vectors()
  keyed = made.to_gensim()
  for positive, negative in (
    (["w1"], []),
    (["w1", "w2", "w3"], ["w4"]),
    ([("w1", 0.5), "w2"], ["w3"]),
    ("w5", "w6"),
    ([], ["w7"]),
  ):
    ours = made.most_similar(positive, negative, topn=5)
    other = keyed.most_similar(positive, negative, topn=5)
    assert [word for word, _ in ours] == [word for word, _ in other]
    np.testing.assert_allclose(
      [x for _, x in ours], [x for _, x in other], atol=1e-5
    )
  vector = made["w1"]
  assert made.most_similar(vector, topn=1) == made.most_similar(
    [vector], topn=1
  )
  with pytest.raises(ValueError, match="Give one word or more"):
    made.most_similar()
  assert made.similarity("w1", "w2") == pytest.approx(
    keyed.similarity("w1", "w2"), abs=1e-6
  )
  words = ["w1", "w2", "w3", "w4"]
  assert made.doesnt_match(words) == made.to_gensim().doesnt_match(words)
  assert made.index_to_key == keyed.index_to_key
  assert made.key_to_index == keyed.key_to_index
  assert made.vector_size == keyed.vector_size
  fresh = made.to_gensim()  # gensim scales vectors in place when it is asked
  np.testing.assert_array_equal(made[["w1", "w2"]], fresh[["w1", "w2"]])


def test_iteration_gives_words():
  made = circle()
  assert list(made) == list(ANGLES) and len(made) == 5
  assert "north" in made and "up" not in made and 0 not in made
  assert repr(made) == "WordVectors(5 words, 2 dimensions, float32)"


def test_a_change_of_a_vector_does_not_reach_the_table():
  made = circle()
  vector = made["north"]
  with pytest.raises(ValueError, match="read-only"):
    vector -= made["south"]
  made[["north"]][:] = 0
  np.testing.assert_array_equal(made.vectors, circle().vectors)


def test_several_words_stand_for_their_mean():
  made = random_vectors()
  assert made.neighbors(["w1", "w2"]) == made.most_similar(["w1", "w2"])
  (word, cosine), *_ = made.neighbors(["w1"])
  assert (word, pytest.approx(cosine)) == made.neighbors("w1")[0]


@pytest.mark.parametrize("form", [iter, np.array, pd.Series, dict.fromkeys])
def test_words_of_any_iterable(form):
  made, words = random_vectors(), ["w1", "w2"]
  assert made.neighbors(form(words)) == made.neighbors(words)
  assert made.most_similar(form(words), form(["w3"])) == (
    made.most_similar(words, ["w3"])
  )
  assert made.neighbors_of_each(form(words)) == made.neighbors_of_each(words)


def test_batches_are_as_one_by_one(monkeypatch):
  made = random_vectors(unk=True)
  monkeypatch.setattr(search, "_TILE", 4 * len(made))
  words = [f"w{i}" for i in range(11)]
  for queries in (words, made[words]):
    batch = made.neighbors_of_each(queries, 5)
    singly = [made.neighbors(query, 5) for query in queries]
    assert [[w for w, _ in x] for x in batch] == [
      [w for w, _ in x] for x in singly
    ]
  with pytest.raises(ValueError, match="not the one word"):
    made.neighbors_of_each("w1")


def test_a_device_finds_the_same_rows(monkeypatch):
  made = random_vectors(unk=True)
  words = [f"w{i}" for i in range(11)]
  expected = made.neighbors_of_each(words, 5)
  monkeypatch.setattr(search, "_DEVICE", 0)
  asked = []
  monkeypatch.setattr(on_device, "is_here", lambda: asked.append(1) or True)
  found = made.neighbors_of_each(words, 5)
  assert asked
  for line, other in zip(found, expected, strict=True):
    assert [w for w, _ in line] == [w for w, _ in other]
    np.testing.assert_allclose(
      [c for _, c in line], [c for _, c in other], atol=1e-6
    )


def test_approximate_search_finds_nearly_all():
  pytest.importorskip("faiss")
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(40, 16))
  table = centres[rng.integers(40, size=3000)] + rng.normal(size=(3000, 16)) / 3
  words = [f"w{i}" for i in range(2998)] + ["<unk>", "w5"]
  made = WordVectors(words, table)
  exact = made.neighbors_of_each(words[:200], 10)
  found = made.neighbors_of_each(words[:200], 10, approximate=True)
  same = [
    len({*dict(a)} & {*dict(b)}) for a, b in zip(exact, found, strict=True)
  ]
  assert np.mean(same) > 9 and {len(line) for line in found} == {10}
  one = dict(made.neighbors("w0", 3, approximate=True))
  assert [*one] == [word for word, _ in found[0][:3]]
  assert one == pytest.approx(dict(found[0][:3]))
  query = (["w1", "w2"], ["w3"])
  assert made.most_similar(*query, topn=1, approximate=True)[0][0] not in {
    "w1", "w2", "w3", "<unk>",
  }  # fmt: skip
  with pytest.raises(ValueError, match="ask for 1 or more"):
    made.neighbors("w0", 0, approximate=True)


def test_approximate_search_of_few_words_finds_all():
  pytest.importorskip("faiss")
  made = WordVectors("abc", np.eye(3)[:, :2] + 0.1)
  assert len(made.neighbors("a", 10, approximate=True)) == 2


def test_approximate_search_says_what_it_needs(monkeypatch):
  monkeypatch.setitem(sys.modules, "faiss", None)
  with pytest.raises(ImportError, match="pip install faiss-cpu"):
    random_vectors().neighbors("w0", approximate=True)


def test_subsets():
  made = WordVectors("abc", np.eye(3), [7, 5, 3])
  some = made.subset(["c", "a"])
  assert some.words == ("c", "a") and some.counts.tolist() == [3, 7]
  np.testing.assert_array_equal(some.vectors, np.eye(3)[[2, 0]])
  assert made.first(2).words == ("a", "b") and made.first(9) is made
  with pytest.raises(ValueError, match="'d' is not among"):
    made.subset(["a", "d"])


def test_counts_and_frames_go_to_other_libraries():
  made = WordVectors("abc", np.eye(3), [7, 5, 3])
  assert made.to_gensim().get_vecattr("b", "count") == 5
  frame = made.to_dataframe()
  assert frame.shape == (3, 3) and frame.loc["b"].tolist() == [0, 1, 0]
  assert word_vectors.with_unk(made).counts.tolist() == [7, 5, 3, 0]


@pytest.mark.parametrize(
  "ask, message",
  [
    (lambda v: v.answers([[0, 1, 2, 3]]), r"give \[N, 3\] integers"),
    (lambda v: v.answers([[0, 1, 99]]), r"give \[N, 3\] integers"),
    (lambda v: v.neighbors(["north", 1]), "neither a word, nor words"),
    (lambda v: v.most_similar([("north", np.nan)]), "give 2 finite numbers"),
    (lambda v: v.neighbors(None), "finite numbers|neither a word"),
    (lambda v: v[0], "no word"),
    (lambda v: v.similarity("north", 3), "3 is no word"),
    (lambda v: WordVectors([1], np.eye(1)), "is no string"),
    (lambda v: WordVectors("ab", np.eye(2), [1]), "one count for each word"),
    (lambda v: WordVectors("a", [["x"]]), "no real numbers"),
    (lambda v: WordVectors("a", [[1j]]), "no real numbers"),
  ],
)
def test_wrong_types_are_one_sentence(ask, message):
  with pytest.raises(ValueError, match=message):
    ask(circle())


def test_lists_are_combined_as_arrays():
  assert tables.combine([[1.0]], [[2.0]]).tolist() == [[3.0]]


@pytest.mark.parametrize("name, form", [
  ("v.txt", None), ("v.bin.gz", None), ("v.safetensors", None),
  ("v", "word2vec"),
])  # fmt: skip
def test_save_writes_by_the_name_or_the_format(tmp_path, name, form):
  vectors = WordVectors(["a", "b"], np.eye(2, dtype=np.float32))
  vectors.save(str(tmp_path / name), form)
  again = glove_jax.load(tmp_path / name)
  assert again.words == vectors.words
  np.testing.assert_array_equal(again.vectors, vectors.vectors)


def test_save_needs_a_format(tmp_path):
  vectors = WordVectors(["a", "b"], np.eye(2))
  with pytest.raises(ValueError, match="names no format: give format"):
    vectors.save(tmp_path / "v")
