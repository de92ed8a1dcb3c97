"""Makes flags of settings, and shows errors as one sentence."""

import dataclasses
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence

from absl import flags, logging

from glove_jax import settings
from glove_jax.training import loop, multihost

FLAGS = flags.FLAGS
_names = []  # of all flags that `define_flags` has made


def define_flags(
  fields: Iterable[dataclasses.Field], **choices: Sequence[str]
) -> None:
  """Makes a flag of each setting.

  Args:
    fields: of `settings.Part`s.
    **choices: the only values of some flags, by name, where the settings do not
      list them.
  """
  define = {
    tuple: flags.DEFINE_list,
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
  }
  for field in fields:
    name, default, doc = field.name, field.default, field.metadata["help"]
    _names.append(name)
    if known := field.metadata["choices"] or choices.get(name):
      # "" is the default of some flags, but not a value that one types.
      known = [choice for choice in known if choice]
      flags.DEFINE_enum(name, default or None, known, doc)
    else:
      default = list(default) if type(default) is tuple else default
      define[settings.kind(field)](name, default, doc)


def given(fields: Iterable[dataclasses.Field]) -> dict:
  """The values of the flags that the command line gives, by name."""
  return {f.name: FLAGS[f.name].value for f in fields if FLAGS[f.name].present}


def parse(argv: list[str]) -> list[str]:
  """Parses the flags; a bad one exits with one sentence and code 1."""
  try:
    return FLAGS(argv)
  except flags.Error as error:
    sys.exit(f"run.py: {error}")


def run(
  commands: Sequence[Callable[[list[str]], None]],
  argv: list[str],
  workdir: Callable[[], os.PathLike],
) -> None:
  """Runs the command that the command line names, the first by default.

  Several processes run it together: the first runs the command, and the others
  train with it. An error exits with one sentence and code 1, and so does
  Ctrl-C; SIGTERM exits with 143.

  Args:
    commands: functions of the remaining words, known by their names.
    argv: the command line without the flags.
    workdir: finds the folder of the run, where several processes meet.
  """
  signal.signal(signal.SIGINT, signal.default_int_handler)
  signal.signal(signal.SIGTERM, _terminate)
  logging.set_verbosity(logging.WARNING)  # jax reports platforms it looked for
  by_name = {command.__name__: command for command in commands}
  name, *arguments = argv[1:] or [next(iter(by_name))]
  try:
    if name not in by_name:
      raise ValueError(
        f"There is no command {name!r}: use {', '.join(by_name)}."
      )
    together = FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id
    multihost.start(*together, workdir() if FLAGS.coordinator else ".")
    if multihost.is_first():
      by_name[name](arguments)
    else:
      loop.follow()
    multihost.finish()
  except SystemExit:
    multihost.finish()
    raise
  except KeyboardInterrupt as interrupt:
    code = 143 if isinstance(interrupt, Terminated) else 1
    _fail("Stopped: the same command resumes the run.", code)
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    _fail(with_flags(str(error)))
  except Exception as error:
    if not multihost.several():
      raise
    _fail(f"{type(error).__name__}: {error}")


def expect(arguments: list[str], number: int, what: str) -> None:
  """Raises a ValueError if a command has another number of words."""
  if len(arguments) != number:
    command = sys.argv[1] if len(sys.argv) > 1 else "train"
    raise ValueError(f"{command} takes {what}, got {' '.join(arguments)!r}.")


def say(*lines: str) -> None:
  """Prints lines at once, for whoever reads them from a pipe."""
  print(*lines, sep="\n", flush=True)


def with_flags(message: str) -> str:
  """Writes the settings that a message of the library names as flags.

  A name is a setting at the start of the message or of a clause, before =, and
  wherever it has an underscore: "x_max must be ..." -> "--x_max must be ...".
  """
  name = f"({'|'.join(_names)})"
  long = f"({'|'.join(name for name in _names if '_' in name)})"
  first = rf"(^|(?<=: ))(?={name} )"
  inside = rf"(?<!\S)(?<!, )(?={name}=|{long}\b[^/])"
  return re.sub(f"{first}|{inside}", "--", message)


def _fail(message: str, code: int = 1) -> None:
  """Exits with one sentence; --traceback shows where it arose."""
  if FLAGS.traceback:
    traceback.print_exc()
  if multihost.several():
    multihost.stop(message, code)
  print(f"run.py: {message}", file=sys.stderr, flush=True)
  sys.exit(code)


class Terminated(KeyboardInterrupt):
  """SIGTERM: what stops at Ctrl-C stops at this too."""


def _terminate(number, frame) -> None:
  signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
  raise Terminated
