"""What a corpus file is, by its content; and which files make a corpus."""

import bz2
import functools
import gzip
import io
import lzma
import os
import pathlib
import struct
import sys
import threading
import tracemalloc
import types
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.text import content, sources, streams

TEXT = "naïve café\nzwei Wörter\n日本語\n".encode() * 50
PACKERS = {
  "gzip": functools.partial(gzip.compress, mtime=0),  # no time in the bytes
  "bzip2": bz2.compress,
  "xz": lzma.compress,
}


def zstd(data):
  return pytest.importorskip("zstandard").compress(data)


def zipped(members, method=zipfile.ZIP_DEFLATED):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", method) as archive:
    for name, data in members.items():
      info = zipfile.ZipInfo(name)  # of 1980, so no time either
      info.compress_type = method
      archive.writestr(info, data)
  return file.getvalue()


def tar(name, data, version=b"ustar\00000"):
  header = bytearray(512)
  header[: len(name)] = name
  header[100:108] = b"0000644\0"
  header[124:136] = b"%011o\0" % len(data)
  header[156:157] = b"0"
  header[257 : 257 + len(version)] = version
  header[148:156] = b"        "
  header[148:156] = b"%06o\0 " % sum(header)
  return bytes(header) + data + bytes(-len(data) % 512 + 1024)


def written(folder, data, name="corpus"):
  path = folder / name
  path.write_bytes(data)
  return path


def read(path):
  with sources.open_text(path) as file:
    return file.read()


# Packed files


@pytest.mark.parametrize("pack", [*PACKERS.values(), zstd])
@pytest.mark.parametrize("name", ["corpus", "corpus.txt", "corpus.gz"])
def test_packing_is_known_by_content(tmp_path, pack, name):
  path = written(tmp_path, pack(TEXT), name)
  assert read(path) == TEXT
  assert not sources.is_plain(path)


@pytest.mark.parametrize("pack", [*PACKERS.values(), zstd])
def test_several_packed_streams_and_a_padding_are_read(tmp_path, pack):
  data = pack(b"a\n") + pack(TEXT) + pack(b"") + bytes(100_000) + pack(b"z\n")
  assert read(written(tmp_path, data + bytes(512))) == b"a\n" + TEXT + b"z\n"


@pytest.mark.parametrize("pack", [*PACKERS.values(), zstd])
def test_a_file_cut_anywhere_is_an_error_that_names_it(tmp_path, pack):
  packed = pack(np.random.default_rng(0).bytes(40).hex().encode() * 2)
  for size in range(7, len(packed)):
    path = written(tmp_path, packed[:size], "corpus.zst")
    with pytest.raises(OSError, match=r"corpus.zst: cannot be read to its end"):
      read(path)


@pytest.mark.parametrize("name", ["c.gz", "c.BZ2", "c.xz", "c.zst", "c.zip"])
@pytest.mark.parametrize("data", [b"", b"\x1f", b"BZ", b"plain text"])
def test_a_file_named_as_packed_that_is_not_is_an_error(tmp_path, name, data):
  with pytest.raises(OSError, match=rf"{name}: cannot be read to its end"):
    read(written(tmp_path, data, name))


@pytest.mark.parametrize("pack", [*PACKERS.values(), zstd])
def test_a_damaged_second_stream_is_an_error(tmp_path, pack):
  """Python's modules end there without a word, or read what is left as text."""
  data = pack(TEXT) + b"\7" + pack(TEXT)[1:]
  with pytest.raises(OSError, match="cannot be read to its end"):
    read(written(tmp_path, data))


@pytest.mark.parametrize(
  ("pack", "size"),
  [(gzip.compress, 16), (bz2.compress, 16), (lzma.compress, 16), (zstd, 256)],
)
def test_memory_is_bounded_whatever_a_file_unpacks_to(tmp_path, pack, size):
  path = written(tmp_path, pack(b"a " * (size << 19)))
  tracemalloc.start()
  with sources.open_text(path) as file:
    assert sum(iter(lambda: len(file.read(1 << 19)), 0)) == size << 20
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < (100 << 20 if pack is zstd else 14 << 20)  # xz keeps 8 MiB


