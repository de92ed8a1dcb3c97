"""Text files -> documents of tokens.

Everything is streamed. Memory grows neither with the corpus nor with the length
of a line, because a very long document is yielded in pieces (`Continuation`).

Policies for irregular text:

- **Invalid UTF-8.** The bytes survive as surrogate escapes. `whitespace` keeps
  them in the token, and they are written back unchanged; for `word` they
  separate words, as punctuation does.
- **Long tokens.** A token is cut to 999 bytes of UTF-8, never inside a
  character, as in Stanford's programs. The rest of a token of megabytes is
  skipped while it is read.
- **Byte-order marks** are dropped everywhere: in files joined by `cat` they
  stand in the middle.
- **Carriage returns.** `whitespace` ignores them everywhere, as Stanford's
  programs do, so a Windows file equals a Unix one; for `word` they separate
  words.
- **NUL.** For `whitespace` a NUL ends the token, as it ends a C string, and a
  token left empty is dropped; for `word` it separates words.
- **Documents** never span two files.
- **Blank lines** contain only spaces, tabs, carriage returns, vertical tabs,
  form feeds and what the tokenizer drops.

`read_blocks` yields the same text as bytes, for the compiled tokenizers of
`compiled`, which follow the same policies.
"""

import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from glove_jax.config import DOCUMENTS
from glove_jax.text import sources
from glove_jax.text.tokenizers import (
  check_choice,
  cut_run,
  drop,
  make_tokenizer,
)

_PIECE_TOKENS = 1 << 18  # a longer document is yielded in pieces
BLOCK_BYTES = 1 << 19
_LONG_RUN = 1 << 16  # bytes without white space that are kept together
_KEPT_CHARS = 1 << 14  # of a longer token; lowercasing shrinks it to a third
# The last bytes of characters that tokenizers drop are the end of no word.
_WORD_END = re.compile(rb"[^\s\xbf\xad\xa0][ \t]")


class Continuation(list):
  """Tokens that continue the document of the previous list."""


def read_documents(
  paths: Iterable[sources.Path] | sources.Path,
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
    paths: one file or several, as from `sources.resolve`: plain or packed text,
      as for `sources.open_text`; `-` is standard input.
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
    ValueError: an unknown tokenizer or kind of documents, or a file that is no
      text.
    OSError: a file is missing, unreadable or damaged.
    ImportError: a package for Zstandard is missing.
  """
  check_choice("documents", documents, DOCUMENTS)
  tokenize = make_tokenizer(tokenizer, lowercase=lowercase)
  if isinstance(paths, str | bytes | os.PathLike):
    paths = [os.fsdecode(paths)]
  document: list[str] = []
  for text, ends_document in read_pieces(list(paths), tokenizer, documents):
    document += tokenize(text)
    if ends_document or len(document) > _PIECE_TOKENS:
      if document:
        yield document
      document = [] if ends_document else Continuation()
  if document:
    yield document


def read_pieces(
  paths: Sequence[sources.Path], tokenizer: str, documents: str
) -> Iterator[tuple[str, bool]]:
  """Streams the text of files in lines; long ones are cut between tokens.

  Args:
    paths, tokenizer, documents: as for `read_documents`.

  Yields:
    (text, whether a document ends with it).

  Raises:
    ValueError, OSError, ImportError: as for `read_documents`.
  """
  begun = False  # whether the current line is not blank so far
  for block in read_blocks(paths, tokenizer=tokenizer):
    for line in io.BytesIO(block.data):
      begun = begun or _is_not_blank(line, tokenizer)
      ends_line = line.endswith(b"\n")
      ends_document = ends_line and not (documents == "blank_line" and begun)
      yield line.decode("utf-8", "surrogateescape"), ends_document
      begun = begun and not ends_line


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
  paths: Sequence[sources.Path],
  section: Section = Section(),  # noqa: B008, it is immutable
  size: int | None = None,
  *,
  tokenizer: str = "word",
) -> Iterator[Block]:
  """Streams the text of files, or of a section of them, in blocks of bytes.

  Args:
    paths: files, as for `read_documents`.
    section: begins and ends at block boundaries: the `end` of a block that was
      yielded before, or a cut from `find_cut`.
    size: the number of bytes to read at a time, by default BLOCK_BYTES. A block
      is about that long. Without a space, tab or newline to cut at, it ends
      where no word is, and the middle of a token of more than 64 KiB is left
      out.
    tokenizer: the one for which a long line is cut.

  Yields:
    Blocks. Each file ends with an empty line, which ends its last document.

  Raises:
    ValueError, OSError, ImportError: as for `read_documents`.
  """
  start, end = section.start, section.end or Position(len(paths))
  for file in range(start.file, min(end.file + 1, len(paths))):
    first = start if file == start.file else Position(file)
    stop = end.byte if file == end.file else None
    parts = _read_parts(paths[file], first.byte, stop, size or BLOCK_BYTES)
    blocks = _cut_blocks(parts, first, tokenizer)
    for data, begun, byte, begun_after in blocks:
      yield Block(data, begun, Position(file, byte, begun_after))
    if stop is None:
      yield Block(b"\n\n", False, Position(file + 1))


def _read_parts(
  path: sources.Path, start: int, stop: int | None, size: int
) -> Iterator[bytes]:
  """Reads the text of a file between two bytes, `size` bytes at a time."""
  with sources.open_text(path) as file:
    if start:
      file.seek(start)
    left = math.inf if stop is None else stop - start
    while part := file.read(min(size, left)):
      yield part
      left -= len(part)


def _cut_blocks(
  parts: Iterable[bytes], start: Position, tokenizer: str
) -> Iterator[tuple[bytes, bool, int, bool]]:
  """Yields blocks of a file: (data, begun, end byte, begun at the end).

  Each byte is searched once, so the time is linear whatever the file holds.
  """
  byte, begun, rest = start.byte, start.begun, bytearray()
  for part in parts:
    byte += len(part)
    cut = 1 + part.rfind(b"\n")
    cut = cut or 1 + max(part.rfind(b" "), part.rfind(b"\t"))
    if cut:
      data = b"".join((rest, memoryview(part)[:cut]))
      rest = bytearray(part[cut:])
    else:
      data = b""
      rest += part
      if len(rest) > _LONG_RUN:
        data, after_cut = cut_run(bytes(rest), tokenizer, _KEPT_CHARS)
        rest = bytearray(after_cut)
    if data:
      after = _begun_after(data, begun, tokenizer)
      yield data, begun, byte - len(rest), after
      begun = after
  if rest:
    yield bytes(rest), begun, byte, _begun_after(bytes(rest), begun, tokenizer)


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


def _begun_after(data: bytes, begun: bool, tokenizer: str) -> bool:
  """Whether the line that `data` ends in is not blank so far."""
  line = data[1 + data.rfind(b"\n") :]
  ends_line = len(line) < len(data)
  return (begun and not ends_line) or _is_not_blank(line, tokenizer)


def _is_not_blank(line: bytes, tokenizer: str) -> bool:
  return bool(drop(line, tokenizer).strip())
