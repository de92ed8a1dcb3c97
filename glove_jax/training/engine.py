"""The interface of an engine, and the parts of a step that engines share.

An engine is one way to train on counts. `rows` has the reference engines,
`tiles.engine` the fast one for one device, and `tiles.ring` the fast one for
several devices. The loop trains with any of them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from glove_jax.model import Batch, CellLoss, Params
from glove_jax.training.starts import AS_USUAL, Given, Start

# (params, batch) -> the cost summed over the batch, such as `model.loss`.
Loss = Callable[[Params, Batch], jax.Array]

# K batches for one call of `run_steps`: a NamedTuple of arrays [K, ...].
Stack = Any


class TrainState(NamedTuple):
  """Everything that training carries from step to step."""

  params: Params  # or the engine's own layout of them
  opt_state: optax.OptState


class Supplied(NamedTuple):
  """What a caller supplies, instead of what the config names."""

  loss: Loss | None = None  # instead of J
  cell_loss: CellLoss | None = None  # the cost of a count, instead of J's
  tx: optax.GradientTransformation | None = None  # instead of `optimizer`
  start: Start | None = None  # instead of a random start


NOTHING = Supplied()


class Epoch(NamedTuple):
  """The size of an epoch."""

  num_steps: int
  num_triplets: int


class Placement(NamedTuple):
  """How a model is spread over devices; without a mesh, it is on one device."""

  name: str  # 'batch', 'dim' or 'blocks', see `sharding`
  mesh: Mesh | None

  @property
  def num_devices(self) -> int:
    return self.mesh.size if self.mesh else 1


ONE_DEVICE = Placement("batch", None)


class Engine(Protocol):
  """What the loop needs from a way to train.

  An epoch is a sequence of stacks. A stack holds K batches of one shape, which
  `run_steps` trains on in one compiled call.
  """

  placement: Placement  # where the state must be for `run_steps`
  epochs: Sequence[Epoch]  # the sizes of all epochs of a run
  state_shape: TrainState  # of `jax.ShapeDtypeStruct`

  def init(self, params: Params, given: Given = AS_USUAL) -> TrainState:
    """Builds the first state. `sharding.put_state` then places it.

    Args:
      params: in the order of the vocabulary, and so is what is given. An
        engine of several devices reads the rows that this process needs.
      given: what the optimizer's state starts from, if not as usual.
    """

  def stacks(self, epoch: int) -> Iterator[tuple[Stack, np.ndarray]]:
    """Yields the stacks of an epoch in random order.

    Args:
      epoch: from 1; it seeds the order, so a resumed run repeats it.

    Yields:
      A stack of K batches, and how many steps each batch counts as: [K] int. A
      batch may merge several steps, and padding counts as none. The loop calls
      `memory.release` for a stack that was trained.
    """

  def run_steps(
    self, state: TrainState, stack: Stack, multipliers: np.ndarray
  ) -> tuple[TrainState, jax.Array]:
    """Trains on a stack.

    Args:
      state: its buffers are donated: do not use it afterwards.
      stack: from `stacks`.
      multipliers: [K] float32, multiplies the update of each batch.

    Returns:
      The new state, and the summed cost of each batch before its update: [K].
    """

  def params(self, state: TrainState) -> Params:
    """Returns the parameters in the order of the vocabulary.

    With several processes, the first gets them, and the others get no rows.
    """


def apply_gradients(tx, grads, opt_state, params, multiplier):
  """Returns (params, opt_state) after one update, times the multiplier."""
  updates, opt_state = tx.update(grads, opt_state, params)
  updates = jax.tree.map(lambda u: (multiplier * u).astype(u.dtype), updates)
  return optax.apply_updates(params, updates), opt_state


def slice_step(
  state: TrainState, multiplier, take: Callable, put: Callable, loss, tx
) -> tuple[TrainState, jax.Array]:
  """One step that reads and writes only a slice of the tables.

  Args:
    state: its parameters, and every table inside the optimizer's state, are of
      one NamedTuple type, the table type.
    multiplier: multiplies the update.
    take: table -> Params, the slice to train.
    put: (table, Params) -> the table with its slice replaced.
    loss: Params of the slice -> cost.
    tx: the optimizer.

  Returns:
    The new state, and the cost before the step.
  """
  table_type = type(state.params)
  params = take(state.params)
  opt_slice = map_tables(table_type, take, state.opt_state)
  cost, grads = jax.value_and_grad(loss)(params)
  params, opt_slice = apply_gradients(tx, grads, opt_slice, params, multiplier)
  opt_state = map_tables(
    Params, lambda new, table: put(table, new), opt_slice, state.opt_state
  )
  return TrainState(put(state.params, params), opt_state), cost


def each(function: Callable, *fields):
  """Applies a function to fields of a table.

  A field that the optimizer leaves out (`optax.masked`) stays left out.
  """
  masked = [isinstance(field, optax.MaskedNode) for field in fields]
  return fields[0] if all(masked) else function(*fields)


def map_tables(table_type: type, function: Callable, opt_state, *rest):
  """Applies a function to each node of `table_type` in optimizer states.

  Leaves outside tables, such as a step count, are taken from `opt_state`.
  """

  def is_table(node):
    return isinstance(node, table_type)

  return jax.tree.map(
    lambda node, *others: function(node, *others) if is_table(node) else node,
    opt_state,
    *rest,
    is_leaf=is_table,
  )
