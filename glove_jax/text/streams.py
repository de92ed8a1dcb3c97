"""Packed and encoded files -> the UTF-8 text in them, as a stream.

Each step is a generator of bytes: chunks of a file are decompressed, then
decoded. `_Chunks` turns the last generator into a file.
"""

import bz2
import codecs
import contextlib
import functools
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from glove_jax import lazy
from glove_jax.text import content

_CHUNK_BYTES = 1 << 16  # read at a time
_OUT_BYTES = 1 << 20  # decompressed at a time, at most
_ZSTD_BYTES = 1 << 11  # decompressed at a time, to 64 MiB at most
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")  # endings of packed files

# The head of a file -> what the file is, if it is not wanted; else None.
WhyNot = Callable[[bytes], str | None]


def open_stream(path: str | os.PathLike, why_not: WhyNot) -> BinaryIO:
  """Opens a file as UTF-8 text, unless `why_not` rejects its first bytes.

  Args:
    path: the file, or `-` for standard input, which stays open.
    why_not: takes the first bytes; returns the reason to reject the file, or
      None.

  Returns:
    A file of bytes that can be read and sought in forwards.

  Raises:
    ValueError: the file is not wanted; also while it is read, if it is not
      valid in its encoding.
    OSError: the file is missing, cannot be read, or is damaged; also while it
      is read.
    ImportError: the file is packed with Zstandard and no package reads that.
  """
  path = os.fspath(path)
  file = _open_file(path)
  try:
    head = _peek(file)
    packing = content.packing(head)
    if packing == "zip":
      return _open_zip(path, file, why_not)
    if packing:
      unpacked = _unpack(path, file, _UNPACKERS[packing])
      file = io.BufferedReader(_Chunks(unpacked, file), content.HEAD_BYTES)
    elif path.lower().endswith(PACKED):
      raise OSError(
        f"{path}: cannot be read to its end: it is named like a packed file "
        "but does not begin as one. If it is text, rename it."
      )
    file = _decode(path, file)
    if why := why_not(_peek(file)):
      raise ValueError(f"{path} {why}")
    return file
  except BaseException:
    file.close()
    raise


def _open_file(path: str) -> io.BufferedReader:
  if path == "-":
    chunks = _read_chunks(sys.stdin.buffer)
    return io.BufferedReader(_Chunks(chunks), content.HEAD_BYTES)
  if os.path.isdir(path):
    raise IsADirectoryError(f"{path} is a folder: name its files instead.")
  if not os.path.exists(path):
    raise FileNotFoundError(f"Corpus {path!r}: no such file.")
  if os.path.isfile(path):
    return io.BufferedReader(_File(path), content.HEAD_BYTES)
  pipe = open(path, "rb")  # noqa: SIM115, `_Chunks` closes it
  chunks = _read_chunks(pipe)
  return io.BufferedReader(_Chunks(chunks, pipe), content.HEAD_BYTES)


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
  while chunk := file.read(_CHUNK_BYTES):
    yield chunk


def _peek(file: io.BufferedReader) -> bytes:
  return file.peek(content.HEAD_BYTES)[: content.HEAD_BYTES]


def _broken(path: str, error: object) -> OSError:
  return OSError(f"{path}: cannot be read to its end: {error}")


class _File(io.FileIO):
  """A file whose name is in its errors."""

  def readinto(self, buffer) -> int | None:
    try:
      return super().readinto(buffer)
    except OSError as error:
      raise _broken(str(self.name), error) from error


