"""Threads: compiled loops and NumPy release Python's lock, so they scale."""

import collections
import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator


def default_threads() -> int:
  """The number of CPUs that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


@contextlib.contextmanager
def borrow(idle: list) -> Iterator:
  """Takes one of what is idle, for the block, and puts it back.

  Also after an error: other threads must find one, to fail with an error of
  their own. A queue would let them wait for ever.

  >>> idle = [1, 2]
  >>> with borrow(idle) as number:
  ...   print(number, idle)
  2 [1]
  >>> idle
  [1, 2]
  """
  one = idle.pop()
  try:
    yield one
  finally:
    idle.append(one)


def ordered_map(function: Callable, items: Iterable, threads: int) -> Iterator:
  """Maps a function over items in threads and yields results in order.

  At most `threads + 1` items are in flight, so memory stays bounded.

  >>> list(ordered_map(abs, [-3, 2, -1], threads=2))
  [3, 2, 1]

  Args:
    function: called with one item.
    items: consumed lazily.
    threads: the number of threads.

  Raises:
    Exception: whatever `function` or `items` raises.
  """
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    flying: collections.deque = collections.deque()
    try:
      for item in items:
        flying.append(pool.submit(function, item))
        if len(flying) > threads:
          yield flying.popleft().result()
      while flying:
        yield flying.popleft().result()
    finally:
      for future in flying:
        future.cancel()
