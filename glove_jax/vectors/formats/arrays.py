"""Vectors as arrays: npz, safetensors and Parquet.

Words are one uint8 array, UTF-8 with a line break between words, since numpy
would pad every word to the longest. Equal vectors give equal bytes.
"""

import io
import json
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glove_jax import lazy, memory
from glove_jax.vectors.formats import opening, text
from glove_jax.vectors.tables import combine, floating
from glove_jax.vectors.word_vectors import WordVectors

if TYPE_CHECKING:  # loads jax, which reading and evaluating vectors do not need
  from glove_jax.model import Params

_TABLES = ("word", "context", "word_bias", "context_bias")  # fields of Params


def write_tables(
  path: str | os.PathLike, params: "Params", words: Sequence[str]
) -> None:
  """Writes all four tables and the words as .npz; equal tables, equal bytes.

  The words of the file are `bytes(numpy.load(path)["words"]).decode()`, with a
  line break between them.

  Args:
    path: the file.
    params: tables [V, D], [V, D], [V] and [V], of jax or numpy.
    words: V words.

  Raises:
    ValueError: the shapes differ, or a word has a line break.
  """
  tables = {name: floating(getattr(params, name)) for name in _TABLES}
  _check_tables(tables, words, path)
  arrays = {"words": pack_words(words, path)} | tables
  with opening.write_archive(path) as file:
    memory.write_arrays(file, arrays)


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

  with opening.open_file(path) as opened:
    arrays = _load_npz(opened)
  tables, words = _tables(opened.name, arrays)
  return Params(**tables), words


def read_npz(
  opened: opening.Opened, how: str | None, context_weight: float | None
) -> WordVectors:
  """Reads the vectors of `write_npz`, or combines those of `write_tables`.

  Raises:
    ValueError: the file is damaged, or holds other arrays.
  """
  arrays = _load_npz(opened)
  if "vectors" in arrays and "words" in arrays:
    refuse_how(how, context_weight, opened.name)
    return _from_arrays(opened.name, arrays["vectors"], arrays)
  tables, words = _tables(opened.name, arrays)
  weight = 1.0 if context_weight is None else context_weight
  if how is None and context_weight is None:
    warnings.warn(
      f"{opened.name} has a word table and a context table, which are added. "
      "The vectors of a run may be w + 0.3 w~: name its folder, or give "
      "context_weight.",
      stacklevel=4,
    )
  table = combine(tables["word"], tables["context"], how or "sum", weight)
  return WordVectors(words, table, _counts(opened.name, arrays, len(words)))


