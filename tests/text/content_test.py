"""What a file is, by its content: encodings, and what is no text."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_files import PACKERS, TEXT, read, tar, written, zipped, zstd

from glove_jax.text import content, sources

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
    (gzip.compress(tar(b"a.txt", TEXT), mtime=0), "a tar archive"),
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
    (gzip.compress(b'{"text": "hello"}\n', mtime=0), "JSON"),
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
