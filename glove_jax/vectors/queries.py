"""What a question about vectors may be asked with: words or vectors."""

from collections.abc import Iterable, Sequence

import numpy as np


def listed(keys) -> Sequence:
  """A list of words or vectors: those given, or the one that was given.

  Raises:
    ValueError: the keys are neither.
  """
  if isinstance(keys, str):
    return [keys]
  if (
    isinstance(keys, np.ndarray) and keys.ndim == 1 and keys.dtype.kind in "fiu"
  ):
    return [keys]
  if not isinstance(keys, Iterable):
    raise ValueError(f"{keys!r} is no word: give a string or a list of them.")
  return list(keys)


def are_words(query) -> bool:
  """Whether a query is a list of words."""
  if isinstance(query, np.ndarray):
    return query.ndim == 1 and query.dtype.kind in "UO"
  is_list = isinstance(query, (list, tuple, set, frozenset))
  return is_list and len(query) > 0 and all(isinstance(x, str) for x in query)


def scaled(vector: np.ndarray) -> np.ndarray:
  """The vector [D] scaled to length 1, as float32."""
  return (vector / (np.linalg.norm(vector) or 1.0)).astype(np.float32)
