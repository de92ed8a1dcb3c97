"""Text files -> documents of tokens.

Everything is streamed. Memory grows neither with the corpus nor with the length
of a line, because a very long document is yielded in pieces (`Continuation`).

Policies for irregular text:

- **Invalid UTF-8.** The bytes survive as surrogate escapes. `whitespace` keeps
  them in the token, and they are written back unchanged; for `word` they
  separate words, as punctuation does.
- **Long tokens.** A token is cut to 999 bytes of UTF-8, never inside a
  character, as in Stanford's programs.
- **Carriage returns.** `whitespace` ignores them everywhere, as Stanford's
  programs do, so a Windows file equals a Unix one; for `word` they separate
  words.
- **NUL.** For `whitespace` a NUL ends the token, as it ends a C string, and a
  token left empty is dropped; for `word` it separates words.
- **Documents** never span two files.
- **Blank lines** contain only spaces, tabs, carriage returns, vertical tabs and
  form feeds.

`read_blocks` yields the same text as bytes, for the compiled tokenizers of
`compiled`, which follow the same policies.
"""

import bz2
import contextlib
import functools
import glob
import gzip
import io
import lzma
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from glove_jax.config import DOCUMENTS
from glove_jax.text.tokenizers import check_choice, make_tokenizer

_PIECE_CHARS = 1 << 20  # at most about this much of a line is held as text
_PIECE_TOKENS = 1 << 18  # a longer document is yielded in pieces
BLOCK_BYTES = 1 << 19
_BLANK = " \t\n\r\v\f"
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_WORD_END = re.compile(rb"\S[ \t]")
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Continuation(list):
  """Tokens that continue the document of the previous list."""


def resolve_paths(patterns: Sequence[str] | str) -> list[str]:
  """Lists the files that paths, globs and folders name, each file once.

  Args:
    patterns: each is a file, a folder (all files in it at any depth, sorted,
      without hidden ones), a glob (sorted; `**` matches any depth) or `-` for
      standard input.

  Returns:
    Paths in the order of the patterns.

  Raises:
    FileNotFoundError: a pattern matches no file.
  """
  if isinstance(patterns, str):
    patterns = [patterns]
  paths: dict[str, None] = {}  # an ordered set
  for pattern in patterns:
    pattern = os.path.expanduser(pattern)
    found = [pattern] if pattern == "-" else list(_files(pattern))
    if not found:
      raise FileNotFoundError(
        f"Corpus {pattern!r}: no such file, folder or glob match."
      )
    paths.update(dict.fromkeys(found))
  if not paths:
    raise FileNotFoundError("No corpus was named: give a file, a folder or -.")
  return list(paths)


def _files(pattern: str) -> Iterator[str]:
  if os.path.isdir(pattern):
    for folder, subfolders, names in os.walk(pattern):
      subfolders[:] = sorted(n for n in subfolders if not n.startswith("."))
      for name in sorted(names):
        path = os.path.join(folder, name)
        if not name.startswith(".") and os.path.isfile(path):
          yield path
  elif os.path.exists(pattern):
    yield pattern
  else:
    for path in sorted(glob.glob(pattern, recursive=True)):
      if not os.path.isdir(path):
        yield path


def read_documents(
  paths: Iterable[str] | str,
  *,
  tokenizer: str = "word",
  lowercase: bool = True,
  documents: str = "line",
) -> Iterator[list[str]]:
  """Streams the documents of text files as lists of tokens.

  >>> import pathlib, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = pathlib.Path(folder, "wiki.txt")
  ...   _ = path.write_text("I like deep learning.\\nI like NLP!\\n")
  ...   list(read_documents([str(path)]))
  [['i', 'like', 'deep', 'learning'], ['i', 'like', 'nlp']]

  Args:
    paths: files as from `resolve_paths`; `.gz`, `.bz2` and `.xz` are
      decompressed, and `-` is standard input.
    tokenizer: 'word' for runs of letters, digits and combining marks of any
      script; 'whitespace' for exactly the tokens of Stanford's programs, which
      split at space, tab and newline only.
    lowercase: whether to lowercase the text first.
    documents: 'line' for one document per line; 'blank_line' for documents
      separated by one or more blank lines.

  Yields:
    One non-empty list of tokens per document. A document of more than 262,144
    tokens is continued in lists of type `Continuation`, which `encode` joins
    again.

  Raises:
    ValueError: an unknown tokenizer or kind of documents.
    OSError: a file is missing, unreadable or damaged.
  """
  check_choice("documents", documents, DOCUMENTS)
  tokenize = make_tokenizer(tokenizer, lowercase=lowercase)
  for path in [paths] if isinstance(paths, str) else paths:
    yield from _assemble(_pieces(path, documents == "blank_line"), tokenize)


def _assemble(pieces, tokenize) -> Iterator[list[str]]:
  """Joins pieces of text to documents; long ones get `Continuation`s."""
  document: list[str] = []
  for text, ends_document in pieces:
    document += tokenize(text)
    if ends_document or len(document) > _PIECE_TOKENS:
      if document:
        yield document
      document = [] if ends_document else Continuation()
  if document:
    yield document


