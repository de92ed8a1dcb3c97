"""Memory: how much there is, taking it lazily and returning it early."""

import mmap
import os

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


def lazy_zeros(size: int, dtype) -> np.ndarray:
  """An array [size] of zeros whose pages are allocated on first write.

  NumPy requests huge pages, which are allocated whole; they take three times
  as long as the small pages used here.
  """
  dtype = np.dtype(dtype)
  memory = mmap.mmap(-1, max(1, size) * dtype.itemsize)
  return np.frombuffer(memory, dtype)[:size]


def release(*arrays: np.ndarray) -> None:
  """Drops the resident pages of arrays that are mapped from files.

  The arrays stay valid: their pages are read again on the next access. Arrays
  that are not mapped are left alone.
  """
  for array in arrays:
    if isinstance(array, np.memmap):
      array._mmap.madvise(mmap.MADV_DONTNEED)
