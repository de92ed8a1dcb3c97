"""Vectors in two dimensions, for a map of words."""

import importlib.util

import numpy as np

from glove_jax import lazy

METHODS = ("tsne", "pca")  # the first that can be had is the default
_NEIGHBORS = 30.0  # perplexity of t-SNE: about how many words are near one


def methods() -> tuple[str, ...]:
  """The methods whose packages are installed: t-SNE needs scikit-learn."""
  has_sklearn = importlib.util.find_spec("sklearn") is not None
  return METHODS if has_sklearn else ("pca",)


def positions(table: np.ndarray, method: str = "pca") -> np.ndarray:
  """Places vectors in a plane.

  Args:
    table: [N, D], unit vectors.
    method: 'pca' for the two directions of the largest variance, or 'tsne',
      which keeps near vectors together (van der Maaten & Hinton, 2008).

  Returns:
    [N, 2] float64 between -1 and 1, the same for the same table.

  Raises:
    ValueError: an unknown method.
    ImportError: t-SNE without scikit-learn.

  >>> positions(np.array([[2.0, 1, 0], [0, 1, 0], [1.1, 1, 0.5]])).round(1)
  array([[ 0.9, -0.2],
         [-1. , -0.1],
         [ 0.1,  0.3]])
  """
  if method not in METHODS:
    raise ValueError(f"There is no method {method!r}: use 'tsne' or 'pca'.")
  # t-SNE needs some words more than it takes neighbours.
  is_tsne = method == "tsne" and len(table) > 4
  found = _tsne(table) if is_tsne else _pca(table)
  found = found - (found.max(axis=0) + found.min(axis=0)) / 2 * is_tsne
  return found / (np.abs(found).max() or 1.0)


def _pca(table: np.ndarray) -> np.ndarray:
  centred = np.asarray(table, np.float64) - table.mean(axis=0)
  left, scale, right = np.linalg.svd(centred, full_matrices=False)
  # The sign of a direction is arbitrary: its largest part is made positive.
  largest = np.abs(right).argmax(axis=1)
  signs = np.sign(right[np.arange(len(right)), largest])
  found = np.zeros((len(table), 2))
  num = min(2, len(scale))
  found[:, :num] = (left * scale * signs)[:, :num]
  return found


def _tsne(table: np.ndarray) -> np.ndarray:
  with lazy.needed("t-SNE needs scikit-learn: pip install scikit-learn."):
    import threadpoolctl  # here, since they take a second to import
    from sklearn import manifold
  start = _pca(table)
  if start.std() < 1e-6:  # vectors that are all equal would crash it
    return start
  start *= 1e-4 / start[:, 0].std()  # as small as scikit-learn starts
  tsne = manifold.TSNE(
    perplexity=min(_NEIGHBORS, (len(table) - 1) / 3),
    init=start.astype(np.float32),
    random_state=0,
  )
  # One thread: the same sums each time, and no threads that wait for others.
  with threadpoolctl.threadpool_limits(1):
    found = tsne.fit_transform(np.asarray(table, np.float32))
  return found.astype(np.float64)
