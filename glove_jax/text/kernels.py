"""Compiled loops over text: bytes -> spans of words.

A *span* is (first byte, byte after the last) of a word; an empty span marks the
end of a document:

  text   "to be\\nnot"
  spans  [0, 2], [3, 5], [5, 5], [6, 9]

All loops release Python's lock, so they scale with threads. The hottest loops
index with unsigned integers: numba checks whether a signed index is negative,
which costs a fifth of the time. A literal 0 has a type of its own, for which
numba compiles a function once more; np.int64(0) has not.
"""

import numpy as np
from numba import njit, uint8, uint64

from glove_jax import native
from glove_jax.text.instructions import load_bytes, trailing_zeros
from glove_jax.text.symbols import MAX_TOKEN_BYTES

# Classes of characters; all others separate words.
WORD, MARK, JOINER, DROPPED = 1, 2, 3, 4


@native.loop
def split_whitespace(data, begun, blank_line, spans):
  """Splits at spaces, tabs and newlines; a NUL ends what is left of a token.

  Args:
    data: [N] uint8, with 8 bytes after it.
    begun: whether the line in which `data` begins is not blank so far.
    blank_line: whether documents end at blank lines rather than at every line.
    spans: [N + 1, 2] int64, the output.

  Returns:
    The number of spans.
  """
  found, start, nul, blank = 0, -1, -1, not begun
  after = 0  # the last space or control character
  for block in range(0, len(data), 8):
    bits = _low_bytes(data, block)
    while bits != uint64(0):
      position = block + np.int64(trailing_zeros(bits) >> uint64(3))
      bits &= bits - uint64(1)
      if after < position:  # letters
        start = after if start < 0 else start
        blank = False
      after = position + 1
      byte = data[uint64(position)]
      if byte != 32 and byte != 9 and byte != 10:
        start = position if start < 0 else start
        nul = position if byte == 0 and nul < 0 else nul
        blank = blank and _is_blank(byte)
        continue
      if start >= 0:
        found = _add_until(spans, found, data, start, position, nul)
        start = nul = -1
      if byte == 10:
        if blank or not blank_line:
          found = _add_span(spans, found, data, position, position)
        blank = True
  if after < len(data) and start < 0:
    start = after
  if start >= 0:
    found = _add_until(spans, found, data, start, len(data), nul)
  return found


@native.helper
def _low_bytes(data, block):
  """Marks which of the 8 bytes from `block` on are spaces or controls.

    "to be\n" and two bytes after the end  ->  0x0000_8000_0080_0000

  Returns:
    A uint64 with the highest bit of each byte of up to 32 before the end.
  """
  eight = load_bytes(data, uint64(block))
  # 7 bits plus 95 reach the eighth bit from 33 on, and no sum leaves its byte.
  high = (eight & uint64(0x7F7F7F7F7F7F7F7F)) + uint64(0x5F5F5F5F5F5F5F5F)
  bits = ~(high | eight) & uint64(0x8080808080808080)
  if block + 8 > len(data):
    unused = uint64(8 * (block + 8 - len(data)))
    bits = bits << unused >> unused
  return bits


@native.helper
def _add_until(spans, found, data, start, end, nul):
  """Adds a token up to its first NUL; an empty one is no token."""
  end = end if nul < 0 else nul
  return found if end == start else _add_span(spans, found, data, start, end)


