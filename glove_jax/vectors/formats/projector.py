"""The folder that TensorBoard's embedding projector opens.

It holds `projector_config.pbtxt`, `tensors.tsv` (a line of D numbers for each
word) and `metadata.tsv` (its word). The last two can also be loaded by hand at
https://projector.tensorflow.org.
"""

import os
import pathlib

from glove_jax.vectors.formats import arrays, opening, text
from glove_jax.vectors.word_vectors import WordVectors

CONFIG = "projector_config.pbtxt"
_TENSORS, _METADATA = "tensors.tsv", "metadata.tsv"
_CONFIG_TEXT = """embeddings {{
  tensor_name: "word vectors"
  tensor_shape: {}
  tensor_shape: {}
  tensor_path: "{}"
  metadata_path: "{}"
}}
"""


def write(vectors: WordVectors, path: str | os.PathLike) -> None:
  """Writes a folder for `tensorboard --logdir=PATH`, whole or not at all.

  Raises:
    ValueError: a word has a tab or a line break, or the name is of a packed
      file.
    FileExistsError: there is another file or folder of this name.
  """
  text.refuse_words(vectors.words, r"[\t\n\r]|^$|[\ud800-\udfff]", path)
  path = pathlib.Path(path)
  with opening.write_folder(
    path, is_projector, "folder of a projector"
  ) as folder:
    config = _CONFIG_TEXT.format(*vectors.vectors.shape, _TENSORS, _METADATA)
    (folder / CONFIG).write_text(config)
    with (folder / _TENSORS).open("wb") as file:
      for numbers in text.with_decimals(vectors.vectors):
        file.write(numbers[1:].replace(b" ", b"\t") + b"\n")
    with (folder / _METADATA).open("w", encoding="utf-8") as file:
      # A single column has no head; several have one.
      if vectors.counts is None:
        file.writelines(f"{word}\n" for word in vectors.words)
      else:
        file.write("word\tcount\n")
        for word, num in zip(vectors.words, vectors.counts, strict=True):
          file.write(f"{word}\t{num}\n")


def is_projector(path: str | os.PathLike) -> bool:
  """Whether a folder is one of a projector."""
  return pathlib.Path(path, CONFIG).is_file()


def read(path: str | os.PathLike) -> WordVectors:
  """Reads what `write` wrote.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: the files do not fit each other, or are damaged.
  """
  path = pathlib.Path(path)
  for name in (_TENSORS, _METADATA):
    if not (path / name).is_file():
      raise FileNotFoundError(
        f"There is no {name} in {path}: export the projector again."
      )
  lines = (path / _METADATA).read_bytes().decode(**text.ENCODING).split("\n")
  rows = (path / _TENSORS).read_bytes().split(b"\n")
  rows = [row.replace(b"\t", b" ") for row in rows if row.strip()]
  lines = lines[:-1] if not lines[-1] else lines
  counts = None
  if len(lines) == len(rows) + 1 and lines[0] == "word\tcount":
    pairs = [line.rpartition("\t") for line in lines[1:]]
    lines = [word for word, _, _ in pairs]
    counts = [count for _, _, count in pairs]
  try:
    table, good = text.parse(rows, len(rows[0].split())) if rows else ([], [])
    if not all(good):
      raise ValueError("a line is no vector")
    return WordVectors(lines, table, counts)
  except ValueError as error:
    raise arrays.damaged(str(path), error) from error