def _pieces(path: str, blank_line: bool) -> Iterator[tuple[str, bool]]:
  """Yields lines as (text, ends a document); long ones are cut at a space."""
  with _open(path) as binary:
    file = io.TextIOWrapper(
      binary, encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    rest, begun = "", False  # begun: the current line is not blank so far
    readline = functools.partial(file.readline, _PIECE_CHARS)
    for part in _guard(readline, path):
      text, rest = rest + part, ""
      ends_line = text.endswith("\n")
      if not ends_line:
        cut = 1 + max(text.rfind(" "), text.rfind("\t"))
        text, rest = text[:cut], text[cut:]
      begun = begun or bool(text.strip(_BLANK))
      yield text, ends_line and not (blank_line and begun)
      begun = begun and not ends_line
    if rest:
      yield rest, False
    file.detach()  # stdin stays open


def _guard(read: Callable, path: str) -> Iterator:
  """Yields what `read` returns; names the file if it is damaged."""
  while True:
    try:
      part = read()
    except _BROKEN as error:
      raise OSError(f"{path} cannot be read to its end: {error}.") from error
    if not part:
      return
    yield part


def _open(path: str) -> contextlib.AbstractContextManager[BinaryIO]:
  if path == "-":
    return contextlib.nullcontext(sys.stdin.buffer)
  if os.path.isdir(path):
    raise IsADirectoryError(f"{path} is a folder: name its files instead.")
  if not os.path.exists(path):
    raise FileNotFoundError(f"Corpus {path!r}: no such file.")
  return _OPENERS.get(_suffix(path), open)(path, "rb")


def is_compressed(path: str) -> bool:
  """Whether the name of a file says that it is compressed."""
  return _suffix(path) in _OPENERS


def _suffix(path: str) -> str:
  return os.path.splitext(path)[1].lower()


class Position(NamedTuple):
  """Where in a corpus a block begins."""

  file: int = 0  # index into the list of paths
  byte: int = 0  # offset in the text, after decompression
  begun: bool = False  # the current line began before and is not blank so far


class Section(NamedTuple):
  """A contiguous piece of a corpus, from one block's start to another's.

  Sections can span files and cut a large one. With files of 5 and 30 MB:

    Section(Position(0, 0), Position(1, 9_000_000))   all of file 0, then 9 MB
    Section(Position(1, 9_000_000), Position(2))      the other 21 MB of file 1

  The end of one section is the start of the next, so every byte is read once.
  """

  start: Position = Position()
  end: Position | None = None  # None is the end of the corpus


class Block(NamedTuple):
  """Text that ends at a newline, or at a space or tab inside a long line."""

  data: bytes
  begun: bool  # as in the `Position` where the block begins
  end: Position  # where the next block begins


def read_blocks(
  paths: Sequence[str],
  section: Section = Section(),  # noqa: B008, it is immutable
  size: int | None = None,
) -> Iterator[Block]:
  """Streams the text of files, or of a section of them, in blocks of bytes.

  Args:
    paths: files, as for `read_documents`.
    section: begins and ends at block boundaries: the `end` of a block that was
      yielded before, or a cut from `find_cut`.
    size: the number of bytes to read at a time, by default BLOCK_BYTES. A block
      is about that long, and longer only if it has no space, tab or newline to
      cut at.

  Yields:
    Blocks. Each file ends with an empty line, which ends its last document.

  Raises:
    OSError: a file is missing, unreadable or damaged.
  """
  start, end = section.start, section.end or Position(len(paths))
  for file in range(start.file, min(end.file + 1, len(paths))):
    first = start if file == start.file else Position(file)
    stop = end.byte if file == end.file else None
    blocks = _cut_blocks(paths[file], first, stop, size or BLOCK_BYTES)
    for data, begun, byte, begun_after in blocks:
      yield Block(data, begun, Position(file, byte, begun_after))
    if stop is None:
      yield Block(b"\n\n", False, Position(file + 1))


def _cut_blocks(
  path: str, start: Position, stop: int | None, size: int
) -> Iterator[tuple[bytes, bool, int, bool]]:
  """Yields blocks of a file: (data, begun, end byte, begun at the end)."""
  byte, begun, rest = start.byte, start.begun, b""

  def read() -> bytes:
    left = size if stop is None else stop - byte - len(rest)
    return file.read(min(size, left))

  with _open(path) as file:
    if byte:
      file.seek(byte)
    for part in _guard(read, path):
      part = rest + part
      cut = 1 + part.rfind(b"\n")
      cut = cut or 1 + max(part.rfind(b" "), part.rfind(b"\t"))
      data, rest = part[:cut], part[cut:]
      if data:
        after = _begun_after(data, begun)
        byte += cut
        yield data, begun, byte, after
        begun = after
  if rest:
    yield rest, begun, byte + len(rest), _begun_after(rest, begun)


def find_cut(
  paths: Sequence[str], file_index: int, low: int, high: int
) -> Position | None:
  """Finds a position in an uncompressed file where a section may begin.

  The cut is after the first newline in [low, high). Without a newline nearby
  it is after the first space or tab after a word:

    bytes 0..11 of the file: "ab cd\\nef gh\\n"
    low=1 -> byte 6, the start of "ef gh"
    "ab cd ef" (one line), low=1 -> byte 3, begun=True: inside a line

  Args:
    paths: files.
    file_index: the file to cut.
    low, high: the range of bytes to search.

  Returns:
    The cut, or None if there is neither a newline nor a word's end.

  Raises:
    OSError: the file cannot be read.
  """
  with open(paths[file_index], "rb") as file:
    file.seek(low)
    while data := file.read(min(BLOCK_BYTES, high - low)):
      if newline := 1 + data.find(b"\n"):
        return Position(file_index, low + newline)
      if word := _WORD_END.search(data):
        return Position(file_index, low + word.end(), begun=True)
      low += len(data)
  return None


def _begun_after(data: bytes, begun: bool) -> bool:
  """Whether the line that `data` ends in is not blank so far."""
  line = data[1 + data.rfind(b"\n") :]
  return bool(line.strip()) or (begun and b"\n" not in data)
