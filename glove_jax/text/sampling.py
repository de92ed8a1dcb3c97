"""A part of a corpus, to see what more text is worth."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from glove_jax import atomic
from glove_jax.config import CorpusConfig
from glove_jax.text import reading

_SEED = 0  # one for all shares: that is what makes them parts of each other


def write_sample(
  paths: Sequence[str], config: CorpusConfig, workdir: str | os.PathLike
) -> str:
  """Writes a share of the documents to a file in the work directory.

  Every document is kept or not by a draw of its own, so that the share is met
  on average and a smaller share is a part of a larger one. A sample that is
  newer than the corpus is left as it is.

  Args:
    paths: files of text.
    config: the share, and what separates documents.
    workdir: where the file goes.

  Returns:
    The path of the file: documents as in the corpus, words a space apart.

  Raises:
    ValueError: a share above 1, or one that keeps no document.
  """
  if config.share > 1:
    raise ValueError(f"--share must be at most 1, got {config.share}.")
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
      goes_on = isinstance(document, reading.Continuation)
      if not goes_on:
        kept = rng.random() < config.share
      if kept:
        text = " ".join(document).encode(errors="surrogateescape")
        file.write((b" " if goes_on else separator) + text)
        size += len(text)
    if not size:
      raise ValueError(
        f"--share={config.share:g} keeps none of the documents: take a larger "
        "share, or a corpus of more documents."
      )
  return str(output)
