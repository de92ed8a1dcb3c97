"""The compiled tokenizers against the plain Python of `tokenizers`."""

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.text import (
  compiled,
  content,
  reading,
  tokenizers,
  vocab,
  word_table,
)
from glove_jax.text.symbols import END

PIECES = st.one_of(
  st.binary(max_size=6),
  st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace")),
  st.sampled_from([b"a", b"b", b" ", b"\t", b"\n", b"\n\n", b"\r\n", b"\0"]),
  st.sampled_from([b"the", b"\xcc\x81", b"\x0b", b"\x0c", b"\xc2\xa0", b"_"]),
  st.sampled_from(["ΣΑΣ", "İ", "ß", "\u0301"]).map(str.encode),
  st.sampled_from(["\u200c", "\u200d", "\u180e"]).map(str.encode),
  st.sampled_from(["\xad", "\u2060", "\ufeff"]).map(str.encode),
  st.sampled_from([b"\xef", b"\xbb\xbf", b"\xc2", b"\xad", b"\r"]),
  st.sampled_from([b"\xe6\x97", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xff"]),
  st.tuples(
    st.sampled_from([b"x", b"\xc3\xa9", b"\xe6\x97\xa5", b"\xf0\x90\x8c\xb0"]),
    st.integers(240, 1002),
    st.sampled_from([b"", b"\xe6", b"\xf0\x90", b"y", b"\xff"]),
  ).map(lambda t: t[0] * t[1] + t[2]),
)
TEXTS = st.lists(PIECES, max_size=30).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(
  texts=st.lists(TEXTS, min_size=1, max_size=2),
  tokenizer=st.sampled_from(tokenizers.TOKENIZERS),
  lowercase=st.booleans(),
  documents=st.sampled_from(reading.DOCUMENTS),
  keep_places=st.booleans(),
  size=st.integers(1, 40) | st.just(1 << 19),
  threads=st.integers(1, 2),
)
def test_equals_plain_python(
  tmp_path_factory,
  texts,
  tokenizer,
  lowercase,
  documents,
  keep_places,
  size,
  threads,
):
  folder = tmp_path_factory.mktemp("texts")
  paths = []
  for number, data in enumerate(texts):
    paths.append(str(folder / f"{number}.txt"))
    # Random bytes are no text, but the mark says that they are.
    (folder / f"{number}.txt").write_bytes(content.TEXT_MARK + data)
  options = {
    "tokenizer": tokenizer, "lowercase": lowercase, "documents": documents
  }  # fmt: skip
  text = compiled.Text(paths, **options)
  plain = list(reading.read_documents(paths, **options))
  expected = vocab.count_words(plain)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(reading, "BLOCK_BYTES", size)
    patch.setattr(word_table, "_FIRST_WORDS", 2)
    kept = compiled.Kept(1 << 20)
    assert compiled.count_words(text, threads=threads, kept=kept) == expected
    if not expected.keys() - {vocab.UNK}:
      return
    words = vocab.make_vocab(expected, min_count=1, max_vocab=7)
    found = compiled.read_ids(
      text, words, keep_places=keep_places, threads=threads
    )
    blocks = list(found)
    ids = np.concatenate([block.ids for block in blocks])
    again = compiled.read_ids(
      text, words, keep_places=keep_places, threads=threads, kept=kept
    )
    for block, other in zip(blocks, again, strict=True):
      assert block.ids.tolist() == other.ids.tolist()
      assert block.end == other.end
  assert _documents(ids) == [
    document.tolist()
    for document in vocab.encode(plain, words, keep_places=keep_places)
    if len(document)
  ]


def _documents(ids):
  documents = [[]]
  for word in ids.tolist():
    if word == END:
      documents.append([])
    else:
      documents[-1].append(word)
  return [document for document in documents if document]


@pytest.mark.parametrize("lowercase", [False, True])
def test_every_character_is_as_in_plain_python(tmp_path, lowercase):
  points = [p for p in range(sys.maxunicode + 1) if not 0xD800 <= p < 0xE000]
  path = tmp_path / "all.txt"
  words = [f"a{chr(p)}b {chr(p)}c" for p in points]
  lines = [" ".join(words[i : i + 64]) for i in range(0, len(words), 64)]
  path.write_text("\n".join(lines), newline="\n")
  text = compiled.Text([str(path)], "word", lowercase)
  plain = reading.read_documents([str(path)], lowercase=lowercase)
  assert compiled.count_words(text) == vocab.count_words(plain)


def test_rare_words_are_left_out_but_never_all(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("a a a b b c <unk> <unk> <unk> <unk>\n")
  text = compiled.Text([str(path)], "whitespace")
  assert compiled.count_words(text, min_count=3) == {"a": 3, "<unk>": 4}
  assert compiled.count_words(text, min_count=9)["a"] == 3
  path.write_text("")
  assert compiled.count_words(text, min_count=3) == Counter()


@pytest.mark.parametrize("max_words, is_kept", [(10, True), (9, False)])
def test_a_text_that_fits_is_read_once(tmp_path, max_words, is_kept):
  path = tmp_path / "a.txt"
  path.write_text("a b b\nc d e\n")  # 10 with the ends, two of the file
  text, kept = compiled.Text([str(path)]), compiled.Kept(max_words)
  words = vocab.make_vocab(compiled.count_words(text, kept=kept), min_count=1)
  path.write_text("e e e e e e\n")
  (first, *_) = compiled.read_ids(text, words, kept=kept)
  assert (first.ids.tolist() == [1, 0, 0, END, 2, 3, 4, END]) == is_kept
  (first, *_) = compiled.read_ids(text, words, kept=kept)
  assert first.ids.tolist() == [4] * 6 + [END]  # read once


def test_reading_goes_on_from_any_block(tmp_path):
  (tmp_path / "a.txt").write_text("a b c\nd e\n \n f g" * 20)
  (tmp_path / "b.txt").write_text("h " * 30)
  paths = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
  blocks = list(reading.read_blocks(paths, size=16))
  assert len(blocks) > 20
  for number, block in enumerate(blocks, 1):
    rest = list(reading.read_blocks(paths, reading.Section(block.end), 16))
    assert b"".join(b.data for b in rest) == b"".join(
      b.data for b in blocks[number:]
    )
    assert [b.begun for b in rest[:1]] == [
      b.begun for b in blocks[number : number + 1]
    ]


def test_unknown_choices_are_named():
  with pytest.raises(ValueError, match="tokenizer is 'spacy', but must be one"):
    compiled.make_splitter(compiled.Text([], "spacy"))
