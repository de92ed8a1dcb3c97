"""Text files -> documents of tokens.

Everything streams: memory grows neither with the corpus nor with the length of
a line, because a very long document is handed over in pieces (`Continuation`).

Policies, where texts differ from what one would hope for:

- **Invalid UTF-8.** The bytes survive as surrogate escapes: `whitespace` keeps
  them in the token and they are written back unchanged; for `word` they
  separate words, as punctuation does.
- **Long tokens.** A token is cut to 999 bytes of UTF-8, never inside a
  character, as Stanford's programs do.
- **Carriage returns.** `whitespace` ignores them wherever they stand, as
  Stanford's programs do, so that a Windows file equals a Unix one; for `word`
  they separate words.
- **NUL.** For `whitespace` a NUL ends the token, as it ends a C string, and
  what is then left empty is no token; for `word` it separates words.
- **Documents** never cross from one file to the next.
- **Blank lines** hold nothing but spaces, tabs, carriage returns, vertical tabs
  and form feeds.

`read_blocks` gives the same text as bytes, for the compiled tokenizers of
`tokens`, which keep to the same policies.
"""

import bz2
import codecs
import contextlib
import functools
import glob
import gzip
import io
import lzma
import os
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from glove_jax.config import DOCUMENTS, TOKENIZERS
from glove_jax.text.kernels import MAX_TOKEN_BYTES

_PIECE_CHARS = 1 << 20  # at most about this much of a line is held as text
_PIECE_TOKENS = 1 << 18  # a longer document is yielded in pieces
BLOCK_BYTES = 1 << 19
_BLANK = " \t\n\r\v\f"
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_WORD_END = re.compile(rb"\S[ \t]")
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Continuation(list):
  """Tokens that go on with the document of the list before."""


def resolve_paths(patterns: Sequence[str] | str) -> list[str]:
  """Files named by paths, globs and folders, each once.

  Args:
    patterns: a file; a folder (all its files, at any depth, sorted, hidden ones
      left out); a glob (`**` for any depth; sorted); or `-` for stdin.

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
        f"corpus {pattern!r}: no such file, folder or glob match"
      )
    paths.update(dict.fromkeys(found))
  if not paths:
    raise FileNotFoundError("no corpus was named: give a file, a folder or -")
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

  Args:
    paths: files as from `resolve_paths`; `.gz`, `.bz2` and `.xz` are unpacked,
      `-` is stdin.
    tokenizer: `word` for runs of letters, digits and combining marks of any
      script; `whitespace` for exactly the tokens of Stanford's programs, which
      split at space, tab and newline and at nothing else.
    lowercase: whether to lowercase the text first.
    documents: `line` for a document a line; `blank_line` for documents that are
      separated by one or more blank lines.

  Yields:
    Lists of one or more tokens, a document each. Of a document of more than
    262,144 tokens the rest follows in lists of type `Continuation`; `encode`
    puts them together again.

  Raises:
    ValueError: an unknown tokenizer or kind of documents.
    OSError: a file is missing, unreadable, or damaged where it is compressed.
  """
  check_choice("documents", documents, DOCUMENTS)
  tokenize = make_tokenizer(tokenizer, lowercase=lowercase)
  for path in [paths] if isinstance(paths, str) else paths:
    yield from _assemble(_pieces(path, documents == "blank_line"), tokenize)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
  """Raises a ValueError where a value is none of the choices."""
  if value not in choices:
    raise ValueError(
      f"{name} is {value!r}, but must be one of {', '.join(choices)}"
    )


