"""What counting will take, before it starts.

Were words independent, a pair of words would be met with a chance that follows
from their counts. Text is more repetitive: a sample of the corpus says by how
much.
"""

import os
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np

from glove_jax.config import CountConfig
from glove_jax.counts import cooccur, out_of_core, pair_counter, triplets
from glove_jax.counts.out_of_core import Added
from glove_jax.text import compiled, reading
from glove_jax.text.compiled import Text
from glove_jax.text.vocab import Vocab

_RUN_BYTES = 16  # of an entry in a run
_CLASSES = 400  # of words of about equal count
_SAMPLES = 8
_SAMPLE_BYTES = 1 << 16


def forecast(
  text: Text,
  vocab: Vocab,
  folder: str | os.PathLike,
  config: CountConfig,
  added: Sequence[Added] = (),
  num_sections: int = 0,
) -> str:
  """A sentence on the disk and memory that `count_corpus` will take.

  Args:
    text, vocab, folder, config, added: what it is given.
    num_sections: of the corpus, where workers count it by sections.

  Raises:
    OSError: the disk cannot hold it.
    ValueError: `memory_gb` is too little.
  """
  size = _expected_size(text, vocab, config)
  old = sum(triplets.read_manifest(other.folder)["size"] for other in added)
  if num_sections:
    parts = num_sections
    memory = "memory of the workers"
  else:
    plan = out_of_core.make_plan(config, len(vocab))
    parts = -(-_expected_keys(vocab, config) // plan.max_keys)
    memory = f"{plan.memory / 1e9:.1f} GB of memory"
  part = size / parts**0.8  # twice the text has not twice the entries
  disk = (size + old) * (8 + np.dtype(config.count_dtype).itemsize)
  disk += _RUN_BYTES * (old + (parts * part if parts > 1 or old else 0))
  disk += _RUN_BYTES * (size + old) * bool(num_sections)  # merged ranges
  place = pathlib.Path(folder).parent
  free = shutil.disk_usage(place).free
  if disk > free:
    raise OSError(
      f"counting takes about {disk / 1e9:.1f} GB of disk, and {place} has only "
      f"{free / 1e9:.1f} GB left: use another workdir, a higher min_count or, "
      "where it is smaller than the machine's, more memory_gb"
    )
  return (
    f"about {size + old:,.2g} counts in {parts} part{'s'[: parts > 1]}: up to "
    f"{disk / 1e9:.2f} GB of disk, {memory}"
  )


def _expected_keys(vocab: Vocab, config: CountConfig) -> int:
  """How many pairs beside the cells there are, words being independent."""
  layout = pair_counter.make_layout(len(vocab), config.window)
  below = np.concatenate([[0], np.cumsum(vocab.counts)])
  beyond = below[-1] - below[layout.limit].astype(float)
  return 1 + int(config.window * np.sum(vocab.counts / below[-1] * beyond))


def _expected_size(text: Text, vocab: Vocab, config: CountConfig) -> float:
  """How many entries there will be."""
  ids = [found for found in _sample(text, vocab, config) if len(found)]
  if not ids:
    return 0.0
  counts = cooccur.count(
    ids, len(vocab), window=config.window, context=config.context, threads=1
  )
  words = sum(np.count_nonzero(found >= 0) for found in ids)
  sides = 2 if config.context == "symmetric" else 1
  expected = _met_pairs(vocab.counts, sides * config.window * words)
  total = sides * config.window * float(vocab.counts.sum())
  return _met_pairs(vocab.counts, total) * counts.units.nnz / max(1, expected)


def _met_pairs(counts: np.ndarray, draws: float) -> float:
  """How many pairs of independent words are met in so many draws of pairs."""
  bins = np.geomspace(1, counts[0] + 1, _CLASSES)
  number, _ = np.histogram(counts, bins)
  total, _ = np.histogram(counts, bins, weights=counts)
  share = total / np.maximum(number, 1) / counts.sum()
  met = -np.expm1(-draws * np.outer(share, share))
  return float(number @ met @ number)


def _sample(text: Text, vocab: Vocab, config: CountConfig):
  """Ids of some blocks of text, from all over the corpus."""
  sizes = np.array([os.stat(path).st_size for path in text.paths], np.int64)
  if not sizes.sum():
    return
  find = compiled.make_finder(text, vocab, keep_places=config.keep_places)
  ends = np.cumsum(sizes)
  for place in np.linspace(0, ends[-1], _SAMPLES, endpoint=False):
    number = int(np.searchsorted(ends, place, side="right"))
    byte = int(place - ends[number] + sizes[number])
    if reading.is_compressed(text.paths[number]):
      byte = 0  # to go there is to unpack all before it
    start = reading.Section(reading.Position(number, byte))
    block = next(reading.read_blocks(text.paths, start, _SAMPLE_BYTES))
    ids = find(block).ids
    yield np.where(ids < 0, -1, ids)
