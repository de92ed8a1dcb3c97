"""Modules that are loaded when they are first used.

Counting a text needs neither jax nor what imports it, which would take longer
to load than a small text to count.
"""

import importlib
from typing import Any


class _Module:
  def __init__(self, name: str):
    self._name = name

  def __getattr__(self, attribute: str) -> Any:
    return getattr(importlib.import_module(self._name), attribute)


def module(name: str) -> Any:
  """Stands for a module, which is imported when it is first used.

  >>> module("math").sqrt(9)
  3.0

  Args:
    name: such as 'glove_jax.training.loop'.
  """
  return _Module(name)
