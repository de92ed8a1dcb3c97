"""Files of vectors as other programs leave them, and damaged ones."""

import bz2
import gzip
import io
import lzma
import warnings
import zipfile

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from word_vectors_test import random_vectors

from glove_jax.vectors import formats
from glove_jax.vectors.word_vectors import WordVectors

LINES = b"king 1 2\nnew york 0.5 -1e-3\nqueen 3 4\n"
WORDS = ("king", "new york", "queen")
TABLE = [[1, 2], [0.5, -1e-3], [3, 4]]


def load(data: bytes, tmp_path, name="v.txt", **options) -> WordVectors:
  path = tmp_path / name
  path.write_bytes(data)
  return formats.load_vectors(path, **options)


def zipped(**members: bytes) -> bytes:
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return file.getvalue()


PACKINGS = {
  "gz": gzip.compress,
  "bz2": bz2.compress,
  "xz": lzma.compress,
  "zst": lambda data: zstandard.ZstdCompressor().compress(data),
  "zip": lambda data: zipped(**{"v.txt": data, "__MACOSX/._v.txt": b"\0"}),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["v", "v.txt"])
def test_packed_files_are_known_by_their_content(packing, name, tmp_path):
  found = load(PACKINGS[packing](LINES), tmp_path, name)
  assert found.words == WORDS
  np.testing.assert_allclose(found.vectors, TABLE)


@pytest.mark.parametrize("packing", PACKINGS)
def test_packed_binary_files(packing, tmp_path):
  made = random_vectors()
  formats.write_vectors(made, tmp_path / "v.bin")
  data = PACKINGS[packing]((tmp_path / "v.bin").read_bytes())
  found = load(data, tmp_path, "packed")
  np.testing.assert_array_equal(found.vectors, made.vectors.astype("f4"))


def test_a_member_of_an_archive_is_read_by_its_name(tmp_path):
  path = tmp_path / "glove.zip"
  path.write_bytes(zipped(**{"a/50d.txt": LINES, "b.txt": b"cat 1 2 3\n"}))
  with pytest.raises(ValueError, match=r"holds 2 files .*glove.zip/a/50d.txt"):
    formats.load_vectors(path)
  assert formats.load_vectors(path / "a/50d.txt").words == WORDS
  assert formats.load_vectors(path / "b.txt").words == ("cat",)
  with pytest.raises(FileNotFoundError, match=r"no 'c.txt' in .*: it holds a/"):
    formats.load_vectors(path / "c.txt")


def test_text_under_the_name_of_a_packed_file_is_refused(tmp_path):
  with pytest.raises(OSError, match="named like a packed file"):
    load(LINES, tmp_path, "v.txt.gz")


@pytest.mark.parametrize(
  "text",
  [
    "king\t1\t2\nnew york\t0.5\t-1e-3\nqueen\t3\t4\n",
    "king\t1 2\nnew york\t0.5 -1e-3\nqueen\t3 4\n",
    "3\t2\nking\t1\t2\nnew york\t0.5\t-1e-3\nqueen\t3\t4\n",
    "king       1      2\nnew york 0.5  -1e-3\nqueen      3      4\n",
    "king 1 2  \nnew york 0.5 -1e-3\t\nqueen 3 4\r\n",
    "king 1 2\r\nnew york 0.5 -1e-3\r\nqueen 3 4\r\n\r\n",
    "\ufeffking 1 2\nnew york 0.5 -1e-3\nqueen 3 4",
    "\ufeff3 2\nking 1 2\nnew york 0.5 -1e-3\nqueen 3 4\n",
    "king 1,0 2,0\nnew york 0,5 -0,001\nqueen 3 4,0\n",
    "king,1,2\nnew york,0.5,-0.001\nqueen,3,4\n",
    '"king","1","2"\n"new york","0.5","-0.001"\n"queen","3","4"\n',
    "king, 1, 2\nnew york, 0.5, -0.001\nqueen, 3, 4\n",
    "word,V1,V2\nking,1,2\nnew york,0.5,-0.001\nqueen,3,4\n",
    "king;1,0;2\nnew york;0,5;-0,001\nqueen;3;4,0\n",
  ],
)
def test_columns_are_found_whatever_separates_them(text, tmp_path):
  found = load(text.encode(), tmp_path)
  assert found.words == WORDS
  np.testing.assert_allclose(found.vectors, TABLE)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_are_known_by_their_mark(encoding, tmp_path):
  assert load("naïve 1 2\n".encode(encoding), tmp_path).words == ("naïve",)


def test_a_limit_takes_the_first(tmp_path):
  assert load(b"3 2\n" + LINES, tmp_path, limit=2).words == WORDS[:2]
  assert load(LINES, tmp_path, limit=9).words == WORDS
  for name in ("v.bin", "v.npz", "v.parquet", "v.safetensors", "v.txt.zip"):
    formats.write_vectors(random_vectors(), tmp_path / name)
    found = formats.load_vectors(tmp_path / name, limit=3)
    assert found.words == ("w0", "w1", "w2")
  with pytest.raises(ValueError, match="limit must be at least 1"):
    load(LINES, tmp_path, limit=0)


