"""Several processes that train as one, on one machine or many.

All processes run the same command and see the same files. The first one leads:
it reads, counts, evaluates and writes, like a process without others. The rest
wait for training jobs from the first and do their part of each. jax connects
the devices of all processes. In addition, each process holds a connection to
the first. Jobs are sent over it, and it closes when a process dies: if one
dies, all of them stop with a one-line message.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import jax
import numpy as np
from jax.experimental import multihost_utils

_SILENCE = 45  # seconds without a heartbeat after which jax aborts
_ASSEMBLY = 300  # seconds to wait for all processes at the start
_GREETING = 10  # seconds for a new connection to identify itself
_ASK, _ALL_HERE = b"?", b"+"  # what the first sends at the start
_ADDRESS_BYTES = 1024

_connections: list[
  socket.socket
] = []  # the first: to all others; the others: to the first
_jobs: queue.SimpleQueue = queue.SimpleQueue()  # received from the first
_is_over = threading.Event()  # set once connections may close


def start(
  coordinator: str = "", num_processes: int = 0, process_id: int = -1
) -> None:
  """Joins the processes of this run, if there are several.

  Args:
    coordinator: host:port where the first process will listen; '' uses what
      Slurm, MPI, Kubernetes or a TPU pod provides, if any.
    num_processes: how many processes there are.
    process_id: the number of this one, from 0.

  Raises:
    ValueError: the arguments do not fit together.
    ConnectionError: the others cannot be reached.
  """
  # With this service, jax would catch SIGTERM and not end the process.
  jax.config.update("jax_enable_preemption_service", False)
  if coordinator or num_processes or process_id >= 0:
    connected = _join(coordinator, num_processes, process_id)
  elif _is_launched() or importlib.util.find_spec("libtpu"):
    connected = _join_launched()
  else:
    return
  for process, connection in connected.items():
    _connections.append(connection)
    threading.Thread(
      target=_watch, args=(process, connection.makefile("rb")), daemon=True
    ).start()


def _join(coordinator, num_processes, process_id) -> dict[int, socket.socket]:
  """Joins as the arguments say; returns {process: connection}."""
  host, port = _check(coordinator, num_processes, process_id)
  # Before jax, which would abort with a C++ stack trace if one is missing.
  if process_id == 0:
    with _listen_at(port) as server:
      connected = _accept(server, num_processes)
  else:
    connected = {0: _call([host], port, num_processes, process_id)}
  jax.distributed.initialize(
    coordinator,
    num_processes,
    process_id,
    cluster_detection_method="deactivate",
    heartbeat_timeout_seconds=_SILENCE,
  )
  _begin()
  return connected


def _join_launched() -> dict[int, socket.socket]:
  """Joins as the launcher says; returns {process: connection}."""
  try:
    jax.distributed.initialize(heartbeat_timeout_seconds=_SILENCE)
  except ValueError as error:
    if not _is_launched():  # one machine with a TPU
      return {}
    raise ValueError(
      "A launcher has started several processes, but jax does not find the "
      f"others ({error}) Use --coordinator, --num_processes and --process_id."
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


def _is_launched() -> bool:
  """Whether Slurm, MPI or Kubernetes has started several processes."""
  env = os.environ
  tasks = env.get("SLURM_STEP_NUM_TASKS", env.get("SLURM_NTASKS", 1))
  return (
    ("SLURM_STEP_NODELIST" in env and int(tasks) > 1)
    or int(env.get("OMPI_COMM_WORLD_SIZE", 1)) > 1
    or {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= env.keys()
  )


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
  """Sums an array over the processes."""
  return gather(array).sum(axis=0, dtype=np.asarray(array).dtype)


def send(job: dict | None) -> None:
  """Sends a job, as JSON, to the others; only the first process may call it."""
  line = (json.dumps(job) + "\n").encode()
  for connection in _connections:
    connection.sendall(line)


@contextlib.contextmanager
def run_job(job: dict) -> Iterator[None]:
  """Starts a job in the other processes, to run with the body of the `with`.

  A job is the dict that `loop.follow` reads: `folder` (of counts), `settings`
  and `workdir`.

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


