"""Word vectors: combining, neighbours, analogies, and every file format.

Formats, each written whole or not at all, and each read back:

| format          | content                                                |
|-----------------|--------------------------------------------------------|
| Stanford text   | a line a word: the word, then D numbers, 6 decimals    |
| word2vec text   | the same after a line "V D"                            |
| word2vec binary | the line "V D", then each word, a space, D float32     |
| npz             | all four tables and the words, for going on or looking |

The two word2vec formats load in gensim with
`KeyedVectors.load_word2vec_format(path, binary=...)`, Stanford's with
`no_header=True`. Words are UTF-8; bytes that are not survive a round trip.
"""

import collections
import contextlib
import functools
import os
import re
import zipfile
from collections.abc import Sequence
from concurrent import futures
from typing import IO, NamedTuple

import numpy as np

from glove_jax import files
from glove_jax.parallel import default_threads

UNK = "<unk>"
_MUL_EPSILON = 1e-3  # Levy & Goldberg (2014), section 4: keeps 3CosMul finite
_COLUMNS = 4096  # answers, and ...
_ROWS = 128  # ... questions scored at once: 2 MiB, about what L2 holds
_TILE = 1 << 23  # most scores of question words held at once
_CHUNK = 1 << 24  # bytes of text parsed at once
# What, after a space, looks like a number rather than the end of a word.
_NUMBER = r" [-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}


class Tables(NamedTuple):
  """All that training fits, as numpy arrays; V words, D dimensions."""

  word: np.ndarray  # [V, D]
  context: np.ndarray  # [V, D]
  word_bias: np.ndarray  # [V]
  context_bias: np.ndarray  # [V]


def combine(
  word: np.ndarray, context: np.ndarray, how: str = "sum"
) -> np.ndarray:
  """One table from the two that training fits.

  Args:
    word: [V, D].
    context: [V, D].
    how: 'sum' (the paper's choice, section 4.2), 'average', 'word',
      'context', or 'concat'.

  Returns:
    [V, D], or [V, 2 * D] for 'concat'.

  Raises:
    ValueError: `how` is none of these, or the two shapes differ.
  """
  if np.shape(word) != np.shape(context):
    raise ValueError(
      f"The word table is {np.shape(word)} and the context table "
      f"{np.shape(context)}: combine two tables of one training run."
    )
  if how == "sum":
    return word + context
  if how == "average":
    return (word + context) / 2
  if how == "word":
    return word
  if how == "context":
    return context
  if how == "concat":
    return np.concatenate([word, context], axis=1)
  raise ValueError(
    f"Cannot combine tables by {how!r}: use sum, average, word, context or "
    "concat."
  )


