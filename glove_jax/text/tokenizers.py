"""Text -> tokens, in plain Python.

`word` finds runs of letters, digits and combining marks of any script.
`whitespace` yields exactly the tokens of Stanford's programs, which split at
space, tab and newline only. Both cut a token to MAX_TOKEN_BYTES of UTF-8, never
inside a character.
"""

import codecs
import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence

from glove_jax.config import TOKENIZERS
from glove_jax.text.symbols import MAX_TOKEN_BYTES


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


def _split_whitespace(text: str) -> list[str]:
  text = text.replace("\r", "").replace("\t", " ").replace("\n", " ")
  tokens = text.split(" ")
  if "\0" in text:  # a NUL ends a C string
    tokens = [token.split("\0", 1)[0] for token in tokens]
  return list(filter(None, tokens))


def _split_words(text: str) -> list[str]:
  if text.isascii():
    return _ASCII_WORD.findall(text)
  return _word().findall(text)


_ASCII_WORD = re.compile(r"[^\W_]+")


@functools.cache
def _word() -> re.Pattern:
  """Matches a letter or digit, then letters, digits and combining marks.

  Python's \\w excludes combining marks. It would split most words of the Indic
  scripts, and an e followed by a combining accent.
  """
  points = map(chr, range(sys.maxunicode + 1))
  marks = "".join(c for c in points if unicodedata.category(c)[0] == "M")
  return re.compile(rf"[^\W_]+(?:[{marks}]+[^\W_]*)*")


def _cut(token: str) -> str:
  data = token.encode("utf-8", "surrogateescape")
  if len(data) <= MAX_TOKEN_BYTES:
    return token
  # An incremental decoder drops the character that the cut split in two.
  decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
  return decoder.decode(data[:MAX_TOKEN_BYTES])
