"""One process at a time in a folder, and none after it was killed."""

import os
import subprocess
import sys

import pytest

from glove_jax.workdir.lock import Busy, lock

HOLD = """
import sys, time
from glove_jax.workdir.lock import lock
with lock(sys.argv[1]):
  print("held", flush=True)
  time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
  """Another process that holds the folder."""
  child = subprocess.Popen(
    [sys.executable, "-c", HOLD, str(tmp_path)],
    stdout=subprocess.PIPE,
    text=True,
  )
  assert child.stdout.readline() == "held\n"
  yield child
  child.kill()
  child.communicate()


def test_the_second_is_refused_and_told_who_holds_it(holder, tmp_path):
  with pytest.raises(Busy, match=f"process {holder.pid} on"), lock(tmp_path):
    pass


def test_a_killed_holder_frees_the_folder(holder, tmp_path):
  holder.kill()
  holder.wait()
  with lock(tmp_path):
    assert (tmp_path / ".lock.json").exists()
  assert not (tmp_path / ".lock.json").exists()


def test_one_process_takes_it_again_and_again(tmp_path):
  for _ in range(2):
    with lock(tmp_path):
      pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path):
  tmp_path.chmod(0o500)
  with pytest.raises(OSError), lock(tmp_path):
    pass
