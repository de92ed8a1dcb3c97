"""Memory: how much there is, taking it lazily and returning it early."""

import math
import mmap
import os
import tempfile
from typing import BinaryIO

import numpy as np


def machine_memory() -> int:
  """The physical memory of this machine, in bytes."""
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_full(error: BaseException) -> bool:
  """Whether an error of Python or of JAX says that memory is full."""
  signs = ("RESOURCE_EXHAUSTED", "Out of memory")
  return isinstance(error, MemoryError) or any(x in str(error) for x in signs)


def too_little(
  why: object, lower: str = "dim, max_vocab or batch_size"
) -> MemoryError:
  """The error of settings that need more memory than there is.

  >>> print(too_little("9 GB are needed", lower="dim"))
  There is too little memory for these settings: lower dim (9 GB are needed).

  Args:
    why: what is known, such as an error of JAX. An error that this function
      has made is returned as it is.
    lower: the settings that may be lowered.
  """
  start = "There is too little memory for these settings: lower"
  if isinstance(why, MemoryError) and str(why).startswith(start):
    return why
  return MemoryError(f"{start} {lower} ({' '.join(str(why).split())}).")


def lazy_zeros(shape: int | tuple[int, ...], dtype) -> np.ndarray:
  """An array of zeros whose pages are allocated on first write.

  NumPy requests huge pages, which are allocated whole; they take three times
  as long as the small pages used here. All pages are returned to the system
  when the array is dropped; the C library keeps those of a NumPy array of less
  than 32 MiB.
  """
  dtype, size = np.dtype(dtype), math.prod(np.atleast_1d(shape).tolist())
  memory = mmap.mmap(-1, max(1, size) * dtype.itemsize)
  return np.frombuffer(memory, dtype)[:size].reshape(shape)


def scratch(
  size: int, dtype, folder: str | os.PathLike | None = None
) -> np.ndarray:
  """An array [size] of zeros in a file without a name, mapped into memory.

  `release` drops its resident pages, and what was written stays. The file is
  gone when the array is dropped, or when the process dies.

  Args:
    size: the number of entries.
    dtype: their type.
    folder: on the disk that has the file; it is created if missing. None is
      where temporary files go.

  Raises:
    OSError: the disk is full, or the folder cannot be written to.

  Example:
    >>> array = scratch(3, np.int32)
    >>> array[1] = 7
    >>> release(array)
    >>> print(array)
    [0 7 0]
  """
  if folder is not None:
    os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryFile(dir=folder) as file:
    return _map(file, 0, size, np.dtype(dtype))


def new_file(path: str | os.PathLike, size: int, dtype) -> np.ndarray:
  """An array [size] of zeros in a new .npy file, mapped into memory.

  As `scratch`, but the file has a name, and stays.

  Args:
    path: of the file, which is replaced.
    size: the number of entries.
    dtype: their type.

  Raises:
    OSError: the disk is full, or the file cannot be written.
  """
  with open(path, "w+b") as file:
    write_header(file, size, dtype)
    return _map(file, file.tell(), size, np.dtype(dtype))


def write_header(file: BinaryIO, size: int, dtype) -> None:
  """Writes the header of a .npy file, which an array [size] follows."""
  header = {
    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
    "fortran_order": False,
    "shape": (int(size),),
  }
  np.lib.format.write_array_header_1_0(file, header)


def _map(file, start: int, size: int, dtype: np.dtype) -> np.ndarray:
  """Maps the part of a file after `start`, which is extended to hold it."""
  if hasattr(os, "posix_fallocate"):  # a full disk would kill the process
    length = max(1, size * dtype.itemsize)
    os.posix_fallocate(file.fileno(), start, length)
  shape = max(1, size)  # nothing cannot be mapped
  return np.memmap(file, dtype, "r+", offset=start, shape=shape)[:size]


def release(*arrays: np.ndarray) -> None:
  """Drops the resident pages of arrays, or of slices, mapped from files.

  The arrays stay valid: their pages are read again on the next access. Other
  arrays are left alone: those that are not mapped, such as a copy of a mapped
  one, and those mapped in mode "c", whose changes are in memory only.
  """
  for array in arrays:
    # A copy is a memmap too, without a mode.
    is_mapped = isinstance(array, np.memmap) and array.mode in ("r", "r+", "w+")
    if is_mapped and array.size:
      file = array._mmap
      first = array.ctypes.data - np.frombuffer(file, np.uint8).ctypes.data
      start = first - first % mmap.PAGESIZE
      file.madvise(mmap.MADV_DONTNEED, start, first + array.nbytes - start)
