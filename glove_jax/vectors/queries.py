"""What vectors are asked with: words, vectors, or sums of words as text."""

from collections.abc import Container, Iterable, Sequence

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


def array_or_list(query):
  """A query whose kind can be seen: a column of a table is an array, say.

  >>> array_or_list({"king": 1, "queen": 2}.keys())
  ['king', 'queen']
  """
  if hasattr(query, "__array__"):
    return np.asarray(query)
  return list(query) if isinstance(query, Iterable) else query


def are_words(query) -> bool:
  """Whether a query is a list of words."""
  if isinstance(query, np.ndarray):
    return query.ndim == 1 and query.dtype.kind in "UO"
  is_list = isinstance(query, (list, tuple, set, frozenset))
  return is_list and len(query) > 0 and all(isinstance(x, str) for x in query)


def scaled(vector: np.ndarray) -> np.ndarray:
  """The vector [D] scaled to length 1, as float32."""
  return (vector / (np.linalg.norm(vector) or 1.0)).astype(np.float32)


def questions(
  arguments: list[str], vectors: Container[str]
) -> list[tuple[str, list[str], list[str]]]:
  """What `neighbors` is asked: names, words to be near to and far from.

  ["king", "queen"]              each word by itself
  ["king", "-", "man"]           one question: near king, far from man
  ["king - man + woman"]         the same in one argument

  Raises:
    ValueError: a sign has no word after it.
  """
  signs = {"+", "-"}
  if len(arguments) > 1 and signs & {*arguments}:
    return [_question(arguments)]
  asked = []
  for argument in arguments:
    is_word = argument in vectors or not argument.strip() or " " not in argument
    asked.append(
      (argument, [argument], []) if is_word else _question(argument.split())
    )
  return asked


def _question(tokens: list[str]) -> tuple[str, list[str], list[str]]:
  words: dict[str, list[str]] = {"+": [], "-": []}
  sign = "+"
  if tokens[-1:] in (["+"], ["-"]):
    raise ValueError(f"{' '.join(tokens)!r} has no word after its last sign.")
  for token in tokens:
    if token in words:
      sign = token
    else:
      words[sign].append(token)
      sign = "+"
  return " ".join(tokens), words["+"], words["-"]
