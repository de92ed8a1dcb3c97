"""A random sample of a corpus, to measure what more text is worth."""

import os
from collections.abc import Sequence

import numpy as np

from glove_jax import atomic
from glove_jax.config import CorpusConfig
from glove_jax.text import reading

_SEED = 0  # the same for all shares, so that smaller ones are subsets


def write_sample(
  paths: Sequence[str], config: CorpusConfig, output: str | os.PathLike
) -> None:
  """Writes a random share of the documents to a file.

  One random draw decides about each document. So the share is met on average,
  and a smaller share is a subset of a larger one.

  Args:
    paths: files of text.
    config: `share`, and `documents`, which separates documents.
    output: the file: documents as in the corpus, words separated by spaces.

  Raises:
    ValueError: the share exceeds 1, or it keeps no document.
    OSError: a file cannot be read or written.
  """
  if config.share > 1:
    raise ValueError(f"share must be at most 1, got {config.share}.")
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
