"""How tiles and lines are grouped and stacked for a device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from glove_jax.training import multihost
from glove_jax.training.tiles import resident
from glove_jax.training.tiles.layout import Blocks, Groups, Tiles

_STREAMED_TILES = 64  # maximum tiles in a job that reads them from disk
_STREAMED_BYTES = 1 << 25  # maximum bytes of such a job
# On an accelerator. All cells are in larger groups, see `resident`.
_DENSE_CELLS = 1 << 22  # in a group of the tiles that are filled enough
_GROUPS = 16  # in a stack


class DeviceSettings(NamedTuple):
  """How tiles and lines are batched for a device."""

  resident: bool  # all tiles and lines stay in device memory
  tiles_per_group: int  # a group is one batch
  groups_per_stack: int
  line_cells: int  # counts in a batch of lines, padding included
  stacks_per_job: int = 1  # in a row; a larger stack would need more memory


def device_settings(blocks: Blocks, num_devices: int = 1) -> DeviceSettings:
  """Chooses settings: little memory on a CPU, few steps on an accelerator."""
  device, tile_cells = jax.local_devices()[0], blocks.tile_size**2
  if device.platform == "cpu":
    fit = max(1, _STREAMED_BYTES // (2 * tile_cells))
    groups = max(1, min(len(blocks.pair), fit, _STREAMED_TILES))
    is_large = 2 * groups * tile_cells > _STREAMED_BYTES // 2
    # With strips as large as half a job, their program serves the tiles too.
    parts = ((2, 1) if blocks.strips else (4, 2, 1)) if is_large else (1,)
    stacks = next(n for n in parts if groups % n == 0)
    return DeviceSettings(False, 1, groups // stacks, 0, stacks)
  tiles = max(1, _DENSE_CELLS // tile_cells)
  # All processes must agree.
  there = int(multihost.gather(resident.device_memory()).min())
  if 2 * len(blocks.pair) * tile_cells < num_devices * there / 2:
    return DeviceSettings(True, tiles, _GROUPS, line_cells=1 << 20)
  return DeviceSettings(False, tiles, 4, line_cells=1 << 20)


def cell_settings(blocks: Blocks, num_points: int = 1) -> DeviceSettings:
  """Settings for all cells in the memory of an accelerator.

  Args:
    blocks: from `resident.plan`.
    num_points: points of a sweep that train together.
  """
  size = resident.group_size(blocks, num_points)
  return DeviceSettings(True, size, _GROUPS, line_cells=0)


def tile_shapes(blocks: Blocks, device: DeviceSettings) -> list:
  """The shape of a stack of tiles; none if there are no tiles."""
  if not len(blocks.pair):
    return []
  groups = (device.groups_per_stack, device.tiles_per_group)
  pair = jax.ShapeDtypeStruct((*groups, 2), jnp.int32)
  if device.resident:
    return [Groups(jax.ShapeDtypeStruct(groups, jnp.int32), pair)]
  cells = (blocks.tile_size, blocks.tile_size)
  return [Tiles(jax.ShapeDtypeStruct((*groups, *cells), jnp.uint16), pair)]
