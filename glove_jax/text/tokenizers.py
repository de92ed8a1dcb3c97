"""Text -> tokens, in plain Python.

`word` finds runs of letters, digits and combining marks of any script. Joiners
do not end a word if it goes on after them (rule WB4 of Unicode's UAX #29): they
shape Persian, Indic and Mongolian words. Soft hyphens and word joiners are
dropped, since words with and without them look alike.

`whitespace` yields exactly the tokens of Stanford's programs, which split at
space, tab and newline only.

Both drop byte-order marks, and cut a token to MAX_TOKEN_BYTES of UTF-8, never
inside a character.
"""

import codecs
import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence

from glove_jax.config import TOKENIZERS
from glove_jax.text.symbols import (
  BYTE_ORDER_MARK,
  MAX_TOKEN_BYTES,
  drop_marks,
)

# Zero-width non-joiner and joiner, Mongolian vowel separator.
JOINERS = "\u200c\u200d\u180e"
# Byte-order mark, soft hyphen, word joiner.
INVISIBLE = "\ufeff\xad\u2060"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_INVISIBLE_BYTES = re.compile("|".join(INVISIBLE).encode())
_INVALID = re.compile("[\udc80-\udcff]")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
  """Raises a ValueError if a value is not one of the choices."""
  if value not in choices:
    raise ValueError(
      f"{name} is {value!r}, but must be one of {', '.join(choices)}."
    )


def make_tokenizer(
  name: str, *, lowercase: bool = True
) -> Callable[[str], list[str]]:
  """Makes the function text -> tokens that `read_documents` uses.

  >>> make_tokenizer("word")("Don't stop, it's 3.14!")
  ['don', 't', 'stop', 'it', 's', '3', '14']
  >>> make_tokenizer("whitespace", lowercase=False)("Don't stop!")
  ["Don't", 'stop!']

  Args:
    name: 'word' or 'whitespace'.
    lowercase: whether to lowercase the text first.

  Raises:
    ValueError: an unknown tokenizer.
  """
  check_choice("tokenizer", name, TOKENIZERS)
  split = _split_words if name == "word" else _split_whitespace

  def tokenize(text: str) -> list[str]:
    tokens = split(text.lower() if lowercase else text)
    # A character has at most 4 bytes, so most texts need no closer look.
    if tokens and 4 * max(map(len, tokens)) > MAX_TOKEN_BYTES:
      tokens = list(map(_cut, tokens))
    return tokens

  return tokenize


def drop(data: bytes, tokenizer: str) -> bytes:
  """Drops what a tokenizer ignores."""
  if tokenizer == "whitespace":
    return drop_marks(data.replace(b"\r", b""))
  return _INVISIBLE_BYTES.sub(b"", data)


def _split_whitespace(text: str) -> list[str]:
  if "\r" in text or BYTE_ORDER_MARK in text:
    if _INVALID.search(text):  # bytes may form a character once they meet
      data = text.encode("utf-8", "surrogateescape")
      text = drop(data, "whitespace").decode("utf-8", "surrogateescape")
    text = text.replace("\r", "").replace(BYTE_ORDER_MARK, "")
  tokens = text.replace("\t", " ").replace("\n", " ").split(" ")
  if "\0" in text:  # a NUL ends a C string
    tokens = [token.split("\0", 1)[0] for token in tokens]
  return list(filter(None, tokens))


def _split_words(text: str) -> list[str]:
  if text.isascii():
    return _ASCII_WORD.findall(text)
  return _word().findall(_INVISIBLE.sub("", text))


_ASCII_WORD = re.compile(r"[^\W_]+")
_WORD_START = re.compile(r"[^\W_]")


@functools.cache
def _marks() -> str:
  """All combining marks.

  Python's \\w excludes them. It would split most words of the Indic scripts,
  and an e followed by a combining accent.
  """
  points = map(chr, range(sys.maxunicode + 1))
  return "".join(c for c in points if unicodedata.category(c)[0] == "M")


@functools.cache
def _word() -> re.Pattern:
  """Matches a letter or digit, then also combining marks and inner joiners."""
  marks = _marks()
  return re.compile(rf"[^\W_]+(?:[{JOINERS}]*(?:[{marks}]+|[^\W_]+))*")


@functools.cache
def _to_last_break() -> re.Pattern:
  """Matches text up to the last character that is in no word, with it."""
  inside = rf"\w{_marks()}{JOINERS}{INVISIBLE}"
  return re.compile(rf".*(?:[^{inside}]|_)", re.DOTALL)


def cut_run(data: bytes, tokenizer: str, keep: int) -> tuple[bytes, bytes]:
  """Cuts text without white space, to read it in little memory.

  `word` finds the same words in the two parts as in the whole. If there is but
  one token, which may continue, its middle is dropped: only the first
  MAX_TOKEN_BYTES count.

  >>> cut_run("one,two,three".encode(), "word", 4)
  (b'one,two,', b'three')
  >>> cut_run("wwwwwwww".encode(), "word", 4)
  (b'', b'wwww')
  >>> cut_run("one,two,three".encode(), "whitespace", 4)
  (b'', b'one,')

  Args:
    data: text that the next bytes of the file may continue.
    tokenizer: 'word' or 'whitespace'.
    keep: the number of characters of one token to keep.

  Returns:
    The text up to a place where no word is, and the rest.
  """
  if tokenizer == "whitespace":
    return b"", data[:keep]
  text = _whole(data)
  size = len(text.encode("utf-8", "surrogateescape"))
  if found := _to_last_break().match(text):
    cut = len(found[0].encode("utf-8", "surrogateescape"))
    return data[:cut], data[cut:]
  start = _WORD_START.search(text)
  # One mark before the word keeps the line from being blank.
  first = max(0, (start.start() if start else len(text)) - 1)
  kept = text[first : first + keep].encode("utf-8", "surrogateescape")
  return b"", kept + data[size:]


def _cut(token: str) -> str:
  data = token.encode("utf-8", "surrogateescape")
  if len(data) <= MAX_TOKEN_BYTES:
    return token
  return _whole(data[:MAX_TOKEN_BYTES])


def _whole(data: bytes) -> str:
  """Text without the character at its end that a cut split in two."""
  decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
  return decoder.decode(data)
