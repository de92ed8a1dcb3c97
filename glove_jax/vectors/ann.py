"""Approximate nearest neighbours, for many questions about millions of words.

The vectors are sorted into cells by k-means, and a question looks at those
cells alone whose centres are nearest to it (IVF: Jegou et al., 2011), by the
package faiss. docs/vectors.md compares this with graphs and other packages.
"""

import math

import numpy as np

from glove_jax import lazy

_PROBES = 8  # a question looks at one cell of so many
_LEAST = 39  # vectors for each cell, or faiss warns that they are few


class Index:
  """An index of unit vectors.

  Args:
    unit: [V, D] float32, unit vectors.
    never: [F] int64, rows that are never answers.

  Raises:
    ImportError: faiss is not installed.

  >>> table = np.eye(3, dtype=np.float32)
  >>> rows, cosines = Index(table, np.array([0])).search(
  ...   np.array([[0, 0.8, 0.6]], np.float32), np.array([[1]]), k=2)
  >>> rows, cosines
  (array([[2, 0]]), array([[ 0.6, -inf]], dtype=float32))
  """

  def __init__(self, unit: np.ndarray, never: np.ndarray):
    with lazy.needed(
      "Approximate search needs faiss: pip install faiss-cpu, or leave out "
      "approximate."
    ):
      import faiss
    self._rows = np.setdiff1d(np.arange(len(unit)), never)
    table = np.ascontiguousarray(unit[self._rows])
    cells = min(math.isqrt(len(table)), len(table) // _LEAST)
    self._cells = faiss.index_factory(
      unit.shape[1], f"IVF{max(1, cells)},Flat", faiss.METRIC_INNER_PRODUCT
    )
    self._cells.nprobe = max(1, -(-cells // _PROBES))
    self._cells.train(table)
    self._cells.add(table)

  def search(
    self, queries: np.ndarray, excluded: np.ndarray, k: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """The rows nearest to each query; a few may be missed.

    Args:
      queries: [N, D] float32, unit vectors.
      excluded: [N, E] int64, rows that are not answers to the query.
      k: the number of answers.

    Returns:
      rows [N, k] int64 and their exact cosines [N, k], the highest first.
      Where there are no more answers, the cosine is -inf and the row is 0.
    """
    num = k + excluded.shape[1]
    cosines, found = self._cells.search(np.ascontiguousarray(queries), num)
    rows = self._rows[found]
    cosines[found < 0] = -np.inf
    cosines[(rows[:, :, None] == excluded[:, None, :]).any(axis=2)] = -np.inf
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    rows = np.take_along_axis(rows, order, axis=1)
    cosines = np.take_along_axis(cosines, order, axis=1)
    rows[cosines == -np.inf] = 0
    return rows, cosines
