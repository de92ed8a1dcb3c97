"""Connections of the processes of a run to the first one.

Anyone can reach a port, so both sides prove that they know the secret of the
run. The secret itself is never sent:

  first -> other   challenge
  other -> first   glove_jax, number of processes, which one, own challenge,
                   HMAC of all this and the first's challenge
  first -> other   HMAC of both challenges

Every wait has a bound, so strangers and silent processes cannot stall a run.
"""

import contextlib
import errno
import hmac
import importlib.util
import ipaddress
import os
import pathlib
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence

ASSEMBLY = 300  # seconds to wait for all processes at the start
GREETING = 10  # seconds for a new connection to identify itself
_ASK, _ALL_HERE = b"?", b"+"  # what the first sends at the start
_LINE = 400  # most bytes in a line of a greeting
_VARIABLE = "GLOVE_JAX_SECRET"


def are_wanted(coordinator: str, num_processes: int, process_id: int) -> bool:
  """Whether this process is to join others, for which it needs jax.

  Args:
    coordinator, num_processes, process_id: as for `multihost.start`.
  """
  return (
    bool(coordinator or num_processes)
    or process_id >= 0
    or is_launched()
    or importlib.util.find_spec("libtpu") is not None
  )


def is_launched() -> bool:
  """Whether Slurm or MPI has started several processes."""
  env = os.environ
  tasks = env.get("SLURM_STEP_NUM_TASKS", env.get("SLURM_NTASKS", 1))
  return ("SLURM_STEP_NODELIST" in env and int(tasks) > 1) or int(
    env.get("OMPI_COMM_WORLD_SIZE", 1)
  ) > 1


def is_indexed_pod() -> bool:
  """Whether this is a pod of an indexed job of Kubernetes.

  It may be one pod, or one of many independent runs, so its processes train
  together only with --num_processes.
  """
  return {
    "KUBERNETES_SERVICE_HOST",
    "JOB_COMPLETION_INDEX",
  } <= os.environ.keys()


def make_secret(folder: str | os.PathLike) -> bytes:
  """The secret of a run; the first process calls this.

  It is `$GLOVE_JAX_SECRET` if that is set, and otherwise the content of
  `.secret` in a folder that all processes see. The file is made if it is
  missing, or if others than its owner may read it.
  """
  path = pathlib.Path(folder, ".secret")
  with contextlib.suppress(OSError):
    if os.environ.get(_VARIABLE) or not path.stat().st_mode & 0o077:
      return read_secret(folder)
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(f".secret.{secrets.token_hex(8)}.part")
  flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
  with open(os.open(part, flags, 0o600), "w") as file:
    file.write(secrets.token_hex(32))
  os.replace(part, path)
  return read_secret(folder)


def read_secret(folder: str | os.PathLike) -> bytes:
  """The secret that the first process has made.

  Raises:
    OSError: there is none yet.
  """
  if named := os.environ.get(_VARIABLE):
    return named.encode()
  secret = pathlib.Path(folder, ".secret").read_bytes()
  if not secret:
    raise OSError("The secret is empty.")
  return secret


def listen_at(host: str, port: int) -> socket.socket:
  """Listens at the address that a host name stands for.

  A name of loopback, such as localhost, stays on loopback. An address that is
  none of this machine, such as that of a service of Kubernetes, and '' mean all
  interfaces.

  Raises:
    ConnectionError: the port is not free.
  """
  for family, address in _local_candidates(host):
    try:
      return socket.create_server((address, port), family=family)
    except OSError as error:
      if error.errno != errno.EADDRNOTAVAIL:
        raise _not_free(port, error) from error
  both = socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if both else socket.AF_INET
  try:
    return socket.create_server(("", port), family=family, dualstack_ipv6=both)
  except OSError as error:
    raise _not_free(port, error) from error


def _not_free(port: int, error: OSError) -> ConnectionError:
  return ConnectionError(
    f"--coordinator: port {port} is not free here, or not allowed: name "
    f"another ({error})."
  )


def _local_candidates(host: str) -> list[tuple[int, str]]:
  """(family, address) of a host, without loopback for other machines' names.

  Debian gives a machine's own name the address 127.0.1.1, where no other
  machine could reach it.
  """
  if not host:
    return []
  found = [
    (family, where[0])
    for family, *_, where in socket.getaddrinfo(
      host, None, type=socket.SOCK_STREAM
    )
  ]
  names = {address for _, address in found} | {"localhost", "ip6-localhost"}
  return [
    (family, address)
    for family, address in found
    if host in names or not ipaddress.ip_address(address).is_loopback
  ]


