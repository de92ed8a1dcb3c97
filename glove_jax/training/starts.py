"""Training that starts from given parameters instead of random ones.

Given parameters are a `Params` with a row for each word of a run. A row of NaN
is not given, and starts as usual: at random, or at the fitted biases.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from glove_jax import atomic, memory
from glove_jax.model import Params


class Start(NamedTuple):
  """Given parameters, and Adagrad's sums of squared gradients, if known."""

  params: Params  # [V, D], [V, D], [V], [V]; NaN where not given
  sums: Params | None = None  # the same shapes; NaN where not given


class Given(NamedTuple):
  """What `Engine.init` starts the optimizer's state from, if not as usual."""

  sums: Params | None = None  # as in `Start`
  free: Params | None = None  # [V] bool of each table, False for held rows


AS_USUAL = Given()


def from_vectors(
  vectors: np.ndarray, *, seed: int = 0, exact: bool = False
) -> Params:
  """Splits vectors into a word and a context vector each.

  A file of vectors has one vector v for each word, usually w + w~. J does not
  change if the two sides are exchanged and the counts are symmetric, so v says
  nothing about their difference: v / 2 each is the split of least norm. Two
  sides that start equal stay equal, if their gradients are equal too, so we
  start them a small random u apart, as Mittens does, which leaves their sum as
  it is: w = v / 2 + u, w~ = v / 2 - u. The biases are not given.

  Args:
    vectors: [N, D].
    seed: of u, which is uniform in +-0.5 / D, as usual starts are.
    exact: leaves u out, for vectors that do not train.

  Returns:
    Params of N words; the biases are NaN.

  Example:
    >>> params = from_vectors(np.array([[2.0, 4.0]]), exact=True)
    >>> print(params.word, params.context, params.word_bias)
    [[1. 2.]] [[1. 2.]] [nan]
  """
  vectors = np.asarray(vectors)
  vectors = vectors.astype(np.result_type(vectors.dtype, np.float32))
  half, unknown = vectors / 2, np.full(len(vectors), np.nan, vectors.dtype)
  if exact:
    return Params(half, half, unknown, unknown)
  bound = 0.5 / vectors.shape[1]
  offset = np.random.default_rng(seed).uniform(-bound, bound, vectors.shape)
  offset = offset.astype(vectors.dtype)
  return Params(half + offset, half - offset, unknown, unknown)


def align(params: Params, words: Sequence[str], vocab: Sequence[str]) -> Params:
  """Puts the rows of some words in the order of a vocabulary.

  Args:
    params: of N words; NumPy arrays.
    words: these words; of equal ones, the first counts.
    vocab: V words.

  Returns:
    Params of V words, with NaN for words that are not among the N.

  Example:
    >>> params = from_vectors(np.array([[2.0], [4.0]]), exact=True)
    >>> print(align(params, ["a", "b"], ["b", "c"]).word.T)
    [[ 2. nan]]
  """
  index = dict(zip(reversed(words), range(len(words) - 1, -1, -1), strict=True))
  rows = np.array([index.get(word, -1) for word in vocab], np.int64)

  def pick(table):
    out = np.full((len(rows), *table.shape[1:]), np.nan, table.dtype)
    out[rows >= 0] = table[rows[rows >= 0]]
    return out

  return Params(*map(pick, params))


def checked(
  init: Params | Start | None, vocab_size: int, dim: int
) -> Start | None:
  """Returns a start whose arrays fit a run, in NumPy.

  Raises:
    ValueError: it is of another type, a shape differs, a value is infinite, or
      a row has NaN and numbers.
  """
  if init is None:
    return None
  if not isinstance(init, (Start, Params)):
    raise ValueError(
      f"init must be model.Params or starts.Start, not a {type(init).__name__}."
    )
  start = init if isinstance(init, Start) else Start(init)
  start = jax.tree.map(np.asarray, start)
  shapes = [(vocab_size, dim)] * 2 + [(vocab_size,)] * 2
  for part in filter(None, start):
    found = [np.shape(table) for table in part]
    if found != shapes:
      raise ValueError(
        f"init has tables of shapes {found} and this run needs {shapes}: give "
        "a row for each word of the vocabulary, of NaN for a word without."
      )
    for name, table in zip(Params._fields, part, strict=True):
      unknown = np.isnan(table).reshape(vocab_size, -1)
      if np.isinf(table).any() or (unknown != unknown[:, :1]).any():
        raise ValueError(
          f"init has a row of {name} that is not finite: give D numbers, or "
          "NaN for all of the row."
        )
  return start


def fill(usual: Params, start: Start) -> Params:
  """The usual start, with what is given in its place."""
  return jax.tree.map(
    lambda a, b: jnp.where(np.isnan(b), a, jnp.asarray(b, a.dtype)),
    usual,
    start.params,
  )


def given(start: Start | None, freeze: bool) -> Given:
  """What the optimizer's state starts from, beside its own initial state."""
  if start is None:
    return AS_USUAL
  free = [np.isnan(table).reshape(len(table), -1)[:, 0] for table in start[0]]
  return Given(start.sums, Params(*free) if freeze else None)


def write(start: Start, path: str | os.PathLike) -> None:
  """Writes a start to a file, for the other processes of a run."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  leaves = {
    f"{name}_{i}": np.asarray(table)
    for name, part in start._asdict().items()
    for i, table in enumerate(part or ())
  }
  with atomic.write_whole(path) as file:
    memory.write_arrays(file, leaves)


def read(path: str | os.PathLike) -> Start:
  """Reads what `write` wrote."""
  with np.load(path) as file:
    parts = {
      name: Params(*(file[f"{name}_{i}"] for i in range(len(Params._fields))))
      for name in Start._fields
      if f"{name}_0" in file
    }
  return Start(**parts)
