"""Every setting of a run as a keyword of the functions that use it."""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from glove_jax import config as configs
from glove_jax import effects
from glove_jax.config import Config
from glove_jax.presets import PRESETS

_Function = TypeVar("_Function", bound=Callable)
# Flags of the command line, and what stands for them here.
_HINTS = {
  "corpus": "give the text as the first argument",
  "input": "load reads vectors, and init starts from them",
  "output": "save what it returns, such as vectors.save('v.safetensors')",
  "workdir": "save what it returns, or run all stages in a folder by "
  "Pipeline(make_config(corpus=...), folder).run()",
}
_FLAG = re.compile("--(?=[a-z])")  # in the help of a setting


def takes(
  *parts: str, objects: Iterable[inspect.Parameter] = ()
) -> Callable[[_Function], _Function]:
  """Decorates a function with `**settings` with the settings it takes.

  They are in its signature, by which editors complete them, and in its
  docstring.

  Args:
    *parts: of the config.
    objects: keywords beside the settings.
  """

  def decorate(function: _Function) -> _Function:
    settings = fields(parts)
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [
      inspect.Parameter(f.name, keyword, default=f.default) for f in settings
    ]
    help_text = "".join(
      f"    - `{f.name}`: {_FLAG.sub('', f.metadata['help'])}.\n"
      for f in settings
    )
    shown: Any = function
    shown.__signature__ = signature.replace(parameters=[*own, *objects, *more])
    function.__doc__ = f"{function.__doc__}\n  Settings:\n{help_text}"
    shown.parts = parts
    return function

  return decorate


def fields(parts: Iterable[str]) -> list[dataclasses.Field]:
  """The settings of some parts, without `corpus`: it is the first argument."""
  classes = configs.parts()
  found = [f for part in parts for f in dataclasses.fields(classes[part])]
  return [f for f in found if f.name != "corpus"]


def configure(function: Any, preset: str, settings: dict[str, Any]) -> Config:
  """The config of a call.

  Args:
    function: what was called, as `takes` decorated it.
    preset: a name of `PRESETS`, or "".
    settings: the keywords of the call, which win over the preset.

  Raises:
    ValueError: the function lacks a setting, or as `make_config`.
  """
  known = {f.name for f in fields(function.parts)}
  for name in settings.keys() - known:
    if name in _HINTS:
      raise ValueError(f"{function.__name__} has no {name}: {_HINTS[name]}.")
    if name in {f.name for f in configs.fields()}:
      raise ValueError(f"{function.__name__} has no {name}: leave it out.")
    names = inspect.signature(function).parameters
    raise ValueError(configs.no_setting(name, names))
  if preset and preset not in PRESETS:
    raise ValueError(
      f"There is no preset {preset!r}: use {', '.join(sorted(PRESETS))}."
    )
  recipe = PRESETS.get(preset, {})
  recipe = {name: value for name, value in recipe.items() if name in known}
  return configs.make_config(**recipe | settings)


def refuse_idle(
  config: Config, settings: Iterable[str], objects: Mapping[str, Any]
) -> None:
  """Raises a ValueError if a setting has no effect, see `effects`.

  Args:
    config: the settings of a call.
    settings: the names of those that the call gives.
    objects: its other keywords, such as `loss`.
  """
  if "license" in settings:
    raise ValueError(
      "license has no effect here: it is for the model card of a run, which "
      "Pipeline(make_config(...), folder).run() writes."
    )
  run = configs.all_settings(config) | {"loss": objects.get("loss")}
  if objects.get("tx") is not None:
    run["optimizer"] = effects.OWN
  effects.check([run], settings)
