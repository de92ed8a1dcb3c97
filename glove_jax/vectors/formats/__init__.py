"""Files of word vectors, in the formats of other programs and in our own.

Every format can be written and read back. Files are written whole or not at
all, and are packed if their name ends in .gz, .bz2, .xz, .zst or .zip:

| format          | name         | content                                    |
|-----------------|--------------|--------------------------------------------|
| stanford_text   | .txt         | for each word a line: the word, D numbers  |
| word2vec        |              | the same after a line "V D"                |
| word2vec_binary | .bin         | the line "V D", then words and D float32   |
| fasttext        | .vec         | as word2vec: the text files of fastText    |
| npz             | .npz         | words and vectors; or a run's four tables  |
| safetensors     | .safetensors | tensors `embeddings`, `words`, `counts`    |
| parquet         | .parquet     | columns `word`, `vector`, `count`          |
| projector       | (a folder)   | for TensorBoard's embedding projector      |
| model2vec       | (a folder)   | for model2vec and sentence-transformers    |

Formats of word2vec load in gensim with
`KeyedVectors.load_word2vec_format(path, binary=...)`, Stanford's with
`no_header=True`. Words are UTF-8; invalid bytes survive a round trip of text,
word2vec and npz. `load_vectors` knows a file by its content.
"""

import os
import pathlib
import warnings
from collections.abc import Callable

from glove_jax import effects
from glove_jax.text import content
from glove_jax.text.streams import PACKED
from glove_jax.vectors.formats import (
  arrays,
  binary,
  model2vec,
  opening,
  projector,
  text,
)
from glove_jax.vectors.formats.arrays import read_tables, write_tables
from glove_jax.vectors.word_vectors import WordVectors

__all__ = [
  "FORMATS",
  "format_of",
  "load_vectors",
  "read_tables",
  "write_stanford_text",
  "write_tables",
  "write_vectors",
  "write_word2vec_binary",
  "write_word2vec_text",
]

Path = str | os.PathLike

write_word2vec_binary = binary.write


def write_stanford_text(vectors: WordVectors, path: Path) -> None:
  """Writes a line for each word, 6 decimals: byte for byte as glove.c does.

  Raises:
    ValueError: a word has a line break, or a number after its last space, so
      that a reader could not separate the word from its vector.
  """
  text.write(vectors, path, with_header=False)


def write_word2vec_text(vectors: WordVectors, path: Path) -> None:
  """Writes a line "V D", then the lines of `write_stanford_text`."""
  text.write(vectors, path, with_header=True)


FORMATS: dict[str, Callable[[WordVectors, Path], None]] = {
  "stanford_text": write_stanford_text,
  "word2vec": write_word2vec_text,
  "word2vec_binary": write_word2vec_binary,
  "fasttext": write_word2vec_text,
  "npz": arrays.write_npz,
  "safetensors": arrays.write_safetensors,
  "parquet": arrays.write_parquet,
  "projector": projector.write,
  "model2vec": model2vec.write,
}
_ENDINGS = {
  ".txt": "stanford_text",
  ".bin": "word2vec_binary",
  ".vec": "fasttext",
  ".npz": "npz",
  ".safetensors": "safetensors",
  ".parquet": "parquet",
}


def format_of(path: Path) -> str | None:
  """The format that the name of a new file stands for, or None.

  >>> format_of("wiki.vec.gz"), format_of("wiki")
  ('fasttext', None)
  """
  path = pathlib.Path(path)
  if path.suffix.lower() in PACKED:
    path = path.with_suffix("")
  return _ENDINGS.get(path.suffix.lower())


def write_vectors(
  vectors: WordVectors, path: Path, form: str | None = None
) -> None:
  """Writes vectors in a format, whole or not at all.

  Args:
    vectors: the vectors.
    path: the file; packed if its name ends in .gz, .bz2, .xz, .zst or .zip.
    form: one of `FORMATS`; by default that of the name.

  Raises:
    ValueError: an unknown format, a word that the format cannot hold, or
      something else than vectors.
    OSError: the file cannot be written.
    ImportError: the format needs a package that is not installed.
  """
  if not isinstance(vectors, WordVectors):
    kind = type(vectors).__name__
    raise ValueError(f"vectors must be WordVectors, not of type {kind}.")
  form = form or format_of(path)
  if form not in FORMATS:
    what = f"There is no format {form!r}" if form else f"{path} names no format"
    raise ValueError(f"{what}: give format, one of {', '.join(FORMATS)}.")
  FORMATS[form](vectors, os.path.expanduser(path))


