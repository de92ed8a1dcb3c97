"""Workers of Dask, on this machine or a cluster.

Dask is imported only if `--dask` is given. This module does not know what the
tasks do (see `distributed`). A task receives an item and the resources it may
use, writes its results to files that all machines see, and returns a small
answer. A task may be run twice.
"""

import contextlib
import functools
import logging
import pickle
import re
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from glove_jax.config import CountConfig
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
    ImportError: Dask is not installed.
  """

  def __init__(self, config: CountConfig, say: Callable[[str], None] = print):
    local = _LOCAL.fullmatch(config.dask)
    if not local and not _ADDRESS.fullmatch(config.dask):
      raise ValueError(
        f"--dask={config.dask} is not a cluster: give local:N for N worker "
        "processes here, or the address of a scheduler as tcp://host:8786."
      )
    _import()
    # Hide the log of Dask; `map` raises its errors.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    self._num_local = int(local[1]) if local else 0
    self._address = config.dask
    self._resources = Resources(config.threads, config.memory_gb)
    if local:
      self._resources = _split(self._resources, self._num_local)
    self._say = say
    self._stack = contextlib.ExitStack()
    self._client = None

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

  def _connect(self):
    if self._client is None:
      address = self._address
      if self._num_local:
        address = self._stack.enter_context(_start_workers(self._num_local))
      try:
        client = _import().Client(
          address, timeout=CONNECT_SECONDS, set_as_default=False
        )
      except OSError as error:
        raise OSError(
          f"--dask={self._address}: no scheduler answers there ({error}). "
          "Start one with `dask scheduler`, and workers with `dask worker`."
        ) from error
      self._client = self._stack.enter_context(client)
      if self._num_local:
        client.run(_ignore_interrupts)
      if not client.scheduler_info(n_workers=-1)["workers"]:
        self._say(f"{self._address} has no workers yet: waiting for one")
        client.wait_for_workers(1)
    return self._client


def _import():
  try:
    import distributed
  except ImportError as error:
    raise ImportError(
      "--dask needs Dask: pip install -r requirements-optional.txt, "
      "or pip install distributed."
    ) from error
  return distributed


def _start_workers(num_workers: int):
  """Starts worker processes that run one task each; a context manager."""
  return _import().LocalCluster(
    n_workers=num_workers,
    threads_per_worker=1,
    processes=True,
    memory_limit=None,  # counting obeys memory_gb itself
    dashboard_address=":0",  # any free port
    silence_logs=logging.CRITICAL,
  )


def _ignore_interrupts() -> None:
  """Leaves Ctrl-C to the client; a terminal sends it to the workers too."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)


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


def _explain(error: Exception, address: str) -> Exception:
  """Turns an error of Dask into one that says what to do."""
  if isinstance(error, ImportError):
    return ImportError(
      f"A worker of --dask={address} lacks a package ({error}): run `pip "
      "install .` there in this checkout, or set its PYTHONPATH to it."
    )
  if isinstance(error, _import().KilledWorker):
    return OSError(
      f"--dask={address}: several workers died in the same task. See their "
      "logs, and lower --memory_gb if they ran out of memory."
    )
  return OSError(
    f"--dask={address}: the scheduler is gone. Start it again; the same "
    "command then resumes."
  )