def test_without_a_package_for_zstandard_a_sentence_says_so(
  tmp_path, monkeypatch
):
  path = written(tmp_path, zstd(TEXT))
  for name in ("zstandard", "compression"):
    monkeypatch.setitem(sys.modules, name, None)
  with pytest.raises(ImportError, match=r"corpus: it is packed .* zstandard\)"):
    sources.open_text(path)


def test_packed_twice_is_refused(tmp_path):
  path = written(tmp_path, gzip.compress(gzip.compress(TEXT)))
  with pytest.raises(ValueError, match=r"packed twice \(gzip inside\)"):
    sources.open_text(path)


@pytest.mark.parametrize("pack", [*PACKERS.values(), bytes])
def test_seeking_forwards_reaches_the_byte_of_the_text(tmp_path, pack):
  text = b"".join(b"%d\n" % number for number in range(200_000))
  with sources.open_text(written(tmp_path, pack(text))) as file:
    for byte in (10, 70_000, 1_000_000):
      file.seek(byte)
      assert file.read(1000) == text[byte : byte + 1000]
    file.seek(len(text) + 10)
    assert not file.read(1)


def test_text_members_of_a_zip_follow_one_another(tmp_path):
  members = {
    "b/": b"",
    "b/one.txt": b"one\ntwo",
    "__MACOSX/._one.txt": b"\0\5\26\7 Mac",
    ".hidden": b"hidden",
    "b/picture": b"\x89PNG\r\n\x1a\n",
    "a.txt": b"\xef\xbb\xbfthree\n",
    "utf16.txt": "four".encode("utf-16"),
  }
  path = written(tmp_path, zipped(members))
  assert read(path) == b"one\ntwo\n\nthree\n\n\nfour"
  lines = []
  assert sources.resolve(path, say=lines.append) == [str(path)]
  assert len(lines) == 1
  assert "1 file is left out" in lines[0]
  assert "b/picture is a PNG image" in lines[0]


@pytest.mark.parametrize(
  ("members", "match"),
  [
    ({"[Content_Types].xml": b"x", "word/document.xml": b"x"}, "Word document"),
    ({"a.npy": b"\x93NUMPY"}, "NumPy"),
    ({"x/data.pkl": b"\x80\2", "x/version": b"3\n"}, "PyTorch"),
    ({"mimetype": b"application/epub+zip", "a.html": b"x"}, "EPUB"),
    ({"a.png": b"\x89PNG\r\n\x1a\n"}, "without a text in it: a.png is a PNG"),
    ({"a.json": b'{"text": "x"}\n'}, "without a text .* JSON"),
    ({}, "without a text in it"),
  ],
)
def test_zips_without_text_are_refused(tmp_path, members, match):
  with pytest.raises(ValueError, match=match):
    sources.open_text(written(tmp_path, zipped(members)))


def test_damaged_and_encrypted_zips_are_errors(tmp_path):
  data = zipped({"a.txt": TEXT, "b.txt": TEXT})
  for size in (20, 100, len(data) - 30):
    with pytest.raises(OSError, match="cannot be read to its end"):
      read(written(tmp_path, data[:size]))
  flipped = bytearray(data)
  flipped[50] ^= 255
  with pytest.raises(OSError, match=r"a.txt: cannot be read to its end"):
    read(written(tmp_path, flipped))
  encrypted = bytearray(data)
  encrypted[data.index(b"PK\1\2") + 8] |= 1
  with pytest.raises(ValueError, match=r"a.txt is encrypted"):
    read(written(tmp_path, encrypted))


# Encodings


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
  "encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_a_byte_order_mark_names_the_encoding(tmp_path, encoding, pack):
  text = "the first word 𐌰 日本\r\n" * 30_000
  mark = "" if encoding == "utf-8-sig" else "\ufeff"
  path = written(tmp_path, pack((mark + text).encode(encoding)))
  assert read(path).decode() == text
  assert not sources.is_plain(path)
  with sources.open_text(path) as file:
    file.seek(100_000)
    assert file.read(9) == text.encode()[100_000:100_009]


