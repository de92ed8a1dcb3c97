"""Files of word vectors, in the formats of other programs and in our own.

Writes are atomic, and every format can be read back:

| format          | content                                                |
|-----------------|--------------------------------------------------------|
| Stanford text   | for each word a line: the word, D numbers, 6 decimals  |
| word2vec text   | the same after a line "V D"                            |
| word2vec binary | the line "V D", then each word, a space, D float32     |
| npz             | all four tables and the words, to resume or to inspect |

The two word2vec formats load in gensim with
`KeyedVectors.load_word2vec_format(path, binary=...)`, Stanford's with
`no_header=True`. Words are UTF-8; invalid bytes survive a round trip.
"""

import collections
import contextlib
import os
import re
import zipfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

import numpy as np

from glove_jax import atomic
from glove_jax.text.symbols import UNK
from glove_jax.vectors.word_vectors import WordVectors, combine, floating

if TYPE_CHECKING:  # loads jax, which reading and evaluating vectors do not need
  from glove_jax.model import Params

_CHUNK = 1 << 24  # bytes of text parsed at once
_TABLES = ("word", "context", "word_bias", "context_bias")  # fields of Params
# A number after the last space of a line, rather than the end of a word.
_NUMBER = r" [-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}


def write_stanford_text(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes a line for each word, 6 decimals: byte for byte as glove.c does.

  Raises:
    ValueError: a word has a line break, or a number after its last space, so
      that a reader could not separate the word from its vector.
  """
  _write_text(vectors, path, header=False)


def write_word2vec_text(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes a line "V D", then the lines of `write_stanford_text`."""
  _write_text(vectors, path, header=True)


def write_word2vec_binary(
  vectors: WordVectors, path: str | os.PathLike
) -> None:
  """Writes a line "V D"; for each word, the word, a space, D float32, "\\n".

  Raises:
    ValueError: a word has a space or a line break.
  """
  _refuse_words(vectors.words, r"[ \n]", path)
  with atomic.write_whole(path) as file:
    file.write(_header(vectors))
    for word, row in zip(
      vectors.words, vectors.vectors.astype("<f4"), strict=True
    ):
      file.write(word.encode(**_TEXT) + b" " + row.tobytes() + b"\n")


def write_tables(
  path: str | os.PathLike, params: "Params", words: Sequence[str]
) -> None:
  """Writes all four tables and the words as .npz; equal tables, equal bytes.

  The words are one uint8 array, UTF-8 with a line break between words, since
  numpy would pad every word to the longest:
  `bytes(numpy.load(path)["words"]).decode().split("\\n")`.

  Args:
    path: the file.
    params: tables [V, D], [V, D], [V] and [V], of jax or numpy.
    words: V words.

  Raises:
    ValueError: the shapes differ, or a word has a line break.
  """
  tables = {name: floating(getattr(params, name)) for name in _TABLES}
  _check_tables(tables, words, path)
  _refuse_words(words, r"\n", path)
  text = "\n".join(words).encode(**_TEXT)
  with atomic.write_whole(path) as file:
    np.savez(file, words=np.frombuffer(text, np.uint8), **tables)


def read_stanford_text(path: str | os.PathLike) -> WordVectors:
  """Reads lines of a word and D numbers, one space between, with any header.

  D is taken from the header, or is the most frequent number of numbers in the
  first lines. Lines are split from the right, so that a word may hold spaces.
  A line whose word ends in a number is refused, since it looks too wide.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: there are no lines, a line does not end in D numbers, or the
      header gives another number of lines; the message names the line.
  """
  with _existing(path) as file:
    header = _split_header(file.readline())
    dim, number = (header[1], 2) if header else (0, 1)
    file.seek(0) if not header else None
    words, parts = [], []
    while lines := file.readlines(_CHUNK):
      dim = dim or _usual_width(lines)
      parts.append(_parse_lines(lines, dim, words, path, number))
      number += len(lines)
  if not words:
    raise ValueError(
      f"{path} holds no vectors: write it again, or give another file."
    )
  # The header of glove.c does not count the <unk> that it appends.
  if header and header[0] not in (len(words), len(words) - (words[-1] == UNK)):
    raise ValueError(
      f"{path} says that it holds {header[0]} vectors, and it holds "
      f"{len(words)}: it may be cut off, so write or fetch it again."
    )
  return WordVectors(words, np.concatenate(parts))


read_word2vec_text = read_stanford_text


def read_word2vec_binary(path: str | os.PathLike) -> WordVectors:
  """Reads the line "V D", then V times a word, a space and D float32.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: there is no such header, or the file is too short or too long.
  """
  with _existing(path) as file:
    header, data = file.readline(), file.read()
  if not (sizes := _split_header(header)):
    raise ValueError(
      f'{path} does not start with a line "words dimensions": it is no '
      "word2vec file, so read it as another format."
    )
  words, vectors, start = [], np.empty(sizes, "<f4"), 0
  for i in range(sizes[0]):
    space = data.find(b" ", start)
    end = space + 1 + 4 * sizes[1]
    if space < 0 or end > len(data):
      raise ValueError(
        f"{path} ends inside vector {i + 1} of {sizes[0]}: it is cut off, so "
        "write or fetch it again."
      )
    words.append(data[start:space].lstrip(b"\n").decode(**_TEXT))
    vectors[i] = np.frombuffer(data, "<f4", sizes[1], space + 1)
    start = end
  if data[start:].strip(b"\n"):
    raise ValueError(
      f"{path} goes on after its {sizes[0]} vectors: it is no word2vec binary "
      "file, or it is damaged: fetch or write it again."
    )
  return WordVectors(words, vectors)


def read_tables(
  path: str | os.PathLike,
) -> tuple["Params", tuple[str, ...]]:
  """Reads the tables and the words that `write_tables` wrote.

  Returns:
    The tables as numpy arrays [V, D], [V, D], [V] and [V], and the V words.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged, a table is missing, or shapes differ.
  """
  from glove_jax.model import Params  # here, since it loads jax

  tables, words = _read_arrays(path)
  return Params(**tables), words


def load_vectors(path: str | os.PathLike, how: str = "sum") -> WordVectors:
  """Reads vectors in any of the formats above, recognised by its first bytes.

  Args:
    path: the file.
    how: how to combine the word and context tables of an .npz, see `combine`.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is malformed, see the reader of its format.

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, "vectors.txt")
  ...   write_stanford_text(WordVectors(["a", "b"], np.eye(2)), path)
  ...   load_vectors(path)["b"]
  array([0., 1.], dtype=float32)
  """
  with _existing(path) as file:
    first, second = file.readline(), file.readline()
  if zipfile.is_zipfile(path) or os.fspath(path).endswith(".npz"):
    tables, words = _read_arrays(path)
    return WordVectors(words, combine(tables["word"], tables["context"], how))
  header = _split_header(first)
  if header and not _is_text(second, header[1]):
    return read_word2vec_binary(path)
  return read_stanford_text(path)


def _read_arrays(path) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
  """The four tables by name, and the words."""
  names = ("words", *_TABLES)
  with _existing(path) as file:
    try:
      with np.load(file) as arrays:
        text, *tables = (arrays[name] for name in names)
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as e:
      raise ValueError(
        f"{path} does not hold the arrays {', '.join(names)} ({e}): it is cut "
        "off or another kind of file, so write it again."
      ) from e
  found = dict(zip(_TABLES, tables, strict=True))
  words = bytes(text).decode(**_TEXT).split("\n")
  _check_tables(found, words, path)
  return found, tuple(words)


def _existing(path: str | os.PathLike) -> IO[bytes]:
  if not os.path.isfile(path):
    raise FileNotFoundError(
      f"There is no vector file {path}: check the path, or train first."
    )
  return open(path, "rb")


def _header(vectors):
  return b"%d %d\n" % vectors.vectors.shape


def _split_header(line: bytes) -> tuple[int, int] | None:
  """(V, D) if the line is two positive integers, otherwise None."""
  match = re.fullmatch(rb"([1-9]\d*) ([1-9]\d*)\s*", line)
  return (int(match[1]), int(match[2])) if match else None


def _refuse_words(words, pattern, path):
  found = next((w for w in words if re.search(pattern, w)), None)
  if found is not None:
    raise ValueError(
      f"The word {found!r} cannot be written to {path}, since a reader could "
      "not find its end: leave it out, or write another format."
    )


def _check_tables(tables, words, path):
  sizes = len(words), *tables["word"].shape[1:]
  wanted = (sizes, sizes, sizes[:1], sizes[:1])
  shapes = tuple(tables[name].shape for name in _TABLES)
  if not words or len(sizes) != 2 or shapes != wanted:
    raise ValueError(
      f"The tables of {path} have the shapes {shapes} and {len(words)} words, "
      "which do not fit: save the tables and words of one training run."
    )


def _write_text(vectors, path, header):
  _refuse_words(vectors.words, r"\n|" + _NUMBER, path)
  form = "%s" + " %.6f" * vectors.vectors.shape[1] + "\n"
  with atomic.write_whole(path) as file:
    file.write(_header(vectors) if header else b"")
    for word, row in zip(vectors.words, vectors.vectors, strict=True):
      file.write((form % (word, *row.tolist())).encode(**_TEXT))


def _usual_width(lines: list[bytes]) -> int:
  """The most frequent number of numbers at the end of a line; at least 1.

  Ties go to the number that comes first.
  """
  widths = collections.Counter(_numbers_at_end(line) for line in lines[:1000])
  return max(1, widths.most_common(1)[0][0])


def _numbers_at_end(line: bytes) -> int:
  """How many numbers follow the word that starts a line."""
  number = 0
  for field in reversed(line.rstrip(b" \r\n").split(b" ")[1:]):
    try:
      float(field)
    except ValueError:
      break
    number += 1
  return number


def _split_line(line: bytes, dim: int) -> tuple[bytes, bytes] | None:
  """(word, its dim numbers), split from the right; None if malformed."""
  line = line.rstrip(b" \r\n")
  if line.count(b" ") == dim:  # nearly always
    word, _, numbers = line.partition(b" ")
    return word, numbers
  word, *numbers = line.rsplit(b" ", dim)
  if len(numbers) < dim or re.search(_NUMBER.encode(), word):
    return None
  return word, b" ".join(numbers)


def _is_text(line: bytes, dim: int) -> bool:
  """Whether a line ends in dim numbers, rather than being binary."""
  with contextlib.suppress(ValueError):
    return len([float(x) for x in line.split()[-dim:]]) == dim
  return False


def _parse_lines(lines, dim, words, path, number):
  """[n, dim] float32 from n lines; `number` is that of the first."""
  numbers = []
  for i, line in enumerate(lines):
    word, rest = _split_line(line, dim) or _refuse_line(path, number + i, dim)
    words.append(word.decode(**_TEXT))
    numbers.append(rest)
  text = (rest.decode("latin-1") for rest in numbers)
  try:
    return np.loadtxt(text, np.float32, comments=None, delimiter=" ", ndmin=2)
  except ValueError:
    pass
  for i, rest in enumerate(numbers):
    try:
      list(map(float, rest.split(b" ")))
    except ValueError:
      _refuse_line(path, number + i, dim)
  raise ValueError(f"{path} has numbers that cannot be read: write it again.")


def _refuse_line(path, number, dim):
  raise ValueError(
    f"Line {number} of {path} is not a word and {dim} numbers with a space "
    "between them, as other lines are: write or fetch the file again, or "
    "remove the line."
  )