def test_bad_lines_are_left_out_and_counted(tmp_path):
  lines = LINES + b"chapter 7 1 2\nhalf 1\nbad 1 x\nlast 5 6\n"
  with pytest.raises(ValueError, match=r"Line 4 of .*skip_bad_lines"):
    load(lines, tmp_path)
  with pytest.warns(UserWarning, match=r"3 malformed lines .*\(4, 5, 6\)"):
    found = load(lines, tmp_path, skip_bad_lines=True)
  assert found.words == (*WORDS, "last")
  with pytest.warns(UserWarning, match="3 malformed"):
    found = load(lines, tmp_path, limit=4, skip_bad_lines=True)
  assert found.words == (*WORDS, "last")


def test_a_repeated_word_is_said_once_and_keeps_its_first_vector(tmp_path):
  with pytest.warns(UserWarning, match="1 repeated words such as 'a'") as said:
    found = load(b"a 1 0\nb 1 1\na 0 1\n", tmp_path)
  assert len(said) == 1
  assert [word for word, _ in found.neighbors("a")] == ["b"]
  np.testing.assert_array_equal(found.to_gensim()["a"], [1, 0])


def test_binary_is_told_from_text_by_all_of_the_head(tmp_path):
  # The first vector is also a line of text that ends in a number.
  first = np.frombuffer(b" 12\n", "<f4")
  table = np.array([first, [1.5], [-2.5]])
  formats.write_vectors(WordVectors(list("abc"), table), tmp_path / "v.bin")
  found = formats.load_vectors(tmp_path / "v.bin")
  np.testing.assert_array_equal(found.vectors, table)
  # Text of which the first line after the header is malformed.
  with pytest.raises(ValueError, match="Line 2 of"):
    load(b"3 2\nking 1 ?\nqueen 1 2\nman 1 2\n", tmp_path)


@pytest.mark.parametrize(
  "data, message",
  [
    (b"\xba\x16\x4f\x2f\x0c\0\0\0", "a model of fastText"),
    (b"\x80\x04\x95 gensim", "is a pickle"),
    (b"\x89PNG\r\n\x1a\n\0\0", "neither text nor another format"),
    (b"99999999999 9999999999\nking \0\0", "ends inside vector 1"),
    (b"x" * 100, "holds no vectors|is not a word and"),
  ],
)
def test_other_files_are_refused_in_a_sentence(data, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    load(data, tmp_path)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(formats.text, "_CHUNK", 1000)
  with pytest.raises(ValueError, match=r"Line 2 of .* over 1,000 characters"):
    load(b"a 1 2\n" + b"b" * 5000, tmp_path)


NAMES = ("v.txt", "v.vec", "v.bin", "v.npz", "v.safetensors", "v.parquet")
ALL_NAMES = [*NAMES, *(f"v.txt.{x}" for x in PACKINGS), "v.bin.zip", "v.npz.gz"]


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
  folder = tmp_path_factory.mktemp("whole")
  for name in ALL_NAMES:
    formats.write_vectors(random_vectors(30, 5), folder / name)
  return {name: (folder / name).read_bytes() for name in ALL_NAMES}


def read_or_refuse(path) -> None:
  """Reads a file; only the documented errors may come of it."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for options in ({}, {"skip_bad_lines": True, "limit": 3}):
      try:
        found = formats.load_vectors(path, **options)
      except (ValueError, OSError) as error:
        assert "\n" not in str(error) and path.name in str(error)
      else:
        assert len(found) == len(found.vectors)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_file_cut_off_anywhere_raises_what_is_documented(
  name, whole_files, tmp_path
):
  data, path = whole_files[name], tmp_path / name
  for size in range(0, len(data), max(1, len(data) // 25)):
    path.write_bytes(data[:size])
    read_or_refuse(path)


@settings(
  max_examples=60,
  deadline=None,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
@pytest.mark.parametrize("name", ALL_NAMES)
def test_damage_raises_what_is_documented(name, whole_files, tmp_path, data):
  whole = bytearray(whole_files[name])
  for _ in range(data.draw(st.integers(1, 4))):
    start = data.draw(st.integers(0, len(whole) - 1))
    part = data.draw(st.binary(min_size=1, max_size=8))
    if data.draw(st.booleans()):
      whole[start : start + len(part)] = part
    else:
      whole[start:start] = part
  (tmp_path / name).write_bytes(whole)
  read_or_refuse(tmp_path / name)


FIELDS = st.sampled_from([
  b"king", b"1", b"-2.5", b"1e9", b"nan", b"inf", b"0,5", b" ", b"  ", b"\t",
  b"\n", b"\r\n", b",", b";", b'"', b"\0", b"\xff", b"\xef\xbb\xbf", b"2 3\n",
  b"\xe2\x80\xa8", b"1_000", b"0x1", b"1e999", b"99999999999999999999 2\n",
])  # fmt: skip


@settings(
  max_examples=300,
  deadline=None,
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.lists(FIELDS, max_size=30))
def test_any_text_is_read_or_refused(parts, tmp_path):
  (tmp_path / "v").write_bytes(b"".join(parts))
  read_or_refuse(tmp_path / "v")


@pytest.mark.parametrize("sep", [",", ";", "\t", " "])
@pytest.mark.parametrize("name", ["word", None])
def test_a_table_of_pandas_has_no_word_for_its_columns(tmp_path, sep, name):
  made = WordVectors(["a", "b", "c"], np.array([[0, 1], [2, 3.5], [4, 5]]))
  frame = made.to_dataframe().rename_axis(name)
  frame.to_csv(tmp_path / "v.csv", sep=sep)
  found = formats.load_vectors(tmp_path / "v.csv")
  assert found.words == made.words
  np.testing.assert_array_equal(found.vectors, made.vectors)