def accept(
  server: socket.socket, num_processes: int, secret: bytes
) -> dict[int, socket.socket]:
  """Waits until all others have connected, and tells them so.

  Raises:
    ConnectionError: some did not come in time.
  """
  found: dict[int, socket.socket] = {}
  strangers: list[str] = []
  arrived: queue.SimpleQueue = queue.SimpleQueue()

  def greet(connection, address):
    process = _identify(connection, num_processes, secret)
    if process:
      arrived.put((process, connection))
    else:
      strangers.append(address[0])
      connection.close()

  server.settimeout(0.1)
  end = time.monotonic() + ASSEMBLY
  while len(found) < num_processes - 1 or not _all_alive(found):
    if time.monotonic() > end:
      raise ConnectionError(
        f"Of {num_processes} processes only {len(found) + 1} came within "
        f"{ASSEMBLY} seconds: start all of them.{_refused(strangers)}"
      )
    try:
      arguments = server.accept()
      threading.Thread(target=greet, args=arguments, daemon=True).start()
    except TimeoutError:
      pass
    except OSError:  # too many strangers at a time
      time.sleep(0.1)
    while not arrived.empty():
      process, connection = arrived.get()
      found[process] = connection  # may replace that before a restart
  for connection in found.values():
    connection.settimeout(None)
    connection.sendall(_ALL_HERE)
  return found


def _refused(strangers: Sequence[str]) -> str:
  if not strangers:
    return ""
  return (
    f" {len(strangers)} connections, from {', '.join(sorted(set(strangers)))}, "
    "did not know the secret of this run: give all processes one workdir that "
    f"they share, or one {_VARIABLE} in their environment."
  )


def _identify(
  connection: socket.socket, num_processes: int, secret: bytes
) -> int:
  """Which process has connected; 0 if it is none of this run."""
  end = time.monotonic() + GREETING
  challenge = secrets.token_hex(32)
  try:
    connection.settimeout(GREETING)
    connection.sendall(f"{challenge}\n".encode())
    *words, proof = _read_line(connection, end).split(" ")
    if not hmac.compare_digest(
      proof.encode(), _proof(secret, challenge, *words).encode()
    ):
      return 0
    name, number, process, theirs = words
    known = name == "glove_jax" and int(number) == num_processes
    if not known or not 0 < int(process) < num_processes:
      return 0
    answer = _proof(secret, "first", challenge, theirs)
    connection.sendall(f"{answer}\n".encode())
    return int(process)
  except (OSError, ValueError):  # closed, silent, or no such line
    return 0


def _proof(secret: bytes, *words: str) -> str:
  return hmac.new(secret, " ".join(words).encode(), "sha256").hexdigest()


def _read_line(connection: socket.socket, end: float) -> str:
  """Reads one line; raises an OSError or ValueError if none comes by `end`."""
  line = b""
  while not line.endswith(b"\n"):
    connection.settimeout(max(0.001, end - time.monotonic()))
    byte = connection.recv(1)
    line += byte
    if not byte or len(line) > _LINE:
      raise ValueError("This is no line.")
  return line[:-1].decode("ascii")


def _all_alive(found: dict[int, socket.socket]) -> bool:
  """Drops the connections that no longer answer; whether there were none."""
  num_found = len(found)
  for process, connection in list(found.items()):
    answer = b""
    with contextlib.suppress(OSError):
      connection.settimeout(GREETING)
      connection.sendall(_ASK)
      answer = connection.recv(1)
    if answer != _ASK:
      del found[process]
  return len(found) == num_found


def call(
  hosts: Sequence[str],
  port: int,
  num_processes: int,
  process: int,
  secret: Callable[[], bytes],
) -> socket.socket:
  """Connects to the first process, and waits until all have connected.

  Args:
    hosts: the names of its machine.
    port: where it listens.
    num_processes: how many processes there are.
    process: the number of this one.
    secret: reads the secret, or raises an OSError while there is none.

  Raises:
    ConnectionError: they did not come in time.
  """
  end, refused = time.monotonic() + ASSEMBLY, False
  while time.monotonic() < end:
    for host in hosts:
      with contextlib.suppress(OSError, ValueError):  # not there yet
        connection = socket.create_connection((host, port), GREETING)
        refused = True
        _introduce(connection, num_processes, process, secret())
        refused = False
        connection.settimeout(max(0.001, end - time.monotonic()))
        while (received := connection.recv(1)) == _ASK:
          connection.sendall(_ASK)
        if received == _ALL_HERE:
          connection.settimeout(None)
          return connection
    time.sleep(0.2)
  reason = (
    "start all of them with one --num_processes and a --process_id each, the "
    f"first where port {port} of {hosts[0]} is."
  )
  if refused:
    reason = (
      f"what listens at port {port} of {hosts[0]} does not know the secret of "
      "this run: give all processes one workdir that they share, or one "
      f"{_VARIABLE} in their environment."
    )
  raise ConnectionError(
    f"Process {process} of {num_processes} found no others within {ASSEMBLY} "
    f"seconds: {reason}"
  )


def _introduce(
  connection: socket.socket, num_processes: int, process: int, secret: bytes
) -> None:
  """Greets the first process; raises an error if it is not that of this run."""
  end = time.monotonic() + GREETING
  challenge, ours = _read_line(connection, end), secrets.token_hex(32)
  words = ("glove_jax", str(num_processes), str(process), ours)
  line = " ".join([*words, _proof(secret, challenge, *words)])
  connection.sendall(f"{line}\n".encode())
  wanted = _proof(secret, "first", challenge, ours)
  if not hmac.compare_digest(_read_line(connection, end), wanted):
    raise ConnectionError("This is another run.")
