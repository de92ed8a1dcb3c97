"""Settings as dataclass fields: each with its help and the values it allows.

>>> @dataclasses.dataclass(frozen=True)
... class Paint(Part):
...   coats: int = setting(2, "layers of paint", low=1)
>>> Paint(coats=0)
Traceback (most recent call last):
ValueError: coats must be at least 1, got 0.
"""

import dataclasses
import math
import os
import types
import typing
from collections.abc import Sequence
from typing import Any

MOST = 2**31 - 1  # of what is counted in int32, as words and steps are


def setting(
  default,
  doc: str,
  *,
  choices: Sequence[str] | None = None,
  low: float | None = None,
  above: float | None = None,
  high: float | None = None,
  resource: bool = False,
  late: bool = False,
) -> Any:
  """Makes a dataclass field that is a setting.

  Args:
    default: its value unless given.
    doc: the help of its flag.
    choices: the only values allowed.
    low: the least value allowed.
    above: values must be greater than this.
    high: the greatest value allowed.
    resource: the setting (threads, memory, devices) changes how a stage runs,
      not what it produces; changing it does not rerun the stage.
    late: runs on disk may be older than the setting. So it is left out of what
      a stage is noted with while it has its default.
  """
  metadata = {"help": doc, "choices": choices, "low": low, "above": above}
  metadata |= {"high": high, "resource": resource, "late": late}
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Part:
  """Base of dataclasses of settings: checks the values of every new one.

  Raises:
    ValueError: a value has a wrong type or is out of range.
  """

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = checked(field, getattr(self, field.name))
      object.__setattr__(self, field.name, value)

  @property
  def resolved(self):
    """The same settings, with defaults that depend on others filled in."""
    return self


def kind(field: dataclasses.Field) -> type:
  """The type of a setting's value: int for `int | None`, tuple, and so on."""
  declared: Any = field.type
  if isinstance(declared, types.UnionType):
    declared = typing.get_args(declared)[0]
  return typing.get_origin(declared) or declared


def checked(field: dataclasses.Field, value):
  """Returns the value in the field's type, or raises a ValueError."""
  name, rule = field.name, field.metadata
  if value is None and field.default is None:
    return None
  value = _converted(value, kind(field))
  if type(value) is not kind(field):
    raise ValueError(
      f"{name} must be of type {kind(field).__name__}, got {value!r}."
    )
  if type(value) is tuple and not all(type(item) is str for item in value):
    raise ValueError(f"{name} must be a list of strings, got {value!r}.")
  if rule["choices"] and value not in rule["choices"]:
    raise ValueError(
      f"{name} must be one of {', '.join(rule['choices'])}, got {value!r}."
    )
  if rule["low"] is not None and not value >= rule["low"]:
    raise ValueError(f"{name} must be at least {rule['low']}, got {value}.")
  if rule["above"] is not None and not value > rule["above"]:
    raise ValueError(
      f"{name} must be greater than {rule['above']}, got {value}."
    )
  if type(value) is float and not math.isfinite(value):
    raise ValueError(f"{name} must be a finite number, got {value}.")
  if rule["high"] is not None and value > rule["high"]:
    form = "," if type(value) is int else "g"
    raise ValueError(
      f"{name} must be at most {rule['high']:{form}}, got {value:{form}}."
    )
  return value


def _converted(value, kind: type):
  """The value in the type wanted, if it can be converted without loss."""
  if getattr(value, "ndim", None) == 0:  # a scalar of NumPy or JAX
    value = value.item()
  if isinstance(value, os.PathLike):
    value = os.fspath(value)
  if kind is float and type(value) is int:
    return float(value)
  if kind is tuple and isinstance(value, str):
    return (value,) if value else ()
  if kind is tuple and isinstance(value, (list, tuple)):
    return tuple(_converted(item, str) for item in value)
  return value
