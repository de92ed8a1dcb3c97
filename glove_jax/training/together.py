"""Several sweep points that train together, as one program.

The points share the counts and their tiles, and `vmap` adds an axis of points
to the parameters. The loop is that of a single run.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.counts.triplets import Triplets
from glove_jax.training import (
  loop,
  multihost,
  optimizers,
  preparation,
  sharding,
)
from glove_jax.training.biases import initial_params
from glove_jax.training.compilation import keep_programs
from glove_jax.training.engine import TrainState
from glove_jax.training.tiles import resident
from glove_jax.training.tiles.engine import TileEngine

# Sweep points that train together may differ only in these fields.
TOGETHER = (
  "x_max", "alpha", "learning_rate", "missing", "missing_count", "seed"
)  # fmt: skip


def can_train_together(configs: Sequence[TrainConfig]) -> bool:
  """Whether `train_together` takes these configs."""

  def rest(config):
    config = config.resolved
    same = dict.fromkeys(TOGETHER, 1) | {"missing": float(config.missing > 0)}
    return dataclasses.replace(config, **same)

  first = configs[0]
  if first.engine != "blocked" or first.init_from or multihost.several():
    return False
  if optimizers.is_own(first.optimizer):  # it has its own learning rate
    return False
  return all(rest(config) == rest(first) for config in configs)


def train_together(
  triplets: Triplets,
  configs: Sequence[TrainConfig],
  *,
  on_epoch: Callable[[dict], None] | None = None,
) -> list[model.Params]:
  """Trains several sweep points in about the time of a few single runs.

  Each point draws its initial vectors with its own seed. All points visit the
  tiles in the order of the first point's seed.

  Args:
    triplets: the counts.
    configs: one for each of P points, for the blocked engine. They may differ
      only in the fields of `TOGETHER`; `missing` is 0 for all or for none.
    on_epoch: called after each epoch with its metrics, as for `loop.train`;
      here `cost` is a list, one value per point.

  Returns:
    The parameters of each point. If a point's cost becomes infinite or NaN,
    its parameters are not finite; the other points are unaffected.

  Raises:
    ValueError: the configs differ in another field, an id is out of range, or
      a count is not positive.
  """
  if not can_train_together(configs):
    raise ValueError(
      "Points that train together must use the blocked engine and differ only "
      f"in {', '.join(TOGETHER)}; missing must be 0 for all or for none."
    )
  triplets = loop.checked(triplets)
  keep_programs()
  begin = functools.partial(_begin, configs=configs)
  engine, state = resident.with_placed(
    triplets, configs[0], begin, num_points=len(configs)
  )
  for epoch in loop.epochs_after(engine, 0):
    state, line = loop.run_epoch(engine, configs[0], state, epoch)
    if on_epoch:
      on_epoch(line)
  params = engine.params(state._replace(opt_state=()))
  return [
    jax.tree.map(lambda leaf, i=i: leaf[i], params) for i in range(len(configs))
  ]


def _begin(counts, configs) -> tuple[TileEngine, TrainState]:
  """The engine of all points and their first state."""
  # Points that differ only in the seed share their biases.
  fit = functools.cache(preparation.bias_fit(counts))
  starts = [
    initial_params(counts.vocab_size, config, fit, lazy=True)
    for config in configs
  ]
  params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *starts)
  engine = TileEngine(counts, configs[0], together=configs)
  return engine, sharding.put_state(engine.placement, engine.init(params))
