"""Messages of the library, as the command line shows them."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import pytest
from absl import flags

from glove_jax import command_help, command_line

RUN = pathlib.Path(__file__).parents[1] / "run.py"


@pytest.mark.parametrize(
  "message, shown",
  [
    ("x_max must be at least 1.", "--x_max must be at least 1."),
    ("Use a smaller learning_rate.", "Use a smaller --learning_rate."),
    ("Point 2 (dim=0, x_max=1): dim is", "Point 2 (dim=0, x_max=1): --dim is"),
    ("a.json is damaged: remove it.", "a.json is damaged: remove it."),
    ("remove must be at least 0.", "--remove must be at least 0."),
    ("Use engine=rows.", "Use --engine=rows."),
    ("Use --engine=rows.", "Use --engine=rows."),
    ("Point 2 (dim=0): dim is low.", "Point 2 (dim=0): --dim is low."),
    ("There is no file runs/x_max.txt.", "There is no file runs/x_max.txt."),
    ("The dim of vectors differs.", "The dim of vectors differs."),
    ('Give sweep="x_max=1;dim=2".', 'Give --sweep="x_max=1;dim=2".'),
  ],
)
def test_settings_become_flags(message, shown, monkeypatch):
  names = ["x_max", "learning_rate", "dim", "engine", "sweep", "remove"]
  monkeypatch.setattr(command_line, "_names", names)
  assert command_line.with_flags(message) == shown


def test_help_needs_no_docstrings():
  """Python drops them with -OO."""
  assert command_help.first_line(types.SimpleNamespace(__doc__=None)) == ""


def test_a_long_name_of_no_flag_is_refused_at_once():
  with pytest.raises(flags.Error, match="Unknown command line flag '--ddd"):
    command_line.parse(["run.py", "--" + "d" * 900 + "=3"])


def test_errors_of_the_system_say_what_to_do():
  error = OSError(errno.ENOSPC, "No space left on device")
  said = command_line.sentence(error)
  assert said.startswith("The disk is full: free space where --workdir")
  assert said.endswith("are ([Errno 28] No space left on device).")
  place = command_line.sentence(FileExistsError(errno.EEXIST, "It is", "a.txt"))
  assert place.startswith("A folder is needed where there is a file: name an")
  place = command_line.sentence(FileExistsError(errno.EEXIST, "It is", "/tmp"))
  assert place.startswith("A file is needed where there is a folder: name an")
  place = command_line.sentence(OSError(errno.EISDIR, "It is", "/tmp"))
  assert place.startswith("A file is needed where there is a folder: name an")
  place = command_line.sentence(OSError(errno.ENOENT, "Not there", "nodir/a"))
  assert place.startswith("There is no folder nodir: make it, or name another")
  place = command_line.sentence(OSError(errno.ENOMEM, "Cannot allocate"))
  assert place.startswith("There is too little memory: close other programs")
  other = FileNotFoundError(errno.ENOENT, "No such file", "a.txt")
  assert command_line.sentence(other) == str(other)


def test_too_little_memory_is_a_sentence(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text("a b a b c a b c\n" * 9)
  done = subprocess.run(
    [sys.executable, RUN, f"--corpus={path}", f"--workdir={tmp_path}/run",
     "--dim=1000000000", "--growth=", "--analogies=", "--similarity="],
    capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
  assert "too little memory for these settings: lower --dim" in done.stderr


@pytest.mark.parametrize("variable, sentence", [
  ("JAX_PLATFORMS=bogus", "no device to compute on with JAX_PLATFORMS=bogus"),
  ("JAX_TRANSFER_GUARD=disallow", "forbidden to copy to or from its device"),
  ("NUMBA_DISABLE_JIT=1", "NUMBA_DISABLE_JIT turns off: unset it.\n"),
])  # fmt: skip
def test_an_environment_that_cannot_train_is_a_sentence(
  tmp_path, variable, sentence
):
  path = tmp_path / "text.txt"
  path.write_text("a b a b c a b c\n" * 9)
  done = subprocess.run(
    [sys.executable, RUN, "train", f"--corpus={path}", f"--workdir={tmp_path}"],
    capture_output=True, text=True,
    env=os.environ | dict([variable.split("=")]),
  )  # fmt: skip
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
  assert sentence in done.stderr


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 1),
                                          (signal.SIGTERM, 143)])  # fmt: skip
def test_a_signal_stops_a_run_with_a_sentence(tmp_path, number, code):
  text = tmp_path / "text.txt"
  text.write_text("a b a b c a b c\n" * 500)
  command = [
    sys.executable, RUN, f"--corpus={text}", f"--workdir={tmp_path}/run",
    "--epochs=100000", "--dim=2", "--growth=", "--analogies=", "--similarity=",
  ]  # fmt: skip
  process = subprocess.Popen(
    command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
  )
  while "pass" not in process.stdout.readline():
    pass
  process.send_signal(number)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == code
  assert errors == "run.py: Stopped: the same command resumes the run.\n"


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.2])
def test_an_interrupt_during_imports_is_no_traceback(tmp_path, seconds):
  process = subprocess.Popen(
    [sys.executable, RUN, "report", f"--workdir={tmp_path}"],
    text=True, stderr=subprocess.PIPE, cwd=tmp_path,
  )  # fmt: skip
  time.sleep(seconds)
  process.send_signal(signal.SIGINT)
  _, errors = process.communicate(timeout=60)
  assert process.returncode and "Traceback" not in errors


@pytest.mark.parametrize(
  "text, shown",
  [
    ("naïve 日本 نمی\u200cشود e\u0301", "naïve 日本 نمی\u200cشود e\u0301"),
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    ("\x9b2J\x07\x7f\r", "\\x9b2J\\x07\\x7f\\r"),
    ("abc\u202edef\u2066\u200f", "abc\\u202edef\\u2066\\u200f"),
    ("caf\udce9 \ud800", "caf\\udce9 \\ud800"),
    ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
  ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
  assert command_line.printable(text) == shown
  shown.encode()  # so it can be written


def test_no_character_of_any_kind_breaks_the_output():
  shown = command_line.printable("".join(map(chr, range(0x110000))))
  shown.encode()
  controls = {chr(c) for c in [*range(32), *range(127, 160)]} - {"\t", "\n"}
  assert not controls & set(shown)
