"""Several processes that train as one, on one machine or many.

All run the same command and see the same files. The first leads: it reads,
counts, evaluates and writes what a process alone would. The others wait until
it tells them what to train, and do their part of it; jax connects the devices
of all. Beside that, each holds a connection to the first: what to train comes
by it, and when a process is gone its end closes, so that all stop at once.
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

_SILENCE = 45  # seconds without a sign of life after which jax ends all
_ASSEMBLY = 300  # seconds to wait for the others at the start
_GREETING = 10  # seconds for one who comes to say who it is
_ASK, _ALL_HERE = b"?", b"+"  # bytes that the first sends at the start
_ADDRESS_BYTES = 1024

_connections: list[socket.socket] = []  # to the others; to the first
_told: queue.SimpleQueue = queue.SimpleQueue()  # what the first has told
_is_over = threading.Event()  # from here on all may go


def start(
  coordinator: str = "", num_processes: int = 0, process_id: int = -1
) -> None:
  """Joins the processes of this run, if there are several.

  Args:
    coordinator: host:port of the first, where it will listen; '' for what
      Slurm, MPI, Kubernetes or a TPU pod tells, or to be alone.
    num_processes: how many there are.
    process_id: which this is, from 0.

  Raises:
    ValueError: numbers that do not go together.
    ConnectionError: the others cannot be reached.
  """
  # With it, jax would keep to itself that a process is to end.
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
  """Joins by flags; returns the connections to others."""
  host, port = _check(coordinator, num_processes, process_id)
  # Before jax, which waits in vain with an abort and a stack of C++.
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
  """Joins by what a launcher tells; returns the connections to others."""
  try:
    jax.distributed.initialize(heartbeat_timeout_seconds=_SILENCE)
  except ValueError as error:
    if not _is_launched():  # a machine with a TPU, and no word of others
      return {}
    raise ValueError(
      "A launcher has started several processes, but jax does not find the "
      f"others ({error}) Give --coordinator, --num_processes, --process_id."
    ) from error
  _begin()
  return _connect() if several() else {}


def _begin() -> None:
  """Checks the devices, and does the first collective operation.

  For that, Gloo has processes wait no more than 30 seconds for each other.
  """
  here, everywhere = jax.local_device_count(), jax.device_count()
  if here * jax.process_count() != everywhere:
    raise ValueError(
      f"This process has {here} of {everywhere} devices: each of the "
      f"{jax.process_count()} must have as many."
    )
  gather(0)


def _check(coordinator, num_processes, process_id) -> tuple[str, int]:
  """The host and the port of the coordinator."""
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
  """Whether Slurm, MPI or Kubernetes says that there are several processes."""
  env = os.environ
  tasks = env.get("SLURM_STEP_NUM_TASKS", env.get("SLURM_NTASKS", 1))
  return (
    ("SLURM_STEP_NODELIST" in env and int(tasks) > 1)
    or int(env.get("OMPI_COMM_WORLD_SIZE", 1)) > 1
    or {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= env.keys()
  )


def several() -> bool:
  """Whether this is one process of more."""
  return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
  """Whether this is the process that reads, counts and writes, or alone."""
  return not several() or jax.process_index() == 0


def share(size: int) -> slice:
  """The part of so many things that this process is to look at."""
  if not several():
    return slice(0, size)
  ends = np.arange(jax.process_count() + 1) * size // jax.process_count()
  return slice(*map(int, ends[jax.process_index() :][:2]))


def gather(array) -> np.ndarray:
  """[P, ...]: an array of each process, of one shape and type, to the bit."""
  array = np.asarray(array)
  if not several():
    return array[None]
  # As bytes, for jax would make 64-bit numbers 32-bit ones.
  data = np.frombuffer(array.tobytes(), np.uint8)
  every = multihost_utils.process_allgather(data)
  return every.reshape(-1).view(array.dtype).reshape(-1, *array.shape)


def total(array) -> np.ndarray:
  """The sum of an array over the processes."""
  return gather(array).sum(axis=0, dtype=np.asarray(array).dtype)


def tell(job: dict | None) -> None:
  """Tells the others what is next, in plain data. Only the first does."""
  line = (json.dumps(job) + "\n").encode()
  for connection in _connections:
    connection.sendall(line)


@contextlib.contextmanager
def together(job: dict) -> Iterator[None]:
  """Has the others do a job with this process.

  Where it fails here alone, they would wait for ever, and so the run ends. A
  cost that is not finite is so in all of them.
  """
  tell(job)
  try:
    yield
  except FloatingPointError:
    raise
  except Exception as error:
    if several():
      stop(str(error))
    raise


def listen() -> dict | None:
  """What the first has told; None when there is nothing more to do."""
  return _told.get()


def finish() -> None:
  """Ends a run in which all went well."""
  if not several():
    return
  _is_over.set()
  if is_first():
    tell(None)
  jax.distributed.shutdown()


def stop(message: str) -> None:
  """Says what went wrong, and ends this process; the others will notice."""
  # It may have gone wrong because another is gone: then that is being said.
  with contextlib.suppress(KeyboardInterrupt):
    time.sleep(2)
  _end(message)


def _end(message: str) -> None:
  name = pathlib.Path(sys.argv[0]).name
  print(f"{name}: {message}", file=sys.stderr, flush=True)
  sys.stdout.flush()
  if not _is_over.is_set() and jax.distributed.is_initialized() and is_first():
    with contextlib.suppress(OSError):
      tell({"end": message})
  os._exit(1)  # jax would wait for those that are gone


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
  """Connects each process to the first, where jax alone knows where it is."""
  number, process = jax.process_count(), jax.process_index()
  if process:
    return {0: _call(*_publish(None), number, process)}
  with _listen_at(0) as server:
    _publish([_own_addresses(), server.getsockname()[1]])
    return _accept(server, number)


def _own_addresses() -> list[str]:
  name = socket.gethostname()
  try:
    return [name, *socket.gethostbyname_ex(name)[2]]
  except OSError:
    return [name]


def _publish(address: list | None) -> list:
  """Gives everyone the address that the first process passes."""
  data = np.zeros(_ADDRESS_BYTES, np.uint8)
  if address:
    text = json.dumps(address).encode()
    data[: len(text)] = np.frombuffer(text, np.uint8)
  return json.loads(gather(data)[0].tobytes().rstrip(b"\0"))


def _greeting(number: int, process: int) -> bytes:
  return f"glove_jax {number} {process}\n".encode()


def _accept(server: socket.socket, number: int) -> dict[int, socket.socket]:
  """Waits for the others, and says so when all are there."""
  expected = {_greeting(number, process): process for process in range(number)}
  found, end = {}, time.monotonic() + _ASSEMBLY
  while len(_still_there(found)) < number - 1:
    server.settimeout(max(0.01, end - time.monotonic()))
    try:
      connection, _ = server.accept()
    except TimeoutError as error:
      raise ConnectionError(
        f"Of {number} processes only {len(found) + 1} came within {_ASSEMBLY} "
        "seconds: start all of them."
      ) from error
    line = b""
    with contextlib.suppress(OSError):  # a stranger
      connection.settimeout(_GREETING)
      line = connection.makefile("rb").readline(100)
    if process := expected.get(line):
      found[process] = connection  # the latest: it may have been started again
    else:
      connection.close()
  for connection in found.values():
    connection.settimeout(None)
    connection.sendall(_ALL_HERE)
  return found


def _still_there(found: dict[int, socket.socket]) -> dict:
  """Asks all whether they are there, and forgets those that are not."""
  for process, connection in list(found.items()):
    answer = b""
    with contextlib.suppress(OSError):
      connection.sendall(_ASK)
      answer = connection.recv(1)
    if not answer:
      del found[process]
  return found


def _call(
  hosts: list[str], port: int, number: int, process: int
) -> socket.socket:
  """Connects to the first process, and waits until all are there."""
  end = time.monotonic() + _ASSEMBLY
  while time.monotonic() < end:
    for host in hosts:
      with contextlib.suppress(OSError):
        connection = socket.create_connection((host, port), _GREETING)
        connection.sendall(_greeting(number, process))
        connection.settimeout(_ASSEMBLY)
        while (said := connection.recv(1)) == _ASK:
          connection.sendall(_ASK)
        if said == _ALL_HERE:
          connection.settimeout(None)
          return connection
    time.sleep(0.2)
  raise ConnectionError(
    f"Process {process} of {number} found no others within {_ASSEMBLY} "
    f"seconds: start all of them with one --num_processes and a --process_id "
    f"each, the first where port {port} of {hosts[0]} is."
  )


def _watch(process: int, line: BinaryIO) -> None:
  """Reads what a process says, until its end."""
  try:
    for text in line:
      job = json.loads(text)
      if job is None:
        _is_over.set()
      elif "end" in job:
        _end(job["end"])
      _told.put(job)
  except (OSError, ValueError):
    pass  # the end as well, in the middle of a line
  if not _is_over.is_set():
    _end(
      f"process {process} of {jax.process_count()} is gone, so all stop: start "
      "all again with the same commands, and training goes on from the last "
      "checkpoint."
    )
