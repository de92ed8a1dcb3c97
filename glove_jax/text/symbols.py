"""Constants of words and ids, and byte-order marks.

Imports nothing of the package.
"""

UNK = "<unk>"  # the name of unknown words in vector files; never a word
UNKNOWN = -1  # among ids: a word outside the vocabulary
END = -2  # among ids: the end of a document
MAX_TOKEN_BYTES = 999  # of UTF-8; longer tokens are cut, as in Stanford's code

BYTE_ORDER_MARK = "\ufeff"
_MARK_BYTES = BYTE_ORDER_MARK.encode()


def drop_marks(data: bytes) -> bytes:
  """Drops byte-order marks, which files joined by `cat` have inside too.

  Invalid bytes around a mark may form another one, which becomes U+FFFD. So no
  mark is left, and the time is linear.
  """
  if b"\xef" not in data:  # fast: the first byte of a mark
    return data
  return data.replace(_MARK_BYTES, b"").replace(_MARK_BYTES, b"\xef\xbf\xbd")
