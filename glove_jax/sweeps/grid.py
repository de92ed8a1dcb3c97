"""Sweeps: lists of points, and small functions that combine them.

A point is a dict of settings, and a sweep is a list of points:

>>> product(param("x_max", 1, 10), param("seed", 0, 1))
... # doctest: +NORMALIZE_WHITESPACE
[{'x_max': 1, 'seed': 0}, {'x_max': 1, 'seed': 1},
 {'x_max': 10, 'seed': 0}, {'x_max': 10, 'seed': 1}]

The functions are pure. `make_points` checks every point before anything runs.
"""

import builtins
import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from glove_jax import atomic, settings
from glove_jax import config as configs

Settings = dict[str, Any]
Sweep = list[Settings]

LABEL = "label"  # names a point in tables and plots; not a setting of a run


def param(name: str, *values) -> Sweep:
  """One point for each value.

  >>> param("dim", 50, 100)
  [{'dim': 50}, {'dim': 100}]
  """
  return [{name: value} for value in values]


def product(*sweeps: Sweep) -> Sweep:
  """Combines every point of each sweep with every point of the others.

  Raises:
    ValueError: two sweeps set the same setting.
  """
  return [_join(points) for points in itertools.product(*sweeps)]


def zip(*sweeps: Sweep) -> Sweep:
  """Combines the first points of all sweeps, then the second ones, and so on.

  >>> zip(param("dim", 50, 100), param("seed", 0, 1))
  [{'dim': 50, 'seed': 0}, {'dim': 100, 'seed': 1}]

  Raises:
    ValueError: sweeps of unequal lengths, or two that set the same setting.
  """
  return [_join(points) for points in builtins.zip(*sweeps, strict=True)]


def chain(*sweeps: Sweep) -> Sweep:
  """Joins sweeps into one, without the points that repeat earlier ones."""
  points = []
  for point in itertools.chain(*sweeps):
    if point not in points:
      points.append(point)
  return points


def one_at_a_time(base: Settings, **values: Sequence) -> Sweep:
  """The base, and the base with one setting changed to each of its values.

  >>> one_at_a_time({"dim": 50, "window": 5}, dim=[25, 50], window=[10])
  ... # doctest: +NORMALIZE_WHITESPACE
  [{'dim': 50, 'window': 5}, {'dim': 25, 'window': 5},
   {'dim': 50, 'window': 10}]
  """
  return chain(
    [base],
    *([base | {name: v} for v in given] for name, given in values.items()),
  )


def parse(text: str) -> Sweep:
  """Reads a product from text such as `x_max=1,10;alpha=0.5,0.75`.

  In a setting that is a list, `+` separates the items of one value: the two
  values of `growth=8192:10+16384:6,8192:5` have two items and one.

  >>> parse("x_max=1,10;dim=50")
  [{'x_max': 1.0, 'dim': 50}, {'x_max': 10.0, 'dim': 50}]

  Raises:
    ValueError: no such setting, or a value of a wrong type.
  """
  return product(
    *(
      param(name, *(parse_value(name, value) for value in values.split(",")))
      for name, values in split(text)
    )
  )


def split(text: str) -> list[tuple[str, str]]:
  """Splits text such as `x_max=1,10;alpha=1` into settings and their values.

  >>> split("x_max=1,10;alpha=1")
  [('x_max', '1,10'), ('alpha', '1')]

  Raises:
    ValueError: a part without =, or no part at all.
  """
  parts = []
  for part in filter(None, (part.strip() for part in text.split(";"))):
    name, equals, values = part.partition("=")
    if not equals:
      raise ValueError(
        f"sweep takes field=value,value;field=value, got {part!r}."
      )
    parts.append((name.strip(), values))
  if not parts:
    raise ValueError("sweep is empty: give field=value,value.")
  return parts


def parse_value(name: str, text: str):
  """Reads one value of a setting.

  Raises:
    ValueError: no such setting, or a value of a wrong type.
  """
  kind = settings.kind(field(name))
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
  """The setting with this name; a ValueError if there is none."""
  known = {f.name: f for f in configs.fields()}
  if name not in known:
    raise ValueError(configs.no_setting(name, known))
  return known[name]


@dataclasses.dataclass(frozen=True)
class Point:
  """One run of a sweep.

  Attributes:
    varied: the settings that the sweep varies, and the label if it has one.
    config: all settings.
    name: readable, and different for each config; the name of its folder.
  """

  varied: Settings
  config: configs.Config
  name: str


def make_points(base: Settings, sweep: Sweep) -> list[Point]:
  """Makes the config of each point of a sweep, and names the point.

  Args:
    base: settings that all points share.
    sweep: the points.

  Raises:
    ValueError: two points are equal, or a point has an unknown setting, a
      wrong type or a value out of range; the message names the point.
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
  """The settings of a point as text, such as `x_max=10, alpha=0.75`."""
  return (
    ", ".join(f"{k}={value_text(v)}" for k, v in varied.items()) or "the base"
  )


def result_settings(config: configs.Config) -> Settings:
  """The settings that the results of a point depend on."""
  return _settings(config, configs.parts())


def counts_settings(config: configs.Config) -> Settings:
  """The settings that counts depend on: points that share them share counts."""
  return _settings(config, ("corpus", "vocab", "count"))


def _settings(config: configs.Config, parts: Iterable[str]) -> Settings:
  """The settings of some parts of a config that results depend on."""
  found = {}
  for part in parts:
    found |= configs.settings(getattr(config, part))
  return found


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
  whole = result_settings(config) | varied
  readable = re.sub(r"[^\w=.+-]", "-", words)[:80]
  return f"{readable}-{atomic.fingerprint(whole)}"


def value_text(value) -> str:
  """A value as shown in names and tables; + joins the items of a list."""
  if isinstance(value, (list, tuple)):
    return "+".join(map(str, value)) or "none"
  return f"{value:g}" if isinstance(value, float) else str(value)
