"""Training states on disk: one .npz file per epoch and process.

A state is a handful of arrays, so a checkpoint is in NumPy's format: other
programs can read it, and equal states give equal bytes. A write is atomic: a
file gets its name only once all of it is on disk. If an array is spread over
devices, a file holds the pieces of the process that wrote it. The key of a
piece is the number of the array in the state and the ranges of the piece in it:
rows 0 to 63 of array 3, with 100 columns, are '3:0-64,0-100'.
"""

import dataclasses
import functools
import itertools
import math
import os
import pathlib
import re
import time
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from glove_jax import atomic, memory
from glove_jax.training import multihost

# Raised where equal settings come to train in other passes or steps. A run does
# not resume what another recipe began.
RECIPE = 5
_NAME = re.compile(r"epoch_(\d{6})(?:\.(\d+)-of-(\d+))?\.npz")
_KEEP = 2
_SHARE = 0.1  # of the time of a run for saving
_QUICK = 0.1  # seconds; states that are saved as quickly are all saved


class File(NamedTuple):
  """A file of a checkpoint, such as epoch_000005.1-of-4.npz."""

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
  """A piece of an array in a file."""

  ranges: list[tuple[int, int]]  # (start, stop) for each axis
  read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Saved:
  """An array on disk; indexing reads only the pieces that it needs.

  It is not a NamedTuple, because jax must see it as a leaf of a tree.
  """

  shape: tuple[int, ...]
  dtype: np.dtype
  pieces: list[Piece]

  def __getitem__(self, index) -> np.ndarray:
    """Reads array[...] or, with a slice for each axis, array[index]."""
    index = (slice(None),) * len(self.shape) if index is ... else index
    wanted = _ranges(index, self.shape)
    array = np.empty([stop - start for start, stop in wanted], self.dtype)
    for ranges, read in self.pieces:
      pairs = list(zip(wanted, ranges, strict=True))
      overlap = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in pairs]
      if all(start < stop for start, stop in overlap):
        target = _shifted(overlap, wanted)
        array[target] = read().view(self.dtype)[_shifted(overlap, ranges)]
    return array


def _shifted(ranges, origin) -> tuple[slice, ...]:
  """The ranges as slices, relative to the start of `origin`."""
  return tuple(
    slice(start - first, stop - first)
    for (start, stop), (first, _) in zip(ranges, origin, strict=True)
  )


def _ranges(index, shape) -> list[tuple[int, int]]:
  return [one.indices(size)[:2] for one, size in zip(index, shape, strict=True)]


