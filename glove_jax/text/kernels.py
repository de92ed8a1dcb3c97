"""Compiled loops over text: bytes -> spans of words -> counts or ids.

A *span* is (first byte, byte after the last) of a word; an empty span marks the
end of a document:

  text   "to be\\nnot"
  spans  [0, 2], [3, 5], [5, 5], [6, 9]

All loops release Python's lock, so they scale with threads. The hottest loops
index with unsigned integers: numba checks whether a signed index is negative,
which costs a fifth of the time.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, uint8, uint64

from glove_jax.text.symbols import END, MAX_TOKEN_BYTES

# Classes of characters; all others separate words.
WORD, MARK, JOINER, DROPPED = 1, 2, 3, 4


class WordTable(NamedTuple):
  """A hash table of words; words of equal hashes are compared byte by byte.

  A slot holds the upper half of a word's hash and the word's index plus 1. With
  the words "to" and "be":

    letters = "tobe", ends = [0, 2, 4, ...], counts = [2, 1, ...], size = [2]
    slots[hash("be") % 2^k] = upper half of hash("be") | 2
  """

  slots: np.ndarray  # [2^k] uint64, 0 if empty; at most half are used
  counts: np.ndarray  # [2^(k-1)] int64
  ends: np.ndarray  # [2^(k-1) + 1] int64: word i is letters[ends[i]:ends[i+1]]
  letters: np.ndarray  # [bytes] uint8
  size: np.ndarray  # [1] int64, the number of words


@njit(nogil=True, cache=True)
def split_whitespace(data, begun, blank_line, spans):
  """Splits at spaces, tabs and newlines; a NUL ends what is left of a token.

  Args:
    data: [N] uint8.
    begun: whether the line in which `data` begins is not blank so far.
    blank_line: whether documents end at blank lines rather than at every line.
    spans: [N + 1, 2] int64, the output.

  Returns:
    The number of spans.
  """
  found, start, nul, blank = 0, -1, -1, not begun
  for position in range(len(data)):
    byte = data[uint64(position)]
    if byte != 32 and byte != 9 and byte != 10:
      if start < 0:
        start = position
      if byte == 0 and nul < 0:
        nul = position
      blank = blank and _is_blank(byte)
      continue
    if start >= 0:
      found = _add_until(spans, found, data, start, position, nul)
      start = nul = -1
    if byte == 10:
      if blank or not blank_line:
        found = _add_span(spans, found, data, position, position)
      blank = True
  if start >= 0:
    found = _add_until(spans, found, data, start, len(data), nul)
  return found


@njit(nogil=True, cache=True)
def _add_until(spans, found, data, start, end, nul):
  """Adds a token up to its first NUL; an empty one is no token."""
  end = end if nul < 0 else nul
  return found if end == start else _add_span(spans, found, data, start, end)


@njit(nogil=True, cache=True)
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
  found, start, blank, position = 0, -1, not begun, 0
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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def _is_blank(byte):
  return byte == 32 or (9 <= byte <= 13)


@njit(nogil=True, cache=True)
def _decode(data, position):
  """The code point of the UTF-8 sequence at `position` (or -1), its width."""
  lead = data[position]
  left = len(data) - position
  if 0xC2 <= lead < 0xE0:
    if left > 1 and _follows(data, position, 1):
      return (lead & 31) << 6 | data[position + 1] & 63, 2
  elif 0xE0 <= lead < 0xF0:
    if left > 2 and _follows(data, position, 1) and _follows(data, position, 2):
      high = (lead & 15) << 12 | (data[position + 1] & 63) << 6
      return high | data[position + 2] & 63, 3
  elif (
    0xF0 <= lead < 0xF5
    and left > 3
    and _follows(data, position, 1)
    and _follows(data, position, 2)
    and _follows(data, position, 3)
  ):
    high = (lead & 7) << 18 | (data[position + 1] & 63) << 12
    return high | (data[position + 2] & 63) << 6 | data[position + 3] & 63, 4
  return -1, 1


@njit(nogil=True, cache=True)
def _follows(data, position, offset):
  """Whether the byte `offset` after a lead byte may continue its sequence."""
  lead, byte = data[position], data[position + offset]
  if offset > 1:
    return 0x80 <= byte < 0xC0
  # Neither overlong forms, nor surrogates, nor beyond U+10FFFF.
  low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
  high = 0xA0 if lead == 0xED else 0x90 if lead == 0xF4 else 0xC0
  return low <= byte < high


@njit(nogil=True, cache=True)
def _add_span(spans, found, data, start, end):
  if end - start > MAX_TOKEN_BYTES:
    end = _whole_characters(data, start, start + MAX_TOKEN_BYTES)
  spans[found, 0] = start
  spans[found, 1] = end
  return found + 1


@njit(nogil=True, cache=True)
def _whole_characters(data, start, end):
  """The end moved back if it would split a character."""
  for back in range(1, 4):
    lead = data[end - back]
    if lead >= 0xC2 and lead < 0xF5:
      width = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
      for offset in range(1, back):
        if not _follows(data, end - back, offset):
          return end
      return end - back if back < width else end
  return end


@njit(nogil=True, cache=True)
def count_spans(table, data, spans, counts, begin):
  """Counts words into a table until it is full.

  Args:
    table: modified in place.
    data: [N] uint8, the text.
    spans: [M, 2] int64; empty ones are skipped.
    counts: [M] int64, how much each span adds; an empty array for 1 each.
    begin: the first span to count.

  Returns:
    The span at which to resume once the table has grown; M when done.
  """
  for i in range(begin, len(spans)):
    start, end = spans[i, 0], spans[i, 1]
    if start == end:
      continue
    code = _hash(data, start, end)
    slot = _find(table, data, start, end, code)
    if table.slots[slot] == 0:
      size = table.size[0]
      first = table.ends[size]
      last = first + end - start
      if size == len(table.counts) or last > len(table.letters):
        return i
      table.letters[first:last] = data[start:end]
      table.ends[size + 1] = last
      table.counts[size] = 0
      table.size[0] = size + 1
      table.slots[slot] = _entry(code, size)
    word = np.int64(table.slots[slot] & uint64(0xFFFFFFFF)) - 1
    table.counts[word] += counts[i] if len(counts) else 1
  return len(spans)


@njit(nogil=True, cache=True)
def find_spans(table, data, spans, keep_places, ids):
  """Looks up the ids of words.

  Args:
    table: the words; the index of a word is its id.
    data: [N] uint8, the text.
    spans: [M, 2] int64.
    keep_places: whether unknown words become UNKNOWN; else they are dropped.
    ids: [M] int32, the output; a document ends with END.

  Returns:
    The number of ids.
  """
  found = 0
  for i in range(len(spans)):
    start, end = spans[i, 0], spans[i, 1]
    if start == end:
      ids[found] = END
      found += 1
      continue
    slot = _find(table, data, start, end, _hash(data, start, end))
    word = np.int64(table.slots[slot] & uint64(0xFFFFFFFF)) - 1
    if word >= 0 or keep_places:  # an empty slot yields -1, UNKNOWN
      ids[found] = word
      found += 1
  return found


@njit(nogil=True, cache=True)
def fill_slots(table):
  """Fills the empty slots of a table with all of its words."""
  for word in range(table.size[0]):
    start, end = table.ends[word], table.ends[word + 1]
    code = _hash(table.letters, start, end)
    slot = _find(table, table.letters, start, end, code)
    table.slots[slot] = _entry(code, word)


@njit(nogil=True, cache=True)
def _entry(code, word):
  return (code & uint64(0xFFFFFFFF00000000)) | uint64(word + 1)


@njit(nogil=True, cache=True)
def _hash(data, start, end):
  """64-bit FNV-1a with mixed halves, because the low bits choose the slot."""
  code = uint64(0xCBF29CE484222325)
  for position in range(start, end):
    code = (code ^ uint64(data[uint64(position)])) * uint64(0x100000001B3)
  return code ^ (code >> uint64(29))


@njit(nogil=True, cache=True)
def _find(table, data, start, end, code):
  """The slot that holds the word, or the empty slot where it belongs."""
  mask = uint64(len(table.slots) - 1)
  slot = code & mask
  while table.slots[slot] != 0:
    entry = table.slots[slot]
    if (entry ^ code) >> uint64(32) == 0:
      word = np.int64(entry & uint64(0xFFFFFFFF)) - 1
      if _equal(table, word, data, start, end):
        return slot
    slot = (slot + uint64(1)) & mask
  return slot


@njit(nogil=True, cache=True)
def _equal(table, word, data, start, end):
  first = table.ends[word]
  if table.ends[word + 1] - first != end - start:
    return False
  for offset in range(end - start):
    if table.letters[uint64(first + offset)] != data[uint64(start + offset)]:
      return False
  return True