def load_vectors(
  path: Path,
  how: str | None = None,
  *,
  context_weight: float | None = None,
  limit: int | None = None,
  skip_bad_lines: bool = False,
) -> WordVectors:
  """Reads vectors in any of the formats above, known by its content.

  Args:
    path: a file, plain or packed; of a zip archive the only member, or the one
      that the path names: `glove.6B.zip/glove.6B.50d.txt`. Also the folder of
      a projector or of a static embedding model.
    how: how to combine the word and context tables of a run's .npz, see
      `combine`; 'sum' by default.
    context_weight: the factor on the context vector in that sum; 1 by default.
    limit: the most vectors to read, from the start, which are usually those of
      the most frequent words.
    skip_bad_lines: leaves out malformed lines of text; a warning says how many
      there were.

  Returns:
    The vectors. If a word occurs twice, a warning says so: its first vector
    counts.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is malformed, or no file of vectors.
    OSError: the file is damaged.
    ImportError: the format needs a package that is not installed.

  >>> import tempfile
  >>> import numpy as np
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, "vectors.txt.gz")
  ...   write_vectors(WordVectors(["a", "b"], np.eye(2)), path)
  ...   load_vectors(path)["b"]
  array([0., 1.], dtype=float32)
  """
  if limit is not None and limit < 1:
    raise ValueError(f"limit must be at least 1, got {limit}.")
  if context_weight is not None:
    effects.check([{"vectors": how or "sum"}], ["context_weight"])
  path = os.fsdecode(path)
  folder = pathlib.Path(path).expanduser()
  if projector.is_projector(folder):
    arrays.refuse_how(how, context_weight, str(folder))
    vectors = projector.read(folder)
  elif model2vec.is_model(folder):
    arrays.refuse_how(how, context_weight, str(folder))
    vectors = model2vec.read(folder)
  else:
    with opening.open_file(path) as opened:
      vectors = _read(opened, how, context_weight, limit, skip_bad_lines)
  vectors = vectors if limit is None else vectors.first(limit)
  if repeated := len(vectors) - len(vectors.index):
    first = next(w for i, w in enumerate(vectors) if vectors.index[w] != i)
    warnings.warn(
      f"{path}: {repeated:,} repeated words such as {first!r}: the first "
      "vector of each counts.",
      stacklevel=2,
    )
  return vectors


def _read(opened, how, weight, limit, skip_bad_lines) -> WordVectors:
  """Reads a file by the reader that its head asks for."""
  head = opened.head
  if content.packing(head) == "zip":
    return arrays.read_npz(opened, how, weight)
  arrays.refuse_how(how, weight, opened.name)
  if opening.is_parquet(head):
    return arrays.read_parquet(opened, limit)
  if opening.is_safetensors(head):
    return arrays.read_safetensors(opened)
  if text.header(head.partition(b"\n")[0]) and binary.is_binary(head):
    return binary.read(opened, limit)
  _refuse_other_files(opened.name, head)
  vectors, skipped = text.read(opened, limit, skip_bad_lines)
  if skipped.total:
    first = ", ".join(map(str, skipped.first))
    more = "" if skipped.total <= len(skipped.first) else ", ..."
    warnings.warn(
      f"{opened.name}: {skipped.total:,} malformed lines are left out "
      f"({first}{more}).",
      stacklevel=3,
    )
  return vectors


def _refuse_other_files(name: str, head: bytes) -> None:
  lines = [line for line in head.split(b"\n")[:20] if line.strip()]
  if 2 * sum(map(bool, map(text.numbers_at_end, lines))) >= len(lines) > 0:
    return  # words may have any bytes
  if head.startswith(b"\xba\x16\x4f\x2f"):
    raise ValueError(
      f"{name} is a model of fastText: read its text file of vectors (.vec)."
    )
  if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
    raise ValueError(
      f"{name} is a pickle: open it in the program that wrote it, and export "
      "it from there, in gensim by save_word2vec_format."
    )
  if b"\0" in head:
    raise ValueError(
      f"{name} is neither text nor another format of vectors: name a file of "
      "vectors, or unpack it."
    )
