"""Estimates the disk and memory that counting needs, before it starts.

If words were independent, the probability of each pair would follow from the
counts of its words, and so would the number of distinct pairs. Text is more
repetitive; a sample of the corpus shows by how much.
"""

import os
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from glove_jax.config import CountConfig
from glove_jax.counts import column_files, cooccur, out_of_core
from glove_jax.counts.out_of_core import Added
from glove_jax.counts.pair_counter import PairCounter
from glove_jax.text import compiled, reading, sources
from glove_jax.text.compiled import Text
from glove_jax.text.symbols import END, UNKNOWN
from glove_jax.text.vocab import Vocab

_RUN_BYTES = 16  # per entry of a run
_CLASSES = 400  # classes of words of about equal count
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 13


def forecast(
  text: Text,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
  added: Sequence[Added] = (),
  num_sections: int = 0,
) -> str:
  """Describes in a sentence the disk and memory that `count_corpus` will use.

  Args:
    text, vocab, folder, config, added: the arguments of `count_corpus`.
    num_sections: the number of sections of the corpus if workers count them;
      0 if this process counts.

  Raises:
    OSError: the disk is too small.
    ValueError: `memory_gb` is too small.
  """
  size = _expected_size(text, vocab, config)
  old = sum(column_files.read_manifest(other.folder)["size"] for other in added)
  if num_sections:
    parts = num_sections
    memory = "memory of the workers"
  else:
    budget = out_of_core.make_budget(config, len(vocab))
    parts = max(1, -(-int(vocab.counts.sum()) // budget.max_words))
    memory = f"{budget.memory / 1e9:.1f} GB of memory"
  part = size / parts**0.8  # doubling the text does not double the entries
  disk = (size + old) * (8 + np.dtype(config.count_dtype).itemsize)
  disk += _RUN_BYTES * (old + (parts * part if parts > 1 or old else 0))
  disk += _RUN_BYTES * (size + old) * bool(num_sections)  # merged ranges
  parent = pathlib.Path(folder).parent
  free = shutil.disk_usage(parent).free
  if disk > free:
    raise OSError(
      f"Counting needs about {disk / 1e9:.1f} GB of disk, but {parent} has "
      f"only {free / 1e9:.1f} GB left: use another workdir, a higher min_count "
      "or, if the machine has more memory, a higher memory_gb."
    )
  return (
    f"about {size + old:,.2g} counts in {parts} part{'s'[: parts > 1]}: up to "
    f"{disk / 1e9:.2f} GB of disk, {memory}"
  )


def _expected_size(text: Text, vocab: Vocab, config: CountConfig) -> float:
  """The number of distinct pairs in the corpus."""
  ids = [block for block in _sample(text, vocab, config) if len(block)]
  if not ids:
    return 0.0
  words = sum(np.count_nonzero(block >= 0) for block in ids)
  sides = 2 if config.context == "symmetric" else 1
  expected = _met_pairs(vocab.counts, sides * config.window * words)
  total = sides * config.window * float(vocab.counts.sum())
  found = _num_entries(ids, len(vocab), config)
  return _met_pairs(vocab.counts, total) * found / max(1, expected)


def _num_entries(ids, vocab_size: int, config: CountConfig) -> int:
  """The number of distinct pairs in some blocks of ids."""
  counter = PairCounter(
    vocab_size,
    cooccur.distance_units(config.window, config.distance_weighting),
    context=config.context,
    max_words=sum(len(block) + 1 for block in ids),
  )
  for block in ids:
    counter.add(np.append(block, np.int32(END)))
  return sum(len(entries.row) for entries in counter.finish())


def _met_pairs(counts: np.ndarray, draws: float) -> float:
  """The expected number of distinct pairs among `draws` independent ones.

  A pair of words with shares p and q occurs with probability
  1 - exp(-draws * p * q). Words are grouped into classes of similar counts.
  """
  bins = np.geomspace(1, counts.max() + 1, _CLASSES)
  num_words, _ = np.histogram(counts, bins)
  total, _ = np.histogram(counts, bins, weights=counts)
  share = total / np.maximum(num_words, 1) / counts.sum()
  probability = -np.expm1(-draws * np.outer(share, share))
  return float(num_words @ probability @ num_words)


def _sample(text: Text, vocab: Vocab, config: CountConfig):
  """Yields the ids of a few blocks of text, spread over the corpus."""
  sizes = np.array([os.stat(path).st_size for path in text.paths], np.int64)
  if not sizes.sum():
    return
  find = compiled.make_finder(text, vocab, keep_places=config.keep_places)
  ends = np.cumsum(sizes)
  for offset in np.linspace(0, ends[-1], _SAMPLES, endpoint=False):
    index = int(np.searchsorted(ends, offset, side="right"))
    byte = int(offset - ends[index] + sizes[index])
    if not sources.is_plain(text.paths[index]):
      byte = 0  # seeking would decompress everything before it
    start = reading.Section(reading.Position(index, byte))
    blocks = reading.read_blocks(
      text.paths, start, _SAMPLE_BYTES, tokenizer=text.tokenizer
    )
    block = next(blocks)
    ids = find(block).ids
    yield np.where(ids < 0, UNKNOWN, ids)
