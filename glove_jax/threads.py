"""Work in threads: compiled loops and NumPy let go of Python's lock."""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator


def default_threads() -> int:
  """As many as the CPUs that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def ordered_map(function: Callable, items: Iterable, threads: int) -> Iterator:
  """Like `map`, in threads; at most `threads + 1` items are in work."""
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
