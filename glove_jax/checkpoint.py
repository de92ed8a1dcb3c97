"""Training states on disk, one .npz file an epoch.

A state is a handful of arrays, so a checkpoint is one file in numpy's own
format: read without this library, equal bytes for equal states, and whole or
absent, because a file gets its name only once all of it is on disk.
"""

import os
import pathlib
import re
import zipfile

import jax
import numpy as np

from glove_jax import files

_NAME = re.compile(r"epoch_(\d{6})\.npz")
_KEEP = 2


def save(folder: str | os.PathLike, epoch: int, state) -> None:
  """Writes the state after `epoch` epochs, and drops all but the last two."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  for part in folder.glob(".*.part"):  # of a run that was killed as it wrote
    part.unlink()
  leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
  with files.write_whole(folder / f"epoch_{epoch:06d}.npz") as file:
    np.savez(file, *[_as_bits(leaf) for leaf in leaves])
  for old in epochs(folder)[:-_KEEP]:
    (folder / f"epoch_{old:06d}.npz").unlink()


def epochs(folder: str | os.PathLike) -> list[int]:
  """The epochs after which a checkpoint is there, in order."""
  names = (_NAME.fullmatch(p.name) for p in pathlib.Path(folder).glob("*.npz"))
  return sorted(int(name[1]) for name in names if name)


def restore(folder: str | os.PathLike, epoch: int, like):
  """Reads the state after `epoch` epochs, into arrays of numpy.

  Args:
    folder: where `save` wrote.
    epoch: one of `epochs(folder)`.
    like: a state of the same structure, shapes and types.

  Raises:
    ValueError: the file is damaged, or holds a state of another shape.
  """
  path = pathlib.Path(folder) / f"epoch_{epoch:06d}.npz"
  leaves, structure = jax.tree.flatten(like)
  try:
    with np.load(path) as file:
      arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
  except (ValueError, KeyError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path} is damaged: remove it to go on from the checkpoint before."
    ) from error
  if [a.shape for a in arrays] != [leaf.shape for leaf in leaves]:
    raise ValueError(
      f"{path} holds a state of other shapes than this run's: train in "
      "another --workdir or with the --mesh of before, or remove its "
      "checkpoints."
    )
  return jax.tree.unflatten(
    structure,
    [
      array.view(leaf.dtype) for array, leaf in zip(arrays, leaves, strict=True)
    ],
  )


def _as_bits(array: np.ndarray) -> np.ndarray:
  """bfloat16 is no type of numpy's files: its bits are kept as uint16."""
  return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
