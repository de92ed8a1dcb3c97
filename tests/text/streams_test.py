"""Packed files and pipes are read as the text in them."""

import bz2
import gzip
import lzma
import os
import struct
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from text_files import PACKERS, TEXT, read, written, zipped, zstd

from glove_jax.text import content, sources, streams


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