def test_what_is_not_valid_after_its_mark_is_an_error(tmp_path):
  data = "\ufeffab".encode("utf-16-le")
  for damaged in (data[:-1], data + b"\0\xd8" + b"a\0"):
    with pytest.raises(ValueError, match=r"mark of UTF-16 but is not valid"):
      read(written(tmp_path, damaged))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
  "text", ["hello\n", "naïve\n" * 99, "我喜欢深度学习,2024年。\n" * 99]
)
def test_utf_16_without_a_mark_is_refused(tmp_path, encoding, text):
  with pytest.raises(ValueError, match=r"UTF-16 \(.*\) without a byte-order"):
    sources.open_text(written(tmp_path, text.encode(encoding)))


# What is text, and what is not


@pytest.mark.parametrize(
  "data",
  [
    b"",
    b"\n",
    b"a",
    b"a\0b c d\n",
    "naïve “quoted” café €\n".encode("cp1252") * 99,
    "これは日本語です。\n".encode("shift-jis") * 99,
    "我喜欢。\n".encode("gbk") * 99,
    (b"some words and a rare nul\0 " * 40 + b"\n") * 9,
    b"\x1b[31mred\x1b[0m\f\v\b\n" * 99,
    b"{braces} are text\n",
    b'{"a": 1} is how JSON begins\n',
    b"[1] A footnote.\n",
    b"[1]\n",
    b"[Music] la la\n",
    b"PK is a unit, MZ a program\n",
    b"BZh is no word\n",
    b"<html><body>text</body></html>",
    content.TEXT_MARK + b'{"a": 1}\n',
    bytes(range(33, 127)) * 9,
  ],
)
def test_text_is_accepted_as_it_is(tmp_path, data):
  path = written(tmp_path, data)
  assert read(path) == data
  assert sources.is_plain(path)


