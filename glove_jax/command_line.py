"""Makes flags of settings, and shows errors as one sentence."""

import contextlib
import dataclasses
import errno
import io
import itertools
import os
import pathlib
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

from absl import flags, logging

import glove_jax
from glove_jax import command_help, interrupts, lazy, memory, settings
from glove_jax.command_help import Command
from glove_jax.training import connections

# They load jax, which not every command needs.
compilation = lazy.module("glove_jax.training.compilation")
following = lazy.module("glove_jax.training.following")
multihost = lazy.module("glove_jax.training.multihost")

FLAGS = flags.FLAGS
_names = []  # of all flags that `define_flags` has made
_groups = []  # the classes that they were made from
_LONGEST_NAME = 100  # characters
_lost = []  # errors of writing to standard output
_FULL = (
  "The disk is full: free space where --workdir, --output or temporary files "
  "(TMPDIR) are"
)
_NO_FOLDER = "A folder is needed where there is a file: name another"
_ADVICE = {  # on errors of the system
  errno.ENOSPC: _FULL,
  errno.EDQUOT: _FULL,
  errno.EEXIST: _NO_FOLDER,
  errno.ENOTDIR: _NO_FOLDER,
  errno.EISDIR: "A file is needed where there is a folder: name another",
  errno.EACCES: "There is no permission for this: change it, or name another",
  errno.EROFS: "Nothing can be written there: name another folder",
  errno.EFBIG: "Files may not be larger here: see ulimit -f",
  errno.EMFILE: "More files may not be open here: see ulimit -n",
  errno.ENOMEM: (
    "There is too little memory: close other programs, see ulimit -v, or lower "
    "--dim, --max_vocab or --memory_gb"
  ),
}
_GUARDED = re.compile(r"Disallowed \S+ transfer")  # what JAX's guard says
_UNGUARDED = (
  "JAX is forbidden to copy to or from its device, as training does: unset "
  "JAX_TRANSFER_GUARD, or set it to log."
)
# Control characters and marks that reverse the direction of text, by which a
# word could steer a terminal, and lone surrogates, which cannot be printed.
_UNPRINTABLE = re.compile(
  "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
  "\ufeff\ud800-\udfff]"
)


