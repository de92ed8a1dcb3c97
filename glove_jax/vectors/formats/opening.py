"""Opens files of vectors, plain or packed, and writes packed ones.

What a file is packed with shows in its first bytes, never in its name. A name
of a packed file (`v.txt.gz`) decides only how a new file is written.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from glove_jax import atomic, lazy
from glove_jax.text import content, streams
from glove_jax.text.pipes import refuse_pipe
from glove_jax.text.streams import PACKED

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of zip members: equal bytes each time


class Opened(NamedTuple):
  """A file of vectors, unpacked."""

  name: str  # for messages: the path, or path/member of a zip archive
  file: io.BufferedReader

  @property
  def head(self) -> bytes:
    """The first bytes of the file, up to 64 KiB."""
    return self.file.peek(content.HEAD_BYTES)[: content.HEAD_BYTES]


@contextlib.contextmanager
def open_file(path: str | os.PathLike) -> Iterator[Opened]:
  """Opens a file as the bytes in it, unpacked.

  Args:
    path: a file, plain or packed by gzip, bzip2, xz, Zstandard or zip. A zip
      archive has one member, or the path names it: `glove.zip/glove.50d.txt`.
      An archive of arrays (.npz) is opened as it is.

  Raises:
    FileNotFoundError: there is no such file or member.
    ValueError: an archive of several files, of which none is named.
    OSError: the file is damaged; also while it is read.
    ImportError: the file is packed by Zstandard and no package reads that.
  """
  path = os.path.expanduser(os.fspath(path))
  refuse_pipe(path)
  path, member = (path, "") if os.path.isfile(path) else _split(path)
  with contextlib.ExitStack() as stack:
    raw = stack.enter_context(open(path, "rb", content.HEAD_BYTES))
    opened = Opened(path, raw)
    is_zip = content.packing(opened.head) == "zip"
    if member or (is_zip and not _is_npz(path, raw)):
      opened = _open_member(path, raw, member, stack)
    elif not is_zip and not is_binary(opened.head):
      file = streams.open_stream(path, lambda head: None)
      opened = Opened(path, stack.enter_context(file))
    yield opened


def files_of(path: str | os.PathLike) -> list[pathlib.Path]:
  """The files that vectors are read from: a file, an archive, or a folder's.

  Raises:
    FileNotFoundError: there is no such file.
  """
  path = pathlib.Path(path).expanduser()
  if path.is_dir():
    return sorted(file for file in path.iterdir() if file.is_file())
  return [path if path.is_file() else pathlib.Path(_split(str(path))[0])]


def is_binary(head: bytes) -> bool:
  """Whether a head is of Parquet or safetensors, which no text begins as."""
  return is_parquet(head) or is_safetensors(head)


def is_parquet(head: bytes) -> bool:
  """Whether a head is of Parquet: a mark and the start of a page.

  The mark alone may also be the first word of a text.
  """
  return head.startswith(content.PARQUET + b"\x15")


def is_safetensors(head: bytes) -> bool:
  """Whether a head is the size of a JSON header, in 8 bytes, and its start."""
  size = int.from_bytes(head[:8], "little")
  return head[8:9] == b"{" and 2 <= size <= 100_000_000


@contextlib.contextmanager
def write_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """Opens a file that appears at `path` whole or not at all.

  A file whose name ends in .gz, .bz2, .xz, .zst or .zip is packed. Equal
  content gives equal bytes.

  Raises:
    OSError: the folder is missing or not writable.
    ImportError: the name ends in .zst and no package writes that.
  """
  name = pathlib.Path(path).name
  packing = pathlib.Path(path).suffix.lower()
  with atomic.write_whole(path) as file, contextlib.ExitStack() as stack:
    yield stack.enter_context(_packer(file, packing, name, stack))


@contextlib.contextmanager
def write_archive(path: str | os.PathLike) -> Iterator[BinaryIO]:
  """As `write_file`, for writers that seek: a packed file is kept in memory."""
  if pathlib.Path(path).suffix.lower() not in PACKED:
    with write_file(path) as file:
      yield file
    return
  buffer = io.BytesIO()
  yield buffer
  with write_file(path) as file:
    file.write(buffer.getbuffer())


@contextlib.contextmanager
def write_folder(
  path: pathlib.Path, is_ours: Callable[[pathlib.Path], bool], what: str
) -> Iterator[pathlib.Path]:
  """As `atomic.write_folder`; replaces an earlier folder of the same kind.

  Args:
    path: the folder.
    is_ours: whether a folder is of this kind.
    what: the kind, for messages.

  Raises:
    ValueError: the name is of a packed file.
    FileExistsError: there is another file or folder of this name.
  """
  if path.suffix.lower() in PACKED:
    raise ValueError(f"{path} will be a folder: leave out {path.suffix}.")
  if path.exists() and not is_ours(path):
    raise FileExistsError(f"{path} exists and is no {what}: name a new folder.")
  with atomic.write_folder(path) as folder:
    yield folder
    if path.exists():
      atomic.remove_folder(path)


def _packer(file: BinaryIO, packing: str, name: str, stack):
  if packing == ".gz":
    return gzip.GzipFile("", "wb", 6, file, mtime=0)
  if packing == ".bz2":
    return bz2.BZ2File(file, "wb")
  if packing == ".xz":
    return lzma.LZMAFile(file, "wb")
  if packing == ".zst":
    return _zstandard_writer(file)
  if packing == ".zip":
    archive = stack.enter_context(zipfile.ZipFile(file, "w"))
    info = zipfile.ZipInfo(name[: -len(".zip")] or "vectors", _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)
  return contextlib.nullcontext(file)


def _zstandard_writer(file: BinaryIO):
  with contextlib.suppress(ImportError):
    from compression import zstd  # Python 3.14

    return zstd.ZstdFile(file, "wb")
  with lazy.needed(
    "Files that end in .zst need zstandard: pip install zstandard."
  ):
    import zstandard
  return zstandard.ZstdCompressor().stream_writer(file, closefd=False)


def _split(path: str) -> tuple[str, str]:
  """An archive, and the member that a path names in it."""
  for parent in pathlib.Path(path).parents:
    if parent.is_file():
      return str(parent), pathlib.Path(path).relative_to(parent).as_posix()
  if os.path.isdir(path):
    raise ValueError(
      f"{path} is a folder: name a file of vectors, such as the vectors.txt of "
      "a run, or a folder that was exported for TensorBoard's projector or as "
      "a static embedding model."
    )
  raise FileNotFoundError(
    f"There is no vector file {path}: check the path, or train first."
  )


def _is_npz(path: str, raw: BinaryIO) -> bool:
  """Whether a zip archive holds arrays; also if it is cut off, by its name."""
  try:
    with zipfile.ZipFile(raw) as archive:
      names = archive.namelist()
  except Exception:  # BadZipFile, struct.error, ValueError and more
    return path.lower().endswith(".npz")
  finally:
    raw.seek(0)
  return bool(names) and all(name.endswith(".npy") for name in names)


def _open_member(path: str, raw: BinaryIO, member: str, stack) -> Opened:
  try:
    archive = stack.enter_context(zipfile.ZipFile(raw))
  except Exception as error:  # BadZipFile, struct.error, ValueError and more
    raise _broken(path, error) from error
  names = [
    name
    for name in archive.namelist()
    if not name.endswith("/")
    and not any(p.startswith((".", "__MACOSX")) for p in name.split("/"))
  ]
  if member and member not in archive.namelist():
    raise FileNotFoundError(
      f"There is no {member!r} in {path}: it holds {', '.join(names[:20])}."
    )
  if not member and len(names) != 1:
    example = names[0] if names else "vectors.txt"
    raise ValueError(
      f"{path} holds {len(names)} files ({', '.join(names[:20])}): name the "
      f"one to read, as {path}/{example}."
    )
  name = member or names[0]
  try:
    inner = stack.enter_context(archive.open(name))
  except Exception as error:  # also RuntimeError, if it is encrypted
    raise _broken(f"{path}/{name}", error) from error
  guarded = _Guarded(f"{path}/{name}", inner)
  file = io.BufferedReader(guarded, content.HEAD_BYTES)
  encoding, mark = content.byte_order_mark(file.peek(4)[:4])
  if mark and encoding != "utf-8" and not is_safetensors(file.peek(9)):
    raise ValueError(f"{path}/{name} is {encoding}: save it as UTF-8.")
  if mark and encoding == "utf-8":
    file.read(mark)
  return Opened(f"{path}/{name}", stack.enter_context(file))


def _broken(name: str, error: object) -> OSError:
  why = " ".join(str(error).split()).rstrip(".")
  return OSError(
    f"{name}: cannot be read to its end: {why}. Fetch or write it again."
  )


class _Guarded(io.RawIOBase):
  """A member of an archive, whose errors are OSErrors with its name."""

  def __init__(self, name: str, file: BinaryIO):
    self._name, self._file = name, file

  def readable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    try:
      data = self._file.read(len(buffer))
    except Exception as error:  # BadZipFile, zlib.error, EOFError and more
      raise _broken(self._name, error) from error
    buffer[: len(data)] = data
    return len(data)
