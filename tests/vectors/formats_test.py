"""Files that vectors survive, ours and those of other programs."""

import hashlib
import io

import gensim
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_vectors_test import random_vectors

from glove_jax.model import Params
from glove_jax.vectors import formats, tables, word_vectors
from glove_jax.vectors.word_vectors import WordVectors


def random_tables(vocab_size=9, dim=4) -> Params:
  rng = np.random.default_rng(1)
  shapes = [(vocab_size, dim)] * 2 + [(vocab_size,)] * 2
  return Params(*(rng.normal(size=s).astype(np.float32) for s in shapes))


def parity_vectors(parity) -> WordVectors:
  lines = (parity / "vocab.txt").read_bytes().decode().splitlines()
  words = [line.rsplit(" ", 1)[0] for line in lines]
  table = np.fromfile(parity / "vectors.005.bin", "<f8")
  word, context = table.reshape(2, len(words), -1)[:, :, :-1]
  return WordVectors(words, tables.combine(word, context))


def test_text_is_what_glove_c_writes(parity, tmp_path):
  made = word_vectors.with_unk(parity_vectors(parity))
  path = tmp_path / "vectors.txt"
  formats.write_stanford_text(made, path)
  assert path.read_bytes() == (parity / "vectors.txt").read_bytes()


def test_many_vectors_are_written_as_few_are(tmp_path):
  """Ties, signs of zero, numbers of any size, and those that are not finite."""
  rng = np.random.default_rng(0)
  table = rng.integers(0, 2**32, (3000, 50), np.uint32).view(np.float32)
  table[:1000] = rng.integers(-(2**24), 2**24, (1000, 50)) / 2.0**7
  table[1000:2000] = rng.normal(scale=1e-6, size=(1000, 50))
  edges = [0, -0.0, 5e-7, -5e-7, 0.9999995, 999999936, 1e9, -1e9, np.inf]
  table[0, : len(edges)] = edges
  words = [f"w{i}" for i in range(len(table))]
  path = tmp_path / "many.txt"
  formats.write_stanford_text(WordVectors(words, table), path)
  for word, row, line in zip(words, table, path.open(), strict=True):
    assert line == f"{word} {' '.join(f'{x:.6f}' for x in row)}\n"


def test_text_of_glove_c_loads(parity):
  read = formats.load_vectors(parity / "vectors.txt")
  made = word_vectors.with_unk(parity_vectors(parity))
  assert read.words == made.words
  np.testing.assert_allclose(read.vectors, made.vectors, atol=6e-7)


WRITERS = {
  "stanford_text": formats.write_stanford_text,
  "word2vec_text": formats.write_word2vec_text,
  "word2vec_binary": formats.write_word2vec_binary,
}


@pytest.mark.parametrize("form", WRITERS)
def test_formats_load_back_and_in_gensim(form, tmp_path):
  made = random_vectors(unk=True)
  made = WordVectors(["naïve", "深い", *made.words[2:]], made.vectors)
  path = tmp_path / "vectors"
  WRITERS[form](made, path)
  tolerance = 1e-6 if "text" in form else 1e-7
  read = formats.load_vectors(path)
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
  read = formats.load_vectors(path)
  assert read.words == made.words
  np.testing.assert_allclose(read.vectors, made.vectors, rtol=1e-6)


def test_tables_load_back_exactly(tmp_path):
  tables, words = random_tables(), ("a b", "", "\udcff", *"cdefgh")
  path = tmp_path / "tables.npz"
  formats.write_tables(path, tables, words)
  read, read_words = formats.read_tables(path)
  assert read_words == words
  for name in Params._fields:
    np.testing.assert_array_equal(getattr(read, name), getattr(tables, name))
  loaded = formats.load_vectors(path, how="concat")
  assert loaded.words == words and loaded.vectors.shape == (9, 8)
  with pytest.warns(match="has a word table and .* name its folder"):
    loaded = formats.load_vectors(path)
  np.testing.assert_array_equal(loaded.vectors, tables.word + tables.context)
  assert len(loaded.to_gensim()) == 9