class _Chunks(io.RawIOBase):
  """A generator of bytes as a file that can be sought in forwards."""

  def __init__(self, chunks: Iterator[bytes], file: BinaryIO | None = None):
    self._chunks = chunks
    self._file = file  # which is closed with this one
    self._chunk = memoryview(b"")  # what is left of the last one
    self._position = 0

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def tell(self) -> int:
    return self._position

  def readinto(self, buffer) -> int:
    done = 0
    while done < len(buffer):
      if not self._chunk:
        chunk = next(self._chunks, None)
        if chunk is None:
          break
        self._chunk = memoryview(chunk)
      size = min(len(self._chunk), len(buffer) - done)
      buffer[done : done + size] = self._chunk[:size]
      self._chunk = self._chunk[size:]
      done += size
    self._position += done
    return done

  def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
    if whence == io.SEEK_CUR:
      position += self._position
    if whence == io.SEEK_END or position < self._position:
      raise OSError("A packed file can be sought in forwards only.")
    room = bytearray(_CHUNK_BYTES)
    while size := min(position - self._position, len(room)):
      if not self.readinto(memoryview(room)[:size]):
        break
    return self._position

  def close(self) -> None:
    if not self.closed and self._file:
      self._file.close()
    super().close()


# Packed files. An unpacker has the methods of bz2.BZ2Decompressor.


class _Gzip:
  needs_input, unused_data = True, b""

  def __init__(self):
    self._unpacker = zlib.decompressobj(wbits=31)  # checks the CRC-32, too

  @property
  def eof(self) -> bool:
    return self._unpacker.eof

  def decompress(self, data: bytes, max_length: int) -> bytes:
    unpacker = self._unpacker
    result = unpacker.decompress(unpacker.unconsumed_tail + data, max_length)
    self.needs_input = not unpacker.unconsumed_tail
    self.unused_data = unpacker.unused_data
    return result


class _Zstandard:
  """Feeds the package `zstandard` a little at a time: it limits no output."""

  needs_input, unused_data = True, b""

  def __init__(self, unpacker):
    self._unpacker = unpacker
    self._left = b""

  @property
  def eof(self) -> bool:
    return self._unpacker.eof

  def decompress(self, data: bytes, max_length: int) -> bytes:
    data = self._left + data
    self._left = data[_ZSTD_BYTES:]
    result = self._unpacker.decompress(data[:_ZSTD_BYTES])
    self.unused_data = self._unpacker.unused_data + self._left
    self.needs_input = not self._left
    return result


def _make_zstandard():
  """An unpacker for windows up to 2 GiB, as `zstd --long=31` makes.

  Raises:
    ImportError: no package reads Zstandard.
  """
  with contextlib.suppress(ImportError):
    from compression import zstd  # Python 3.14

    options = {zstd.DecompressionParameter.window_log_max: 31}
    return zstd.ZstdDecompressor(options=options)
  with lazy.needed(
    "it is packed with Zstandard: unpack it with unzstd, or install the "
    "package that reads it (pip install zstandard)."
  ):
    import zstandard
  unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31)
  return _Zstandard(unpacker.decompressobj())


_UNPACKERS = {
  "gzip": _Gzip,
  "bzip2": bz2.BZ2Decompressor,
  "xz": functools.partial(lzma.LZMADecompressor, lzma.FORMAT_XZ),
  "zstd": _make_zstandard,
}


def _unpack(path: str, file: BinaryIO, make: Callable) -> Iterator[bytes]:
  """The content of one or more packed streams, one behind the other.

  The modules of Python ignore what follows a stream if it is not another one,
  so they lose the rest of a file with a damaged second stream without a word.
  """
  data = file.read(_CHUNK_BYTES)
  while data:
    unpacker = _made(path, make)
    while not unpacker.eof:
      try:
        result = unpacker.decompress(data, _OUT_BYTES)
      except Exception as error:  # each package has its own
        raise _broken(path, error) from error
      yield result
      data = b""
      if unpacker.needs_input and not unpacker.eof:
        data = file.read(_CHUNK_BYTES)
        if not data and not result:
          raise _broken(path, "it is cut off.")
    data = unpacker.unused_data.lstrip(b"\0")  # zeros may fill a block
    while not data and (data := file.read(_CHUNK_BYTES)):
      data = data.lstrip(b"\0")


def _made(path: str, make: Callable):
  try:
    return make()
  except ImportError as error:
    raise ImportError(f"{path}: {error}") from error


# Zip archives


