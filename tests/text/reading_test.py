import bz2
import gzip
import io
import lzma
import os
import tracemalloc
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.text import reading, sources, tokenizers


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


def test_resolve_keeps_the_order_of_the_patterns(tree):
  found = sources.resolve([f"{tree}/c.csv", f"{tree}/*.txt", "-"])
  assert found == [f"{tree}/{n}" for n in ("c.csv", "a.txt", "b.txt")] + ["-"]


def test_resolve_walks_folders_sorted_without_hidden_files(tree):
  names = ("a.txt", "b.txt", "c.csv", "sub/d.txt")
  assert sources.resolve([str(tree)]) == [f"{tree}/{n}" for n in names]
  deep = sources.resolve(f"{tree}/**/*.txt")
  assert deep == [f"{tree}/{n}" for n in ("a.txt", "b.txt", "sub/d.txt")]


def test_resolve_names_each_file_once(tree):
  found = sources.resolve([f"{tree}/b.txt", f"{tree}/*.txt"])
  assert found == [f"{tree}/b.txt", f"{tree}/a.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
  (tmp_path / "a[1].txt").write_text("x")
  (tmp_path / "a1.txt").write_text("y")
  path = f"{tmp_path}/a[1].txt"
  assert sources.resolve([path]) == [path]


@pytest.mark.parametrize("pattern", ["missing.txt", "*.nothing"])
def test_resolve_names_what_is_missing(tmp_path, pattern):
  with pytest.raises(FileNotFoundError, match=r"Corpus .*no such file"):
    sources.resolve([str(tmp_path / pattern)])


def test_resolve_refuses_an_empty_folder_and_no_patterns(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file, folder or glob"):
    sources.resolve([str(tmp_path)])
  with pytest.raises(FileNotFoundError, match="No corpus was named"):
    sources.resolve([])


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
    with pytest.raises(OSError, match=rf"c{suffix}: cannot be read to its end"):
      read(path)


def test_missing_file_and_folder_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"Corpus .*gone.txt.*no such"):
    read(tmp_path / "gone.txt")
  with pytest.raises(IsADirectoryError, match="name its files"):
    read(tmp_path)


def test_one_path_is_as_good_as_a_list(tmp_path):
  path = tmp_path / "c.txt"
  path.write_text("a b")
  for paths in (path, str(path), [path], iter([path])):
    assert list(reading.read_documents(paths)) == [["a", "b"]]
  assert sources.resolve(path) == [str(path)]


@pytest.mark.parametrize("tokenizer", tokenizers.TOKENIZERS)
def test_byte_order_marks_are_no_part_of_words(tmp_path, tokenizer):
  """Files with marks that `cat` has joined; a line of marks alone is blank."""
  path = tmp_path / "c.txt"
  path.write_text("\ufeffthe end\n\ufeff\n\ufeffthe\ufeff b\ufeffc")
  found = read(path, tokenizer=tokenizer, documents="blank_line")
  assert found == [["the", "end"], ["the", "bc"]]
  path.write_bytes(b"a \xef\xef\xbb\xbf\xbb\xbf b")  # one inside another
  (tokens,) = read(path, tokenizer=tokenizer)
  assert tokens == (["a", "b"] if tokenizer == "word" else ["a", "\ufffd", "b"])


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
  monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
  monkeypatch.setattr(reading, "_PIECE_TOKENS", 10)
  words = [f"w{i}" for i in range(1000)]
  path = tmp_path / "c.txt"
  path.write_text(" ".join(words) + " \n\nlast one\n")
  pieces = read(path, documents=documents)
  assert max(map(len, pieces)) < 40
  assert [type(p) for p in pieces[:2]] == [list, reading.Continuation]
  assert whole(pieces) == [words, ["last", "one"]]


@pytest.mark.parametrize("tokenizer", tokenizers.TOKENIZERS)
@pytest.mark.parametrize("token", ["w", "é", "日", "\u200d", "\u0301"])
def test_a_token_of_megabytes_takes_linear_time_and_little_memory(
  tmp_path, monkeypatch, tokenizer, token
):
  searched = 0

  class Part(bytes):
    def rfind(self, sub):
      nonlocal searched
      searched += len(self)
      return super().rfind(sub)

  read_parts = reading._read_parts
  monkeypatch.setattr(
    reading, "_read_parts", lambda *a: map(Part, read_parts(*a))
  )
  size = 5_000_000 // len(token.encode())
  path = tmp_path / "c.txt"
  path.write_text(f"a x{token * size} b\n")
  tracemalloc.start()
  ((first, long, last),) = read(path, tokenizer=tokenizer)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert (first, last) == ("a", "b")
  if not (token == "\u200d" and tokenizer == "word"):  # not inside a word
    assert long == f"x{token * size}"[: 1 + 998 // len(token.encode())]
  assert searched < 3 * 5_000_100
  assert peak < 16 << 20


def test_words_without_spaces_between_them_are_all_read(tmp_path):
  words = [f"w{i}" for i in range(300_000)] + ["日本語"] * 100_000
  path = tmp_path / "c.txt"
  path.write_text("\u3002".join(words))
  assert whole(read(path)) == [words]
  blocks = list(reading.read_blocks([path]))
  assert max(len(block.data) for block in blocks) < 1 << 20
  middle = len(blocks) // 2
  rest = reading.read_blocks([path], reading.Section(blocks[middle - 1].end))
  assert b"".join(block.data for block in rest) == b"".join(
    block.data for block in blocks[middle:]
  )


@settings(deadline=None, max_examples=300)
@given(
  data=st.lists(
    st.sampled_from(
      ["a", "é", "𐌰", ",", "_", "。", "\u0301", "\u200d", "\xad"]
    ).map(str.encode)
    | st.sampled_from([b"\xff", b"\xe6\x97", b"\xc3", b"\xa9", b" ", b"x" * 30])
  ).map(b"".join),
  piece=st.integers(1, 12),
  long_run=st.integers(1, 30),
)
def test_cuts_inside_lines_change_no_word(
  tmp_path_factory, data, piece, long_run
):
  path = tmp_path_factory.mktemp("runs") / "c.txt"
  path.write_bytes(data)
  split = tokenizers.make_tokenizer("word", lowercase=False)
  expected = split(data.decode("utf-8", "surrogateescape"))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(reading, "BLOCK_BYTES", piece)
    patch.setattr(reading, "_LONG_RUN", long_run)
    found = whole(read(path, lowercase=False))
  assert found == ([expected] if expected else [])


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
    patch.setattr(reading, "BLOCK_BYTES", piece)
    patch.setattr(reading, "_PIECE_TOKENS", piece)
    found = read(path, tokenizer="whitespace", documents=documents)
  assert all(found)  # no empty lists
  assert whole(found) == expected
