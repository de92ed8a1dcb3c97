"""Adagrad's sums of squared gradients in the checkpoints of a finished run."""

import os

import jax
import numpy as np

from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.model import Params
from glove_jax.training import checkpoint, drawing, optimizers
from glove_jax.training.engine import TrainState
from glove_jax.training.tiles import cutting, steps
from glove_jax.training.tiles.cutting import cut_settings
from glove_jax.training.tiles.engine import padding_bias


def read(
  folder: str | os.PathLike,
  triplets: Triplets,
  config: TrainConfig,
  params: Params,
) -> Params:
  """Reads the sums of the last checkpoint of a run, in vocabulary order.

  The blocked engine keeps words in an order of its own, which follows from the
  counts and the settings.

  Args:
    folder: of the checkpoints.
    triplets: the counts of the run.
    config: the resolved training settings of the run.
    params: the parameters with which the run ended; the checkpoint must be
      theirs.

  Raises:
    ValueError: the run's optimizer keeps no sums, it trained on several
      devices, or the checkpoint is of another run.
  """
  if not optimizers.has_sums(config):
    raise ValueError(
      f"The run of {folder} kept no sums of squared gradients, for it trained "
      f"with optimizer={config.optimizer}."
    )
  position = None
  if config.engine == "blocked":
    num_counts = np.bincount(triplets.row, minlength=triplets.vocab_size)
    position = cutting.word_positions(num_counts, cut_settings(config))
  like = jax.eval_shape(lambda: _first_state(triplets, config, position))
  try:
    state = checkpoint.restore(folder, checkpoint.epochs(folder)[-1], like)
  except ValueError as error:
    raise ValueError(
      f"The sums in {folder} cannot be read: it is damaged, or is that of a "
      "run on several devices."
    ) from error

  def in_order(node) -> Params:
    tables = jax.tree.map(lambda saved: saved[...], node)
    if position is None:
      return Params(*tables)
    return steps.table_params(tables, position)

  if not all(map(np.array_equal, in_order(state.params), params)):
    raise ValueError(
      f"The checkpoint in {folder} is not that of its run's tables: train it "
      "again."
    )
  return in_order(optimizers.find_sums(state.opt_state))


def _first_state(triplets, config, position) -> TrainState:
  """A state of the shapes in a checkpoint."""
  params = drawing.random_params(triplets.vocab_size, config)
  tx = optimizers.from_config(config)
  if position is None:
    return TrainState(params, tx.init(params))
  tile_size = min(config.tile_size, triplets.vocab_size)
  num_blocks = -(-triplets.vocab_size // tile_size)
  return steps.init_table(
    params, position, num_blocks, tile_size, tx, padding_bias(config)
  )
