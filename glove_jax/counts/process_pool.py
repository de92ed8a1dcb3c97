"""Worker processes on this machine, without a port that others could reach.

The workers read tasks from pipes. They end when this process does: a pipe then
closes.
"""

import collections
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

_TRIES = 3  # of a task whose worker dies


class _Worker(NamedTuple):
  process: BaseProcess
  connection: Connection


class Workers:
  """Processes that run one task each; they start with the first `map`.

  >>> with Workers(2) as workers:
  ...   sorted(workers.map(abs, [-3, 2, -1]))
  [1, 2, 3]
  """

  def __init__(self, num_workers: int):
    self._num_workers = num_workers
    self._idle: list[_Worker] = []

  def __enter__(self) -> "Workers":
    return self

  def __exit__(self, *_) -> None:
    _end(self._idle)
    self._idle = []

  def map(self, function: Callable, items: Iterable) -> Iterator[Any]:
    """Yields `function(item)` for each item, in any order.

    If a worker dies, another one repeats its task.

    Args:
      function: picklable.
      items: picklable.

    Raises:
      ChildProcessError: several workers died in the same task.
      Exception: what the function raises.
    """
    waiting = collections.deque((item, 1) for item in items)
    busy: dict[Connection, tuple] = {}
    try:
      while waiting or busy:
        while waiting and len(busy) < self._num_workers:
          worker = self._idle.pop() if self._idle else _start()
          busy[worker.connection] = (worker, *waiting.popleft())
          _send(worker.connection, (function, busy[worker.connection][1]))
        for connection in wait(list(busy)):
          worker, item, tries = busy.pop(connection)
          try:
            answer, error = connection.recv()
          except (EOFError, OSError):
            _end([worker])
            if tries == _TRIES:
              raise ChildProcessError(
                "Workers died in the same task."
              ) from None
            waiting.appendleft((item, tries + 1))
            continue
          self._idle.append(worker)
          if error:
            raise error
          yield answer
    finally:  # after an error the others are still at work
      _end(worker for worker, *_ in busy.values())


def _start() -> _Worker:
  """Starts a worker, as a new interpreter: forking is unsafe with threads."""
  context = multiprocessing.get_context("spawn")
  ours, theirs = context.Pipe()
  process = context.Process(target=_work, args=(theirs,), daemon=True)
  process.start()
  theirs.close()  # so that the pipe closes when the worker dies
  return _Worker(process, ours)


def _end(workers: Iterable[_Worker]) -> None:
  workers = list(workers)
  for process, connection in workers:
    connection.close()
    process.kill()  # all that it writes is atomic
  for process, _ in workers:
    process.join()


def _send(connection: Connection, message) -> bool:
  """Sends to a process; False if it is gone, which `recv` then finds too."""
  try:
    connection.send(message)
  except OSError:
    return False
  return True


def _work(connection: Connection) -> None:
  """Runs tasks until the pipe closes."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all
  while True:
    try:
      function, item = connection.recv()
    except (EOFError, OSError):
      return
    try:
      answer = (function(item), None)
    except Exception as error:
      answer = (None, error)
    if not _send(connection, answer):
      return
