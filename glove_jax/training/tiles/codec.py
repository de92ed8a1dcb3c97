"""Counts in 2 bytes: the logarithm of a count, rounded to 1 of 65,535 levels.

Code 0 means that nothing was counted. Codes 1 to 65,535 are equal steps of the
log count, from 1e-7 to 1e13. A window of 10 million words weighs its last word
with 1e-7, and all text of the web holds fewer than 1e13 words, so counts of any
corpus fit. The wide range costs little: a step is 0.07%, so a count is off by
0.035% at most, and its logarithm, which training fits, by 0.00035. The costs of
trained counts are near 0.05, which is an error of the logarithm near 0.2.
"""

import jax
import jax.numpy as jnp
import numba
import numpy as np

LOWEST, HIGHEST = 1e-7, 1e13
LOG_MIN, LOG_MAX = float(np.log(LOWEST)), float(np.log(HIGHEST))
LOG_STEP = (LOG_MAX - LOG_MIN) / 65534


@numba.vectorize(cache=True)
def encode(count):
  """Encodes counts of any shape as uint16; 0 is a count that does not fit.

  Example:
    >>> encode(np.array([1e-7, 1e13, 9e-8, 2e13])).tolist()
    [1, 65535, 0, 0]
  """
  steps = np.rint((np.log(count) - LOG_MIN) / LOG_STEP)
  return np.uint16(steps + 1.0 if 0.0 <= steps <= 65534.0 else 0.0)


def encode_on_device(count: jax.Array) -> jax.Array:
  """As `encode`, for counts that fit, in float32.

  Example:
    >>> print(encode_on_device(jnp.array([1e-7, 2.0, 1e13])))
    [    1 23924 65535]
  """
  steps = jnp.rint((jnp.log(count) - LOG_MIN) / LOG_STEP)
  return (jnp.clip(steps, 0, 65534) + 1).astype(jnp.uint16)


def log_counts(code: jax.Array) -> jax.Array:
  """The log counts of codes, in any shape: float32. That of code 0 is unused.

  Example:
    >>> low, high = log_counts(jnp.array([1, 65535], "uint16"))
    >>> print(f"{float(low):.2f} {float(high):.2f}")
    -16.12 29.93
  """
  return code.astype(jnp.float32) * LOG_STEP + (LOG_MIN - LOG_STEP)


def decode(code: jax.Array, *, x_max: float, alpha: float):
  """Decodes codes to log counts and weights f, in any shape.

  Args:
    code: uint16, from `encode`.
    x_max: the count from which the weight is 1.
    alpha: the exponent of the weight below x_max.

  Returns:
    (log_count, weight), float32. The weight is `model.weight` of the count,
    computed from its logarithm; it is 0 for code 0.

  Example:
    >>> log_count, weight = decode(jnp.array([0, 65535]), x_max=9.0, alpha=1.0)
    >>> print(weight, round(float(log_count[1]), 3))
    [0. 1.] 29.934
  """
  log_count = log_counts(code)
  weight = jnp.minimum(1.0, jnp.exp(alpha * (log_count - jnp.log(x_max))))
  return log_count, jnp.where(code > 0, weight, 0.0)


def check_range(lowest: float, highest: float) -> None:
  """Raises a ValueError if some count between these has no code."""
  for count in (lowest, highest):
    if not LOWEST <= count <= HIGHEST:
      raise ValueError(
        f"The count {count:g} is outside of {LOWEST:g} to {HIGHEST:g}, which "
        "engine=blocked can store: use engine=rows."
      )
