"""Several processes, each a real one: they end as one would, or all stop."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from glove_jax.training import checkpoint, multihost

REPO = pathlib.Path(__file__).parents[2]
SCRIPT = "tests/training/worker_process.py"


def start(*arguments, devices=1, **env):
  flags = f"--xla_force_host_platform_device_count={devices}"
  env = {"PYTHONPATH": str(REPO), "JAX_PLATFORMS": "cpu", **env}
  return subprocess.Popen(
    [sys.executable, *map(str, arguments)],
    cwd=REPO, env=os.environ | env | {"XLA_FLAGS": flags}, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
  )  # fmt: skip


def finish(started):
  """(exit code, standard error) of each."""
  ends = [process.communicate(timeout=200) for process in started]
  codes = [process.returncode for process in started]
  return list(zip(codes, (errors for _, errors in ends), strict=True))


def free_port():
  with socket.create_server(("127.0.0.1", 0)) as server:
    return server.getsockname()[1]


def start_all(number, *arguments):
  """Starts run.py in so many processes, as a user does."""
  where = f"--coordinator=127.0.0.1:{free_port()}"
  return [
    start("run.py", *arguments, where, f"--num_processes={number}",
          f"--process_id={process}")
    for process in range(number)
  ]  # fmt: skip


def by_flags(number, *arguments):
  where = f"127.0.0.1:{free_port()}"
  return [start(SCRIPT, *arguments, where, number, i) for i in range(number)]


def by_slurm(number, *arguments):
  job = {
    "SLURM_JOB_ID": str(free_port()),  # the port is made of it
    "SLURM_STEP_NODELIST": "127.0.0.1",
    "SLURM_NTASKS": str(number),
  }
  return [
    start(SCRIPT, *arguments, **job, SLURM_PROCID=str(i), SLURM_LOCALID=str(i))
    for i in range(number)
  ]


@pytest.mark.parametrize("number, launch, names", [
  (2, by_slurm, "blocks,batch"), (4, by_flags, "own,missing,rounds,batch,dim"),
])  # fmt: skip
def test_several_processes_train_as_one_with_as_many_devices(
  tmp_path, number, launch, names
):
  """Counts that a process should not read are bad in RUNS that say so."""
  for name in ("one", "several"):
    (tmp_path / name).mkdir()
  (end,) = finish([start(SCRIPT, tmp_path / "one", names, devices=number)])
  assert end[0] == 0, end[1]
  for code, errors in finish(launch(number, tmp_path / "several", names)):
    assert code == 0, errors
  for name in names.split(","):
    one = np.load(tmp_path / "one" / f"{name}.npz")
    several = np.load(tmp_path / "several" / f"{name}.npz")
    assert one["word"].shape == (150, 8)
    for table in one.files:
      if name not in ("batch", "dim"):  # nothing is summed over devices
        np.testing.assert_array_equal(one[table], several[table])
      np.testing.assert_allclose(
        one[table], several[table], rtol=1e-4, atol=1e-6
      )


@pytest.fixture
def small(tmp_path):
  """Arguments of a small run, but for its --workdir."""
  ids = np.random.default_rng(0).zipf(1.3, (400, 30)) % 500
  text = tmp_path / "text.txt"
  text.write_text(
    "".join(" ".join(f"w{i}" for i in line) + "\n" for line in ids)
  )
  (tmp_path / "pairs.tsv").write_text("w1\tw2\t3\nw2\tw3\t4\nw1\tw3\t1\n")
  return [
    f"--corpus={text}", "--dim=16", "--epochs=120", "--tile_size=32",
    "--growth=", "--min_count=1", "--analogies=",
    f"--similarity={tmp_path}/pairs.tsv",
  ]  # fmt: skip


def end_one(started, folder, epoch, end):
  """Ends the second process after an epoch; returns the last one on disk."""
  while max(checkpoint.epochs(folder / "checkpoints"), default=0) < epoch:
    assert all(process.poll() is None for process in started)
    time.sleep(0.02)
  started[1].send_signal(end)
  killed = time.monotonic()
  report, errors = started[0].communicate(timeout=200)
  ((gone, _),) = finish(started[1:])
  assert time.monotonic() - killed < 60
  assert started[0].returncode == 1
  assert gone == (143 if end == signal.SIGTERM else -end)
  assert "run.py: process 1 of 2 is gone, so all stop: start all" in errors
  assert "Traceback" not in errors
  return checkpoint.epochs(folder / "checkpoints")[-1], report


def test_a_killed_process_stops_all_and_a_new_start_goes_on(small, tmp_path):
  whole, broken = tmp_path / "whole", tmp_path / "broken"
  one = start("run.py", *small, f"--workdir={whole}", devices=2)
  ((code, errors),) = finish([one])
  assert code == 0, errors
  several = [2, *small, f"--workdir={broken}"]
  killed, _ = end_one(start_all(*several), broken, 20, signal.SIGKILL)
  ended, report = end_one(start_all(*several), broken, 50, signal.SIGTERM)
  first, second = start_all(*several)
  reports = {killed: report, ended: first.communicate(timeout=200)[0]}
  assert finish([second])[0][0] == 0
  assert killed >= 20 and 50 <= ended < 120
  for done, report in reports.items():
    assert f"pass {done + 1:3d} " in report and "pass   1 " not in report
  for name in ("tables.npz", "vectors.txt", "evaluation.json"):
    assert (whole / name).read_bytes() == (broken / name).read_bytes()


def test_what_stops_the_first_stops_all(tmp_path):
  ends = finish(start_all(2, "--corpus=nowhere", f"--workdir={tmp_path}"))
  for code, errors in ends:
    assert code == 1 and "Traceback" not in errors
    assert "run.py: Corpus 'nowhere': no such file" in errors


def test_each_process_needs_as_many_devices(tmp_path):
  where = f"127.0.0.1:{free_port()}"
  started = [
    start(SCRIPT, tmp_path, "own", where, 2, process, devices=1 + process)
    for process in (0, 1)
  ]
  for code, errors in finish(started):
    assert code == 1 and "each of the 2 must have as many" in errors


def test_a_launcher_that_jax_does_not_know_is_named(tmp_path):
  one = start("run.py", f"--workdir={tmp_path}", OMPI_COMM_WORLD_SIZE="2")
  ((code, errors),) = finish([one])
  assert code == 1 and "Traceback" not in errors
  assert "run.py: A launcher has started several processes, but" in errors


def test_processes_that_do_not_come_are_not_waited_for_for_ever():
  wait = (
    "from glove_jax.training import connections, multihost; "
    "connections.ASSEMBLY = 2; "
    "multihost.start('127.0.0.1:{}', 2, {})"
  )
  alone = [start("-c", wait.format(free_port(), i)) for i in (0, 1)]
  (code, errors), (other, other_errors) = finish(alone)
  assert code == other == 1
  assert "Of 2 processes only 1 came within 2 seconds" in errors
  assert "Process 1 of 2 found no others within 2 seconds" in other_errors


@pytest.mark.parametrize("arguments, message", [
  (("", 2, 0), "need --coordinator=HOST:PORT of the first, got ''"),
  (("here", 2, 0), "need --coordinator=HOST:PORT of the first, got 'here'"),
  (("127.0.0.1:1", 2, 2), "--process_id=2 must be 0 or more and less than"),
  (("127.0.0.1:1", 0, 0), "less than --num_processes=0"),
  (("no.such.host.invalid:80", 2, 0), "there is no host no.such.host.invalid"),
])  # fmt: skip
def test_bad_arguments_are_named(arguments, message):
  with pytest.raises((ValueError, ConnectionError), match=message):
    multihost.start(*arguments)


def test_a_process_alone_has_everything():
  assert not multihost.several() and multihost.is_first()
  assert multihost.share(7) == slice(0, 7)
  sums = multihost.sum_over_processes(np.array([1, 2**60]))
  assert sums.dtype == np.int64 and sums.tolist() == [1, 2**60]


def test_one_task_of_slurm_is_alone(monkeypatch):
  monkeypatch.setenv("SLURM_STEP_NODELIST", "node1")
  monkeypatch.setenv("SLURM_NTASKS", "1")
  multihost.start()
  assert not multihost.several()


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}


def test_a_pod_of_an_indexed_job_is_alone(monkeypatch):
  for name, value in POD.items():
    monkeypatch.setenv(name, value)
  multihost.start()
  assert not multihost.several()


def test_a_pod_that_is_one_of_several_is_told_what_is_missing(tmp_path):
  one = start("run.py", f"--workdir={tmp_path}", "--num_processes=2", **POD)
  ((code, errors),) = finish([one])
  assert code == 1 and "Traceback" not in errors
  assert "run.py: A launcher has started several processes, but" in errors
