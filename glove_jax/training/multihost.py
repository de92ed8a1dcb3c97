"""Several processes that train as one, on one machine or many.

All processes run the same command and see the same files. The first one leads:
it reads, counts, evaluates and writes, like a process without others. The rest
wait for training jobs from the first and do their part of each. jax connects
the devices of all processes. In addition, each process holds a connection to
the first. Jobs are sent over it, and it closes when a process dies: if one
dies, all of them stop with a one-line message.
"""

import contextlib
import functools
import importlib.util
import json
import os
import pathlib
import queue
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import jax
import numpy as np
from jax.experimental import multihost_utils

from glove_jax.training import connections

_SILENCE = 45  # seconds without a heartbeat after which jax aborts
_ADDRESS_BYTES = 1024
_SUMMED = 1 << 22  # numbers that are gathered to be summed, of all processes

# Of the first process to all others, of each other one to the first.
_connections: list[socket.socket] = []
_jobs: queue.SimpleQueue = queue.SimpleQueue()  # received from the first
_is_over = threading.Event()  # set once connections may close


def start(
  coordinator: str = "",
  num_processes: int = 0,
  process_id: int = -1,
  folder: str | os.PathLike = "~/.cache/glove_jax",
) -> None:
  """Joins the processes of this run, if there are several.

  Args:
    coordinator: host:port where the first process will listen; '' uses what
      Slurm, MPI, Kubernetes or a TPU pod provides, if any.
    num_processes: how many processes there are.
    process_id: the number of this one, from 0.
    folder: that all processes see, for the file of a secret, see `connections`.

  Raises:
    ValueError: the arguments do not fit together.
    ConnectionError: the others cannot be reached.
  """
  # With this service, jax would catch SIGTERM and not end the process.
  jax.config.update("jax_enable_preemption_service", False)
  folder = pathlib.Path(folder).expanduser()
  is_named = bool(coordinator) or process_id >= 0
  if is_named or (num_processes and not connections.is_indexed_pod()):
    connected = _join(coordinator, num_processes, process_id, folder)
  elif connections.is_launched() or num_processes > 1:
    connected = _join_launched()
  elif importlib.util.find_spec("libtpu"):
    connected = _join_launched(must_find=False)
  else:
    return
  for process, connection in connected.items():
    _connections.append(connection)
    threading.Thread(
      target=_watch, args=(process, connection.makefile("rb")), daemon=True
    ).start()


def _join(
  coordinator, num_processes, process_id, folder
) -> dict[int, socket.socket]:
  """Joins as the arguments say; returns {process: connection}."""
  host, port = _check(coordinator, num_processes, process_id)
  # Before jax, which would abort with a C++ stack trace if one is missing.
  bound = None  # all interfaces
  if process_id == 0:
    with connections.listen_at(host, port) as server:
      secret = connections.make_secret(folder)
      connected = connections.accept(server, num_processes, secret)
      address = server.getsockname()[0]
    if address not in ("::", "0.0.0.0"):
      bound = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
  else:
    secret = functools.partial(connections.read_secret, folder)
    connected = {
      0: connections.call([host], port, num_processes, process_id, secret)
    }
  jax.distributed.initialize(
    coordinator,
    num_processes,
    process_id,
    cluster_detection_method="deactivate",
    coordinator_bind_address=bound,
    heartbeat_timeout_seconds=_SILENCE,
  )
  _begin()
  return connected


def _join_launched(must_find: bool = True) -> dict[int, socket.socket]:
  """Joins as the launcher says; returns {process: connection}."""
  try:
    jax.distributed.initialize(heartbeat_timeout_seconds=_SILENCE)
  except (ValueError, RuntimeError, KeyError) as error:
    if not must_find:  # one machine with a TPU
      return {}
    raise ValueError(
      "A launcher has started several processes, but jax does not find the "
      f"others ({error}) Use --coordinator, --num_processes and --process_id; "
      "for a process alone, --coordinator=localhost:1234 --num_processes=1 "
      "--process_id=0."
    ) from error
  _begin()
  return _connect() if several() else {}


def _begin() -> None:
  """Checks the devices, and runs the first collective operation.

  It runs now, while all processes are here: Gloo lets them wait for each other
  for no more than 30 seconds.
  """
  here, everywhere = jax.local_device_count(), jax.device_count()
  if here * jax.process_count() != everywhere:
    raise ValueError(
      f"This process has {here} of {everywhere} devices: each of the "
      f"{jax.process_count()} must have as many."
    )
  gather(0)


def _check(coordinator, num_processes, process_id) -> tuple[str, int]:
  """Checks the arguments of `start`; returns host and port."""
  host, _, port = coordinator.rpartition(":")
  host = host.removeprefix("[").removesuffix("]")  # of IPv6
  if not host or not port.isdecimal() or not int(port):
    raise ValueError(
      "Several processes need --coordinator=HOST:PORT of the first, got "
      f"{coordinator!r}."
    )
  if not 0 <= process_id < num_processes:
    raise ValueError(
      f"--process_id={process_id} must be 0 or more and less than "
      f"--num_processes={num_processes}."
    )
  try:
    socket.getaddrinfo(host, port)
  except OSError as error:
    raise ConnectionError(
      f"--coordinator={coordinator}: there is no host {host} ({error})."
    ) from error
  return host, int(port)