def _assemble(pieces, tokenize) -> Iterator[list[str]]:
  """Pieces of text -> documents, the long ones with `Continuation`s."""
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
  """Lines, the long ones cut at a space or a tab: (text, ends a document)."""
  with _open(path) as binary:
    file = io.TextIOWrapper(
      binary, encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    rest, begun = "", False  # begun: the line has had more than spaces
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
  """Iterates over what `read` gives, with one sentence for damaged files."""
  while True:
    try:
      part = read()
    except _BROKEN as error:
      raise OSError(f"{path}: cannot be read to its end: {error}") from error
    if not part:
      return
    yield part


def _open(path: str) -> contextlib.AbstractContextManager[BinaryIO]:
  if path == "-":
    return contextlib.nullcontext(sys.stdin.buffer)
  if os.path.isdir(path):
    raise IsADirectoryError(f"{path} is a folder: name its files instead")
  if not os.path.exists(path):
    raise FileNotFoundError(f"corpus {path!r}: no such file")
  return _OPENERS.get(_suffix(path), open)(path, "rb")


def is_compressed(path: str) -> bool:
  return _suffix(path) in _OPENERS


def _suffix(path: str) -> str:
  return os.path.splitext(path)[1].lower()


class Position(NamedTuple):
  """A place in a corpus where a block begins."""

  file: int = 0  # which of the paths
  byte: int = 0  # of the text, so of the unpacked file
  begun: bool = False  # whether the line that is going on was not blank so far


class Section(NamedTuple):
  """Some of a corpus: what lies between two places where blocks begin."""

  start: Position = Position()
  end: Position | None = None  # None is the end of the corpus


class Block(NamedTuple):
  """Text that ends with a line, or at a space or a tab of a long one."""

  data: bytes
  begun: bool  # as the `Position` where it begins
  end: Position


def read_blocks(
  paths: Sequence[str],
  section: Section = Section(),  # noqa: B008, it is immutable
  size: int | None = None,
) -> Iterator[Block]:
  """Streams the text of files, or of a section of them.

  Args:
    paths: files, as for `read_documents`.
    section: begins and ends where a block that was yielded before does, or at
      a cut by `find_cut`.
    size: how many bytes to read at a time, by default BLOCK_BYTES; a block is
      about as long, longer only where there is no space, tab or newline to cut
      at.

  Yields:
    Blocks; each file ends with an empty line, which ends its last document.

  Raises:
    OSError: a file is missing, unreadable, or damaged where it is compressed.
  """
  start, end = section.start, section.end or Position(len(paths))
  for number in range(start.file, min(end.file + 1, len(paths))):
    place = start if number == start.file else Position(number)
    stop = end.byte if number == end.file else None
    blocks = _cut_blocks(paths[number], place, stop, size or BLOCK_BYTES)
    for data, begun, byte, after in blocks:
      yield Block(data, begun, Position(number, byte, after))
    if stop is None:
      yield Block(b"\n\n", False, Position(number + 1))


def _cut_blocks(
  path: str, start: Position, stop: int | None, size: int
) -> Iterator[tuple[bytes, bool, int, bool]]:
  """Blocks of a file: (data, begun, where it ends, begun there)."""
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
  paths: Sequence[str], number: int, low: int, high: int
) -> Position | None:
  """A place in a file that is not compressed where a section may begin.

  Args:
    paths: files.
    number: of the file.
    low, high: between which bytes of it to look.

  Returns:
    The `Position` behind the first newline; where there is none near, behind
    the first space or tab after a word; None where there is neither.

  Raises:
    OSError: the file cannot be read.
  """
  with open(paths[number], "rb") as file:
    file.seek(low)
    while data := file.read(min(BLOCK_BYTES, high - low)):
      if newline := 1 + data.find(b"\n"):
        return Position(number, low + newline)
      if word := _WORD_END.search(data):
        return Position(number, low + word.end(), begun=True)
      low += len(data)
  return None


def _begun_after(data: bytes, begun: bool) -> bool:
  line = data[1 + data.rfind(b"\n") :]
  return bool(line.strip()) or (begun and b"\n" not in data)


def make_tokenizer(
  name: str, *, lowercase: bool = True
) -> Callable[[str], list[str]]:
  """The function text -> tokens behind `read_documents`.

  Raises:
    ValueError: an unknown tokenizer.
  """
  check_choice("tokenizer", name, TOKENIZERS)
  split = _split_words if name == "word" else _split_whitespace

  def tokenize(text: str) -> list[str]:
    tokens = split(text.lower() if lowercase else text)
    # A character has 4 bytes at most: most texts need no closer look.
    if tokens and 4 * max(map(len, tokens)) > MAX_TOKEN_BYTES:
      tokens = list(map(_cut, tokens))
    return tokens

  return tokenize


def _split_whitespace(text: str) -> list[str]:
  text = text.replace("\r", "").replace("\t", " ").replace("\n", " ")
  tokens = text.split(" ")
  if "\0" in text:
    tokens = [token.split("\0", 1)[0] for token in tokens]
  return list(filter(None, tokens))


def _split_words(text: str) -> list[str]:
  if text.isascii():
    return _ASCII_WORD.findall(text)
  return _word().findall(text)


_ASCII_WORD = re.compile(r"[^\W_]+")


@functools.cache
def _word() -> re.Pattern:
  """A letter or digit, then letters, digits and combining marks.

  Python's \\w leaves combining marks out, and so would cut most words of the
  Indic scripts, or an e with a combining accent, in two.
  """
  points = map(chr, range(sys.maxunicode + 1))
  marks = "".join(c for c in points if unicodedata.category(c)[0] == "M")
  return re.compile(rf"[^\W_]+(?:[{marks}]+[^\W_]*)*")


def _cut(token: str) -> str:
  data = token.encode("utf-8", "surrogateescape")
  if len(data) <= MAX_TOKEN_BYTES:
    return token
  # A decoder that expects more leaves out a character that was cut in two.
  decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
  return decoder.decode(data[:MAX_TOKEN_BYTES])