@pytest.mark.parametrize(
  ("data", "match"),
  [
    (tar(b"a.txt", TEXT), "a tar archive: unpack it"),
    (tar(b"a.txt", TEXT * 99, b""), "a tar archive"),  # of the oldest kind
    (gzip.compress(tar(b"a.txt", TEXT)), "a tar archive"),
    (b"PAR1" + TEXT, "Parquet file: name the column .* text_field"),
    (b"ARROW1\0\0", "Arrow or Feather"),
    (b"%PDF-1.7\n" + TEXT, "PDF file: save it as plain text"),
    (b"{\\rtf1 hello}", "RTF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Word"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff\xe0", "JPEG"),
    (b"GIF89a", "GIF"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "WebP"),
    (b"\x7fELF\2", "ELF"),
    (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"MZ" + bytes(range(30)) * 9, "Windows"),
    (b"\x93NUMPY\1", "NumPy"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\x80\4\x95" + TEXT, "pickle"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (b'{"text": "hello"}\n{"text": "you"}\n', "JSON.*text_field"),
    (b'\n \n{"text": "hello"}\r\n', "JSON"),
    (gzip.compress(b'{"text": "hello"}\n'), "JSON"),
    (b'\xef\xbb\xbf{"text": "hello"}\n', "JSON"),
    (b'[\n {"text": "hello"}]', "JSON"),
    (b'{\n  "text": "hello"\n}\n', "JSON"),
    (b'{"text": "' + b"long " * 30_000 + b'"}\n', "JSON"),
    (b'[{"text": "' + b"long " * 30_000 + b'"}]\n', "JSON"),
    (np.random.default_rng(0).bytes(200), "no text"),
    (np.arange(5000, dtype=np.int32).tobytes(), "no text"),
    (np.random.default_rng(0).normal(size=999).tobytes(), "no text"),
    (bytes(100), "no text"),
    (b"\0", "no text"),
  ],
)
def test_what_is_no_text_is_refused(tmp_path, data, match):
  path = written(tmp_path, data)
  with pytest.raises(ValueError, match=match) as error:
    sources.open_text(path)
  message = str(error.value)
  assert message.startswith(str(path)) and message.endswith(".")
  assert "\n" not in message
  with pytest.raises(ValueError, match=match):
    sources.resolve(path)


def test_a_token_without_an_end_takes_linear_time(tmp_path):
  for data in (b"{" * (1 << 24), b'{"' * (1 << 23), b"[" * (1 << 24)):
    path = written(tmp_path, data)
    with sources.open_text(path) as file:
      assert sum(iter(lambda: len(file.read(1 << 19)), 0)) == len(data)


@st.composite
def damaged(draw):
  """Files of many kinds with some bytes changed and their end cut off."""
  text = draw(st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace")))
  packers = [
    *PACKERS.values(),
    zstd,
    lambda data: zipped({"a": data, "b": b""}),
  ]
  marked = [bytes, lambda data: tar(b"a", data), lambda data: b"PAR1" + data]
  marked += [lambda data: b'{"a":' + data, lambda data: b"\xff\xfe" + data]
  marked += [lambda data: b"\xff\xfe\0\0" + data, *packers]
  data = draw(st.sampled_from(marked))(text)
  data = bytearray(draw(st.sampled_from([bytes, *packers]))(data))
  for _ in range(draw(st.integers(0, 3)) if data else 0):
    data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
  return bytes(data[: draw(st.integers(0, len(data)))])


@settings(deadline=None, max_examples=300)
@given(
  data=st.binary(max_size=300) | damaged(),
  name=st.sampled_from(["corpus", "corpus.gz"]),
)
def test_any_bytes_are_read_or_refused_by_a_sentence(
  tmp_path_factory, data, name
):
  path = written(tmp_path_factory.getbasetemp(), data, name)
  sources.is_plain(path)
  try:
    found = read(path)
  except (ValueError, OSError) as error:
    assert str(path) in str(error)
    return
  if sources.is_plain(path):
    assert found == data


# Standard input and pipes


@pytest.fixture
def stdin(monkeypatch):
  def put(data):
    fake = types.SimpleNamespace(buffer=io.BytesIO(data))
    monkeypatch.setattr("sys.stdin", fake)
    return fake.buffer

  return put


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_by_content_and_stays_open(stdin, pack):
  buffer = stdin(pack(TEXT))
  assert read("-") == TEXT
  assert not buffer.closed
  assert sources.resolve("-") == ["-"]
  assert not sources.is_plain("-")


def test_a_zip_on_standard_input_is_refused(stdin):
  stdin(zipped({"a": TEXT}))
  with pytest.raises(ValueError, match="read from its end: save it to a file"):
    sources.open_text("-")


def test_standard_input_is_kept_and_not_touched_if_it_is_the_same(
  tmp_path, stdin
):
  stdin(TEXT)
  kept = sources.keep("-", tmp_path)
  assert kept == str(tmp_path / "stdin.txt")
  os.utime(kept, ns=(5, 5))
  for data in (TEXT, TEXT):
    stdin(data)
    assert sources.keep("/dev/stdin", tmp_path) == kept
    assert os.stat(kept).st_mtime_ns == 5
  for data in (TEXT[:-1], TEXT + b"a", b"b" + TEXT[1:]):
    stdin(data)
    sources.keep("-", tmp_path)
    assert read(kept) == data
    assert os.stat(kept).st_mtime_ns != 5
  assert os.listdir(tmp_path) == ["stdin.txt"]


def test_an_empty_standard_input_wipes_nothing(tmp_path, stdin):
  stdin(TEXT)
  kept = sources.keep("-", tmp_path)
  stdin(b"")
  with pytest.raises(ValueError, match="Standard input is empty"):
    sources.keep("-", tmp_path)
  assert read(kept) == TEXT
  assert os.listdir(tmp_path) == ["stdin.txt"]


def feed(path, data):
  thread = threading.Thread(target=lambda: pathlib.Path(path).write_bytes(data))
  thread.start()
  return thread


def test_pipes_are_kept_under_names_of_their_own(tmp_path):
  kept = []
  for name in ("a_b/pipe", "a/b/pipe", "a/b_pipe"):
    pipe = tmp_path / name
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    assert sources.is_pipe(pipe) and not sources.is_plain(pipe)
    assert sources.resolve(pipe) == [str(pipe)]  # is not opened
    thread = feed(pipe, gzip.compress(name.encode()))
    kept.append(sources.keep(pipe, tmp_path))
    thread.join()
    assert read(kept[-1]) == name.encode()
  assert len(set(kept)) == 3


def test_a_pipe_can_be_opened_once(tmp_path):
  pipe = tmp_path / "pipe"
  os.mkfifo(pipe)
  thread = feed(pipe, bz2.compress(TEXT))
  assert read(pipe) == TEXT
  thread.join()


def test_process_substitution_is_a_pipe():
  reading, writing = os.pipe()
  try:
    assert sources.is_pipe(f"/dev/fd/{reading}")
  finally:
    os.close(reading)
    os.close(writing)
  assert not sources.is_pipe(__file__)
  assert not sources.is_pipe(os.path.dirname(__file__))
  assert not sources.is_pipe("missing")


# Which files


@pytest.fixture
def tree(tmp_path):
  for name in ("b.txt", "a.txt", "c.csv", "sub/d.txt", ".hidden", "sub/.e"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.stem} word\n")
  return tmp_path


def names(paths, folder):
  return [os.path.relpath(path, folder) for path in paths]


def test_resolve_keeps_the_order_of_the_patterns(tree):
  found = sources.resolve([tree / "c.csv", f"{tree}/*.txt", "-"])
  assert found == [f"{tree}/{n}" for n in ("c.csv", "a.txt", "b.txt")] + ["-"]


def test_resolve_walks_folders_sorted_without_hidden_files(tree):
  expected = ["a.txt", "b.txt", "c.csv", "sub/d.txt"]
  assert names(sources.resolve(tree), tree) == expected
  deep = sources.resolve(f"{tree}/**/*.txt")
  assert names(deep, tree) == ["a.txt", "b.txt", "sub/d.txt"]


def test_resolve_names_each_file_once_whatever_its_path(tree, monkeypatch):
  monkeypatch.chdir(tree)
  (tree / "link.txt").symlink_to("a.txt")
  os.link("b.txt", "sub/hard.txt")
  patterns = ["./a.txt", "a.txt", tree / "a.txt", "link.txt", "sub/hard.txt"]
  assert sources.resolve([*patterns, "."]) == [
    "./a.txt", "sub/hard.txt", "./c.csv", "./sub/d.txt"
  ]  # fmt: skip


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
  path = written(tmp_path, b"x", "a[1].txt")
  written(tmp_path, b"y", "a1.txt")
  assert sources.resolve(path) == [str(path)]


def test_resolve_expands_the_home_folder(tree, monkeypatch):
  monkeypatch.setenv("HOME", str(tree))
  for pattern in ("~/a.txt", pathlib.Path("~/a.txt"), "~/a.*"):
    assert sources.resolve(pattern) == [f"{tree}/a.txt"]


@pytest.mark.parametrize("pattern", ["missing.txt", "*.nothing", "empty"])
def test_resolve_names_what_is_missing(tmp_path, pattern):
  (tmp_path / "empty").mkdir()
  match = r"Corpus .*no such file, folder or glob match"
  with pytest.raises(FileNotFoundError, match=match):
    sources.resolve(tmp_path / pattern)
  with pytest.raises(FileNotFoundError, match="No corpus was named"):
    sources.resolve([])


def test_what_is_no_text_in_a_folder_is_left_out_and_counted(tree):
  written(tree, b"\x89PNG\r\n\x1a\n", "picture")
  written(tree, b'{"a": 1}', "sub/z.json")
  (tree / "broken").symlink_to("nowhere")
  (tree / "linked").symlink_to("sub")
  os.mkfifo(tree / "pipe")
  lines = []
  found = sources.resolve(tree, say=lines.append)
  assert names(found, tree) == ["a.txt", "b.txt", "c.csv", "sub/d.txt"]
  assert len(lines) == 1
  assert "5 files are left out of the corpus" in lines[0]
  for path in (tree / "a.txt", tree / "b.txt", tree / "c.csv"):
    path.unlink()
  (tree / "sub/d.txt").unlink()
  with pytest.raises(ValueError, match=r"holds no text: .* broken link"):
    sources.resolve(tree)


def test_a_damaged_file_in_a_folder_is_an_error_not_left_out(tree):
  written(tree, gzip.compress(TEXT)[:-20], "sub/damaged")
  with pytest.raises(OSError, match="damaged: cannot be read to its end"):
    sources.resolve(tree)


def a_run(folder):
  folder.mkdir(parents=True, exist_ok=True)
  for name in ("config.json", "stages.json"):
    (folder / name).write_text("{}")
  (folder / "vocab.txt").write_text("word 7\n")
  (folder / "counts").mkdir()
  (folder / "counts" / "notes.txt").write_text("deeper\n")


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.txt", "/*/*.txt"])
def test_work_directories_of_runs_are_no_corpus(tree, pattern):
  a_run(tree / "runs" / "x")
  lines = []
  found = sources.resolve(f"{tree}{pattern}", say=lines.append)
  assert not [path for path in found if "/runs/x" in path]
  assert f"{tree}/sub/d.txt" in found
  assert any("what runs wrote" in line for line in lines) != (
    pattern == "/*/*.txt"  # which reaches none
  )


def test_a_run_is_named_if_the_corpus_lies_in_it(tree):
  a_run(tree)
  match = "lies in the work directory of a run"
  for pattern in (tree, f"{tree}/*.txt", f"{tree}/**/*.txt"):
    with pytest.raises(ValueError, match=match):
      sources.resolve(pattern)
  path = str(tree / "a.txt")
  assert sources.resolve(path) == [path]  # which is named itself


def test_what_is_excluded_is_left_out_unless_it_is_named(tree, monkeypatch):
  monkeypatch.chdir(tree)
  exclude = ["sub", tree / "a.txt"]
  for pattern in (".", "**/*.*"):
    found = sources.resolve(pattern, exclude=exclude)
    assert names(found, tree) == ["b.txt", "c.csv"]
  with pytest.raises(ValueError, match="lies in the work directory"):
    sources.resolve("sub", exclude=exclude)
  (tree / "sub" / "deep").mkdir()
  written(tree, b"x", "sub/deep/x.txt")
  with pytest.raises(ValueError, match="lies in the work directory"):
    sources.resolve("sub/deep", exclude=exclude)
  assert sources.resolve("sub/d.txt", exclude=exclude) == ["sub/d.txt"]


def test_records_are_listed_instead_of_text(tree):
  path = written(tree, b'{"text": "hello"}\n', "sub/z.jsonl")
  assert sources.resolve(tree, records=True) == [str(path)]
  with pytest.raises(ValueError, match="neither JSON nor Parquet"):
    sources.resolve(tree / "a.txt", records=True)


def test_a_folder_cannot_be_opened_nor_what_is_missing(tmp_path):
  with pytest.raises(IsADirectoryError, match="name its files"):
    sources.open_text(tmp_path)
  with pytest.raises(FileNotFoundError, match=r"Corpus .*gone.*no such file"):
    sources.open_text(tmp_path / "gone")


def test_small_heads_of_a_pipe_are_put_together():
  """The detected type must not depend on how the first bytes arrive."""
  reading, writing = os.pipe()
  data = gzip.compress(TEXT)

  def trickle():
    with open(writing, "wb", buffering=0) as file:
      for byte in struct.unpack(f"{len(data)}c", data):
        file.write(byte)

  thread = threading.Thread(target=trickle)
  thread.start()
  with streams.open_stream(f"/dev/fd/{reading}", content.why_no_text) as file:
    assert file.read() == TEXT
  thread.join()
  os.close(reading)
