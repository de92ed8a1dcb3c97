"""Real sockets: whoever does not know the secret is no process of the run."""

import contextlib
import functools
import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from glove_jax.training import connections

SECRET = b"of this run"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
  monkeypatch.setattr(connections, "GREETING", 2)
  monkeypatch.setattr(connections, "ASSEMBLY", 30)
  monkeypatch.delenv("GLOVE_JAX_SECRET", raising=False)


@pytest.fixture
def server():
  with connections.listen_at("127.0.0.1", 0) as server:
    yield server


@pytest.fixture
def pool():
  with ThreadPoolExecutor() as pool:
    yield pool


def port_of(server):
  return server.getsockname()[1]


def call(server, number, process, secret=SECRET):
  return connections.call(
    ["127.0.0.1"], port_of(server), number, process, lambda: secret
  )


def stranger(server, said=b"", stays=False):
  """Connects, says something; returns the connection, or what it was sent."""
  connection = socket.create_connection(("127.0.0.1", port_of(server)))
  connection.sendall(said)
  return connection


def right_line_of_another(server):
  """The right line in every way, but made with another secret."""
  connection = socket.create_connection(("127.0.0.1", port_of(server)))
  with contextlib.suppress(ConnectionError, ValueError):
    connections._introduce(connection, 3, 1, b"guessed")
  return connection


def silent_after_greeting(server):
  """A process that knows the secret and then never answers."""
  connection = socket.create_connection(("127.0.0.1", port_of(server)))
  connections._introduce(connection, 3, 1, SECRET)
  return connection


def drip(server):
  """A byte now and then, never a line."""
  connection = socket.create_connection(("127.0.0.1", port_of(server)))
  with contextlib.suppress(OSError):
    for _ in range(8):
      connection.sendall(b"x")
      time.sleep(0.5)
  return connection


STRANGERS = {
  "nothing": stranger,
  "http": functools.partial(stranger, said=b"GET / HTTP/1.1\r\n\r\n"),
  "bytes": functools.partial(stranger, said=bytes(range(128, 256)) + b"\n"),
  "long": functools.partial(stranger, said=b"x" * 100_000),
  "spaces": functools.partial(stranger, said=b"   \n"),
  "old greeting": functools.partial(stranger, said=b"glove_jax 3 1\n"),
  "right line without the secret": right_line_of_another,
  "silent after greeting": silent_after_greeting,
  "drip": drip,
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_strangers_do_no_harm(server, pool, kind):
  accepted = pool.submit(connections.accept, server, 3, SECRET)
  begin = time.monotonic()
  held = [pool.submit(STRANGERS[kind], server) for _ in range(3)]
  time.sleep(0.3)
  calls = [pool.submit(call, server, 3, process) for process in (1, 2)]
  found = accepted.result(20)
  assert time.monotonic() - begin < 12
  for process, called in enumerate(calls, 1):
    found[process].sendall(b"job")
    assert called.result(5).recv(3) == b"job"
  for one in held:
    with contextlib.suppress(OSError):
      one.result(10).close()


def test_many_silent_strangers_do_not_stall(server, pool):
  accepted = pool.submit(connections.accept, server, 2, SECRET)
  held = [stranger(server) for _ in range(100)]
  begin = time.monotonic()
  called = pool.submit(call, server, 2, 1)
  assert list(accepted.result(20)) == [1]
  assert time.monotonic() - begin < 2
  called.result(5)
  for connection in held:
    connection.close()


def test_a_process_that_starts_again_replaces_itself(server, pool):
  accepted = pool.submit(connections.accept, server, 3, SECRET)
  silent_after_greeting(server).close()
  calls = [pool.submit(call, server, 3, process) for process in (1, 2)]
  assert sorted(accepted.result(20)) == [1, 2]
  for called in calls:
    called.result(5)


def test_the_first_must_know_the_secret_too(server, pool, monkeypatch):
  """A process gives no job to, and takes none from, another run's first."""
  monkeypatch.setattr(connections, "ASSEMBLY", 3)
  accepted = pool.submit(connections.accept, server, 2, b"of another run")
  with pytest.raises(ConnectionError, match=r"port \d+ of 127.0.0.1 does not"):
    call(server, 2, 1)
  with pytest.raises(
    ConnectionError, match=r"only 1 came .* from 127.0.0.1, did not know"
  ):
    accepted.result(10)


def test_what_listens_there_may_be_anything(server, pool, monkeypatch):
  monkeypatch.setattr(connections, "ASSEMBLY", 3)

  def answer_wrongly():
    for said in (b"", b"\xff\n", b"SSH-2.0\n" * 100, b"abc\n+++"):
      connection, _ = server.accept()
      connection.sendall(said)
      if said:
        connection.close()

  pool.submit(answer_wrongly)
  begin = time.monotonic()
  with pytest.raises(ConnectionError, match="found no others within 3 seconds"):
    call(server, 2, 1)
  assert time.monotonic() - begin < 8


def test_the_secret_is_a_file_that_only_its_owner_reads(tmp_path, monkeypatch):
  folder = tmp_path / "run"
  with pytest.raises(OSError):
    connections.read_secret(folder)
  secret = connections.make_secret(folder)
  path = folder / ".secret"
  assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(secret) == 64
  assert connections.make_secret(folder) == secret
  assert connections.read_secret(folder) == secret
  path.chmod(0o644)  # others may have read it
  assert connections.make_secret(folder) != secret
  assert stat.S_IMODE(path.stat().st_mode) == 0o600
  path.write_text("")
  assert len(connections.make_secret(folder)) == 64
  assert os.listdir(folder) == [".secret"]
  monkeypatch.setenv("GLOVE_JAX_SECRET", "named")
  assert connections.make_secret(tmp_path / "other") == b"named"
  assert connections.read_secret(folder) == b"named"
  assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_name_of_loopback_stays_on_loopback(host):
  with connections.listen_at(host, 0) as server:
    assert server.getsockname()[0] in ("127.0.0.1", "::1")


@pytest.mark.parametrize("host", ["", "203.0.113.7"])
def test_an_address_of_another_machine_means_all_interfaces(host):
  """The address of a service is none of the machine behind it."""
  with connections.listen_at(host, 0) as server:
    assert server.getsockname()[0] in ("::", "0.0.0.0")


def test_the_own_name_of_a_machine_is_not_loopback(monkeypatch):
  def debian(host, *_, **__):
    return [(socket.AF_INET, 0, 0, "", ("127.0.1.1", 0))]

  monkeypatch.setattr(socket, "getaddrinfo", debian)
  with connections.listen_at("node1", 0) as server:
    assert server.getsockname()[0] in ("::", "0.0.0.0")


def test_a_port_in_use_is_one_sentence(server):
  with pytest.raises(ConnectionError, match="is not free here"):
    connections.listen_at("127.0.0.1", port_of(server))
