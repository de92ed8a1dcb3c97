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
from typing import BinaryIO

MAX_TOKEN_BYTES = 999
TOKENIZERS = ("word", "whitespace")
DOCUMENTS = ("line", "blank_line")

_PIECE_CHARS = 1 << 20  # at most about this much of a line is held as text
_PIECE_TOKENS = 1 << 18  # a longer document is yielded in pieces
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
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
  tokenize = make_tokenizer(tokenizer, lowercase=lowercase)
  if documents not in DOCUMENTS:
    raise ValueError(
      f"documents is {documents!r}, but must be one of {', '.join(DOCUMENTS)}"
    )
  for path in [paths] if isinstance(paths, str) else paths:
    yield from _assemble(_pieces(path, documents == "blank_line"), tokenize)


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
    for part in _guard(functools.partial(file.readline, _PIECE_CHARS), path):
      text, rest = rest + part, ""
      ends_line = text.endswith("\n")
      if not ends_line:
        cut = 1 + max(text.rfind(" "), text.rfind("\t"))
        text, rest = text[:cut], text[cut:]
      begun = begun or bool(text.strip())
      yield text, ends_line and not (blank_line and begun)
      begun = begun and not ends_line
    if rest:
      yield rest, False
    file.detach()  # stdin stays open


def _guard(readline: Callable[[], str], path: str) -> Iterator[str]:
  """Iterates over `readline`, with one clear sentence for damaged files."""
  while True:
    try:
      part = readline()
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
  opener = _OPENERS.get(os.path.splitext(path)[1].lower(), open)
  return opener(path, "rb")


def make_tokenizer(
  name: str, *, lowercase: bool = True
) -> Callable[[str], list[str]]:
  """The function text -> tokens behind `read_documents`."""
  if name not in TOKENIZERS:
    raise ValueError(
      f"tokenizer is {name!r}, but must be one of {', '.join(TOKENIZERS)}"
    )
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
