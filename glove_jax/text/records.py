"""One field of many records -> a text file, with a document for each record.

The text of a stream of Hugging Face `datasets` is written in two lines:

    rows = load_dataset("wikimedia/wikipedia", "20231101.en", streaming=True)
    records.write_texts((row["text"] for row in rows["train"]), "wiki.txt")
"""

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from glove_jax import atomic, lazy
from glove_jax.text import content, sources, streams

_MAX_BYTES = 1 << 28  # of one line of JSON, and of an array
_LINE_BREAK = re.compile(r"[\r\n]+")


def write_texts(texts: Iterable[str | None], path: str | os.PathLike) -> int:
  r"""Writes texts as documents, both for lines and for blank lines between.

  >>> import pathlib, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = pathlib.Path(folder, "corpus.txt")
  ...   number = write_texts(["I like\nNLP.", None, "I like GloVe."], path)
  ...   number, path.read_text()
  (2, ' \t\nI like NLP.\n\nI like GloVe.\n\n')

  Args:
    texts: line breaks in them become spaces; None and blank texts are skipped.
    path: the file, which is written whole or not at all.

  Returns:
    The number of texts written.

  Raises:
    ValueError: there is none, or one is not a string.
    OSError: the file cannot be written.
  """
  number = 0
  with atomic.write_whole(path) as file:
    file.write(content.TEXT_MARK)
    for text in texts:
      if text is not None and not isinstance(text, str):
        raise ValueError(
          f"A text is a string, not of type {type(text).__name__}: {text!r:.80}"
        )
      text = _LINE_BREAK.sub(" ", text or "")
      if text.strip():
        file.write(text.encode("utf-8", "replace") + b"\n\n")
        number += 1
    if not number:
      raise ValueError("There are no texts, or all of them are empty.")
  return number


def extract_field(
  path: str | os.PathLike, field: str, output: str | os.PathLike
) -> int:
  """Writes one field of a file of records as text, as `write_texts` does.

  Args:
    path: a file of JSON lines or of one JSON array, plain or packed, or of
      Parquet.
    field: the name of the field.
    output: the text file.

  Returns:
    The number of records written. Records without text (null, or blank) are
    skipped.

  Raises:
    ValueError: the file holds no records, a record lacks the field, or the
      field is no text there; the message has the number of the line.
    OSError: a file is damaged, or cannot be read or written.
    ImportError: a package for Zstandard or Parquet is missing.
  """
  path = os.fspath(path)
  with streams.open_stream(path, content.why_no_records) as file:
    if file.peek(4).startswith(content.PARQUET):
      if not sources.is_plain(path):
        raise ValueError(f"{path} is a packed Parquet file: unpack it.")
      texts = _parquet_texts(path, field)
    else:
      texts = _json_texts(path, file, field)
    first = next((text for text in texts if text and text.strip()), None)
    if first is None:
      raise ValueError(f"{path}: the field {field!r} is empty in all records.")
    return write_texts(itertools.chain([first], texts), output)


def _json_texts(path: str, file: BinaryIO, field: str) -> Iterator[str | None]:
  for place, record in _json_records(path, file):
    if record is None:
      continue
    if not isinstance(record, dict):
      raise ValueError(f"{path}: {place} is no JSON object.")
    if field not in record:
      raise ValueError(
        f"{path}: {place} has no field {field!r}, but {_names(record)}."
      )
    yield _text(record[field], f"{path}: {place}", field)


def _text(value: Any, place: str, field: str) -> str | None:
  if value is not None and not isinstance(value, str):
    raise ValueError(
      f"{place}: the field {field!r} is of type {type(value).__name__}, not "
      "text."
    )
  return value


def _names(names: Iterable[str]) -> str:
  return ", ".join(repr(name) for name in itertools.islice(names, 20)) or "none"


def _json_records(path: str, file: BinaryIO) -> Iterator[tuple[str, Any]]:
  """Where each record is, and the record."""
  for number in itertools.count(1):
    line = file.readline(_MAX_BYTES)
    if not line:
      return
    if len(line) == _MAX_BYTES and not line.endswith(b"\n"):
      raise ValueError(
        f"{path}: line {number} is longer than {_MAX_BYTES:,} bytes, too much "
        "for one record: write JSON lines, a record each (jq -c '.[]')."
      )
    if line.lstrip().startswith(b"["):
      yield from _array_records(path, line + file.read(_MAX_BYTES), number)
      return
    if line.strip():
      yield f"line {number}", _parse(line, f"{path}: line {number}")


def _array_records(
  path: str, data: bytes, line: int
) -> Iterator[tuple[str, Any]]:
  if len(data) > _MAX_BYTES:
    raise ValueError(
      f"{path} is an array of more than {_MAX_BYTES:,} bytes: write JSON lines "
      "instead, a record each (jq -c '.[]')."
    )
  array = _parse(data, f"{path}: the array from line {line} on")
  for number, record in enumerate(array, 1):
    yield f"record {number}", record


def _parse(data: bytes, place: str) -> Any:
  try:
    return json.loads(data.decode("utf-8", "replace"))
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f"{place} is not valid JSON ({error}): write one record a line."
    ) from error


def _parquet_texts(path: str, field: str) -> Iterator[str | None]:
  with lazy.needed(
    f"{path} is a Parquet file: install the package that reads it (pip install "
    "pyarrow), or export its text to JSON lines."
  ):
    import pyarrow
    from pyarrow import parquet
  try:
    with parquet.ParquetFile(path) as file:
      names = file.schema_arrow.names
      if field not in names:
        raise ValueError(
          f"{path} has no column {field!r}, but {_names(names)}."
        )
      for batch in file.iter_batches(1024, columns=[field]):
        for value in batch.column(0).to_pylist():
          yield _text(value, path, field)
  except (pyarrow.ArrowException, OSError) as error:
    why = " ".join(str(error).split())
    raise OSError(f"{path}: cannot be read to its end: {why}") from error
