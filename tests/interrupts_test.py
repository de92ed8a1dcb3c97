"""Signals that arrive in a callback of the garbage collector, or an import."""

import subprocess
import sys

import pytest

_SCRIPT = """
import gc, os, signal, time
from glove_jax import interrupts

def interrupt(phase, info):
  gc.callbacks.clear()
  os.kill(os.getpid(), signal.{name})
  time.sleep(0.1)

interrupts.raise_exceptions()
gc.callbacks.append(interrupt)
try:
  gc.collect()
  time.sleep(20)
except KeyboardInterrupt as stop:
  print(type(stop).__name__)
"""


@pytest.mark.parametrize(
  "name, error", [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")]
)
def test_a_signal_is_not_lost_in_a_callback(name, error):
  script = _SCRIPT.format(name=name)
  ended = subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
  )
  assert (ended.stdout, ended.stderr) == (error + "\n", "")


@pytest.mark.parametrize(
  "name, error", [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")]
)
def test_a_signal_during_an_import_is_raised_after_it(tmp_path, name, error):
  module = f"import os, signal; os.kill(os.getpid(), signal.{name}); print(1)"
  (tmp_path / "slow.py").write_text(module)
  script = (
    "import time; from glove_jax import interrupts\n"
    "interrupts.raise_exceptions()\n"
    f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    "try:\n  import slow; time.sleep(20)\n"
    "except KeyboardInterrupt as stop:\n  print(type(stop).__name__)"
  )
  ended = subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
  )
  assert (ended.stdout, ended.stderr) == (f"1\n{error}\n", "")
