"""Both tokenizers on hand-worked text."""

import subprocess
import sys

import pytest

from glove_jax.text import tokenizers


@pytest.mark.parametrize(
  ("text", "tokens"),
  [
    ("don't stop_now, 3.14", ["don", "t", "stop", "now", "3", "14"]),
    ("Straße ΑΒΓ żółw", ["straße", "αβγ", "żółw"]),
    ("cafe\u0301s", ["cafe\u0301s"]),  # e, combining acute
    ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs and virama are marks
    ("日本語、テスト", ["日本語", "テスト"]),
    ("\u0301 alone \ufeff", ["alone"]),  # a mark alone is no word, nor a BOM
    ("نمی\u200cشود", ["نمی\u200cشود"]),  # a zero-width non-joiner
    ("ශ්\u200dරී র\u200d্যাম", ["ශ්\u200dරී", "র\u200d্যাম"]),
    ("co\xadoperate co\u2060operate", ["cooperate", "cooperate"]),
    ("a\u200d\u200c\xad\u0301b", ["a\u200d\u200c\u0301b"]),
    ("\u200da\u200d b\u200c, \u200d -\u200dc\xad", ["a", "b", "c"]),
    ("a\u200b\u200db", ["a", "b"]),  # a zero-width space separates
    ("the\ufeffend", ["theend"]),
    ("a\x00b\rc", ["a", "b", "c"]),
    ("bad\udcffbytes", ["bad", "bytes"]),
    ("_ - !", []),
  ],
)
def test_word_tokenizer(text, tokens):
  assert tokenizers.make_tokenizer("word")(text) == tokens


@pytest.mark.parametrize(
  ("text", "tokens"),
  [
    (" a\t\tb  c\n", ["a", "b", "c"]),
    ("a\u00a0b\u3000c\x0bd\x0ce\u2028f", ["a\u00a0b\u3000c\x0bd\x0ce\u2028f"]),
    ("x\ry\r\n", ["xy"]),
    ("co\xadop\u2060erate\u200d", ["co\xadop\u2060erate\u200d"]),
    ("\ufeffthe\ufeff end", ["the", "end"]),
    ("ab\0cd \0ef g", ["ab", "g"]),
    ("don't,", ["don't,"]),
  ],
)
def test_whitespace_tokenizer_splits_as_stanford_does(text, tokens):
  assert tokenizers.make_tokenizer("whitespace")(text) == tokens


@pytest.mark.parametrize("tokenizer", tokenizers.TOKENIZERS)
@pytest.mark.parametrize(
  ("token", "kept"),
  [
    ("n" * 999, 999),
    ("n" * 10_000, 999),
    ("é" * 5_000, 499),  # 998 bytes: the 999th is half a character
    ("日" * 333, 333),
    ("x" + "日" * 4_000, 333),
    ("xx" + "𐌰" * 4_000, 251),  # 2 + 249 * 4 = 998
  ],
)
def test_long_tokens_are_cut_to_999_bytes(tokenizer, token, kept):
  cut = tokenizers.make_tokenizer(tokenizer, lowercase=False)(f"a {token} b")
  assert cut == ["a", token[:kept], "b"]


@pytest.mark.parametrize(
  "module",
  [
    "glove_jax.text.symbols",
    "glove_jax.text.tokenizers",
    "glove_jax.text.reading",
    "glove_jax.text.vocab",
    "glove_jax.text.datasets",
    "glove_jax.counts.triplets",
    "glove_jax.counts.stanford",
    "glove_jax.counts.ratios",
  ],
)
def test_importing_loads_neither_jax_nor_numba(module):
  code = f"import sys, {module}; print({{'jax', 'numba'}} & set(sys.modules))"
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout == "set()\n"
