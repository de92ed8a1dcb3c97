"""Files of text for tests: packed, and read back."""

import bz2
import functools
import gzip
import io
import lzma
import zipfile

import pytest

from glove_jax.text import sources

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
