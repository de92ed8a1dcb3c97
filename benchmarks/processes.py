"""Processes of their own for what a benchmark measures."""

import multiprocessing


def apart(function, *args) -> None:
  """Calls a function in a new process, and waits for its end."""
  process = multiprocessing.get_context("spawn").Process(
    target=function, args=args
  )
  process.start()
  process.join()
  if process.exitcode:
    raise SystemExit(f"{function.__name__} failed: see the message above.")
