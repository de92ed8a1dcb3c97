"""Processes of their own for what a benchmark measures."""

import multiprocessing
import os
import pathlib
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple


class Stage(NamedTuple):
  """What one process used."""

  name: str
  seconds: float
  peak_gb: float  # of resident memory


def apart(function, *args) -> None:
  """Calls a function in a new process, and waits for its end."""
  process = multiprocessing.get_context("spawn").Process(
    target=function, args=args
  )
  process.start()
  process.join()
  if process.exitcode:
    raise SystemExit(f"{function.__name__} failed: see the message above.")


def timed(
  command: Sequence,
  source: str | os.PathLike = os.devnull,
  output: str | os.PathLike = os.devnull,
  folder: str | os.PathLike | None = None,
  environment: dict[str, str] | None = None,
) -> Stage:
  """Runs a program from start to end.

  Args:
    command: the program, of whose path the name is shown, and its arguments.
    source: the file that it reads as standard input.
    output: the file that receives its standard output.
    folder: where it runs; by default here.
    environment: variables to set.

  Raises:
    RuntimeError: the program failed.
  """
  start = time.perf_counter()
  with open(source, "rb") as stdin, open(output, "wb") as stdout:
    process = subprocess.Popen(
      [str(part) for part in command], stdin=stdin, stdout=stdout,
      stderr=subprocess.DEVNULL, cwd=folder,
      env=os.environ | (environment or {}),
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
  seconds = time.perf_counter() - start
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    raise RuntimeError(f"{command[0]} failed with {process.returncode}")
  name = pathlib.Path(command[0]).name
  return Stage(name, seconds, usage.ru_maxrss * 1024 / 1e9)


def high_water(process: int | str = "self") -> float:
  """The most memory that a process ever held, in GB."""
  return resident("VmHWM", process)


def resident(name: str, process: int | str = "self") -> float:
  """A field of a process's /proc/PID/status such as RssAnon, in GB."""
  status = pathlib.Path(f"/proc/{process}/status").read_text()
  return int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e9