def save(folder: str | os.PathLike, epoch: int, state) -> None:
  """Writes the state after `epoch` epochs, and deletes all but the last two.

  Each process writes the pieces on its devices; a piece that several devices
  hold is written once. With several processes a third epoch may remain, since
  no process knows how far the others have got.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  ours = File(epoch, jax.process_index(), jax.process_count())
  pieces = {}
  for i, leaf in enumerate(jax.tree.leaves(state)):
    for shard in leaf.addressable_shards:
      if shard.replica_id == 0:
        key = _key(i, _ranges(shard.index, leaf.shape))
        pieces[key] = _as_bits(np.asarray(shard.data))
  for part in folder.glob(f".{ours.like}.*.part"):  # of a killed run
    part.unlink(missing_ok=True)
  with atomic.write_whole(folder / ours.name) as file:
    memory.write_arrays(file, pieces)
  kept = epochs(folder)[-_KEEP:]
  for old in _files(folder):
    is_ours = old.part == ours.part or (
      ours.part == 0 and old.part >= ours.parts
    )
    if is_ours and kept and old.epoch < kept[0]:
      (folder / old.name).unlink(missing_ok=True)


class Saver:
  """Saves the states of a run, in about a tenth of its time at most.

  After a save that took a second, states are not saved for ten seconds. So a
  kill loses little work. Every state is saved while a save takes less than
  _QUICK, or if there are several processes.
  """

  def __init__(self, folder: str | os.PathLike):
    self._folder, self._due = folder, 0.0

  def offer(self, epoch: int, state, *, must: bool) -> None:
    """Saves the state after an epoch if that is due, or if it must be saved."""
    start = time.monotonic()
    if start < self._due and not must:
      return
    save(self._folder, epoch, state)
    took = time.monotonic() - start
    if took > _QUICK and not multihost.several():
      self._due = start + took / _SHARE


def _key(leaf: int, ranges: list[tuple[int, int]]) -> str:
  """The key of a piece in a file: '3:0-64,0-100'."""
  return f"{leaf}:" + ",".join(f"{start}-{stop}" for start, stop in ranges)


def _read_key(key: str) -> tuple[int, list[tuple[int, int]]]:
  leaf, _, ranges = key.partition(":")
  pairs = [one.split("-") for one in ranges.split(",") if one]
  return int(leaf), [(int(start), int(stop)) for start, stop in pairs]


def _files(folder: str | os.PathLike) -> list[File]:
  names = (_NAME.fullmatch(p.name) for p in pathlib.Path(folder).glob("*.npz"))
  return [
    File(int(name[1]), int(name[2] or 0), int(name[3] or 1))
    for name in names
    if name
  ]


def _complete(folder: str | os.PathLike) -> dict[int, list[File]]:
  """{epoch: files} for each epoch that has all its parts, in order."""
  groups = {}
  for file in sorted(_files(folder)):
    groups.setdefault((file.epoch, file.parts), []).append(file)
  return {
    epoch: group
    for (epoch, parts), group in sorted(groups.items())
    if len(group) == parts
  }


def epochs(folder: str | os.PathLike) -> list[int]:
  """The epochs that have a complete checkpoint, in order."""
  return list(_complete(folder))


def find_last(
  folder: str | os.PathLike, num_epochs: int, say: Callable[[str], None]
) -> int:
  """Finds the last epoch with a good checkpoint, and removes damaged ones.

  Each process reads its share of the files, and all agree.

  Args:
    folder: where `save` wrote.
    num_epochs: of the run; later checkpoints are ignored.
    say: called with a sentence for each damaged checkpoint.

  Returns:
    The epoch; 0 if no checkpoint is good.
  """
  epoch = num_epochs + 1
  while epoch:
    earlier = [other for other in epochs(folder) if other < epoch]
    # What the first process sees, for all.
    epoch = int(multihost.gather(max(earlier, default=0))[0])
    if multihost.gather(not epoch or _is_good(folder, epoch)).all():
      return epoch
    if multihost.is_first():
      before = [f"resumes from pass {other}" for other in earlier[-2:-1]]
      say(
        f"The checkpoint of pass {epoch} in {folder} was damaged and is "
        f"removed: training {(before or ['starts anew'])[0]}."
      )
      for file in _files(folder):
        if file.epoch == epoch:
          pathlib.Path(folder, file.name).unlink(missing_ok=True)
  return 0


def _is_good(folder: str | os.PathLike, epoch: int) -> bool:
  """Whether this process's share of a checkpoint is undamaged."""
  try:
    check(folder, epoch, multihost.share)
  except ValueError:
    return False
  return True


def drop_incomplete(folder: str | os.PathLike, done: int) -> None:
  """Deletes files of this process for later epochs that lack other parts.

  A killed run leaves them. Parts that a later run writes must not complete
  them, because on a GPU no two runs are the same.
  """
  complete = [file for group in _complete(folder).values() for file in group]
  for file in set(_files(folder)) - set(complete):
    if file.epoch > done and file.part == jax.process_index():
      pathlib.Path(folder, file.name).unlink(missing_ok=True)


