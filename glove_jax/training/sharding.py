"""Meshes, and where each array lives.

Three placements of a model on n devices:

- batch: every device holds all tables; each takes 1/n of a batch, and the
  gradients of the rows that the batch names are summed over the devices.
- dim: every device holds 1/n of each vector; the partial products of a batch
  are summed over the devices, one number a count.
- blocks: every device holds 1/n of the words and, in turn, of the contexts,
  which go round a ring, see `ring`; nothing is summed over the devices.
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from glove_jax.config import TrainConfig
from glove_jax.model import Batch
from glove_jax.training import multihost
from glove_jax.training.batches import Picks
from glove_jax.training.steps import Loss

AXIS = "data"
_GATHERED = 1 << 22  # numbers at a time
_ENGINES = {
  "batch": ("rows", "dense"),
  "dim": ("rows", "dense"),
  "blocks": ("blocked",),
}


class Placement(NamedTuple):
  """How a model is spread over devices; without a mesh, it is on one."""

  name: str  # 'batch', 'dim' or 'blocks'
  mesh: Mesh | None

  @property
  def num_devices(self) -> int:
    return self.mesh.size if self.mesh else 1


ONE_DEVICE = Placement("batch", None)


def make_placement(config: TrainConfig) -> Placement:
  """The placement that the config asks for, on the devices of all processes.

  Raises:
    ValueError: there are fewer devices than asked for, the engine lacks the
      placement, or the dimension cannot be split evenly.
  """
  found = jax.device_count()
  size = config.mesh or found
  if jax.process_count() > 1 and size != found:
    raise ValueError(
      f"--mesh={size}: several processes train on all their devices, {found} "
      "here: leave it out."
    )
  if size > found:
    raise ValueError(
      f"--mesh={size} asks for more devices than the {found} that jax sees "
      "here."
    )
  name = config.placement
  if name == "auto":
    name = "blocks" if config.engine == "blocked" else "batch"
  if config.engine not in _ENGINES[name]:
    raise ValueError(
      f"--placement={name} is for --engine={' or '.join(_ENGINES[name])}, not "
      f"{config.engine}."
    )
  if name == "dim" and config.dim % size:
    raise ValueError(
      f"--dim={config.dim} cannot be split evenly over {size} devices: choose "
      "a multiple, or fewer devices by --mesh."
    )
  if size == 1:
    return Placement(name, None)
  return Placement(name, make_mesh(size))


def make_mesh(size: int) -> Mesh:
  """The first so many devices, in a row."""
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
  """Puts a state where it belongs.

  Args:
    placement: where.
    state: of arrays that each process has all of: jax's, NumPy's, or saved ones
      of which no more is read than devices of this process are to have.
  """
  if placement.mesh is None:
    return jax.tree.map(
      lambda leaf: jax.device_put(
        leaf if isinstance(leaf, jax.Array) else leaf[...]
      ),
      state,
    )

  def put(leaf, sharding):
    leaf = np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf
    return jax.make_array_from_callback(
      leaf.shape, sharding, leaf.__getitem__, dtype=leaf.dtype
    )

  return jax.tree.map(put, state, _shardings(placement, state))


def own_devices(placement: Placement) -> list[int]:
  """Which devices of the mesh belong to this process."""
  here = jax.process_index()
  return [
    number
    for number, device in enumerate(placement.mesh.devices)
    if device.process_index == here
  ]


def join(placement: Placement, spec: P, pieces: Callable[[int], Any]) -> Any:
  """Arrays of which each device has a piece.

  Args:
    placement: with a mesh.
    spec: along which axis the pieces of arrays follow each other.
    pieces: number of a device -> its tree of arrays of the host. It is called
      for devices of this process alone.
  """
  own = own_devices(placement)
  sharding = NamedSharding(placement.mesh, spec)
  axis = spec.index(AXIS)

  def join_leaf(*parts):
    shape = list(parts[0].shape)
    shape[axis] *= placement.num_devices
    placed = [
      jax.device_put(part, placement.mesh.devices[number])
      for number, part in zip(own, parts, strict=True)
    ]
    return jax.make_array_from_single_device_arrays(
      tuple(shape), sharding, placed
    )

  return jax.tree.map(join_leaf, *map(pieces, own))


def whole(tree) -> Any:
  """All of some arrays, in the host's memory, wherever their devices are."""
  return jax.tree.map(_whole, tree)


def _whole(array: jax.Array) -> np.ndarray:
  if array.is_fully_addressable or array.is_fully_replicated:
    return np.asarray(array)
  found = np.empty(array.shape, array.dtype)
  for shard in array.addressable_shards:  # all processes have as many
    begins = [part.start or 0 for part in shard.index]
    every = _gather_in_pieces(np.asarray(shard.data))
    for begin, piece in zip(multihost.gather(begins), every, strict=True):
      place = zip(begin, piece.shape, strict=True)
      found[tuple(slice(b, b + size) for b, size in place)] = piece
  return found


