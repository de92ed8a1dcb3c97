"""Sweeps: lists of settings, and small functions that combine them.

A sweep is a list of dicts, a dict a point: `product(param("x_max", 1, 10),
param("alpha", 0.5, 1))` are four points. The functions are pure; `make_points`
checks every point against the config before anything runs.
"""

import builtins
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from glove_jax import config as configs

Settings = dict[str, Any]
Sweep = list[Settings]

LABEL = "label"  # names a point in tables and plots; no setting of a run


def param(name: str, *values) -> Sweep:
  """A point for each value: `param("dim", 50, 100)`."""
  return [{name: value} for value in values]


def product(*sweeps: Sweep) -> Sweep:
  """Every point of each sweep with every point of the others.

  Raises:
    ValueError: two of the sweeps set the same field.
  """
  return [_join(points) for points in itertools.product(*sweeps)]


def zip(*sweeps: Sweep) -> Sweep:
  """The first points together, then the second ones, and so on.

  Raises:
    ValueError: sweeps of unequal length, or that set the same field.
  """
  return [_join(points) for points in builtins.zip(*sweeps, strict=True)]


def chain(*sweeps: Sweep) -> Sweep:
  """The points of one sweep after those of another, each once."""
  points = []
  for point in itertools.chain(*sweeps):
    if point not in points:
      points.append(point)
  return points


def one_at_a_time(base: Settings, **values: Sequence) -> Sweep:
  """The base, and then the base with one field changed to each of its values.

  `one_at_a_time({"dim": 50, "window": 5}, dim=[25, 50], window=[10])` are the
  three points (50, 5), (25, 5) and (50, 10).
  """
  return chain(
    [base],
    *([base | {name: v} for v in given] for name, given in values.items()),
  )


def parse(text: str) -> Sweep:
  """The product that a text like `x_max=1,10;alpha=0.5,0.75` describes.

  Values are read in the type of their field; `+` joins the parts of one value
  of a field that is a list, as in `growth=8192:10+16384:6,8192:5`.

  Raises:
    ValueError: no such field, or a value that is not of its type.
  """
  return product(
    *(
      param(name, *(parse_value(name, value) for value in values.split(",")))
      for name, values in split(text)
    )
  )


def split(text: str) -> list[tuple[str, str]]:
  """The (field, text of its values) of a text like `x_max=1,10;alpha=1`.

  Raises:
    ValueError: a part without =, or no part at all.
  """
  parts = []
  for part in filter(None, (part.strip() for part in text.split(";"))):
    name, equals, values = part.partition("=")
    if not equals:
      raise ValueError(
        f"--sweep takes field=value,value;field=value, got {part!r}."
      )
    parts.append((name.strip(), values))
  if not parts:
    raise ValueError("--sweep is empty: give field=value,value.")
  return parts


def parse_value(name: str, text: str):
  """One value of a field from text.

  Raises:
    ValueError: no such field, or not of its type.
  """
  kind = type(field(name).default)
  text = text.strip()
  if kind is tuple:
    return tuple(filter(None, text.split("+")))
  if kind is bool and text.lower() in ("true", "false"):
    return text.lower() == "true"
  try:
    return text if kind is str else {int: int, float: float}[kind](text)
  except (KeyError, ValueError):
    raise ValueError(
      f"The sweep's {name} must be of type {kind.__name__}, got {text!r}."
    ) from None


def field(name: str) -> dataclasses.Field:
  """The field of the config of this name; ValueError where there is none."""
  for known in configs.fields():
    if known.name == name:
      return known
  raise ValueError(f"There is no setting {name!r}: see --help for all.")


@dataclasses.dataclass(frozen=True)
class Point:
  """One run of a sweep.

  Attributes:
    varied: what the sweep sets, its label among it.
    config: the base with `varied`.
    name: readable and unique to the config: the point's folder.
  """

  varied: Settings
  config: configs.Config
  name: str


def make_points(base: Settings, sweep: Sweep) -> list[Point]:
  """Checks each point of a sweep against the config, and names it.

  Raises:
    ValueError: two points are the same, or a point has an unknown field, a
      wrong type or a value out of range; says which point.
  """
  points, seen = [], {}
  for number, varied in enumerate(sweep, 1):
    given = {k: v for k, v in varied.items() if k != LABEL}
    try:
      config = configs.make_config(**base | given)
    except ValueError as error:
      raise ValueError(
        f"Point {number} of the sweep ({describe(varied)}): {error}"
      ) from error
    point = Point(varied, config, _name(varied, config))
    if point.name in seen:
      raise ValueError(
        f"Points {seen[point.name]} and {number} of the sweep are the same "
        f"({describe(varied)}): give each once."
      )
    seen[point.name] = number
    points.append(point)
  return points


def describe(varied: Settings) -> str:
  """`x_max=10, alpha=0.75`."""
  return (
    ", ".join(f"{k}={value_text(v)}" for k, v in varied.items()) or "the base"
  )


def fingerprint(settings: Settings) -> str:
  """Eight hexadecimal digits that stand for settings, whatever their order."""
  text = json.dumps(settings, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def counts_settings(config: configs.Config) -> Settings:
  """What the counts of a run depend on: points equal in it share them."""
  return _settings(config, ("corpus", "vocab", "count"))


def _settings(config: configs.Config, stages: Iterable[str]) -> Settings:
  """What the outputs of some stages depend on, as one dict."""
  settings = {}
  for stage in stages:
    settings |= configs.settings(getattr(config, stage))
  return settings


def _join(points: Sequence[Settings]) -> Settings:
  joined = {}
  for point in points:
    if twice := joined.keys() & point.keys():
      raise ValueError(
        f"Two parts of the sweep set {', '.join(sorted(twice))}."
      )
    joined |= point
  return joined


def _name(varied: Settings, config: configs.Config) -> str:
  words = "_".join(f"{k}={value_text(v)}" for k, v in varied.items()) or "base"
  whole = _settings(config, configs.stages()) | varied
  readable = re.sub(r"[^\w=.+-]", "-", words)[:80]
  return f"{readable}-{fingerprint(whole)}"


def value_text(value) -> str:
  """A setting as in names and tables; the parts of a list joined by +."""
  if isinstance(value, (list, tuple)):
    return "+".join(map(str, value)) or "none"
  return f"{value:g}" if isinstance(value, float) else str(value)