def restore(folder: str | os.PathLike, epoch: int, like):
  """Opens the state after `epoch` epochs.

  Args:
    folder: where `save` wrote, with any number of processes.
    epoch: one of `epochs(folder)`.
    like: a state of the same structure, shapes and types.

  Returns:
    The state, with an array of type `Saved` for each leaf.

  Raises:
    ValueError: a file is damaged, or holds a state of another shape.
  """
  folder = pathlib.Path(folder)
  leaves, structure = jax.tree.flatten(like)
  paths = [folder / file.name for file in _complete(folder)[epoch]]
  pieces = _open_pieces(paths)
  found = [pieces.get(i, []) for i in range(len(leaves))]
  shapes = [_covered(parts) for parts in found]
  if len(pieces) > len(leaves) or shapes != [leaf.shape for leaf in leaves]:
    raise ValueError(
      f"{paths[0]} holds a state of other shapes than this run's: train in "
      "another workdir or with the mesh of before, or remove its "
      "checkpoints."
    )
  return jax.tree.unflatten(
    structure,
    [
      Saved(leaf.shape, leaf.dtype, parts)
      for leaf, parts in zip(leaves, found, strict=True)
    ],
  )


def _open_pieces(paths: Sequence[pathlib.Path]) -> dict[int, list[Piece]]:
  """All pieces in some files, by the number of their array.

  Raises:
    ValueError: a file is damaged.
  """
  pieces: dict[int, list[Piece]] = {}
  for path in paths:
    with _reading(path):
      file = np.load(path, allow_pickle=False)
      for key in file.files:
        leaf, ranges = _read_key(key)
        piece = Piece(ranges, functools.partial(file.__getitem__, key))
        pieces.setdefault(leaf, []).append(piece)
  return pieces


def _reading(path: pathlib.Path):
  """Names the file in errors that say that it is damaged."""
  return atomic.reading(
    lambda reason: (
      f"{path} is damaged ({reason}): run again to resume from the checkpoint "
      "before."
    )
  )


def _covered(pieces: Sequence[Piece]) -> tuple[int, ...] | None:
  """The shape of the array that the pieces make up; None if one is missing."""
  if not pieces:
    return None
  ends = [[stop for _, stop in piece.ranges] for piece in pieces]
  shape = tuple(map(max, zip(*ends, strict=True)))
  total = sum(math.prod(_lengths(piece)) for piece in pieces)
  return shape if total == math.prod(shape) else None


def _lengths(piece: Piece) -> tuple[int, ...]:
  return tuple(stop - start for start, stop in piece.ranges)


def check(
  folder: str | os.PathLike, epoch: int, share: Callable = slice
) -> None:
  """Reads a checkpoint and checks that all of it is there and undamaged.

  Args:
    folder: where `save` wrote.
    epoch: one of `epochs(folder)`.
    share: number of files -> slice of those that this process reads, such as
      `multihost.share`; by default all.

  Raises:
    ValueError: a file is damaged, or arrays are incomplete.
  """
  folder = pathlib.Path(folder)
  paths = [folder / file.name for file in _complete(folder).get(epoch, [])]
  if not paths:
    raise ValueError(f"{folder} has no complete checkpoint of pass {epoch}.")
  for path in paths[share(len(paths))]:
    with _reading(path), zipfile.ZipFile(path) as archive:
      if bad := archive.testzip():  # compares checksums
        raise ValueError(f"{bad} differs from what was written")
      # zipfile does not compare its list of contents with their number.
      archive.fp.seek(-12, os.SEEK_END)
      number = int.from_bytes(archive.fp.read(2), "little")
      if number != len(archive.infolist()):
        raise ValueError("its list of contents is incomplete")
      for piece in itertools.chain(*_open_pieces([path]).values()):
        if piece.read().shape != _lengths(piece):
          raise ValueError("it holds other arrays than a checkpoint")
  pieces = _open_pieces(paths)
  shapes = [
    _covered(pieces.get(i, [])) for i in range(max(pieces, default=-1) + 1)
  ]
  if not shapes or None in shapes:
    raise ValueError(f"{paths[0]} holds only a part of a state.")


def _as_bits(array: np.ndarray) -> np.ndarray:
  """Views bfloat16 as uint16, since NumPy's files lack bfloat16."""
  return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
