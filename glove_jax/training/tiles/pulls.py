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


def of_blocks(pull: Pull, blocks: np.ndarray) -> Pull:
  """The whole term of K blocks, as a stack [1, K, ...].

  Some of them may have no targets.
  """
  found = Pull(
    blocks,
    np.zeros((len(blocks), *pull.target.shape[1:]), np.float32),
    np.zeros((len(blocks), *pull.known.shape[1:]), np.float32),
    np.ones(len(blocks), np.float32),
  )
  _, to, source = np.intersect1d(blocks, pull.block, return_indices=True)
  found.target[to], found.known[to] = pull.target[source], pull.known[source]
  return Pull(*(array[None] for array in found))