@native.loop
def split_words(data, begun, blank_line, spans, classes):
  """Finds runs of word characters, marks and joiners.

  A run starts with a word character and does not end with a joiner. Dropped
  characters in it are overwritten, by moving its beginning to the right:

    text   "co-op", with a soft hyphen of 2 bytes for the hyphen
    data   "cocoop", span [2, 6]

  Args:
    data: [N] uint8, which is changed.
    begun, blank_line, spans: as for `split_whitespace`.
    classes: [0x110000] uint8, the class of each code point.

  Returns:
    The number of spans.
  """
  found, start, position = np.int64(0), np.int64(-1), np.int64(0)
  blank = not begun
  while position < len(data):
    byte = data[uint64(position)]
    kind, width = classes[byte], 1
    if byte >= 128:
      point, width = _decode(data, position)
      kind = 0 if point < 0 else classes[point]
      if kind >= JOINER and start >= 0:
        start, width = _join(data, start, position, classes)
        kind, width = (MARK, width) if width else (0, 1)
      elif kind == DROPPED:
        byte = uint8(32)  # as blank as a space
    if kind == WORD:
      if start < 0:
        start = position
    elif start >= 0 and kind != MARK:
      found = _add_span(spans, found, data, start, position)
      start = -1
    if byte == 10:
      if blank or not blank_line:
        found = _add_span(spans, found, data, position, position)
      blank = True
    else:
      blank = blank and _is_blank(byte)
    position += width
  if start >= 0:
    found = _add_span(spans, found, data, start, len(data))
  return found


@native.helper
def _join(data, start, position, classes):
  """Passes the joiners and dropped characters at a position in a word.

  Returns:
    Where the word starts now, and the bytes to pass; 0 if the word ends here.
  """
  end, kind = position, np.uint8(JOINER)
  while kind >= JOINER:
    if end == len(data):
      return start, 0
    width, kind = 1, classes[data[end]]
    if data[end] >= 128:
      point, width = _decode(data, end)
      kind = np.uint8(0) if point < 0 else classes[point]
    end += width
  end -= width
  if kind not in (WORD, MARK):
    return start, 0
  last = position
  while last < end:
    point, width = _decode(data, last)
    if classes[point] == DROPPED and last - start <= MAX_TOKEN_BYTES:
      for byte in range(last - 1, start - 1, -1):
        data[byte + width] = data[byte]
      start += width
    last += width
  return start, end - position


@native.helper
def _is_blank(byte):
  return byte == 32 or (9 <= byte <= 13)


# Without forceinline, `split_words` takes a quarter longer.
@njit(nogil=True, cache=True, forceinline=True)
def _decode(data, position):
  """The code point of the UTF-8 sequence at `position` (or -1), its width."""
  lead = data[position]
  left = len(data) - position
  if 0xC2 <= lead < 0xE0:
    if left > 1 and _may_follow(lead, data[position + 1]):
      return (lead & 31) << 6 | data[position + 1] & 63, 2
  elif 0xE0 <= lead < 0xF0:
    if (
      left > 2
      and _may_follow(lead, data[position + 1])
      and _continues(data[position + 2])
    ):
      high = (lead & 15) << 12 | (data[position + 1] & 63) << 6
      return high | data[position + 2] & 63, 3
  elif (
    0xF0 <= lead < 0xF5
    and left > 3
    and _may_follow(lead, data[position + 1])
    and _continues(data[position + 2])
    and _continues(data[position + 3])
  ):
    high = (lead & 7) << 18 | (data[position + 1] & 63) << 12
    return high | (data[position + 2] & 63) << 6 | data[position + 3] & 63, 4
  return -1, 1


@native.helper
def _may_follow(lead, byte):
  """Whether a byte may come after the lead byte of a sequence."""
  # Neither overlong forms, nor surrogates, nor beyond U+10FFFF.
  low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
  high = 0xA0 if lead == 0xED else 0x90 if lead == 0xF4 else 0xC0
  return low <= byte < high


@native.helper
def _continues(byte):
  """Whether a byte may be the third or fourth of a sequence."""
  return 0x80 <= byte < 0xC0


@native.helper
def _add_span(spans, found, data, start, end):
  if end - start > MAX_TOKEN_BYTES:
    end = _whole_characters(data, start + MAX_TOKEN_BYTES)
  spans[found, 0] = start
  spans[found, 1] = end
  return found + 1


@native.helper
def _whole_characters(data, end):
  """The end moved back if it would split a character."""
  for back in range(1, 4):
    lead = data[end - back]
    if lead >= 0xC2 and lead < 0xF5:
      width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
      if back > 1 and not _may_follow(lead, data[end - back + 1]):
        return end
      for offset in range(2, back):
        if not _continues(data[end - back + offset]):
          return end
      return end - back if back < width else end
  return end
