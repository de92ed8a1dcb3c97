"""Ctrl-C and SIGTERM as exceptions.

One that falls into a callback or an import is raised after it: callbacks lose
exceptions, and modules in C++ abort the process.
"""

import os
import signal
import sys
import threading


class Terminated(KeyboardInterrupt):
  """SIGTERM: what stops at Ctrl-C stops at this too."""


def raise_exceptions() -> None:
  """Makes Ctrl-C raise KeyboardInterrupt and SIGTERM raise Terminated."""
  signal.signal(signal.SIGINT, _interrupt)
  signal.signal(signal.SIGTERM, _terminate)
  sys.unraisablehook = _raise_again


def ignore() -> None:
  """Ignores Ctrl-C and SIGTERM, while the process ends."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _interrupt(number, frame) -> None:
  if _imports(frame):
    _send_again(number)
  else:
    raise KeyboardInterrupt


def _terminate(number, frame) -> None:
  if _imports(frame):
    _send_again(number)
    return
  signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
  raise Terminated


def _imports(frame) -> bool:
  """Whether a module is being imported."""
  while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
    frame = frame.f_back
  return frame is not None


def _raise_again(unraisable) -> None:
  """Sends a signal again whose exception fell into a callback.

  Python prints what a callback of the garbage collector raises, and goes on;
  jax has such a callback.
  """
  stop = unraisable.exc_value
  if not isinstance(stop, KeyboardInterrupt):
    sys.__unraisablehook__(unraisable)
    return
  number = signal.SIGINT
  if isinstance(stop, Terminated):
    number = signal.SIGTERM
    signal.signal(number, _terminate)
  _send_again(number)


def _send_again(number) -> None:
  timer = threading.Timer(0.01, os.kill, (os.getpid(), number))
  timer.daemon = True  # the process may end first
  timer.start()