def define_flags(cls: type[settings.Part], **choices: Sequence[str]) -> None:
  """Makes a flag of each setting of a class.

  Args:
    cls: the class; the first line of its docstring heads its flags in the help.
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
  _groups.append(cls)
  for field in dataclasses.fields(cls):
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
  """The values of the flags that the command line gives, by name.

  `~` at the start of a value, or of an item of a list, is the home folder.
  """
  return {
    f.name: expand(FLAGS[f.name].value) for f in fields if FLAGS[f.name].present
  }


def expand(value):
  """The value with the home folder in place of `~`."""
  if isinstance(value, str):
    return os.path.expanduser(value)
  return [expand(x) for x in value] if isinstance(value, list) else value


def program() -> str:
  """The name by which this program was started."""
  name = pathlib.Path(sys.argv[0]).name
  return "glove_jax" if name == "__main__.py" else name


def wants_help(argv: Sequence[str]) -> bool:
  """Whether a command line asks for help, of a command or of all."""
  words = list(argv[1:])
  words = words[: words.index("--")] if "--" in words else words
  asked = {"-h", "-help", "--help", "--helpfull", "--helpshort"} & {*words}
  return bool(asked) or words[:1] == ["help"]


def main(
  commands: Mapping[str, Command],
  argv: Sequence[str],
  experiments: Mapping[str, str],
  workdir: Callable[[], os.PathLike],
) -> None:
  """Parses the command line, and shows help or runs a command.

  A bad flag exits with one sentence and code 1.

  Args:
    commands: by name, the default first.
    argv: the command line.
    experiments: the question of each experiment, for the help.
    workdir: finds the folder of the run, where several processes meet.
  """
  if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")
  if "--version" in argv[1:]:
    say(f"glove_jax {glove_jax.__version__}")
  elif wants_help(argv):
    words = [word for word in argv[1:] if word[:1] != "-" and word != "help"]
    named = next((word for word in words if word in commands), None)
    if words and not named and argv[1] == "help":
      sys.exit(f"{program()}: {_no_command(words[0], commands)}")
    say(command_help.text(program(), commands, named, _groups, experiments))
  else:
    try:
      words = parse(argv)
    except flags.Error as error:
      sys.exit(f"{program()}: {printable(str(error))}")
    run(commands, words, workdir)
  if _lost:
    sys.exit(f"{program()}: The output could not be written: {_lost[0]}.")


def parse(argv: Sequence[str]) -> list[str]:
  """Parses the flags of a command line; returns its other words.

  Raises:
    flags.Error: an unknown flag, or a value of a wrong type.
  """
  for argument in itertools.takewhile(lambda word: word != "--", argv):
    name = argument.partition("=")[0]
    if argument.startswith("-") and len(name) > _LONGEST_NAME:
      # absl would compare it with all others, which takes for ever.
      raise flags.Error(f"Unknown command line flag {name[:20]!r}...")
  return FLAGS(argv)


def run(
  commands: Mapping[str, Command],
  argv: list[str],
  workdir: Callable[[], os.PathLike],
) -> None:
  """Runs the command that the command line names, the first by default.

  Several processes run it together: the first runs the command, and the others
  train with it. An error exits with one sentence and code 1, and so does
  Ctrl-C; SIGTERM exits with 143.

  Args:
    commands: by name.
    argv: the command line without the flags.
    workdir: finds the folder of the run, where several processes meet.
  """
  interrupts.raise_exceptions()
  logging.set_verbosity(logging.WARNING)  # jax reports platforms it looked for
  warnings.showwarning = _show_warning
  try:
    _run(commands, argv, workdir)
  except KeyboardInterrupt as interrupt:  # also while an error is told
    code = 143 if isinstance(interrupt, interrupts.Terminated) else 1
    _fail("Stopped: the same command resumes the run.", code)


def _run(commands, argv, workdir) -> None:
  """As `run`, but for Ctrl-C and SIGTERM."""
  name, *arguments = argv[1:] or [next(iter(commands))]
  try:
    if name not in commands:
      raise ValueError(_no_command(name, commands))
    _refuse_unused(name, commands[name])
    together = FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id
    if connections.are_wanted(*together):
      multihost.start(*together, workdir() if FLAGS.coordinator else ".")
    if not _several() or multihost.is_first():
      commands[name].run(arguments)
    else:
      following.follow()
    _finish()
  except SystemExit:
    _finish()
    raise
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    _fail(with_flags(sentence(error)))
  except Exception as error:
    if memory.is_full(error):
      names = "--dim, --max_vocab or --batch_size"
      _fail(with_flags(str(memory.too_little(error, names))))
    if _GUARDED.search(str(error)):
      _fail(_UNGUARDED)
    if "jax" in sys.modules and (reason := compilation.why_no_device()):
      _fail(reason)
    if not _several():
      raise
    _fail(f"{type(error).__name__}: {error}")


def sentence(error: Exception) -> str:
  """What an error says; some errors of the system say what to do.

  >>> sentence(OSError(errno.ENOSPC, "No space left on device"))[:52]
  'The disk is full: free space where --workdir, --outp'
  """
  number, path = getattr(error, "errno", None), getattr(error, "filename", None)
  folder = os.path.dirname(path) if isinstance(path, str) else ""
  if number == errno.ENOENT and folder and not os.path.isdir(folder):
    return f"There is no folder {folder}: make it, or name another ({error})."
  if number == errno.EEXIST and os.path.isdir(path or ""):
    number = errno.EISDIR
  return f"{_ADVICE[number]} ({error})." if number in _ADVICE else str(error)


def _several() -> bool:
  """Whether there are several processes, without loading jax to know it."""
  is_loaded = "glove_jax.training.multihost" in sys.modules
  return is_loaded and multihost.several()


def _finish() -> None:
  """Ends a run of several processes that succeeded."""
  if _several():
    multihost.finish()


def expect(name: str, arguments: list[str], number: int, what: str) -> None:
  """Raises a ValueError if a command has another number of words."""
  if len(arguments) != number:
    raise ValueError(f"{name} takes {what}, got {' '.join(arguments)!r}.")


def say(*lines: str) -> None:
  """Prints lines at once, for whoever reads them from a pipe.

  What a terminal would obey, and what cannot be printed, is shown as `\\x1b`.
  If the output cannot be written, the command goes on without it, so that no
  result is lost; its exit code is 1 then, unless the reader closed the pipe.
  """
  try:
    print(*map(printable, lines), sep="\n", flush=True)
  except OSError as error:
    if not isinstance(error, BrokenPipeError):
      _lost.append(error)
    with open(os.devnull, "wb") as nowhere:
      os.dup2(nowhere.fileno(), sys.stdout.fileno())


def printable(text: str) -> str:
  """The text, with an escape in place of each character to be kept off screen.

  >>> printable("\\x1b[2Jking")
  '\\\\x1b[2Jking'
  """
  return _UNPRINTABLE.sub(lambda m: ascii(m[0])[1:-1], text)


def with_flags(message: str) -> str:
  """Writes the settings that a message of the library names as flags.

  A name is a setting at the start of the message or of a clause, before =, and
  wherever it has an underscore: "x_max must be ..." -> "--x_max must be ...".
  "remove it" and "keep the others" are advice, in which no setting is named.
  """
  name = f"({'|'.join(_names)})"
  long = f"({'|'.join(name for name in _names if '_' in name)})"
  first = rf"(^|(?<=: ))(?={name} (?!(its?|the|only|by)\b))"
  inside = rf"(?<!\S)(?<!, )(?={name}=|{long}\b[^/])"
  return re.sub(f"{first}|{inside}", "--", message)


def _no_command(name: str, commands: Mapping[str, Command]) -> str:
  return f"There is no command {name!r}: use {', '.join(commands)}."


def _refuse_unused(name: str, command: Command) -> None:
  """Raises a ValueError if a flag is given that the command does not use."""
  used = command.flags | {"traceback"}
  unused = [x for x in _names if FLAGS[x].present and x not in used]
  if unused:
    raise ValueError(
      f"{name} does not use --{unused[0]}: leave it out, or see {program()} "
      f"{name} --help."
    )


def _show_warning(message, category, filename, lineno, file=None, line=None):
  """Shows a warning to users as one line, others as Python does."""
  text = f"{program()}: {printable(with_flags(str(message)))}\n"
  if not issubclass(category, UserWarning):
    text = warnings.formatwarning(message, category, filename, lineno, line)
  print(text, end="", file=file or sys.stderr)


def _fail(message: str, code: int = 1) -> None:
  """Exits with one sentence; --traceback shows where it arose."""
  interrupts.ignore()
  if FLAGS.traceback:
    traceback.print_exc()
  if _several():
    multihost.stop(message, code)
  print(f"{program()}: {printable(message)}", file=sys.stderr, flush=True)
  # Compilers and devices may still work in other threads, and Python's own end
  # takes what they use away from them: once in a while that crashed.
  with contextlib.suppress(OSError):
    sys.stdout.flush()
  os._exit(code)
