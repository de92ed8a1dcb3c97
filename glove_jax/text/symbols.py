"""Constants of words and ids, and words that are safe to print.

Imports nothing of the package.
"""

import re

UNK = "<unk>"  # the name of unknown words in vector files; never a word
UNKNOWN = -1  # among ids: a word outside the vocabulary
END = -2  # among ids: the end of a document
MAX_TOKEN_BYTES = 999  # of UTF-8; longer tokens are cut, as in Stanford's code

BYTE_ORDER_MARK = "\ufeff"
_MARK_BYTES = BYTE_ORDER_MARK.encode()
# What a terminal obeys instead of showing it: controls (an escape sequence
# begins with one), line separators, what turns the direction of writing; and
# surrogates, which cannot be encoded.
_UNPRINTABLE = re.compile(
  "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
  "\ud800-\udfff]"
)


def drop_marks(data: bytes) -> bytes:
  """Drops byte-order marks, which files joined by `cat` have inside too.

  Invalid bytes around a mark may form another one, which becomes U+FFFD. So no
  mark is left, and the time is linear.
  """
  if b"\xef" not in data:  # fast: the first byte of a mark
    return data
  return data.replace(_MARK_BYTES, b"").replace(_MARK_BYTES, b"\xef\xbf\xbd")


def printable(word: str) -> str:
  r"""The word with visible escapes for what must not reach a terminal raw.

  >>> printable("caf\x1b[2Jé")
  'caf\\x1b[2Jé'

  Args:
    word: any word. Its control characters, surrogates (of invalid UTF-8) and
      characters that turn the direction of writing are escaped as in Python.
  """
  return _UNPRINTABLE.sub(
    lambda match: match[0].encode("unicode_escape").decode(), word
  )
