"""Modules that are loaded when they are first used, and optional packages.

Counting a text needs neither jax nor what imports it, which would take longer
to load than a small text to count.
"""

import contextlib
import importlib
from collections.abc import Iterator
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


@contextlib.contextmanager
def needed(sentence: str) -> Iterator[None]:
  """Says in a sentence that a package is missing, which the block imports.

  >>> with needed("A picnic needs sandwiches: pip install sandwiches."):
  ...   import sandwiches
  Traceback (most recent call last):
  ModuleNotFoundError: A picnic needs sandwiches: pip install sandwiches.

  Args:
    sentence: what needs which package, and how to install it.

  Raises:
    ModuleNotFoundError: the block raised an ImportError.
  """
  try:
    yield
  except ImportError as error:
    raise ModuleNotFoundError(sentence) from error