class _Member(NamedTuple):
  """A member of a zip archive, one that is wanted or one that is not."""

  name: str
  text: io.BufferedReader | None
  why: str = ""  # what it is, if it is not wanted


def check_file(path: str | os.PathLike, why_not: WhyNot) -> list[str]:
  """Checks that `open_stream` opens a file.

  Returns:
    The members of a zip archive that are left out, and why; else none.

  Raises:
    ValueError, OSError, ImportError: as `open_stream`.
  """
  path = os.fspath(path)
  with open_stream(path, why_not) as file:
    if isinstance(file.raw, _File):
      return []
  with _open_file(path) as file:
    if content.packing(_peek(file)) != "zip":
      return []
    members = _members(path, _open_archive(path, file), why_not)
    return [f"{member.name} {member.why}" for member in members if member.why]


def _open_zip(path: str, file: BinaryIO, why_not: WhyNot) -> BinaryIO:
  archive = _open_archive(path, file)
  kind = content.zip_kind([info.filename for info in archive.infolist()])
  if kind:
    raise ValueError(f"{path} {kind}")
  members, first_why = _members(path, archive, why_not), ""
  for first in members:
    first_why = first_why or f": {first.name} {first.why}"
    if first.text:
      chunks = _join(first.text, members)
      return io.BufferedReader(_Chunks(chunks, file), content.HEAD_BYTES)
  raise ValueError(f"{path} is a zip archive without a text in it{first_why}")


def _open_archive(path: str, file: BinaryIO) -> zipfile.ZipFile:
  if not isinstance(file.raw, _File):
    raise ValueError(
      f"{path} is a zip archive, which is read from its end: save it to a file."
    )
  try:
    return zipfile.ZipFile(file)
  except Exception as error:  # BadZipFile, struct.error, ValueError and more
    raise _broken(path, error) from error


def _members(
  path: str, archive: zipfile.ZipFile, why_not: WhyNot
) -> Iterator[_Member]:
  for info in archive.infolist():
    parts = info.filename.split("/")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
    if hidden or info.is_dir():
      continue
    name = f"{path}/{info.filename}"
    chunks = _member_chunks(name, archive, info)
    text = io.BufferedReader(_Chunks(chunks), content.HEAD_BYTES)
    text = _decode(name, text)
    why = why_not(_peek(text))
    yield _Member(info.filename, None if why else text, why or "")


def _member_chunks(
  name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> Iterator[bytes]:
  if info.flag_bits & 1:
    raise ValueError(f"{name} is encrypted: unpack it and name its text files.")
  try:
    with archive.open(info) as file:
      yield from _read_chunks(file)
  except GeneratorExit:
    raise
  except Exception as error:  # BadZipFile, zlib.error, RuntimeError and more
    raise _broken(name, error) from error


def _join(
  first: io.BufferedReader, members: Iterator[_Member]
) -> Iterator[bytes]:
  """The text members, with an empty line between them that ends a document."""
  yield from _read_chunks(first)
  for member in members:
    if member.text:
      yield b"\n\n"
      yield from _read_chunks(member.text)


# Encodings


def _decode(name: str, file: io.BufferedReader) -> io.BufferedReader:
  """The file itself, or its text in UTF-8 without the byte-order mark."""
  encoding, mark = content.byte_order_mark(_peek(file))
  if not mark:
    return file
  file.read(mark)
  chunks = _read_chunks(file)
  if encoding != "utf-8":
    chunks = _to_utf8(name, chunks, encoding)
  return io.BufferedReader(_Chunks(chunks, file), content.HEAD_BYTES)


def _to_utf8(
  name: str, chunks: Iterator[bytes], encoding: str
) -> Iterator[bytes]:
  decoder = codecs.getincrementaldecoder(encoding)()
  try:
    for chunk in chunks:
      yield decoder.decode(chunk).encode()
    decoder.decode(b"", final=True)
  except UnicodeDecodeError as error:
    raise ValueError(
      f"{name} begins with the byte-order mark of {encoding[:-3].upper()} but "
      f"is not valid in it ({error.reason}): save it as UTF-8."
    ) from error
