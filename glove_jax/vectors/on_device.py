"""Search for neighbours on a GPU or TPU."""

import numpy as np


def is_here() -> bool:
  """Whether JAX is installed and computes on another device than the CPU."""
  try:
    import jax  # here, since searching on the CPU does not need it
  except ImportError:
    return False
  return jax.default_backend() != "cpu"


class Search:
  """Exact search in vectors that stay on the device.

  Args:
    unit: [V, D] float32, unit vectors.
    never: [F] int64, rows that are never answers.
    k: the number of answers to each query.
  """

  def __init__(self, unit: np.ndarray, never: np.ndarray, k: int):
    import jax

    self._unit = jax.device_put(unit)
    self._never = jax.device_put(never.astype(np.int32))
    self._find = jax.jit(_find, static_argnames="k")
    self._k = k

  def __call__(
    self, queries: np.ndarray, excluded: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """The rows [N, k] of highest cosine and their cosines [N, k].

    Args:
      queries: [N, D] float32, unit vectors.
      excluded: [N, E] int64, rows that are not answers to the query.
    """
    import jax

    found = self._find(
      self._unit, self._never, queries, excluded.astype(np.int32), k=self._k
    )
    scores, rows = jax.device_get(found)
    return rows.astype(np.int64), scores


def _find(unit, never, queries, excluded, k):
  """`lax.top_k` puts the lower of two rows with equal scores first."""
  from jax import lax
  from jax import numpy as jnp

  score = jnp.matmul(queries, unit.T, precision=lax.Precision.HIGHEST)
  score = score.at[:, never].set(-jnp.inf)
  query = jnp.arange(len(queries))[:, None]
  score = score.at[query, excluded].set(-jnp.inf)
  return lax.top_k(score, k)
