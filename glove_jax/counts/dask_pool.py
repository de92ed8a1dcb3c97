"""Workers on this machine, or those of Dask on a cluster.

`local:N` names N processes here, see `process_pool`: a scheduler of Dask would
run what any user of the machine sends to its port. Dask is imported only if the
address of a scheduler is given. This module does not know what the
tasks do (see `distributed`). A task receives an item and the resources it may
use, writes its results to files that all machines see, and returns a small
answer. A task may be run twice.
"""

import contextlib
import functools
import logging
import pickle
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from glove_jax import lazy
from glove_jax.config import CountConfig
from glove_jax.counts.process_pool import Workers
from glove_jax.memory import machine_memory
from glove_jax.threads import default_threads

_ADDRESS = re.compile(r"(?:tcp|tls)://[^\s/]+:\d+")
_LOCAL = re.compile(r"local:([1-9]\d*)")
CONNECT_SECONDS = 30


class Resources(NamedTuple):
  """What a task may use of its machine; 0 is the default of `CountConfig`."""

  threads: int
  memory_gb: float


class Cluster:
  """The workers that `config.dask` names.

  The first `map` starts or connects to them; leaving the context releases them.

  Args:
    config: `dask` names the workers. The workers of `local:N` share `threads`
      and `memory_gb`; each worker of a scheduler has that much for itself.
    say: called with messages for the user.

  Raises:
    ValueError: `config.dask` is not an address.
    ImportError: a scheduler is named, and Dask is not installed.
  """

  def __init__(self, config: CountConfig, say: Callable[[str], object] = print):
    local = _LOCAL.fullmatch(config.dask)
    if not local and not _ADDRESS.fullmatch(config.dask):
      raise ValueError(
        f"dask={config.dask} is not a cluster: give local:N for N worker "
        "processes here, or the address of a scheduler as tcp://host:8786."
      )
    self._address = config.dask
    self._resources = Resources(config.threads, config.memory_gb)
    self._say = say
    self._stack = contextlib.ExitStack()
    self._client = self._workers = None
    if local:
      num_workers = int(local[1])
      self._resources = _split(self._resources, num_workers)
      self._workers = self._stack.enter_context(Workers(num_workers))
      return
    _import()
    # Hide the log of Dask; `map` raises its errors.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)

  @property
  def is_here(self) -> bool:
    """Whether the workers are processes on this machine."""
    return self._workers is not None

  def __enter__(self) -> "Cluster":
    return self

  def __exit__(self, *_) -> None:
    self._client = None
    self._stack.close()

  def map(self, task: Callable, items: Iterable) -> Iterator[Any]:
    """Yields `task(item, resources)` for each item, in any order.

    If a worker dies, another one repeats its task.

    Args:
      task: picklable, called in a worker.
      items: picklable.

    Raises:
      OSError: the scheduler cannot be reached, or workers die repeatedly.
      ImportError: a worker does not have this library.
      Exception: what a task raises.
    """
    if self._workers:
      yield from self._map_here(task, items)
      return
    dask = _import()
    client = self._connect()
    call = _pack(functools.partial(_run, task, self._resources))
    items = [pickle.dumps(item) for item in items]
    futures = client.map(call, items, pure=False)
    done = dask.as_completed(futures, loop=client.loop, with_results=True)
    del futures  # else Dask repeats finished tasks of a worker that dies
    try:
      for _, result in done:
        if isinstance(result, Exception):  # a task was cancelled
          raise result
        yield pickle.loads(result)
    except (ImportError, dask.KilledWorker, dask.CancelledError) as error:
      raise _explain(error, self._address) from error
    finally:
      with contextlib.suppress(Exception):
        client.cancel(list(done.futures), force=True)

  def _map_here(self, task: Callable, items: Iterable) -> Iterator[Any]:
    function = functools.partial(_run_here, task, self._resources)
    try:
      yield from self._workers.map(function, items)
    except ChildProcessError as error:
      raise _too_many_deaths(self._address) from error

  def _connect(self):
    if self._client is None:
      try:
        client = _import().Client(
          self._address, timeout=CONNECT_SECONDS, set_as_default=False
        )
      except OSError as error:
        raise OSError(
          f"dask={self._address}: no scheduler answers there ({error}). "
          "Start one with `dask scheduler`, and workers with `dask worker`."
        ) from error
      self._client = self._stack.enter_context(client)
      if not client.scheduler_info(n_workers=-1)["workers"]:
        self._say(f"{self._address} has no workers yet: waiting for one")
        client.wait_for_workers(1)
    return self._client


def _import():
  with lazy.needed(
    "dask needs Dask: pip install -r requirements-optional.txt, or pip install "
    "distributed."
  ):
    import distributed
  return distributed


def _split(
  resources: Resources, num_tasks: int, memory: float = 0
) -> Resources:
  """The share of one of `num_tasks` tasks on a machine with `memory` bytes."""
  threads = resources.threads or default_threads()
  memory_gb = resources.memory_gb or (memory or machine_memory()) / 2e9
  return Resources(max(1, threads // num_tasks), memory_gb / num_tasks)


def _pack(function: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
  """Makes a function of pickled items, for workers without this library.

  Dask sends a local function by value. Such a worker can therefore load it, and
  raises a clear ImportError inside instead of dying.
  """
  packed = pickle.dumps(function)

  def call(item: bytes) -> bytes:
    import pickle

    return pickle.dumps(pickle.loads(packed)(pickle.loads(item)))

  return call


def _run(task: Callable, resources: Resources, item):
  """Runs a task in a worker, which may run several at a time."""
  worker = _import().get_worker()
  limit = worker.memory_manager.memory_limit or 0
  try:
    return task(item, _split(resources, worker.state.nthreads, limit))
  except OSError as error:
    name = f"Worker {worker.address} on {socket.gethostname()}"
    message = f"{name}: {str(error).removesuffix('.')}."
    if isinstance(error, FileNotFoundError):
      message += " All workers must see the folders that run.py sees."
    raise OSError(message) from None


def _run_here(task: Callable, resources: Resources, item):
  return task(item, resources)


def _too_many_deaths(address: str) -> OSError:
  return OSError(
    f"dask={address}: several workers died in the same task. See their "
    "logs, and lower memory_gb if they ran out of memory."
  )


def _explain(error: Exception, address: str) -> Exception:
  """Turns an error of Dask into one that says what to do."""
  if isinstance(error, ImportError):
    return ImportError(
      f"A worker of dask={address} lacks a package ({error}): run `pip "
      "install .` there in this checkout, or set its PYTHONPATH to it."
    )
  if isinstance(error, _import().KilledWorker):
    return _too_many_deaths(address)
  return OSError(
    f"dask={address}: the scheduler is gone. Start it again; the same "
    "command then resumes."
  )