def write_npz(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes the arrays `words`, `vectors` and, if known, `counts`.

  Raises:
    ValueError: a word has a line break.
  """
  with opening.write_archive(path) as file:
    memory.write_arrays(file, _arrays(vectors, path, "vectors"))


def read_safetensors(opened: opening.Opened) -> WordVectors:
  """Reads the tensors of `write_safetensors`.

  Raises:
    ValueError: the file is damaged, or holds other tensors.
    ImportError: safetensors is not installed.
  """
  safetensors = import_safetensors()
  try:
    arrays = safetensors.load(opened.file.read())
  except Exception as error:  # SafetensorError, KeyError of a type, and more
    raise damaged(opened.name, error) from error
  if "embeddings" not in arrays or "words" not in arrays:
    raise ValueError(
      f"{opened.name} holds the tensors {', '.join(arrays) or 'none'}: it "
      "needs embeddings [V, D] and words, UTF-8 as uint8 with a line break "
      "between words."
    )
  return _from_arrays(opened.name, arrays["embeddings"], arrays)


def write_safetensors(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes the tensors `embeddings`, `words` and, if known, `counts`.

  The metadata says how to read the words.

  Raises:
    ValueError: a word has a line break.
    ImportError: safetensors is not installed.
  """
  metadata = {
    "format": "glove_jax word vectors",
    "vocab_size": str(len(vectors)),
    "dim": str(vectors.vector_size),
    "words": "UTF-8 as uint8, a line break between words",
  }
  arrays = _arrays(vectors, path, "embeddings")
  data = import_safetensors().save(arrays, metadata)
  with opening.write_file(path) as file:
    file.write(data)


def read_parquet(opened: opening.Opened, limit: int | None) -> WordVectors:
  """Reads a column of words, and the vectors as lists or as D columns.

  Raises:
    ValueError: the file is damaged, or has no such columns.
    ImportError: pyarrow is not installed.
  """
  arrow, parquet = _pyarrow()
  try:
    source = io.BytesIO(opened.file.read())
    table = parquet.read_table(source, memory_map=False)
    if limit is not None:
      table = table.slice(0, limit)
    kinds = {field.name: field.type for field in table.schema}
    is_text = (arrow.types.is_string, arrow.types.is_large_string)
    names = [n for n, t in kinds.items() if any(is_a(t) for is_a in is_text)]
    lists = [n for n, t in kinds.items() if _is_list(arrow, t)]
    if len(names) != 1 or len(lists) > 1:
      raise ValueError(
        f"it has the columns {', '.join(kinds)}, and needs one of words and "
        "one of vectors"
      )
    words = table.column(names[0]).to_pylist()
    if lists:
      vectors = np.array(table.column(lists[0]).to_pylist(), np.float32)
    else:
      numbers = [n for n, t in kinds.items() if arrow.types.is_floating(t)]
      columns = [table.column(n).to_numpy() for n in numbers]
      vectors = np.stack(columns, axis=1).astype(np.float32)
    counts = table.column("count").to_numpy() if "count" in kinds else None
    return WordVectors(words, vectors, counts)
  except Exception as error:  # ArrowInvalid, OSError, ValueError and more
    raise damaged(opened.name, error) from error


def write_parquet(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes the columns `word`, `vector` (a list of D) and `count`, if known.

  Raises:
    ValueError: a word is not valid UTF-8.
    ImportError: pyarrow is not installed.
  """
  arrow, parquet = _pyarrow()
  text.refuse_words(vectors.words, "[\ud800-\udfff]", path)
  dim = vectors.vector_size
  flat = arrow.array(np.ascontiguousarray(vectors.vectors).reshape(-1))
  columns = {
    "word": arrow.array(vectors.words, arrow.string()),
    "vector": arrow.FixedSizeListArray.from_arrays(flat, dim),
  }
  if vectors.counts is not None:
    columns["count"] = arrow.array(vectors.counts)
  metadata = {"glove_jax": json.dumps({"dim": dim, "words": len(vectors)})}
  table = arrow.table(columns).replace_schema_metadata(metadata)
  with opening.write_archive(path) as file:
    parquet.write_table(table, file)


def refuse_how(
  how: str | None, context_weight: float | None, name: str
) -> None:
  """Raises a ValueError if tables should be combined that are not there."""
  given = {"vectors": how, "context_weight": context_weight}
  for setting, value in given.items():
    if value is not None:
      raise ValueError(
        f"{name} has one vector for each word: leave out {setting}={value}, "
        "which combines the tables of a run."
      )


def pack_words(words: Sequence[str], path: str | os.PathLike) -> np.ndarray:
  """The words as uint8, UTF-8 with a line break between words."""
  text.refuse_words(words, r"\n", path)
  return np.frombuffer("\n".join(words).encode(**text.ENCODING), np.uint8)


def _arrays(vectors: WordVectors, path, name: str) -> dict[str, np.ndarray]:
  arrays = {
    "words": pack_words(vectors.words, path),
    name: np.ascontiguousarray(vectors.vectors),
  }
  if vectors.counts is not None:
    arrays["counts"] = vectors.counts
  return arrays


def _from_arrays(name: str, table: np.ndarray, arrays: dict) -> WordVectors:
  words = _unpack_words(name, arrays["words"])
  try:
    return WordVectors(words, table, _counts(name, arrays, len(words)))
  except ValueError as error:
    raise damaged(name, error) from error


def _unpack_words(name: str, words: np.ndarray) -> list[str]:
  if words.dtype.kind == "U":
    return words.reshape(-1).tolist()
  if words.dtype != np.uint8:
    raise damaged(name, f"its words are of type {words.dtype}")
  return bytes(words).decode(**text.ENCODING).split("\n")


def _counts(name: str, arrays: dict, size: int) -> np.ndarray | None:
  counts = arrays.get("counts")
  if counts is None:
    return None
  if counts.shape != (size,) or counts.dtype.kind not in "iu":
    raise damaged(name, f"it has {size} words and counts {counts.shape}")
  return counts


def _load_npz(opened: opening.Opened) -> dict[str, np.ndarray]:
  """All arrays of a file by name."""
  try:
    file = opened.file
    is_plain = isinstance(file.raw, io.FileIO)
    source = file if is_plain else io.BytesIO(file.read())
    with np.load(source) as arrays:
      found = dict(arrays.items())
    for name, array in found.items():
      if not isinstance(array, np.ndarray):  # NumPy returns the bytes
        raise ValueError(f"{name} is no array")
    return found
  except Exception as error:  # BadZipFile, zlib.error, MemoryError and more
    raise ValueError(
      f"{opened.name} does not hold the arrays {', '.join(('words', *_TABLES))}"
      f" ({_one_line(error)}): it is cut off or another kind of file, so write "
      "it again."
    ) from error


def _tables(name: str, arrays: dict) -> tuple[dict, tuple[str, ...]]:
  """The four tables by name, and the words."""
  missing = [n for n in ("words", *_TABLES) if n not in arrays]
  if missing:
    raise ValueError(
      f"{name} does not hold the arrays {', '.join(('words', *_TABLES))} "
      f"(without {missing[0]}): it is another kind of file, so write it again."
    )
  words = _unpack_words(name, arrays["words"])
  tables = {n: arrays[n] for n in _TABLES}
  _check_tables(tables, words, name)
  return tables, tuple(words)


def _check_tables(tables, words, path) -> None:
  sizes = len(words), *tables["word"].shape[1:]
  wanted = (sizes, sizes, sizes[:1], sizes[:1])
  shapes = tuple(tables[name].shape for name in _TABLES)
  if not words or len(sizes) != 2 or shapes != wanted:
    raise ValueError(
      f"The tables of {path} have the shapes {shapes} and {len(words)} words, "
      "which do not fit: save the tables and words of one training run."
    )


def damaged(name: str, error: object) -> ValueError:
  return ValueError(
    f"{name} cannot be read ({_one_line(error)}): it is damaged or another "
    "kind of file, so fetch or write it again."
  )


def _one_line(error: object) -> str:
  return " ".join(str(error).split()).rstrip(".")


def _is_list(arrow, kind) -> bool:
  types = arrow.types
  return (
    types.is_list(kind)
    or types.is_large_list(kind)
    or types.is_fixed_size_list(kind)
  )


def import_safetensors():
  with lazy.needed(
    "safetensors files need safetensors: pip install safetensors."
  ):
    from safetensors import numpy
  return numpy


def _pyarrow():
  with lazy.needed("Parquet files need pyarrow: pip install pyarrow."):
    import pyarrow
    from pyarrow import parquet
  return pyarrow, parquet
