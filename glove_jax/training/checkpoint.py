"""Training states on disk: a .npz file of each process for an epoch.

A state is a handful of arrays, so a checkpoint is numpy's own format: read
without this library, equal bytes for equal states, and whole or absent, because
a file gets its name only once all of it is on disk. Of an array that is spread
over devices a file holds the pieces of the process that wrote it, each under
the number of the array and the place of the piece in it.
"""

import dataclasses
import functools
import os
import pathlib
import re
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from glove_jax import atomic

_NAME = re.compile(r"epoch_(\d{6})(?:\.(\d+)-of-(\d+))?\.npz")
_KEEP = 2


class File(NamedTuple):
  """A file of a checkpoint."""

  epoch: int
  part: int
  parts: int

  @property
  def name(self) -> str:
    part = f".{self.part}-of-{self.parts}" if self.parts > 1 else ""
    return f"epoch_{self.epoch:06d}{part}.npz"

  @property
  def like(self) -> str:
    """A pattern for the files of the same process."""
    return self._replace(epoch=0).name.replace("000000", "*", 1)


class Piece(NamedTuple):
  """A part of an array in a file."""

  ranges: list[tuple[int, int]]  # of each axis
  read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Saved:
  """An array on disk, of which no more is read than is asked for.

  No NamedTuple, for to jax it is a leaf of a tree.
  """

  shape: tuple[int, ...]
  dtype: np.dtype
  pieces: list[Piece]

  def __getitem__(self, index) -> np.ndarray:
    """Reads array[...] or, with a slice for each axis, array[index]."""
    index = (slice(None),) * len(self.shape) if index is ... else index
    wanted = _ranges(index, self.shape)
    found = np.empty([stop - start for start, stop in wanted], self.dtype)
    for ranges, read in self.pieces:
      pairs = list(zip(wanted, ranges, strict=True))
      both = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs]
      if all(start < stop for start, stop in both):
        to, of = (
          tuple(
            slice(start - pair[side][0], stop - pair[side][0])
            for (start, stop), pair in zip(both, pairs, strict=True)
          )
          for side in (0, 1)
        )
        found[to] = read().view(self.dtype)[of]
    return found


def _ranges(index, shape) -> list[tuple[int, int]]:
  return [one.indices(size)[:2] for one, size in zip(index, shape, strict=True)]


def save(folder: str | os.PathLike, epoch: int, state) -> None:
  """Writes the state after `epoch` epochs, and drops all but the last two.

  Each process writes what its devices have, once where several have the same.
  Of several processes a third epoch may stay, as none knows how far others are.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  own = File(epoch, jax.process_index(), jax.process_count())
  pieces = {}
  for number, leaf in enumerate(jax.tree.leaves(state)):
    for shard in leaf.addressable_shards:
      if shard.replica_id == 0:
        key = _key(number, _ranges(shard.index, leaf.shape))
        pieces[key] = _as_bits(np.asarray(shard.data))
  for part in folder.glob(f".{own.like}.*.part"):  # of a run killed in writing
    part.unlink(missing_ok=True)
  with atomic.write_whole(folder / own.name) as file:
    np.savez(file, **pieces)
  kept = epochs(folder)[-_KEEP:]
  for old in _files(folder):
    ours = old.part == own.part or (own.part == 0 and old.part >= own.parts)
    if ours and kept and old.epoch < kept[0]:
      (folder / old.name).unlink(missing_ok=True)


def _key(number: int, ranges: list[tuple[int, int]]) -> str:
  """The name of a piece in a file: '3:0-64,0-100'."""
  return f"{number}:" + ",".join(f"{start}-{stop}" for start, stop in ranges)


def _read_key(key: str) -> tuple[int, list[tuple[int, int]]]:
  number, _, ranges = key.partition(":")
  pairs = [one.split("-") for one in ranges.split(",") if one]
  return int(number), [(int(start), int(stop)) for start, stop in pairs]


def _files(folder: str | os.PathLike) -> list[File]:
  names = (_NAME.fullmatch(p.name) for p in pathlib.Path(folder).glob("*.npz"))
  return [
    File(int(name[1]), int(name[2] or 0), int(name[3] or 1))
    for name in names
    if name
  ]


def _whole(folder: str | os.PathLike) -> dict[int, list[File]]:
  """The files of each epoch of which every part is there, in order."""
  groups = {}
  for file in sorted(_files(folder)):
    groups.setdefault((file.epoch, file.parts), []).append(file)
  return {
    epoch: group
    for (epoch, parts), group in sorted(groups.items())
    if len(group) == parts
  }


def epochs(folder: str | os.PathLike) -> list[int]:
  """The epochs after which a checkpoint is there, in order."""
  return list(_whole(folder))


def drop_incomplete(folder: str | os.PathLike, done: int) -> None:
  """Drops what this process has of later epochs that lack other parts.

  They are left by a run that was killed. Parts that another run writes later
  must not make them whole, for on a GPU no two runs are the same.
  """
  whole = [file for group in _whole(folder).values() for file in group]
  for file in set(_files(folder)) - set(whole):
    if file.epoch > done and file.part == jax.process_index():
      pathlib.Path(folder, file.name).unlink(missing_ok=True)


def restore(folder: str | os.PathLike, epoch: int, like):
  """Finds the state after `epoch` epochs; its arrays are `Saved`.

  Args:
    folder: where `save` wrote, in as many processes as it may have been.
    epoch: one of `epochs(folder)`.
    like: a state of the same structure, shapes and types.

  Raises:
    ValueError: a file is damaged, or holds a state of another shape.
  """
  folder = pathlib.Path(folder)
  leaves, structure = jax.tree.flatten(like)
  pieces = [[] for _ in leaves]
  paths = [folder / file.name for file in _whole(folder)[epoch]]
  for path in paths:
    try:
      file = np.load(path)
      for key in file.files:
        number, ranges = _read_key(key)
        read = functools.partial(file.__getitem__, key)
        pieces[number].append(Piece(ranges, read))
    except (ValueError, IndexError, OSError, zipfile.BadZipFile) as error:
      raise ValueError(
        f"{path} is damaged: remove it to go on from the checkpoint before."
      ) from error
  for leaf, found in zip(leaves, pieces, strict=True):
    ends = [[stop for _, stop in piece.ranges] for piece in found]
    if tuple(np.max(ends or [[-1]], axis=0)) != leaf.shape:
      raise ValueError(
        f"{paths[0]} holds a state of other shapes than this run's: train in "
        "another --workdir or with the --mesh of before, or remove its "
        "checkpoints."
      )
  return jax.tree.unflatten(
    structure,
    [
      Saved(leaf.shape, leaf.dtype, found)
      for leaf, found in zip(leaves, pieces, strict=True)
    ],
  )


def _as_bits(array: np.ndarray) -> np.ndarray:
  """bfloat16 is no type of numpy's files: its bits are kept as uint16."""
  return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