def several() -> bool:
  """Whether there is more than one process."""
  return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
  """Whether this is the first process, which writes; True without others."""
  return not several() or jax.process_index() == 0


def share(size: int) -> slice:
  """The range of `size` items that this process works on.

  The first of 2 processes gets slice(0, 3) of 7 items, the second slice(3, 7).
  """
  if not several():
    return slice(0, size)
  ends = np.arange(jax.process_count() + 1) * size // jax.process_count()
  return slice(*map(int, ends[jax.process_index() :][:2]))


def gather(array) -> np.ndarray:
  """Gathers an array from each of P processes, bit for bit.

  Args:
    array: of the same shape and type in every process.

  Returns:
    [P, ...], the same in every process.
  """
  array = np.asarray(array)
  if not several():
    return array[None]
  # As bytes, because jax would convert 64-bit numbers to 32 bits.
  data = np.frombuffer(array.tobytes(), np.uint8)
  every = multihost_utils.process_allgather(data)
  return every.reshape(-1).view(array.dtype).reshape(-1, *array.shape)


def sum_over_processes(array) -> np.ndarray:
  """Sums an array over the processes, as many numbers at a time as fit."""
  array = np.asarray(array)
  if not several():
    return array
  flat, size = array.ravel(), max(1, _SUMMED // jax.process_count())
  sums = [
    gather(flat[start : start + size]).sum(axis=0, dtype=array.dtype)
    for start in range(0, flat.size, size)
  ]
  return np.concatenate([flat[:0], *sums]).reshape(array.shape)


def send(job: dict | None) -> None:
  """Sends a job, as JSON, to the others; only the first process may call it."""
  line = (json.dumps(job) + "\n").encode()
  for connection in _connections:
    connection.sendall(line)


@contextlib.contextmanager
def run_job(job: dict) -> Iterator[None]:
  """Starts a job in the other processes, to run with the body of the `with`.

  A job is the dict that `following.follow` reads: `folder` (of counts),
  `settings` and `workdir`.

  If the body fails here alone, the others would wait for ever, so the whole run
  ends. A cost that is not finite stops the job in all processes alike.
  """
  send(job)
  try:
    yield
  except FloatingPointError:
    raise
  except Exception as error:
    if several():
      stop(str(error))
    raise


def listen() -> dict | None:
  """Waits for a job; returns None when there are no more jobs."""
  return _jobs.get()


def finish() -> None:
  """Ends a run that succeeded."""
  if not several():
    return
  _is_over.set()
  if is_first():
    send(None)
  jax.distributed.shutdown()


def stop(message: str, code: int = 1) -> None:
  """Prints what went wrong and ends this process, and so all others."""
  # If it failed because another process died, `_watch` reports that first.
  with contextlib.suppress(KeyboardInterrupt):
    time.sleep(2)
  _end(message, code)


def _end(message: str, code: int = 1) -> None:
  name = pathlib.Path(sys.argv[0]).name
  print(f"{name}: {message}", file=sys.stderr, flush=True)
  sys.stdout.flush()
  if not _is_over.is_set() and jax.distributed.is_initialized() and is_first():
    with contextlib.suppress(OSError):
      send({"end": message})
  os._exit(code)  # jax would wait for dead processes


def _connect() -> dict[int, socket.socket]:
  """Connects each process to the first.

  Its address, and a secret made for this run, are sent through jax.
  """
  num_processes, process = jax.process_count(), jax.process_index()
  if process:
    hosts, port, secret = _publish(None)
    return {
      0: connections.call(
        hosts, port, num_processes, process, lambda: secret.encode()
      )
    }
  with connections.listen_at("", 0) as server:
    secret = secrets.token_hex(32)
    _publish([_local_addresses(), server.getsockname()[1], secret])
    return connections.accept(server, num_processes, secret.encode())


def _local_addresses() -> list[str]:
  name = socket.gethostname()
  try:
    return [name, *socket.gethostbyname_ex(name)[2]]
  except OSError:
    return [name]


def _publish(address: list | None) -> list:
  """Returns, in every process, the address that the first one passes."""
  data = np.zeros(_ADDRESS_BYTES, np.uint8)
  if address:
    text = json.dumps(address).encode()
    data[: len(text)] = np.frombuffer(text, np.uint8)
  return json.loads(gather(data)[0].tobytes().rstrip(b"\0"))


def _watch(process: int, line: BinaryIO) -> None:
  """Reads the messages of a process until its connection closes."""
  try:
    for text in line:
      job = json.loads(text)
      if job is None:
        _is_over.set()
      elif "end" in job:
        _end(job["end"])
      _jobs.put(job)
  except (OSError, ValueError):
    pass  # closed in the middle of a line
  if not _is_over.is_set():
    _end(
      f"process {process} of {jax.process_count()} is gone, so all stop: start "
      "all again with the same commands, and training resumes from the last "
      "checkpoint."
    )
