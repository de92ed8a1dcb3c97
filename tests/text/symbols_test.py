"""Byte-order marks among the words."""

import pytest

from glove_jax.text import symbols


@pytest.mark.parametrize(
  ("data", "kept"),
  [
    (b"the", b"the"),
    (b"\xef\xbb\xbfa\xef\xbb\xbf\xef\xbb\xbfb\xef\xbb\xbf", b"ab"),
    (b"\xef\xef\xbb\xbf\xbb\xbf", b"\xef\xbf\xbd"),  # one inside another
    (b"\xef\xbb", b"\xef\xbb"),
  ],
)
def test_no_byte_order_mark_is_left(data, kept):
  assert symbols.drop_marks(data) == kept
