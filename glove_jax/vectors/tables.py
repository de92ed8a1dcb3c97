"""Tables of vectors: combining the two that training fits, and their type."""

import numpy as np


def combine(
  word: np.ndarray,
  context: np.ndarray,
  how: str = "sum",
  context_weight: float = 1.0,
) -> np.ndarray:
  """Combines the two tables that training fits into one.

  Args:
    word: [V, D].
    context: [V, D].
    how: 'sum' (the paper's choice, section 4.2), 'word', 'context', or
      'concat'.
    context_weight: with 'sum', the factor on context vectors; the paper adds
      them as they are.

  Returns:
    [V, D], or [V, 2 * D] for 'concat'.

  Raises:
    ValueError: `how` is unknown, or the two shapes differ.

  >>> combine(np.array([[1.0, 2.0]]), np.array([[3.0, 8.0]]))
  array([[ 4., 10.]])
  >>> combine(np.ones((1, 2)), np.ones((1, 2)), context_weight=0.5)
  array([[1.5, 1.5]])
  """
  word, context = np.asarray(word), np.asarray(context)
  if np.shape(word) != np.shape(context):
    raise ValueError(
      f"The word table is {np.shape(word)} and the context table "
      f"{np.shape(context)}: combine two tables of one training run."
    )
  if how == "sum":
    return word + word.dtype.type(context_weight) * context
  if how == "word":
    return word
  if how == "context":
    return context
  if how == "concat":
    return np.concatenate([word, context], axis=1)
  raise ValueError(
    f"Cannot combine tables by {how!r}: use sum, word, context or concat."
  )


def floating(array) -> np.ndarray:
  """The array as float32 or float64, since numpy stores no bfloat16."""
  array = np.asarray(array)
  if array.dtype in (np.float32, np.float64):
    return array
  try:
    if array.dtype.kind == "c":
      raise TypeError("they are complex")
    return array.astype(np.float32)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"Vectors of type {array.dtype} are no real numbers: {error}."
    ) from error