def stop(message: str) -> None:
  """Prints what went wrong and ends this process, and so all others."""
  # If it failed because another process died, `_watch` reports that first.
  with contextlib.suppress(KeyboardInterrupt):
    time.sleep(2)
  _end(message)


def _end(message: str) -> None:
  name = pathlib.Path(sys.argv[0]).name
  print(f"{name}: {message}", file=sys.stderr, flush=True)
  sys.stdout.flush()
  if not _is_over.is_set() and jax.distributed.is_initialized() and is_first():
    with contextlib.suppress(OSError):
      send({"end": message})
  os._exit(1)  # jax would wait for dead processes


def _listen_at(port: int) -> socket.socket:
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  try:
    return socket.create_server(("", port), family=family, dualstack_ipv6=both)
  except OSError as error:
    raise ConnectionError(
      f"--coordinator: port {port} is not free here: {error}."
    ) from error


def _connect() -> dict[int, socket.socket]:
  """Connects each process to the first; its address is sent through jax."""
  num_processes, process = jax.process_count(), jax.process_index()
  if process:
    return {0: _call(*_publish(None), num_processes, process)}
  with _listen_at(0) as server:
    _publish([_local_addresses(), server.getsockname()[1]])
    return _accept(server, num_processes)


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


def _greeting(num_processes: int, process: int) -> bytes:
  return f"glove_jax {num_processes} {process}\n".encode()


def _accept(
  server: socket.socket, num_processes: int
) -> dict[int, socket.socket]:
  """Waits until all others have connected, and tells them so."""
  expected = {
    _greeting(num_processes, process): process
    for process in range(num_processes)
  }
  found, end = {}, time.monotonic() + _ASSEMBLY
  while len(_alive(found)) < num_processes - 1:
    server.settimeout(max(0.01, end - time.monotonic()))
    try:
      connection, _ = server.accept()
    except TimeoutError as error:
      raise ConnectionError(
        f"Of {num_processes} processes only {len(found) + 1} came within "
        f"{_ASSEMBLY} seconds: start all of them."
      ) from error
    line = b""
    with contextlib.suppress(OSError):  # not one of ours
      connection.settimeout(_GREETING)
      line = connection.makefile("rb").readline(100)
    if process := expected.get(line):
      found[process] = connection  # may replace that before a restart
    else:
      connection.close()
  for connection in found.values():
    connection.settimeout(None)
    connection.sendall(_ALL_HERE)
  return found


def _alive(found: dict[int, socket.socket]) -> dict:
  """Drops the connections that no longer answer."""
  for process, connection in list(found.items()):
    answer = b""
    with contextlib.suppress(OSError):
      connection.sendall(_ASK)
      answer = connection.recv(1)
    if not answer:
      del found[process]
  return found


def _call(
  hosts: list[str], port: int, num_processes: int, process: int
) -> socket.socket:
  """Connects to the first process, and waits until all have connected."""
  end = time.monotonic() + _ASSEMBLY
  while time.monotonic() < end:
    for host in hosts:
      with contextlib.suppress(OSError):
        connection = socket.create_connection((host, port), _GREETING)
        connection.sendall(_greeting(num_processes, process))
        connection.settimeout(_ASSEMBLY)
        while (received := connection.recv(1)) == _ASK:
          connection.sendall(_ASK)
        if received == _ALL_HERE:
          connection.settimeout(None)
          return connection
    time.sleep(0.2)
  raise ConnectionError(
    f"Process {process} of {num_processes} found no others within {_ASSEMBLY} "
    f"seconds: start all of them with one --num_processes and a --process_id "
    f"each, the first where port {port} of {hosts[0]} is."
  )


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
