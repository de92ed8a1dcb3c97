"""A random sample of a corpus, to measure what more text is worth."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from glove_jax import atomic
from glove_jax.config import CorpusConfig
from glove_jax.text import reading

_SEED = 0  # the same for all shares, so that smaller ones are subsets


def write_sample(
  paths: Sequence[str], config: CorpusConfig, workdir: str | os.PathLike
) -> str:
  """Writes a random share of the documents to a file in the work directory.

  One random draw decides about each document. So the share is met on average,
  and a smaller share is a subset of a larger one. A sample that is newer than
  the corpus is reused.

  Args:
    paths: files of text.
    config: `share`, and `documents`, which separates documents.
    workdir: the folder of the file.

  Returns:
    The path of the file: documents as in the corpus, words separated by spaces.

  Raises:
    ValueError: the share exceeds 1, or it keeps no document.
    OSError: a file cannot be read or written.
  """
  if config.share > 1:
    raise ValueError(f"share must be at most 1, got {config.share}.")
  output = pathlib.Path(workdir, f"share-{config.share:g}.txt")
  newest = max(os.stat(path).st_mtime_ns for path in paths)
  if output.exists() and output.stat().st_mtime_ns > newest:
    return str(output)
  rng, kept = np.random.default_rng(_SEED), False
  separator = b"\n\n" if config.documents == "blank_line" else b"\n"
  size = 0
  with atomic.write_whole(output) as file:
    for document in reading.read_documents(
      paths,
      tokenizer="whitespace",
      lowercase=False,
      documents=config.documents,
    ):
      continues = isinstance(document, reading.Continuation)
      if not continues:
        kept = rng.random() < config.share
      if kept:
        text = " ".join(document).encode(errors="surrogateescape")
        file.write((b" " if continues else separator) + text)
        size += len(text)
    if not size:
      raise ValueError(
        f"share={config.share:g} keeps none of the documents: use a larger "
        "share, or a corpus of more documents."
      )
  return str(output)
