import bz2
import gzip
import io
import lzma
import os
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.text import reading


def read(path, **options):
  return list(reading.read_documents([str(path)], **options))


def whole(documents):
  """Documents with their continuations put together."""
  result = []
  for document in documents:
    if isinstance(document, reading.Continuation):
      result[-1] += document
    else:
      result.append(list(document))
  return result


@pytest.fixture
def tree(tmp_path):
  for name in ("b.txt", "a.txt", "c.csv", "sub/d.txt", ".hidden", "sub/.e"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.stem} word\n")
  return tmp_path


def test_resolve_paths_keeps_the_order_of_the_patterns(tree):
  found = reading.resolve_paths([f"{tree}/c.csv", f"{tree}/*.txt", "-"])
  assert found == [f"{tree}/{n}" for n in ("c.csv", "a.txt", "b.txt")] + ["-"]


def test_resolve_paths_walks_folders_sorted_without_hidden_files(tree):
  names = ("a.txt", "b.txt", "c.csv", "sub/d.txt")
  assert reading.resolve_paths([str(tree)]) == [f"{tree}/{n}" for n in names]
  deep = reading.resolve_paths(f"{tree}/**/*.txt")
  assert deep == [f"{tree}/{n}" for n in ("a.txt", "b.txt", "sub/d.txt")]


def test_resolve_paths_names_each_file_once(tree):
  found = reading.resolve_paths([f"{tree}/b.txt", f"{tree}/*.txt"])
  assert found == [f"{tree}/b.txt", f"{tree}/a.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
  (tmp_path / "a[1].txt").write_text("x")
  (tmp_path / "a1.txt").write_text("y")
  path = f"{tmp_path}/a[1].txt"
  assert reading.resolve_paths([path]) == [path]


@pytest.mark.parametrize("pattern", ["missing.txt", "*.nothing"])
def test_resolve_paths_names_what_is_missing(tmp_path, pattern):
  with pytest.raises(FileNotFoundError, match=r"Corpus .*no such file"):
    reading.resolve_paths([str(tmp_path / pattern)])


def test_resolve_paths_refuses_an_empty_folder_and_no_patterns(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file, folder or glob"):
    reading.resolve_paths([str(tmp_path)])
  with pytest.raises(FileNotFoundError, match="No corpus was named"):
    reading.resolve_paths([])


def test_a_document_a_line(tmp_path):
  path = tmp_path / "c.txt"
  path.write_text("I like deep learning.\n\n  \nI like NLP!")
  assert read(path) == [["i", "like", "deep", "learning"], ["i", "like", "nlp"]]
  assert read(path, lowercase=False)[1] == ["I", "like", "NLP"]


def test_blank_lines_between_documents(tmp_path):
  path = tmp_path / "c.txt"
  path.write_bytes(b"\n\na b\nc\n \t\r\n\nd\ne\n")
  assert read(path, documents="blank_line") == [["a", "b", "c"], ["d", "e"]]


def test_documents_end_with_their_file(tmp_path):
  for name in "ab":
    (tmp_path / name).write_text(f"{name} {name}")
  paths = [str(tmp_path / name) for name in "ab"]
  for documents in reading.DOCUMENTS:
    found = list(reading.read_documents(paths, documents=documents))
    assert found == [["a", "a"], ["b", "b"]]


@pytest.mark.parametrize(
  ("suffix", "pack"),
  [
    (".txt", bytes),
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".XZ", lzma.compress),
  ],
)
def test_compressed_files(tmp_path, suffix, pack):
  path = tmp_path / f"c{suffix}"
  path.write_bytes(pack("naïve café\nzwei\n".encode()))
  assert read(path) == [["naïve", "café"], ["zwei"]]


@pytest.mark.parametrize(
  ("suffix", "pack"),
  [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_damaged_compressed_files_are_named(tmp_path, suffix, pack):
  packed = pack(os.urandom(50_000))
  flipped = bytes(255 - byte for byte in packed[20:-20])
  for damaged in (packed[:-2000], b"plain text", packed[:20] + flipped):
    path = tmp_path / f"c{suffix}"
    path.write_bytes(damaged)
    with pytest.raises(OSError, match=rf"c{suffix} cannot be read to its end"):
      read(path)


def test_missing_file_and_folder_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"Corpus .*gone.txt.*no such"):
    read(tmp_path / "gone.txt")
  with pytest.raises(IsADirectoryError, match="name its files"):
    read(tmp_path)


def test_unknown_choices_are_named():
  with pytest.raises(ValueError, match="tokenizer is 'spacy', but must be one"):
    read("x", tokenizer="spacy")
  with pytest.raises(ValueError, match="documents is 'page', but must be one"):
    read("x", documents="page")


def test_stdin_can_be_read_and_stays_open(monkeypatch):
  stdin = types.SimpleNamespace(buffer=io.BytesIO(b"a b\nc d\n"))
  monkeypatch.setattr("sys.stdin", stdin)
  assert read("-") == [["a", "b"], ["c", "d"]]
  assert not stdin.buffer.closed


def test_invalid_bytes_survive_whitespace_and_separate_words(tmp_path):
  path = tmp_path / "c.txt"
  path.write_bytes(b"caf\xe9 ok\n")
  ((token, ok),) = read(path, tokenizer="whitespace")
  assert token.encode("utf-8", "surrogateescape") == b"caf\xe9"
  assert ok == "ok"
  assert read(path) == [["caf", "ok"]]


@pytest.mark.parametrize("documents", reading.DOCUMENTS)
def test_a_long_document_comes_in_pieces(tmp_path, monkeypatch, documents):
  monkeypatch.setattr(reading, "_PIECE_CHARS", 64)
  monkeypatch.setattr(reading, "_PIECE_TOKENS", 10)
  words = [f"w{i}" for i in range(1000)]
  path = tmp_path / "c.txt"
  path.write_text(" ".join(words) + " \n\nlast one\n")
  pieces = read(path, documents=documents)
  assert max(map(len, pieces)) < 40
  assert [type(p) for p in pieces[:2]] == [list, reading.Continuation]
  assert whole(pieces) == [words, ["last", "one"]]


@settings(deadline=None)
@given(
  data=st.lists(
    st.sampled_from([b"a", b"\xc3\xa9", b"\xff", b" ", b"  ", b"\t", b"\n"])
    | st.sampled_from([b"\r\n", b"longer-token", b"\n \n", b"\xe6\x97\xa5"])
  ).map(b"".join),
  documents=st.sampled_from(reading.DOCUMENTS),
  piece=st.integers(1, 12),
)
def test_pieces_change_no_document(tmp_path_factory, data, documents, piece):
  path = tmp_path_factory.mktemp("pieces") / "c.txt"
  path.write_bytes(data)
  expected = []
  lines = data.decode("utf-8", "surrogateescape").split("\n")
  ends = True
  for line in lines:
    tokens = line.replace("\r", "").replace("\t", " ").split(" ")
    tokens = [token for token in tokens if token]
    if ends and tokens:
      expected.append([])
    ends = documents == "line" or not tokens
    if tokens:
      expected[-1] += tokens
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(reading, "_PIECE_CHARS", piece)
    patch.setattr(reading, "_PIECE_TOKENS", piece)
    found = read(path, tokenizer="whitespace", documents=documents)
  assert all(found)  # no empty lists
  assert whole(found) == expected
