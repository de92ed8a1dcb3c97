"""Which settings have an effect, and which have none beside others.

A setting that is given and cannot change anything is a mistake: `check` raises
a sentence that names it. `NEEDS` says what each setting needs.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

OWN = "your own:"  # in place of the name of an optimizer that is an object

# A setting -> the values with which another setting lets it have an effect.
Needs = dict[str, Collection | Callable[[Any], bool]]

_BLOCKED: Needs = {"engine": ("blocked",)}
_COUNTED: Needs = {"records": ("",)}
_OWN_COST: Needs = {"loss": (None,)}
_UNCOUNTED: Needs = _OWN_COST | {"missing": bool}

NEEDS: dict[str, Needs] = {
  # which words are counted, and how
  "min_count": _COUNTED | {"vocab": ("",)},
  "max_vocab": _COUNTED,
  "share": _COUNTED,
  "bootstrap": _COUNTED | {"corpus": bool},
  "documents": _COUNTED,
  "records_vocab": {"records": bool},
  "add_vocab": {"add_to": bool},
  # the objective
  "x_max": _OWN_COST,
  "alpha": _OWN_COST,
  "missing": _OWN_COST,
  "missing_count": _UNCOUNTED,
  "core": _BLOCKED | _UNCOUNTED,
  "fit_passes": _BLOCKED | _UNCOUNTED | {"core": bool},
  "joint_epochs": _BLOCKED | _UNCOUNTED | {"core": bool},
  # the engine
  "growth": _BLOCKED,
  "tile_size": _BLOCKED,
  "min_fill": _BLOCKED,
  "products": _BLOCKED,
  "batch_size": {"engine": ("rows", "dense")},
  # the optimizer
  "learning_rate": {"optimizer": lambda name: name != OWN},
  "initial_accumulator": {"optimizer": ("adagrad",)},
  "keep": {"optimizer": lambda name: name == "adagrad" or ":" in name},
  "clip": {"optimizer": ("stanford",)},
  # how vectors are computed
  "context_weight": {"vectors": ("sum",)},
}
# Values that turn something off, which may be given where it is off anyway.
_OFF = {"core": 0, "growth": (), "joint_epochs": 0, "keep": 1, "missing": 0}


def check(runs: Sequence[Mapping[str, Any]], given: Iterable[str]) -> None:
  """Raises a ValueError if a setting has an effect on none of some runs.

  >>> check([{"engine": "rows", "core": 64}], ["core"])
  Traceback (most recent call last):
  ValueError: core has no effect with engine=rows: leave it out.

  Args:
    runs: all resolved settings of each run, by name, and `loss`, if it has a
      loss of its own. A setting that is not among them has any value.
    given: the names of the settings that the user gave.
  """
  for name in given:
    reasons = [_reason(name, run) for run in runs]
    if reasons and all(reasons):
      raise ValueError(f"{name} has no effect {reasons[0]}: leave it out.")


def _reason(name: str, run: Mapping[str, Any]) -> str:
  """What keeps a setting from having an effect; empty if it has one."""
  if name in _OFF and run.get(name) == _OFF[name]:
    return ""
  for other, good in NEEDS.get(name, {}).items():
    if other not in run:
      continue
    value = run[other]
    if not (good(value) if callable(good) else value in good):
      return _phrase(other, value)
  return ""


def _phrase(name: str, value) -> str:
  if name == "loss" or value == OWN:
    article = "an" if name == "optimizer" else "a"
    return f"with {article} {name} of your own"
  if value in ("", ()):
    return f"without {name}=..."
  text = f"{value:g}" if type(value) is float else str(value)
  return f"with {name}={text}"
