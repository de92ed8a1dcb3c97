"""A random sample of a corpus, to measure what more text is worth."""

import os
from collections.abc import Sequence

import numpy as np

from glove_jax import atomic
from glove_jax.config import CorpusConfig, check_type
from glove_jax.text import content, reading

_SEED = 0  # the same for all shares, so that smaller ones are subsets
_BLANK = " \t\n\r\v\f"


def write_sample(
  paths: Sequence[str], config: CorpusConfig, output: str | os.PathLike
) -> None:
  """Writes a random share of the documents to a file.

  One random draw decides about each document that is not blank. So the share is
  met on average, and a smaller share is a subset of a larger one.

  Args:
    paths: files of text.
    config: `share`; `documents`, which separates documents; `tokenizer`.
    output: the file, which is written whole or not at all: documents as they
      are in the corpus.

  Raises:
    ValueError: the share exceeds 1, or it keeps no document; or a file is no
      text.
    OSError, ImportError: a file cannot be read or written.
  """
  check_type(config, CorpusConfig)
  if config.share > 1:
    raise ValueError(f"share must be at most 1, got {config.share}.")
  rng = np.random.default_rng(_SEED)
  kept = None  # whether the current document is; None while it is blank
  empty = True
  pieces = reading.read_pieces(paths, config.tokenizer, config.documents)
  with atomic.write_whole(output) as file:
    file.write(content.TEXT_MARK)
    for text, ends_document in pieces:
      if kept is None and text.strip(_BLANK):
        kept = rng.random() < config.share
      if kept:
        file.write(text.encode("utf-8", "surrogateescape"))
        empty = False
      if ends_document:
        kept = None
    if empty:
      raise ValueError(
        f"share={config.share:g} keeps none of the documents: use a larger "
        "share, or a corpus of more documents."
      )