def test_equal_tables_are_equal_bytes(tmp_path):
  digests = set()
  for name in ("one.npz", "two.npz"):
    path = tmp_path / name
    formats.write_tables(path, random_tables(), list("abcdefghi"))
    digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
  assert len(digests) == 1
  assert {p.name for p in tmp_path.iterdir()} == {"one.npz", "two.npz"}


def load(text: str, tmp_path) -> WordVectors:
  path = tmp_path / "v.txt"
  path.write_bytes(text.encode("utf-8", "surrogateescape"))
  return formats.load_vectors(path)


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
    ("3 2\na 1 2\nb 1 2\n", "says that it holds 3 vectors, and it holds 2"),
    ("1 2\na 1 2\nb 1 2\n", "says that it holds 1 vectors, and it holds 2"),
    ("nothing\nhere\n", "Line 1 of .*v.txt is not a word and 1 numbers"),
  ],
)
def test_bad_text(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    load(text, tmp_path)


def test_bad_lines_are_counted_over_chunks(monkeypatch, tmp_path):
  monkeypatch.setattr(formats.text, "_CHUNK", 20)
  lines = [f"w{i} {i} {i}" for i in range(40)]
  assert len(load("\n".join(lines), tmp_path)) == 40
  lines[30] += "?"
  with pytest.raises(ValueError, match="Line 31 of"):
    load("\n".join(lines), tmp_path)


def test_a_binary_file_cut_off_or_too_long(tmp_path):
  path = tmp_path / "v.bin"
  formats.write_word2vec_binary(random_vectors(vocab_size=3, dim=2), path)
  whole = path.read_bytes()
  path.write_bytes(whole[:-3])
  with pytest.raises(ValueError, match="ends inside vector 3 of 3"):
    formats.load_vectors(path)
  path.write_bytes(whole + b"more")
  with pytest.raises(ValueError, match="goes on after its 3 vectors"):
    formats.load_vectors(path)
  path.write_bytes(b"3 2".rjust(200) + whole[3:])
  with pytest.raises(ValueError, match="does not start with a line"):
    formats.load_vectors(path)


def test_bad_tables(tmp_path):
  path = tmp_path / "t.npz"
  with pytest.raises(ValueError, match="do not fit"):
    formats.write_tables(path, random_tables(), ["too", "few"])
  formats.write_tables(path, random_tables(), list("abcdefghi"))
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match="cut off or another kind"):
    formats.load_vectors(path)
  buffer = io.BytesIO()
  np.savez(buffer, word=np.zeros(3))
  path.write_bytes(buffer.getvalue())
  with pytest.raises(ValueError, match="does not hold the arrays words, word"):
    formats.load_vectors(path)


def test_a_missing_file():
  for read in (formats.load_vectors, formats.read_tables):
    with pytest.raises(FileNotFoundError, match=r"no vector file nowhere\.txt"):
      read("nowhere.txt")


@pytest.mark.parametrize(
  "write, word",
  [
    (formats.write_stanford_text, "two\nlines"),
    (formats.write_stanford_text, "version 2.5"),
    (formats.write_word2vec_text, "two\nlines"),
    (formats.write_word2vec_binary, "two words"),
    (formats.write_word2vec_binary, "two\nlines"),
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


# The byte-order marks of UTF-8 and UTF-16.
MARKS = ("\udcef\udcbb\udcbf", "\udcff\udcfe", "\udcfe\udcff")
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
    is_mark = words[0].startswith(MARKS)  # in a first word of any bytes
    blank = any({*" \n\t\r\x0b\x0c\ufeff"} & {*word} for word in words)
    assert blank or is_mark
    return
  read = formats.load_vectors(path)
  assert read.words == tuple(words)
  np.testing.assert_allclose(read.vectors, table, atol=1e-6)
