"""Reads from compiled programs and arrays what devices hold and exchange."""

import math
import re
from typing import NamedTuple

import jax


class Transfer(NamedTuple):
  """An operation of a compiled program by which devices communicate."""

  kind: str  # 'all-reduce', 'collective-permute', ...
  shapes: list[str]  # what each device receives, such as 'f32[64,8]'

  @property
  def num_bytes(self) -> int:
    return sum(map(_num_bytes, self.shapes))


def _num_bytes(shape: str) -> int:
  """Bytes of an array such as 'f32[64,8]': the type's name has the bits."""
  dtype, sizes = shape.removesuffix("]").split("[")
  bits = int(re.search(r"\d+$", dtype)[0])
  return bits // 8 * math.prod(int(size) for size in sizes.split(",") if size)


_TRANSFER = re.compile(
  r"= (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|"
  r"collective-permute|collective-broadcast|ragged-all-to-all)(?:-start)?\("
)


def transfers(program: str) -> list[Transfer]:
  """Finds all communication between devices in a compiled program's text.

  The text must be that for a CPU: other compilers may split an operation into
  two halves and list its operands among the results.
  """
  return [
    Transfer(kind, re.findall(r"\w+\[[\d,]*\]", shapes))
    for shapes, kind in _TRANSFER.findall(program)
  ]


def bytes_by_device(state) -> dict[jax.Device, int]:
  """The bytes of a state that each device of this process holds."""
  held = {}
  for leaf in jax.tree.leaves(state):
    for shard in leaf.addressable_shards:
      held[shard.device] = held.get(shard.device, 0) + shard.data.nbytes
  return held
