"""Float32 numbers as text with 6 decimals, as "%.6f" writes them.

A float32 is an integer below 2^24 times a power of 2. Times 10^6 = 2^6 5^6 it
needs at most 38 bits of precision, so the product in float64 is exact, and so
is its rounding to the nearest integer, ties to even.
"""

import numpy as np

from glove_jax import native

_LIMIT = 1e9  # numbers from here on have more digits than a slot holds
_SLOT = len(" -999999999.999999")


def lines(rows: np.ndarray) -> list[bytes]:
  """Each row as text, with a blank before each number.

  Args:
    rows: [N, D] float32.

  Returns:
    N texts; that of a row with a number of over 9 digits, or with one that is
    not finite, is empty.

  Example:
    >>> lines(np.array([[1.5, -2e-7], [1.0, 1e9]], np.float32))
    [b' 1.500000 -0.000000', b'']
  """
  text = np.empty((len(rows), rows.shape[1] * _SLOT), np.uint8)
  lengths = np.empty(len(rows), np.int64)
  _write(rows, text, lengths)
  pairs = zip(text, lengths, strict=True)
  return [line[:length].tobytes() for line, length in pairs]


@native.loop
def _write(rows, text, lengths):
  """Writes each row to its text; a row with too large numbers has length 0."""
  for i in range(len(rows)):
    end = np.int64(0)  # as for all other numbers of `_append`
    for x in rows[i]:
      if not abs(x) < _LIMIT:  # or NaN
        end = np.int64(0)
        break
      end = _append(np.float64(x), text[i], end)
    lengths[i] = end


@native.helper
def _append(x, text, end):
  """Appends a blank and a number to text[:end]; returns the new end."""
  text[end] = 32  # a blank
  end += 1
  if np.copysign(1.0, x) < 0:
    text[end] = 45  # a minus, of -0.0 too
    end += 1
  whole, part = divmod(np.int64(np.rint(abs(x) * 1e6)), 1_000_000)
  end = _append_digits(np.uint32(whole), _num_digits(whole), text, end)
  text[end] = 46  # the point
  return _append_digits(np.uint32(part), np.int64(6), text, end + 1)


@native.helper
def _num_digits(number):
  digits, bound = 1, 10
  while number >= bound:
    digits += 1
    bound *= 10
  return digits


@native.helper
def _append_digits(number, digits, text, end):
  for k in range(end + digits - 1, end - 1, -1):
    rest = number // np.uint32(10)
    text[k] = 48 + (number - rest * np.uint32(10))
    number = rest
  return end + digits
