"""Where each array lives when training uses several devices.

There are three placements of a model on n devices:

- batch: every device holds all tables and computes 1/n of each batch; the
  gradients of the rows that the batch names are summed over the devices.
- dim: every device holds 1/n of each vector; the partial dot products of a
  batch are summed over the devices, one number per count.
- blocks: every device holds 1/n of the words and, in turn, of the contexts,
  which travel around a ring, see `tiles.ring`; nothing is summed over devices.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from glove_jax.config import TrainConfig
from glove_jax.model import Batch
from glove_jax.training import multihost
from glove_jax.training.batches import Picks
from glove_jax.training.engine import Loss, Placement

AXIS = "data"
_GATHERED = 1 << 22  # numbers gathered at a time, of all processes
_ENGINES = {
  "batch": ("rows", "dense"),
  "dim": ("rows", "dense"),
  "blocks": ("blocked",),
}


def make_placement(config: TrainConfig) -> Placement:
  """Makes the placement of a config, on the devices of all processes.

  Raises:
    ValueError: there are too few devices, the engine lacks the placement, the
      dimensions cannot be split evenly, or the rows engine has several and
      `missing` is not 0.
  """
  available = jax.device_count()
  size = config.mesh or available
  if jax.process_count() > 1 and size != available:
    raise ValueError(
      f"mesh={size} is not possible: several processes train on all of their "
      f"{available} devices. Leave it out."
    )
  if size > available:
    raise ValueError(
      f"mesh={size} asks for more devices than the {available} that jax sees "
      "here."
    )
  name = config.placement
  if name == "auto":
    name = "blocks" if config.engine == "blocked" else "batch"
  if config.engine not in _ENGINES[name]:
    raise ValueError(
      f"placement={name} is for engine={' or '.join(_ENGINES[name])}, not "
      f"{config.engine}."
    )
  if name == "dim" and config.dim % size:
    raise ValueError(
      f"dim={config.dim} cannot be split evenly over {size} devices: choose "
      "a multiple, or fewer devices (mesh=N)."
    )
  if size == 1:
    return Placement(name, None)
  if config.missing and config.engine == "rows":
    raise ValueError(
      f"The rows engine trains with missing={config.missing} on one device, "
      f"not {size}: set mesh=1, engine=blocked, or missing=0 for GloVe's own "
      "objective."
    )
  return Placement(name, make_mesh(size))


def make_mesh(size: int) -> Mesh:
  """A mesh of one axis over the first `size` devices."""
  return jax.make_mesh(
    (size,),
    (AXIS,),
    devices=jax.devices()[:size],
    axis_types=(AxisType.Auto,),
  )


def state_specs(placement: Placement, state) -> Any:
  """The PartitionSpec of each array of a state."""

  def spec(leaf) -> P:
    if placement.name == "dim" and len(leaf.shape) == 2:
      return P(None, AXIS)
    if placement.name == "blocks" and leaf.shape:
      return P(AXIS)
    return P()

  return jax.tree.map(spec, state)


def put_state(placement: Placement, state):
  """Copies a state to the devices of a placement.

  Args:
    placement: the devices.
    state: a tree of whole arrays: jax arrays, NumPy arrays, or saved arrays
      (`checkpoint.Saved`), of which only the slices of local devices are read.
      Arrays that are placed already stay.

  Returns:
    The same tree of jax arrays, sharded by `state_specs`.
  """
  if placement.mesh is None:
    return jax.tree.map(
      lambda leaf: jax.device_put(
        leaf if isinstance(leaf, jax.Array) else leaf[...]
      ),
      state,
    )

  def put(leaf, sharding):
    if isinstance(leaf, jax.Array):
      if leaf.sharding == sharding:
        return leaf
      leaf = np.asarray(leaf)
    return jax.make_array_from_callback(
      leaf.shape, sharding, leaf.__getitem__, dtype=leaf.dtype
    )

  return jax.tree.map(put, state, _shardings(placement, state))


def local_devices(placement: Placement) -> list[int]:
  """The positions in the mesh of the devices of this process."""
  here = jax.process_index()
  return [
    i
    for i, device in enumerate(placement.mesh.devices)
    if device.process_index == here
  ]


def join(placement: Placement, spec: P, pieces: Callable[[int], Any]) -> Any:
  """Builds arrays from one piece per device.

  Args:
    placement: with a mesh.
    spec: names the axis along which the pieces are concatenated. Scalars are
      the same in all pieces.
    pieces: position of a device -> a tree of arrays, its piece. It is called
      only for the devices of this process, one after the other.
  """
  local = local_devices(placement)
  axis = spec.index(AXIS)

  def join_leaf(*parts):
    shape = list(parts[0].shape)
    if shape:
      shape[axis] *= placement.num_devices
    sharding = NamedSharding(placement.mesh, spec if shape else P())
    return jax.make_array_from_single_device_arrays(
      tuple(shape), sharding, list(parts)
    )

  placed = [
    jax.device_put(pieces(device), placement.mesh.devices[device])
    for device in local
  ]
  return jax.tree.map(join_leaf, *placed)


def fetch(tree) -> Any:
  """Copies whole arrays to the memory of the first process.

  The other processes get arrays of no rows.
  """
  return jax.tree.map(_fetch, tree)


def _fetch(array: jax.Array) -> np.ndarray:
  if not multihost.several():
    return np.asarray(array)
  num_rows = array.shape[0] if multihost.is_first() else 0
  whole = np.empty((num_rows, *array.shape[1:]), array.dtype)
  for index, piece in fetch_pieces(array):
    whole[index] = piece
  return whole


def fetch_pieces(
  array: jax.Array,
) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
  """Yields an array in pieces, in the first process; the others send theirs.

  Args:
    array: on the devices of all processes.

  Yields:
    The ranges of a piece in the array, and the piece.
  """
  for shard in array.addressable_shards:  # equally many in every process
    starts = [axis.start or 0 for axis in shard.index]
    data = np.asarray(shard.data)
    if array.is_fully_addressable or array.is_fully_replicated:
      if shard.replica_id == 0:
        yield _ranges(starts, data.shape), data
      continue
    axis = int(np.argmax(data.shape))
    # All processes receive what is gathered.
    most = _GATHERED // jax.process_count()
    size = max(1, most * data.shape[axis] // data.size)
    for first in range(0, data.shape[axis], size):
      cut = (slice(None),) * axis + (slice(first, first + size),)
      offset = np.array(starts)
      offset[axis] += first
      offsets, gathered = multihost.gather(offset), multihost.gather(data[cut])
      if multihost.is_first():
        for offset, piece in zip(offsets, gathered, strict=True):
          yield _ranges(offset, piece.shape), piece


def _ranges(starts, shape) -> tuple[slice, ...]:
  ranges = zip(map(int, starts), shape, strict=True)
  return tuple(slice(start, start + size) for start, size in ranges)


def _shardings(placement, state):
  return jax.tree.map(
    lambda spec: NamedSharding(placement.mesh, spec),
    state_specs(placement, state),
  )


def compile_steps(placement: Placement, run: Callable) -> Callable:
  """Compiles the steps of a stack for 'batch' or 'dim'.

  Each device starts with a piece of the stack, see `read_batches`, and gathers
  the other pieces once per call. The state must be placed already, and the new
  state has the same placement.

  Args:
    placement: 'batch' or 'dim', with or without a mesh.
    run: (state, stack, multipliers) -> (state, costs), to compile.

  Returns:
    The compiled function. It donates its input state.
  """
  if placement.mesh is None:
    return jax.jit(run, donate_argnums=0)
  if placement.name == "batch":
    # Without shard_map the partitioner also splits the rows of a batch, and
    # then gathers them again.
    run = jax.shard_map(run, mesh=placement.mesh, in_specs=P(), out_specs=P())
  everywhere = NamedSharding(placement.mesh, P())

  def run_placed(state, stack, multipliers):
    stack = jax.lax.with_sharding_constraint(stack, everywhere)
    state, costs = run(state, stack, multipliers)
    shardings = _shardings(placement, state)
    return (
      jax.lax.with_sharding_constraint(state, shardings),
      jax.lax.with_sharding_constraint(costs, everywhere),
    )

  return jax.jit(run_placed, donate_argnums=0)


def split_loss(placement: Placement, loss: Loss) -> Loss:
  """For 'batch': each device computes the loss of 1/n of the batch.

  The loss and its gradients are then summed over the devices. The result is
  for use inside `compile_steps`. Other placements return the loss unchanged.
  """
  if placement.mesh is None or placement.name != "batch":
    return loss

  def summed(params, batch):
    size = batch.row.size // placement.num_devices
    start = jax.lax.axis_index(AXIS) * size
    local = jax.tree.map(
      lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), batch
    )
    return jax.lax.psum(loss(params, local), AXIS)

  return summed


def read_batches(
  placement: Placement, picks: Picks, read: Callable[[Picks], Batch]
) -> Batch:
  """Reads a stack of batches; each device gets a piece of every batch.

  Args:
    placement: 'batch' or 'dim'.
    picks: which counts, [K, B].
    read: picks -> batches of the same shape.

  Returns:
    Batches [K, B'], where B' is B rounded up to a multiple of the devices.
  """
  if placement.mesh is None:
    return read(picks)
  picks = pad_batches(placement, picks)
  size = picks.position.shape[1] // placement.num_devices

  def piece(device):
    part = slice(device * size, (device + 1) * size)
    return read(Picks(*(array[:, part] for array in picks)))

  return join(placement, P(None, AXIS), piece)


def pad_batches(placement: Placement, picks: Picks) -> Picks:
  """Pads batches [K, B] until B is a multiple of the number of devices.

  The padding repeats the last pick, because some optimizers move every word
  that a batch names: with 2 devices, positions 7 8 9 become 7 8 9 9.
  """
  end = ((0, 0), (0, -picks.position.shape[1] % placement.num_devices))
  return Picks(
    np.pad(picks.position, end, mode="edge"), np.pad(picks.mask, end)
  )
