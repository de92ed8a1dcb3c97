"""Processes of our own: no port, tasks of the dead repeated, no orphans."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from glove_jax.counts import process_pool
from glove_jax.counts.process_pool import Workers


def double(item):
  return 2 * item


def fail_at(bad, item):
  if item == bad:
    raise ValueError(f"{item} is bad.")
  time.sleep(0.05)
  return item


def die_once(folder, item):
  """Dies in its first try of each odd item."""
  mark = pathlib.Path(folder, str(item))
  if item % 2 and not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
  return item


def die(item):
  os._exit(3)


def pid(item):
  time.sleep(0.2)
  return os.getpid()


@pytest.fixture
def workers():
  with Workers(2) as workers:
    yield workers


def test_workers_stay_between_maps(workers):
  assert sorted(workers.map(double, range(20))) == list(range(0, 40, 2))
  first = set(workers.map(pid, range(4)))
  assert len(first) == 2 and set(workers.map(pid, range(4))) == first
  assert list(workers.map(double, [])) == []


def test_an_error_is_raised_and_the_workers_go_on(workers):
  with pytest.raises(ValueError, match="7 is bad"):
    list(workers.map(functools.partial(fail_at, 7), range(10)))
  assert sorted(workers.map(double, range(4))) == [0, 2, 4, 6]


def test_a_map_that_is_left_early_leaves_no_answers_behind(workers):
  some = workers.map(functools.partial(fail_at, -1), range(10))
  assert next(some) in (0, 1)
  some.close()
  assert sorted(workers.map(double, [50, 60])) == [100, 120]


def test_another_worker_repeats_the_task_of_one_that_died(workers, tmp_path):
  task = functools.partial(die_once, tmp_path)
  assert sorted(workers.map(task, range(5))) == [0, 1, 2, 3, 4]


def test_a_task_that_kills_its_workers_ends_the_map(workers):
  with pytest.raises(ChildProcessError):
    list(workers.map(die, [1]))
  assert list(workers.map(double, [1])) == [2]


CHILD = """
import os, time
from glove_jax.counts.process_pool import Workers
from process_pool_test import pid
if __name__ == "__main__":
  workers = Workers(2)
  print(*set(workers.map(pid, range(4))), flush=True)
  time.sleep(1000)
"""


def test_workers_end_with_their_parent_and_have_no_port(tmp_path):
  script = tmp_path / "script.py"
  script.write_text(CHILD)
  here = pathlib.Path(__file__).parent
  path = os.pathsep.join([str(here), str(here.parents[1])])
  child = subprocess.Popen(
    [sys.executable, script], stdout=subprocess.PIPE, text=True,
    env=os.environ | {"PYTHONPATH": path},
  )  # fmt: skip
  pids = child.stdout.readline().split()
  assert len(pids) == 2
  sockets = _listening()
  for process in (*pids, child.pid):
    held = pathlib.Path(f"/proc/{process}/fd")
    links = {os.readlink(fd) for fd in held.iterdir() if fd.is_symlink()}
    assert not links & {f"socket:[{inode}]" for inode in sockets}
  child.kill()
  child.wait()
  end = time.monotonic() + 20
  while any(_runs(process) for process in pids):
    assert time.monotonic() < end
    time.sleep(0.05)


def _runs(process):
  try:
    stat = pathlib.Path(f"/proc/{process}/stat").read_text()
  except OSError:
    return False
  return stat.rpartition(")")[2].split()[0] != "Z"


def _listening():
  """The inodes of all sockets that listen at a port."""
  found = set()
  for name in ("tcp", "tcp6"):
    table = pathlib.Path("/proc/net", name)
    for line in table.read_text().splitlines()[1:] if table.exists() else []:
      fields = line.split()
      if fields[3] == "0A":
        found.add(fields[9])
  return found


def test_a_worker_that_died_while_idle_is_replaced(workers):
  (old,) = set(workers.map(pid, [1]))
  os.kill(old, signal.SIGKILL)
  assert list(workers.map(double, [4])) == [8]
  assert process_pool._TRIES > 1
