"""The help of the command line."""

import dataclasses
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from glove_jax import settings


class Command(NamedTuple):
  """A command of the command line."""

  run: Callable[[list[str]], None]  # called with the words that follow it
  arguments: str  # for the help: what these words are
  about: str
  flags: set[str]  # the flags that it uses; another flag is an error


def text(
  program: str,
  commands: Mapping[str, Command],
  name: str | None,
  groups: Sequence[type[settings.Part]],
  experiments: Mapping[str, str],
) -> str:
  """The help of a command, or of all of them.

  Args:
    program: the name by which it was started.
    commands: by name.
    name: one of them, or None.
    groups: the classes whose fields are flags.
    experiments: the question of each experiment.
  """
  start = f"python {program}" if program.endswith(".py") else program
  if name:
    command = commands[name]
    usage = " ".join(filter(None, (start, name, command.arguments)))
    lines = [f"usage: {usage} [--FLAG=VALUE ...]", "", command.about]
    lines += _flag_lines(groups, command.flags | {"traceback"})
    if "experiment" in command.flags:
      lines += _experiment_lines(experiments)
    return "\n".join(lines)
  lines = [
    "GloVe from raw text to evaluated word vectors.", "",
    f"usage: {start} COMMAND [WORD ...] [--FLAG=VALUE ...]",
    f"       {start} COMMAND --help", "", "Commands:",
  ]  # fmt: skip
  for name, command in commands.items():
    usage = f"{name} {command.arguments}"
    gap = " " * max(1, 24 - len(usage))
    lines += _wrapped(f"  {usage}{gap}", command.about)
  lines.append(f"\nWithout a command: {next(iter(commands))}.")
  lines += _experiment_lines(experiments) + _flag_lines(groups)
  return "\n".join(lines)


def first_line(documented) -> str:
  """The first line of a docstring; "" where Python has none (-OO).

  >>> first_line(first_line)
  'The first line of a docstring; "" where Python has none (-OO).'
  """
  return (documented.__doc__ or "").strip().partition("\n")[0]


def _experiment_lines(experiments: Mapping[str, str]) -> list[str]:
  lines = ["", "Experiments, for --experiment=NAME:"]
  for name, question in experiments.items():
    lines += _wrapped(f"  {name:<14}", question)
  return lines


def _flag_lines(groups, shown: set[str] | None = None) -> list[str]:
  """The help of some flags, or of all, group by group."""
  lines = []
  for cls in groups:
    fields = [
      f for f in dataclasses.fields(cls) if shown is None or f.name in shown
    ]
    if fields:
      lines += ["", first_line(cls).rstrip(".") + ":"]
    for field in fields:
      lines.append(f"  {_usage(field)}")
      lines += _wrapped(" " * 6, field.metadata["help"])
  return lines


def _usage(field: dataclasses.Field) -> str:
  """Such as --x_max=NUMBER (default: 10.0)."""
  kind, choices = settings.kind(field), field.metadata["choices"]
  if kind is bool:
    return f"--[no]{field.name} (default: {'yes' if field.default else 'no'})"
  what = {int: "NUMBER", float: "NUMBER", tuple: "A,B,..."}.get(kind, "TEXT")
  if choices:
    what = "|".join(filter(None, choices))
  default = field.default
  if kind is tuple:
    default = ",".join(default or ())
  if kind is float and default is not None:
    default = f"{default:g}"
  known = "" if default in (None, "") else f" (default: {default})"
  return f"--{field.name}={what}{known}"


def _wrapped(first: str, text: str) -> list[str]:
  """Lines of up to 80 columns, with a hanging indent."""
  return textwrap.wrap(
    text, 80, initial_indent=first, subsequent_indent=" " * len(first)
  )
