"""Pulls: Mittens' term for tiles, see `retrofit`.

A pull visits a block of words and the same block of contexts, since the term
needs both vectors of a word. After each stack of tiles or lines, all blocks are
visited, and the term has the weight that makes it count once in a pass. Strips
fit one side of a block at a time, so the term is a part of their cost.
"""

from typing import NamedTuple

import numpy as np

from glove_jax.training import retrofit
from glove_jax.training.starts import Start
from glove_jax.training.tiles.layout import Blocks


class Pull(NamedTuple):
  """K blocks with the targets of their words."""

  block: np.ndarray  # [K] int32, of words
  target: np.ndarray  # [K, T, D] float32
  known: np.ndarray  # [K, T] float32, 0 for a row without a target
  share: np.ndarray  # [K] float32, multiplies the term


def make_pull(blocks: Blocks, start: Start) -> Pull:
  """The blocks that have a target.

  Args:
    blocks: has the position of each word.
    start: has the targets.
  """
  words, target = retrofit.targets(start)
  shape = (blocks.num_blocks, blocks.tile_size)
  position = blocks.position[words]
  known = np.zeros(shape, np.float32)
  known.reshape(-1)[position] = 1
  table = np.zeros((*shape, target.shape[1]), np.float32)
  table.reshape(-1, target.shape[1])[position] = target
  block = np.flatnonzero(known.any(axis=1)).astype(np.int32)
  return Pull(block, table[block], known[block], np.ones(len(block), "f4"))


def of_block(pull: Pull, block: int) -> Pull:
  """The whole term of one block [1, ...], which may have no targets."""
  index = np.flatnonzero(pull.block == block)
  found = Pull(*(array[index] for array in pull))
  if index.size:
    return found
  return Pull(*(np.zeros_like(array[:1]) for array in pull))
