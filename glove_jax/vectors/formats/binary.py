"""word2vec's binary format: a line "V D", then each word and D float32."""

import os

import numpy as np

from glove_jax.vectors.formats import opening, text
from glove_jax.vectors.word_vectors import WordVectors

_CHUNK = 1 << 24  # bytes read at a time
_LONGEST = 1 << 16  # bytes of a word
# Bytes that text does not have, but most numbers do.
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\x0b\x0c\r\x1b"})


def is_binary(head: bytes) -> bool:
  """Whether a file with a header is word2vec's binary rather than its text.

  It is text if most of the lines in its head end in D numbers. Otherwise it is
  binary if it has bytes that text has not, or its head splits into words and
  numbers of 4 bytes.

  Args:
    head: the first bytes of the file, which start with "V D\\n".
  """
  first, _, rest = head.partition(b"\n")
  size, dim = text.header(first)
  lines = [x for x in rest.split(b"\n")[:20] if x.strip()]
  if not lines:
    return True
  fit = sum(text.numbers_at_end(line) == dim for line in lines)
  if 2 * fit >= len(lines):
    return False
  if len(rest) != len(rest.translate(None, _CONTROLS)):
    return True
  return _splits(rest, size, dim)


def _splits(data: bytes, size: int, dim: int) -> bool:
  """Whether bytes are records of a word, a space and 4 * dim bytes."""
  start = number = 0
  while number < size:
    space = data.find(b" ", start)
    if space < 0 or space + 1 + 4 * dim > len(data):
      return number > 0
    if b"\n" in data[start:space].lstrip(b"\n"):
      return False
    start, number = space + 1 + 4 * dim, number + 1
  return not data[start:].strip(b"\n")


def read(opened: opening.Opened, limit: int | None) -> WordVectors:
  """Reads the line "V D", then V times a word, a space and D float32.

  Args:
    opened: the file.
    limit: the most vectors to read, from the start; None reads all.

  Raises:
    ValueError: there is no such header, or the file is too short or too long.
    OSError: the file is damaged.
  """
  name, sizes = opened.name, text.header(opened.file.readline(100))
  if not sizes:
    raise ValueError(
      f'{name} does not start with a line "words dimensions": it is no '
      "word2vec file, so read it as another format."
    )
  total, dim = sizes
  wanted = total if limit is None else min(total, limit)
  words, tables, rest = [], [], b""
  while len(words) < wanted:
    chunk = opened.file.read(_CHUNK)
    rest = _take(rest + chunk, wanted, dim, words, tables)
    too_long = len(rest) > _LONGEST + 4 * dim
    if len(words) < wanted and (not chunk or too_long):
      raise ValueError(
        f"{name} ends inside vector {len(words) + 1} of {total}: it is cut "
        "off or damaged, so write or fetch it again."
      )
  if wanted == total and (rest + opened.file.read(_LONGEST)).strip(b"\n"):
    raise ValueError(
      f"{name} goes on after its {total} vectors: it is no word2vec binary "
      "file, or it is damaged: fetch or write it again."
    )
  return WordVectors(words, np.concatenate(tables))


def _take(data, wanted, dim, words, tables) -> bytes:
  """Takes the whole vectors at the start of the data; returns the rest."""
  start, rows = 0, []
  while len(words) < wanted:
    space = data.find(b" ", start)
    end = space + 1 + 4 * dim
    if space < 0 or end > len(data):
      break
    words.append(data[start:space].lstrip(b"\n").decode(**text.ENCODING))
    rows.append(data[space + 1 : end])
    start = end
  if rows:
    table = np.frombuffer(b"".join(rows), "<f4").reshape(-1, dim)
    tables.append(table.astype(np.float32))
  return data[start:]


def write(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes a line "V D"; for each word, the word, a space, D float32, "\\n".

  Raises:
    ValueError: a word has a space or a line break.
    OSError: the file cannot be written.
  """
  text.refuse_words(vectors.words, r"[ \n]", path)
  with opening.write_file(path) as file:
    file.write(b"%d %d\n" % vectors.vectors.shape)
    for word, row in zip(
      vectors.words, vectors.vectors.astype("<f4"), strict=True
    ):
      file.write(word.encode(**text.ENCODING) + b" " + row.tobytes() + b"\n")
