"""Vectors: questions asked of them, and files that they survive."""

import hashlib
import io

import gensim
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax import vectors
from glove_jax.vectors import Tables, WordVectors

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
  return vectors.with_unk(made) if unk else made


def random_tables(vocab_size=9, dim=4) -> Tables:
  rng = np.random.default_rng(1)
  shapes = [(vocab_size, dim)] * 2 + [(vocab_size,)] * 2
  return Tables(*(rng.normal(size=s).astype(np.float32) for s in shapes))


def parity_vectors(parity) -> WordVectors:
  lines = (parity / "vocab.txt").read_bytes().decode().splitlines()
  words = [line.rsplit(" ", 1)[0] for line in lines]
  table = np.fromfile(parity / "vectors.005.bin", "<f8")
  word, context = table.reshape(2, len(words), -1)[:, :, :-1]
  return WordVectors(words, vectors.combine(word, context))


# Combining.


def test_combine():
  word, context = np.array([[1.0, 2.0]]), np.array([[3.0, 8.0]])
  expected = {
    "sum": [[4, 10]],
    "average": [[2, 5]],
    "word": [[1, 2]],
    "context": [[3, 8]],
    "concat": [[1, 2, 3, 8]],
  }
  for how, table in expected.items():
    np.testing.assert_array_equal(vectors.combine(word, context, how), table)
  with pytest.raises(ValueError, match="use sum, average"):
    vectors.combine(word, context, "product")
  with pytest.raises(ValueError, match="one training run"):
    vectors.combine(word, context[:, :1])


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
    monkeypatch.setattr(vectors, name, value)
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
  assert vectors.with_unk(few) is few


# Files.


def test_text_is_what_glove_c_writes(parity, tmp_path):
  made = vectors.with_unk(parity_vectors(parity))
  path = tmp_path / "vectors.txt"
  vectors.write_stanford_text(made, path)
  assert path.read_bytes() == (parity / "vectors.txt").read_bytes()


def test_text_of_glove_c_loads(parity):
  read = vectors.load_vectors(parity / "vectors.txt")
  made = vectors.with_unk(parity_vectors(parity))
  assert read.words == made.words
  np.testing.assert_allclose(read.vectors, made.vectors, atol=6e-7)


WRITERS = {
  "stanford_text": vectors.write_stanford_text,
  "word2vec_text": vectors.write_word2vec_text,
  "word2vec_binary": vectors.write_word2vec_binary,
}


@pytest.mark.parametrize("form", WRITERS)
def test_formats_load_back_and_in_gensim(form, tmp_path):
  made = random_vectors(unk=True)
  made = WordVectors(["naïve", "深い", *made.words[2:]], made.vectors)
  path = tmp_path / "vectors"
  WRITERS[form](made, path)
  tolerance = 1e-6 if "text" in form else 1e-7
  read = vectors.load_vectors(path)
  assert read.words == made.words and read.vectors.dtype == np.float32
  np.testing.assert_allclose(read.vectors, made.vectors, atol=tolerance)

  keyed = gensim.models.KeyedVectors.load_word2vec_format(
    str(path), binary=form.endswith("binary"), no_header="stanford" in form
  )
  assert tuple(keyed.index_to_key) == made.words
  np.testing.assert_allclose(keyed.vectors, made.vectors, atol=tolerance)


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_gensim_load(binary, tmp_path):
  made = random_vectors()
  path = str(tmp_path / "vectors")
  made.to_gensim().save_word2vec_format(path, binary=binary)
  read = vectors.load_vectors(path)
  assert read.words == made.words
  np.testing.assert_allclose(read.vectors, made.vectors, rtol=1e-6)


def test_tables_load_back_exactly(tmp_path):
  tables, words = random_tables(), ("a b", "", "\udcff", *"cdefgh")
  path = tmp_path / "tables.npz"
  vectors.write_tables(path, tables, words)
  read, read_words = vectors.read_tables(path)
  assert read_words == words
  for name in Tables._fields:
    np.testing.assert_array_equal(getattr(read, name), getattr(tables, name))
  loaded = vectors.load_vectors(path, how="concat")
  assert loaded.words == words and loaded.vectors.shape == (9, 8)
  assert len(loaded.to_gensim()) == 9


def test_equal_tables_are_equal_bytes(tmp_path):
  digests = set()
  for name in ("one.npz", "two.npz"):
    vectors.write_tables(tmp_path / name, random_tables(), list("abcdefghi"))
    digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
  assert len(digests) == 1
  assert {p.name for p in tmp_path.iterdir()} == {"one.npz", "two.npz"}


def load(text: str, tmp_path) -> WordVectors:
  path = tmp_path / "v.txt"
  path.write_bytes(text.encode("utf-8", "surrogateescape"))
  return vectors.load_vectors(path)


@pytest.mark.parametrize("header", ["", "4 2\n"])
def test_text_is_read_from_the_right(header, tmp_path):
  text = ". . . 1 2\nnew york 0.5 -1e-3\n 3 4\n\u2028\x85 1 1"
  read = load(header + text, tmp_path)
  assert read.words == (". . .", "new york", "", "\u2028\x85")
  np.testing.assert_allclose(
    read.vectors, [[1, 2], [0.5, -1e-3], [3, 4], [1, 1]]
  )


