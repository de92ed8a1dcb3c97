"""Ctrl-C and SIGTERM as exceptions, which callbacks do not lose."""

import os
import signal
import sys
import threading


class Terminated(KeyboardInterrupt):
  """SIGTERM: what stops at Ctrl-C stops at this too."""


def raise_exceptions() -> None:
  """Makes Ctrl-C raise KeyboardInterrupt and SIGTERM raise Terminated."""
  signal.signal(signal.SIGINT, signal.default_int_handler)
  signal.signal(signal.SIGTERM, _terminate)
  sys.unraisablehook = _raise_again


def _terminate(number, frame) -> None:
  signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
  raise Terminated


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
  threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
