"""Memory: how much there is, taking it lazily and returning it early."""

import contextlib
import ctypes
import io
import math
import mmap
import os
import tempfile
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

_AROUND = 1 << 16  # bytes that Linux maps at an access to a file
# Bytes of a file that are written at once. Linux keeps a larger piece in huge
# pages, which a virtual machine took ten times as long to provide.
_PIECE = 1 << 20
# For `keep_less`: the number of each option in malloc.h, and its value.
_MALLOPT = {
  "M_ARENA_MAX": (-8, 2),  # heaps; more if more threads have begun
  "M_MMAP_THRESHOLD": (-3, 24 << 20),  # larger blocks have pages of their own
  "M_TRIM_THRESHOLD": (-1, 32 << 20),  # kept at the end of a heap, for the next
}


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
  when the array is dropped; the C library may keep those of a NumPy array of
  less than 32 MiB.
  """
  return _pages(shape, dtype, "MADV_NOHUGEPAGE")


def whole_zeros(shape: int | tuple[int, ...], dtype) -> np.ndarray:
  """An array of zeros that will be written whole, in huge pages of its own.

  Small pages take five times as long to fill. The array starts at a page, so
  JAX reads it on a CPU without a copy, which needs a multiple of 64 bytes. JAX
  may refer to it for a while after a program that has read it. `release` takes
  its pages back before.

  >>> array = whole_zeros((2, 3), np.uint16)
  >>> array[:] = 7
  >>> release(array)
  >>> print(array)
  [[0 0 0]
   [0 0 0]]
  """
  return _pages(shape, dtype, "MADV_HUGEPAGE", _Whole)


class _Whole(mmap.mmap):
  """The memory of `whole_zeros`."""


def _pages(shape, dtype, advice: str, kind=mmap.mmap) -> np.ndarray:
  """An array of zeros in pages of its own; the system may take the advice."""
  dtype, size = np.dtype(dtype), math.prod(np.atleast_1d(shape).tolist())
  # Private: pages that could be shared take twice as long to allocate.
  flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
  memory = kind(-1, max(1, size) * dtype.itemsize, flags=flags)
  if hasattr(mmap, advice):
    with contextlib.suppress(OSError):  # a kernel without huge pages
      memory.madvise(getattr(mmap, advice))
  return np.frombuffer(memory, dtype)[:size].reshape(shape)


def trim() -> None:
  """Returns to the system what the C library keeps of freed memory.

  Compilation frees many small blocks, 0.1 GB in all, which glibc would keep.
  """
  with contextlib.suppress(AttributeError, OSError):  # another C library
    ctypes.CDLL(None).malloc_trim(0)


def keep_less() -> None:
  """Lets the C library keep less of what is freed, from now on.

  By default, glibc has a heap for each thread, in which it keeps what that
  thread frees, and learns to put all blocks of less than 32 MiB there. Blocks
  between those still used are not returned by `trim`. Other C libraries are
  left as they are.
  """
  with contextlib.suppress(AttributeError, OSError):
    library = ctypes.CDLL(None)
    for option, value in _MALLOPT.values():
      library.mallopt(option, value)


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


def open_to_write(path: str | os.PathLike | int) -> io.BufferedWriter:
  """Opens a file as `open(path, "wb")` does, and writes it in small pieces.

  Args:
    path: of the file, or an open descriptor, whose file is not emptied.

  Raises:
    OSError: the file cannot be written.
  """
  return io.BufferedWriter(_InPieces(path, "w"))


class _InPieces(io.FileIO):
  """A file that takes one piece at a time; its buffer writes the rest."""

  def write(self, data) -> int:
    return super().write(memoryview(data)[:_PIECE])


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


def write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays in row order as `np.savez` does, but copies none of them.

  NumPy copies 16 MiB at a time.

  Args:
    file: open for writing.
    arrays: of numbers or text, by name.
  """
  with zipfile.ZipFile(file, "w") as archive:
    for name, array in arrays.items():
      with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        array = np.asarray(array, order="C")
        header = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(entry, header)
        if array.size:
          entry.write(array.reshape(-1).view(np.uint8))


def _map(file, start: int, size: int, dtype: np.dtype) -> np.ndarray:
  """Maps the part of a file after `start`, which is extended to hold it."""
  if hasattr(os, "posix_fallocate"):  # a full disk would kill the process
    length = max(1, size * dtype.itemsize)
    os.posix_fallocate(file.fileno(), start, length)
  shape = max(1, size)  # nothing cannot be mapped
  return np.memmap(file, dtype, "r+", offset=start, shape=shape)[:size]


def release(*arrays: np.ndarray) -> None:
  """Drops the resident pages of arrays, or of slices.

  Arrays mapped from files stay valid: their pages are read again on the next
  access. Those of `whole_zeros` are zeros again, apart from pages that a slice
  shares with its neighbours. Others are left alone: those that are not mapped,
  such as a copy of a mapped one, and those mapped in mode "c", whose changes
  are in memory only.
  """
  for array in arrays:
    pages = _pages_of(array)
    if pages is None or not array.size:
      continue
    origin = np.frombuffer(pages, np.uint8).ctypes.data
    first, last = array.ctypes.data, array.ctypes.data + array.nbytes
    if isinstance(pages, _Whole):
      start = first + -first % mmap.PAGESIZE - origin
      stop = last - origin
      stop -= stop % mmap.PAGESIZE if stop < len(pages) else 0
    else:  # an access to a file maps the pages around it too
      start = max(first - first % _AROUND - origin, 0)
      stop = min(last + -last % _AROUND - origin, len(pages))
    if start < stop:
      pages.madvise(mmap.MADV_DONTNEED, start, stop - start)


def _pages_of(array) -> mmap.mmap | None:
  """The pages of an array that `release` drops, if it has such."""
  if isinstance(array, np.memmap):  # a copy is one too, without a mode
    return array._mmap if array.mode in ("r", "r+", "w+") else None
  if not isinstance(array, np.ndarray) or not array.flags.forc:
    return None  # a slice with gaps, where other values are
  while isinstance(array, np.ndarray):
    array = array.base
  memory = getattr(array, "obj", None)  # of a memoryview
  return memory if isinstance(memory, _Whole) else None