def test_ends_of_lines_do_not_matter(tmp_path):
  read = load("2 2 \r\na 1 2 \r\nb 3 4\r\n", tmp_path)
  assert read.words == ("a", "b")
  np.testing.assert_array_equal(read.vectors, [[1, 2], [3, 4]])


def test_header_of_glove_c_leaves_unk_out(tmp_path):
  assert len(load("2 1\na 1\nb 2\n<unk> 3\n", tmp_path)) == 3


def test_numbers_for_words_are_no_header(tmp_path):
  assert load("1990 2 3\n7 1 2\n", tmp_path).words == ("1990", "7")


@pytest.mark.parametrize(
  "text, message",
  [
    ("", "holds no vectors"),
    ("2 3\n", "ends inside vector 1 of 2"),
    ("a 1 2\nb 1\nc 1 2\n", "Line 2 of .*v.txt is not a word and 2 numbers"),
    ("a 1 2\nb 1 2 3\nc 1 2\n", "Line 2 of .*v.txt is not a word and 2"),
    ("a 1 2\nb 1 2 0.5\n", "Line 2 of .*v.txt is not a word and 2 numbers"),
    ("2 2\na 1 2\nb 1 x\n", "Line 3 of .*v.txt is not a word and 2 numbers"),
    ("a 1 2\nb 1  2\n", "Line 2 of .*v.txt is not a word and 2 numbers"),
    ("3 2\na 1 2\nb 1 2\n", "says that it holds 3 vectors, and it holds 2"),
    ("1 2\na 1 2\nb 1 2\n", "says that it holds 1 vectors, and it holds 2"),
    ("nothing\nhere\n", "Line 1 of .*v.txt is not a word and 1 numbers"),
  ],
)
def test_bad_text(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    load(text, tmp_path)


def test_bad_lines_are_counted_over_chunks(monkeypatch, tmp_path):
  monkeypatch.setattr(vectors, "_CHUNK", 20)
  lines = [f"w{i} {i} {i}" for i in range(40)]
  assert len(load("\n".join(lines), tmp_path)) == 40
  lines[30] += "?"
  with pytest.raises(ValueError, match="Line 31 of"):
    load("\n".join(lines), tmp_path)


def test_a_binary_file_cut_off_or_too_long(tmp_path):
  path = tmp_path / "v.bin"
  vectors.write_word2vec_binary(random_vectors(vocab_size=3, dim=2), path)
  whole = path.read_bytes()
  path.write_bytes(whole[:-3])
  with pytest.raises(ValueError, match="ends inside vector 3 of 3"):
    vectors.load_vectors(path)
  path.write_bytes(whole + b"more")
  with pytest.raises(ValueError, match="goes on after its 3 vectors"):
    vectors.load_vectors(path)
  path.write_bytes(b"no header\n")
  with pytest.raises(ValueError, match="does not start with a line"):
    vectors.read_word2vec_binary(path)


def test_bad_tables(tmp_path):
  path = tmp_path / "t.npz"
  with pytest.raises(ValueError, match="do not fit"):
    vectors.write_tables(path, random_tables(), ["too", "few"])
  vectors.write_tables(path, random_tables(), list("abcdefghi"))
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match="cut off or another kind"):
    vectors.load_vectors(path)
  buffer = io.BytesIO()
  np.savez(buffer, word=np.zeros(3))
  path.write_bytes(buffer.getvalue())
  with pytest.raises(ValueError, match="does not hold the arrays words, word"):
    vectors.load_vectors(path)


def test_a_missing_file():
  for read in (
    vectors.load_vectors,
    vectors.read_stanford_text,
    vectors.read_word2vec_text,
    vectors.read_word2vec_binary,
    vectors.read_tables,
  ):
    with pytest.raises(FileNotFoundError, match=r"no vector file nowhere\.txt"):
      read("nowhere.txt")


@pytest.mark.parametrize(
  "write, word",
  [
    (vectors.write_stanford_text, "two\nlines"),
    (vectors.write_stanford_text, "version 2.5"),
    (vectors.write_word2vec_text, "two\nlines"),
    (vectors.write_word2vec_binary, "two words"),
    (vectors.write_word2vec_binary, "two\nlines"),
  ],
)
def test_words_that_could_not_be_read_back_are_not_written(
  write, word, tmp_path
):
  path = tmp_path / "v"
  path.write_text("old")
  with pytest.raises(ValueError, match="cannot be written"):
    write(WordVectors([word], np.ones((1, 2))), path)
  assert path.read_text() == "old"


# As the reader of bytes hands them out: characters, and bytes that are none.
WORDS = st.lists(
  st.binary(max_size=9).map(lambda b: b.decode("utf-8", "surrogateescape")),
  min_size=1,
  max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(words=WORDS, dim=st.integers(1, 4), seed=st.integers(0, 99))
@pytest.mark.parametrize("form", WRITERS)
def test_any_words_survive_or_are_refused(
  tmp_path_factory, form, words, dim, seed
):
  table = np.random.default_rng(seed).normal(size=(len(words), dim))
  path = tmp_path_factory.getbasetemp() / f"any_{form}"
  try:
    WRITERS[form](WordVectors(words, table), path)
  except ValueError:
    assert any({*" \n"} & {*word} for word in words)
    return
  read = vectors.load_vectors(path)
  assert read.words == tuple(words)
  np.testing.assert_allclose(read.vectors, table, atol=1e-6)
