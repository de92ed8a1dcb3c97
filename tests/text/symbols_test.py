"""Words that are safe to print."""

import pytest

from glove_jax.text import symbols


@pytest.mark.parametrize(
  ("word", "shown"),
  [
    ("naïve 日本 نمی\u200cشود e\u0301", "naïve 日本 نمی\u200cشود e\u0301"),
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    ("\x9b2J\x07\x7f\r\n", "\\x9b2J\\x07\\x7f\\r\\n"),
    ("abc\u202edef\u2066", "abc\\u202edef\\u2066"),
    ("caf\udce9 \ud800", "caf\\udce9 \\ud800"),
    ("a\u2028b\ufeff", "a\\u2028b\\ufeff"),
  ],
)
def test_what_a_terminal_would_obey_is_escaped(word, shown):
  assert symbols.printable(word) == shown
  shown.encode()  # so it can be written


def test_no_character_of_any_kind_breaks_the_output():
  every = "".join(map(chr, range(0x110000)))
  shown = symbols.printable(every)
  shown.encode()
  assert not {chr(c) for c in [*range(32), *range(127, 160)]} & set(shown)


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