class WordVectors:
  """Words and their vectors.

  `<unk>` stands for no word in particular, so it is never an answer; of a
  word that occurs twice in a file, the first vector counts.

  Attributes:
    words: V words.
    vectors: [V, D] float32 or float64.
    index: the row of each word.
    unit: [V, D] float32, the vectors scaled to length 1 (zero stays zero).
  """

  def __init__(self, words: Sequence[str], vectors: np.ndarray):
    self.words = tuple(words)
    self.vectors = _floating(vectors)
    if self.vectors.ndim != 2 or len(self.words) != len(self.vectors):
      raise ValueError(
        f"{len(self.words)} words do not fit vectors of shape "
        f"{self.vectors.shape}: give one row for each word."
      )
    if not self.vectors.size:
      raise ValueError(
        f"Vectors of shape {self.vectors.shape} hold nothing: give at least "
        "one word and one dimension."
      )

  @functools.cached_property
  def index(self) -> dict[str, int]:
    return dict(
      zip(reversed(self.words), range(len(self.words) - 1, -1, -1), strict=True)
    )

  @functools.cached_property
  def unit(self) -> np.ndarray:
    squares = np.einsum(
      "ij,ij->i", self.vectors, self.vectors, dtype=np.float64
    )
    if not np.isfinite(squares).all():
      word = self.words[int(np.argmin(np.isfinite(squares)))]
      raise ValueError(
        f"The vector of {word!r} has values that are not finite: train again "
        "with a smaller learning rate, or take an earlier checkpoint."
      )
    squares[squares == 0] = 1
    length = np.sqrt(squares).astype(self.vectors.dtype)[:, None]
    return (self.vectors / length).astype(np.float32, copy=False)

  def __len__(self) -> int:
    return len(self.words)

  def __contains__(self, word: str) -> bool:
    return word in self.index

  def __getitem__(self, word: str) -> np.ndarray:
    """The vector [D] of a word; ValueError where it has none."""
    return self.vectors[self.id(word)]

  def id(self, word: str) -> int:
    """The row of a word; ValueError where it has none."""
    if word not in self.index:
      raise ValueError(
        f"The word {word!r} is not among the {len(self)} words of these "
        "vectors: check its spelling and case, or train with a lower min_count."
      )
    return self.index[word]

  def neighbors(
    self, query: str | np.ndarray, k: int = 10
  ) -> list[tuple[str, float]]:
    """The k words of highest cosine to a word, or to any vector [D].

    Returns:
      (word, cosine), the highest first, ties in the order of the rows; a word
      is not its own neighbour.

    Raises:
      ValueError: the word is unknown, the vector has another width or is not
        finite, or k < 1.
    """
    if isinstance(query, str):
      row = self.id(query)
      return self._best(self.unit @ self.unit[row], [row], k)
    query = np.asarray(query, np.float64)
    if query.shape != self.vectors.shape[1:] or not np.isfinite(query).all():
      raise ValueError(
        f"A query of shape {query.shape} has no neighbours here: give "
        f"{self.vectors.shape[1]} finite numbers."
      )
    scale = np.linalg.norm(query) or 1.0
    return self._best(self.unit @ (query / scale).astype(np.float32), [], k)

  def analogy(
    self, a: str, b: str, c: str, k: int = 10, method: str = "add"
  ) -> list[tuple[str, float]]:
    """The words d for which "a is to b as c is to d", without a, b and c.

    Args:
      a: as in man,
      b: king,
      c: woman.
      k: how many words to return.
      method: 'add' for the cosine to b - a + c of unit vectors (3CosAdd,
        Mikolov et al., 2013), 'mul' for cos(d, b) cos(d, c) / (cos(d, a) +
        0.001) of cosines moved to [0, 1] (3CosMul, Levy & Goldberg, 2014).

    Returns:
      (word, score), the best first.

    Raises:
      ValueError: a word or the method is unknown, or k < 1.
    """
    rows = [self.id(word) for word in (a, b, c)]
    gain, loss = _terms(self.unit[rows] @ self.unit.T, method)
    score = gain[1] - loss[0] + gain[2]
    if method == "mul":
      score = np.exp(score)
    else:
      score /= np.linalg.norm(self.unit[rows].T @ [-1, 1, 1]) or 1.0
    return self._best(score, rows, k)

  def answers(self, questions: np.ndarray, method: str = "add") -> np.ndarray:
    """The best answer to each of many analogy questions, as `analogy`'s.

    Both scores are sums over the three words of a question, so the cosines of
    the distinct words (some 900 in Google's 19,544 questions) with the
    vocabulary are computed once, and a question costs one addition and one
    maximum a word. Memory is some tens of MiB a thread.

    Args:
      questions: [N, 3] integers, the rows of a, b and c.
      method: 'add' or 'mul'.

    Returns:
      [N] int64: the row of each answer, the lowest among equals; -1 where the
      vocabulary has no other words.
    """
    questions = np.asarray(questions, np.int64).reshape(-1, 3)
    if not len(questions):
      return np.zeros(0, np.int64)
    plan = _make_plan(questions)
    tall = max(len(plan.words), len(plan.pairs))
    columns = max(64, min(_COLUMNS, _TILE // tall))
    solve = functools.partial(
      _best_in_columns, self.unit, plan, self._never, method, columns
    )
    best = np.full(len(questions), -np.inf, np.float32)
    answer = np.full(len(questions), -1)
    with futures.ThreadPoolExecutor(default_threads()) as pool:
      for score, row in pool.map(solve, range(0, len(self), columns)):
        answer = np.where(score > best, row, answer)
        best = np.maximum(score, best)
    return answer

  def to_gensim(self):
    """These vectors as a `gensim.models.KeyedVectors`."""
    from gensim import models  # here, since it takes a second to import

    out = models.KeyedVectors(self.vectors.shape[1], dtype=self.vectors.dtype)
    out.add_vectors(list(self.words), self.vectors)
    return out

  def _best(self, score, excluded, k):
    if k < 1:
      raise ValueError(f"Cannot list {k} words: ask for 1 or more.")
    excluded = {*excluded, *self._never}
    score[list(excluded)] = -np.inf
    rows = np.argsort(-score, kind="stable")
    rows = rows[: min(k, len(self) - len(excluded))]
    return [(self.words[row], float(score[row])) for row in rows]

  @property
  def _never(self) -> list[int]:
    return [self.index[UNK]] if UNK in self.index else []


def with_unk(vectors: WordVectors) -> WordVectors:
  """These vectors and, last, Stanford's `<unk>`: the mean of the rarest words.

  glove.c takes the last min(100, V). Vectors that have an `<unk>` of their
  own come back as they are.
  """
  if UNK in vectors:
    return vectors
  table = vectors.vectors
  mean = table[-100:].mean(axis=0, dtype=np.float64, keepdims=True)
  table = np.concatenate([table, mean.astype(table.dtype)])
  return WordVectors((*vectors.words, UNK), table)


def _floating(array) -> np.ndarray:
  """A float32 or float64 array, whatever came: numpy stores no bfloat16."""
  array = np.asarray(array)
  if array.dtype in (np.float32, np.float64):
    return array
  return array.astype(np.float32)


def _terms(cosines, method):
  """What b and c add to a score, and what a takes from it: [.., V] each."""
  if method == "add":
    return cosines, cosines
  if method == "mul":
    moved = np.maximum((1 + cosines) / 2, np.finfo(np.float32).tiny)
    return np.log(moved), np.log(moved + np.float32(_MUL_EPSILON))
  raise ValueError(f"There is no analogy method {method!r}: use add or mul.")


class _Plan(NamedTuple):
  """Questions, and their words and (a, b) pairs without repetition."""

  questions: np.ndarray  # [N, 3] rows of the vectors
  words: np.ndarray  # [U] rows of the vectors
  pairs: np.ndarray  # [P, 2] places in words
  pair: np.ndarray  # [N] places in pairs
  third: np.ndarray  # [N] places in words


def _make_plan(questions):
  words, local = np.unique(questions, return_inverse=True)
  local = local.reshape(-1, 3)
  pairs, pair = np.unique(local[:, :2], axis=0, return_inverse=True)
  return _Plan(questions, words, pairs, pair.reshape(-1), local[:, 2])


def _best_in_columns(unit, plan, never, method, columns, start):
  """The best score [N], and its row [N], among `columns` rows from start."""
  candidates = unit[start : start + columns]
  columns = len(candidates)
  gain, loss = _terms(unit[plan.words] @ candidates.T, method)
  change = gain[plan.pairs[:, 1]] - loss[plan.pairs[:, 0]]
  change[
    :, [n - start for n in never if start <= n < start + columns]
  ] = -np.inf
  best = np.empty(len(plan.questions), np.float32)
  answer = np.empty(len(plan.questions), np.int64)
  for i in range(0, len(best), _ROWS):
    part = slice(i, i + _ROWS)
    score = change[plan.pair[part]]
    score += gain[plan.third[part]]
    own = plan.questions[part] - start
    row, place = np.nonzero((own >= 0) & (own < columns))
    score[row, own[row, place]] = -np.inf
    answer[part] = score.argmax(axis=1)
    best[part] = np.take_along_axis(score, answer[part, None], axis=1)[:, 0]
  return best, answer + start


def write_stanford_text(vectors: WordVectors, path: str | os.PathLike) -> None:
  """A line a word, 6 decimals: byte for byte what glove.c writes.

  Raises:
    ValueError: a word that the reader could not tell from its vector: one
      with a line break, or a number after its last space.
  """
  _write_text(vectors, path, header=False)


def write_word2vec_text(vectors: WordVectors, path: str | os.PathLike) -> None:
  """As `write_stanford_text`, after a line "V D"."""
  _write_text(vectors, path, header=True)


def write_word2vec_binary(
  vectors: WordVectors, path: str | os.PathLike
) -> None:
  """The line "V D"; then each word, a space, D little-endian float32, "\\n".

  Raises:
    ValueError: a word with a space or a line break.
  """
  _refuse_words(vectors.words, r"[ \n]", path)
  with files.write_whole(path) as file:
    file.write(_header(vectors))
    for word, row in zip(
      vectors.words, vectors.vectors.astype("<f4"), strict=True
    ):
      file.write(word.encode(**_TEXT) + b" " + row.tobytes() + b"\n")


def write_tables(
  path: str | os.PathLike, tables: Tables, words: Sequence[str]
) -> None:
  """All four tables and the words, as .npz: equal tables give equal bytes.

  The words are one uint8 array, UTF-8 with a line break between words, since
  numpy would pad every word to the longest:
  `bytes(numpy.load(path)["words"]).decode().split("\\n")`.

  Args:
    path: the file.
    tables: anything with the fields of `Tables`, such as model.Params.
    words: V words.

  Raises:
    ValueError: tables whose shapes differ, or a word with a line break.
  """
  tables = Tables(*(_floating(getattr(tables, n)) for n in Tables._fields))
  _check_tables(tables, words, path)
  _refuse_words(words, r"\n", path)
  text = "\n".join(words).encode(**_TEXT)
  with files.write_whole(path) as file:
    np.savez(file, words=np.frombuffer(text, np.uint8), **tables._asdict())


def read_stanford_text(path: str | os.PathLike) -> WordVectors:
  """Reads lines of a word and D numbers, one space between, with any header.

  D is what most of the first lines have, or what the header says. A line is
  taken from its right end, so that a word may hold spaces; only where such a
  word ends in a number is the line refused, as being too wide.

  Raises:
    FileNotFoundError: no such file.
    ValueError: no lines, a line that does not end in D numbers, or fewer or
      more lines than the header says; it names the line.
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
  # glove.c leaves the <unk> that it appends out of the number in the header.
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
    FileNotFoundError: no such file.
    ValueError: no such header, or the file ends early or too late.
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
) -> tuple[Tables, tuple[str, ...]]:
  """The tables and the words that `write_tables` wrote.

  Raises:
    FileNotFoundError: no such file.
    ValueError: a damaged file, a missing table, or shapes that differ.
  """
  names = ("words", *Tables._fields)
  with _existing(path) as file:
    try:
      with np.load(file) as arrays:
        text, *tables = (arrays[name] for name in names)
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as e:
      raise ValueError(
        f"{path} does not hold the arrays {', '.join(names)} ({e}): it is cut "
        "off or another kind of file, so write it again."
      ) from e
  tables, words = Tables(*tables), bytes(text).decode(**_TEXT).split("\n")
  _check_tables(tables, words, path)
  return tables, tuple(words)


def load_vectors(path: str | os.PathLike, how: str = "sum") -> WordVectors:
  """Reads vectors of any of the formats above, known by its first bytes.

  Args:
    path: the file.
    how: how the word and context tables of an .npz become one, see `combine`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: as the reader of the format.
  """
  with _existing(path) as file:
    first, second = file.readline(), file.readline()
  if zipfile.is_zipfile(path) or os.fspath(path).endswith(".npz"):
    tables, words = read_tables(path)
    return WordVectors(words, combine(tables.word, tables.context, how))
  header = _split_header(first)
  if header and not _is_text(second, header[1]):
    return read_word2vec_binary(path)
  return read_stanford_text(path)


def _existing(path: str | os.PathLike) -> IO[bytes]:
  if not os.path.isfile(path):
    raise FileNotFoundError(
      f"There is no vector file {path}: check the path, or train first."
    )
  return open(path, "rb")


def _header(vectors):
  return b"%d %d\n" % vectors.vectors.shape


def _split_header(line: bytes) -> tuple[int, int] | None:
  """(V, D) from a line of two positive integers, otherwise None."""
  match = re.fullmatch(rb"([1-9]\d*) ([1-9]\d*)\s*", line)
  return (int(match[1]), int(match[2])) if match else None


def _refuse_words(words, pattern, path):
  found = next((w for w in words if re.search(pattern, w)), None)
  if found is not None:
    raise ValueError(
      f"The word {found!r} cannot be written to {path}, where its end could "
      "not be found again: leave it out, or write another format."
    )


def _check_tables(tables, words, path):
  sizes = len(words), *tables.word.shape[1:]
  wanted = (sizes, sizes, sizes[:1], sizes[:1])
  shapes = tuple(table.shape for table in tables)
  if not words or len(sizes) != 2 or shapes != wanted:
    raise ValueError(
      f"The tables of {path} have the shapes {shapes} and {len(words)} words, "
      "which do not fit: save the tables and words of one training run."
    )


def _write_text(vectors, path, header):
  _refuse_words(vectors.words, r"\n|" + _NUMBER, path)
  form = "%s" + " %.6f" * vectors.vectors.shape[1] + "\n"
  with files.write_whole(path) as file:
    file.write(_header(vectors) if header else b"")
    for word, row in zip(vectors.words, vectors.vectors, strict=True):
      file.write((form % (word, *row.tolist())).encode(**_TEXT))


def _usual_width(lines: list[bytes]) -> int:
  """The most frequent number of numbers at the end of a line; at least 1.

  Of several that are as frequent, the one that comes first.
  """
  widths = collections.Counter(_numbers_at_end(line) for line in lines[:1000])
  return max(1, widths.most_common(1)[0][0])


def _numbers_at_end(line: bytes) -> int:
  """How many numbers end a line; what begins it is the word."""
  number = 0
  for field in reversed(line.rstrip(b" \r\n").split(b" ")[1:]):
    try:
      float(field)
    except ValueError:
      break
    number += 1
  return number


def _split_line(line: bytes, dim: int) -> tuple[bytes, bytes] | None:
  """(word, its dim numbers) from the right; None where it is not that."""
  line = line.rstrip(b" \r\n")
  if line.count(b" ") == dim:  # nearly always
    word, _, numbers = line.partition(b" ")
    return word, numbers
  word, *numbers = line.rsplit(b" ", dim)
  if len(numbers) < dim or re.search(_NUMBER.encode(), word):
    return None
  return word, b" ".join(numbers)


def _is_text(line: bytes, dim: int) -> bool:
  """Whether a line is a word and dim numbers, rather than bytes of floats."""
  with contextlib.suppress(ValueError):
    return len([float(x) for x in line.split()[-dim:]]) == dim
  return False


def _parse_lines(lines, dim, words, path, number):
  """[n, dim] float32 from n lines, the first being line `number`."""
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
