"""A random sample of a corpus: a share of it, or a bootstrap of documents.

A share measures what more text is worth. A bootstrap shows how much vectors
depend on which documents a corpus happens to have (Antoniak & Mimno, 2018,
doi:10.1162/tacl_a_00008).
"""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from glove_jax import atomic
from glove_jax.config import CorpusConfig, check_type
from glove_jax.text import content, reading

_SEED = 0  # the same for all shares, so that smaller ones are subsets
_BLANK = " \t\n\r\v\f"


def write_sample(
  paths: Sequence[str], config: CorpusConfig, output: str | os.PathLike
) -> None:
  """Writes a random sample of the documents to a file.

  For a share, one random draw decides on each document that is not blank. So
  the share is met on average, and a smaller share is a subset of a larger one.
  A bootstrap draws as many of these documents as there are, with replacement:
  some are written several times. The text is read once for each time of the
  document that is drawn most often, some eight times, so that no document has
  to fit in memory.

  Args:
    paths: files of text.
    config: `share` and `bootstrap`; `documents`, which separates documents;
      `tokenizer`.
    output: the file, which is written whole or not at all: documents as they
      are in the corpus.

  Raises:
    ValueError: the share keeps no document, there is only one document to
      draw, or a file is no text.
    OSError, ImportError: a file cannot be read or written.
  """
  check_type(config, CorpusConfig)
  times = None
  if config.bootstrap:
    num = max((i + 1 for _, i in _documents(paths, config)), default=0)
    if num < 2:
      raise ValueError(
        f"bootstrap draws documents, and the text has {num}: see documents, "
        "which says what separates them."
      )
    rng = np.random.default_rng([_SEED, config.bootstrap])
    times = np.bincount(rng.integers(num, size=num), minlength=num)
  with atomic.write_whole(output) as file:
    file.write(content.TEXT_MARK)
    empty = True
    for turn in range(1 if times is None else int(times.max())):
      for text, i in _documents(paths, config):
        if times is None or times[i] > turn:
          file.write(text.encode("utf-8", "surrogateescape"))
          empty = False
      if times is not None:
        file.write(b"\n\n")  # ends the last document
    if empty:
      raise ValueError(
        f"share={config.share:g} keeps none of the documents: use a larger "
        "share, or a corpus of more documents."
      )


def _documents(paths, config: CorpusConfig) -> Iterator[tuple[str, int]]:
  """The pieces of the documents of a share, each with its document's number."""
  rng = np.random.default_rng(_SEED)
  kept = None  # whether the current document is; None while it is blank
  number = -1
  pieces = reading.read_pieces(paths, config.tokenizer, config.documents)
  for text, ends_document in pieces:
    if kept is None and text.strip(_BLANK):
      kept = rng.random() < config.share
      number += kept
    if kept:
      yield text, number
    if ends_document:
      kept = None