def _gather_in_pieces(array: np.ndarray) -> np.ndarray:
  """As `processes.gather`, which puts what it is given on every device."""
  flat = array.reshape(-1)
  pieces = [
    multihost.gather(flat[start : start + _GATHERED])
    for start in range(0, flat.size, _GATHERED)
  ]
  return np.concatenate(pieces, axis=1).reshape(-1, *array.shape)


def _shardings(placement, state):
  return jax.tree.map(
    lambda spec: NamedSharding(placement.mesh, spec),
    state_specs(placement, state),
  )


def bytes_by_device(state) -> dict[jax.Device, int]:
  """What each device holds of a state."""
  held = {}
  for leaf in jax.tree.leaves(state):
    for shard in leaf.addressable_shards:
      held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
  return held


def compile_steps(placement: Placement, run: Callable) -> Callable:
  """Compiles (state, stack, rates) -> (state, costs) for 'batch' or 'dim'.

  Each device is handed a piece of the stack, as by `read_batches`, and gets the
  others from those that have them. The state must be in its place, and comes
  out there.
  """
  if placement.mesh is None:
    return jax.jit(run, donate_argnums=0)
  if placement.name == "batch":
    # Left to itself the partitioner splits the rows of a batch as well, and
    # gathers them again.
    run = jax.shard_map(run, mesh=placement.mesh, in_specs=P(), out_specs=P())
  everywhere = NamedSharding(placement.mesh, P())

  def run_in_place(state, stack, rates):
    stack = jax.lax.with_sharding_constraint(stack, everywhere)
    state, costs = run(state, stack, rates)
    place = _shardings(placement, state)
    return (
      jax.lax.with_sharding_constraint(state, place),
      jax.lax.with_sharding_constraint(costs, everywhere),
    )

  return jax.jit(run_in_place, donate_argnums=0)


def split_loss(placement: Placement, loss: Loss) -> Loss:
  """A loss of which each device computes the share of 1/n of the batch.

  It and its gradients come out summed over the devices. It is for programs of
  `compile_steps`; other placements than 'batch' leave it as it is.
  """
  if placement.mesh is None or placement.name != "batch":
    return loss

  def shared(params, batch):
    size = batch.row.size // placement.num_devices
    start = jax.lax.axis_index(AXIS) * size
    share = jax.tree.map(
      lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), batch
    )
    return jax.lax.psum(loss(params, share), AXIS)

  return shared


def read_batches(
  placement: Placement, picks: Picks, read: Callable[[Picks], Batch]
) -> Batch:
  """Reads a stack of batches: of each batch, every device has a piece.

  Args:
    placement: 'batch' or 'dim'.
    picks: [K, B] which counts.
    read: reads some of them.
  """
  if placement.mesh is None:
    return read(picks)
  picks = pad_batches(placement, picks)
  size = picks.place.shape[1] // placement.num_devices

  def piece(device):
    part = slice(device * size, (device + 1) * size)
    return read(Picks(*(array[:, part] for array in picks)))

  return join(placement, P(None, AXIS), piece)


def pad_batches(placement: Placement, picks: Picks) -> Picks:
  """Lengthens batches [K, B] until each device can have as much of them.

  What is added names words that the batch names anyway, for some optimizers
  move every word of a batch.
  """
  end = ((0, 0), (0, -picks.place.shape[1] % placement.num_devices))
  return Picks(np.pad(picks.place, end, mode="edge"), np.pad(picks.mask, end))


class Transfer(NamedTuple):
  """An operation of a compiled program by which devices communicate."""

  kind: str  # 'all-reduce', 'collective-permute', ...
  shapes: list[str]  # what it brings to each device, such as 'f32[64,8]'

  @property
  def num_bytes(self) -> int:
    return sum(map(_num_bytes, self.shapes))


def _num_bytes(shape: str) -> int:
  """Bytes of an array such as 'f32[64,8]': its type's name has the bits."""
  dtype, sizes = shape.removesuffix("]").split("[")
  bits = int(re.search(r"\d+$", dtype)[0])
  return bits // 8 * math.prod(int(size) for size in sizes.split(",") if size)


_TRANSFER = re.compile(
  r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|"
  r"collective-permute|collective-broadcast|ragged-all-to-all)(?:-start)?\("
)


def transfers(program: str) -> list[Transfer]:
  """Finds all communication between devices in a compiled program's text.

  The text is that for a CPU: other compilers may write an operation in two
  halves and name what goes in as well.
  """
  return [
    Transfer(kind, re.findall(r"\w+\[[\d,]*\]", shapes))
    for shapes, kind in _TRANSFER.findall(program)
  ]
