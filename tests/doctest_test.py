"""Every example in a docstring of the package runs."""

import doctest
import importlib

import pytest
from house_test import MODULES

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def examples(module):
  """The docstrings of a module that have examples."""
  found = doctest.DocTestFinder(exclude_empty=True).find(module)
  return [test for test in found if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
  module = importlib.import_module(f"glove_jax.{name}")
  failed, _ = doctest.testmod(module, optionflags=OPTIONS)
  assert not failed
