"""Workers of Dask, on this machine or a cluster: tasks out, small answers in.

Dask is imported only where `--dask` is given. What the tasks do is no matter
here (see `sections`): they get an item and what they may use of their machine,
leave their work in files that all machines see, and may be run twice.
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
from glove_jax.counts.out_of_core import machine_memory
from glove_jax.threads import default_threads

_ADDRESS = re.compile(r"(?:tcp|tls)://[^\s/]+:\d+")
_LOCAL = re.compile(r"local:([1-9]\d*)")
CONNECT_SECONDS = 30


class Share(NamedTuple):
  """What a task may use of its machine."""

  threads: int
  memory_gb: float


class Cluster:
  """The workers that `config.dask` names; they are met at the first `map`.

  As a context it lets go of them at its end.

  Args:
    config: `dask` says which workers; `threads` and `memory_gb` are those of
      all workers of `local:N` together, and of each one of a scheduler's.
    say: called with what the user has to know meanwhile.

  Raises:
    ValueError: `config.dask` is no address.
    ImportError: Dask is not installed.
  """

  def __init__(self, config: CountConfig, say: Callable[[str], None] = print):
    local = _LOCAL.fullmatch(config.dask)
    if not local and not _ADDRESS.fullmatch(config.dask):
      raise ValueError(
        f"--dask={config.dask} is no cluster: give local:N for N worker "
        "processes here, or the address of a scheduler as tcp://host:8786."
      )
    _import()
    # What Dask notes of its work is no news to a user; errors come by `map`.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    self._num_local = int(local[1]) if local else 0
    self._address = config.dask
    self._share = Share(config.threads, config.memory_gb)  # 0 is the default
    if local:
      self._share = _split(self._share, self._num_local)
    self._say = say
    self._stack = contextlib.ExitStack()
    self._client = None

  def __enter__(self) -> "Cluster":
    return self

  def __exit__(self, *_) -> None:
    self._client = None
    self._stack.close()

  def map(self, task: Callable, items: Iterable) -> Iterator[Any]:
    """What `task(item, share)` returns for each item, in any order.

    A task whose worker dies is run by another.

    Raises:
      OSError: the scheduler cannot be reached, or workers die again and again.
      ImportError: a worker does not have this library.
      Exception: what a task raises.
    """
    dask = _import()
    client = self._connect()
    call = _pack(functools.partial(_run, task, self._share))
    items = [pickle.dumps(item) for item in items]
    futures = client.map(call, items, pure=False)
    done = dask.as_completed(futures, loop=client.loop, with_results=True)
    del futures  # what is done is not to be done again if its worker dies
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
          f"--dask={self._address}: no scheduler answers there ({error}): "
          "start one with `dask scheduler`, and workers with `dask worker`"
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
      "or pip install distributed"
    ) from error
  return distributed


def _start_workers(number: int):
  """Worker processes of one task each; a context."""
  return _import().LocalCluster(
    n_workers=number,
    threads_per_worker=1,
    processes=True,
    memory_limit=None,  # counting keeps to memory_gb
    dashboard_address=":0",  # any free port
    silence_logs=logging.CRITICAL,
  )


def _ignore_interrupts() -> None:
  """Leaves Ctrl-C, of which a terminal tells workers as well, to the client."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)


def _split(share: Share, number: int, memory: float = 0) -> Share:
  """What each of `number` has that work on a machine, of `memory` bytes."""
  threads = share.threads or default_threads()
  memory_gb = share.memory_gb or (memory or machine_memory()) / 2e9
  return Share(max(1, threads // number), memory_gb / number)


def _pack(function: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
  """A function of pickled items, for machines that may not have this library.

  Dask sends it by value, as it is not found by its name, and so such a worker
  comes to an error that tells, instead of ending.
  """
  packed = pickle.dumps(function)

  def call(item: bytes) -> bytes:
    import pickle

    return pickle.dumps(pickle.loads(packed)(pickle.loads(item)))

  return call


def _run(task: Callable, share: Share, item):
  """Runs a task in a worker, which may have several at a time."""
  worker = _import().get_worker()
  limit = worker.memory_manager.memory_limit or 0
  try:
    return task(item, _split(share, worker.state.nthreads, limit))
  except OSError as error:
    name = f"worker {worker.address} on {socket.gethostname()}"
    hint = ""
    if isinstance(error, FileNotFoundError):
      hint = "; all workers must see the folders that run.py sees"
    raise OSError(f"{name}: {error}{hint}") from None


def _explain(error: Exception, address: str) -> Exception:
  """What a user can do about it."""
  if isinstance(error, ImportError):
    return ImportError(
      f"a worker of --dask={address} lacks a package ({error}): run `pip "
      "install .` there in this checkout, or start it with PYTHONPATH set to it"
    )
  if isinstance(error, _import().KilledWorker):
    return OSError(
      f"--dask={address}: several workers died at the same task: see their "
      "logs, and lower --memory_gb if their memory ran out"
    )
  return OSError(
    f"--dask={address}: the scheduler is gone; once there is one again, the "
    "same command goes on"
  )
