from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.text import reading, vocab


def test_equals_stanfords_vocabulary_byte_for_byte(parity, tmp_path):
  documents = reading.read_documents(
    [str(parity / "corpus.txt")], tokenizer="whitespace", lowercase=False
  )
  made = vocab.make_vocab(vocab.count_words(documents), min_count=3)
  vocab.write_vocab(made, tmp_path / "vocab.txt")
  expected = (parity / "vocab.txt").read_bytes()
  assert (tmp_path / "vocab.txt").read_bytes() == expected
  assert vocab.read_vocab(parity / "vocab.txt") == made


def test_order_is_count_then_signed_bytes():
  # 'é' is the bytes C3 A9, negative as C's signed char: before the end of a
  # string (0), which is before 'a'.
  counter = Counter({"b": 3, "a": 3, "é": 3, "aé": 3, "ab": 3, "z": 9})
  made = vocab.make_vocab(counter, min_count=1)
  assert made.words == ("z", "é", "aé", "a", "ab", "b")
  assert made.counts.tolist() == [9, 3, 3, 3, 3, 3]


def test_cuts_at_min_count_and_max_vocab():
  counter = Counter({"a": 1, "b": 2, "c": 2, "d": 3})
  assert vocab.make_vocab(counter, min_count=2).words == ("d", "b", "c")
  cut = vocab.make_vocab(counter, min_count=1, max_vocab=2)
  assert cut.words == ("d", "b")  # the tie of b and c at the cut, by bytes


def test_unk_and_empty_tokens_are_no_words():
  counter = vocab.count_words([["<unk>", "", "a"], ["<unk>", "a", ""]])
  assert vocab.make_vocab(counter, min_count=1).words == ("a",)


def test_long_tokens_are_words_cut_at_999_bytes(tmp_path):
  path = tmp_path / "c.txt"
  path.write_text("x" * 10_000 + " " + "x" * 999 + " y\n")
  counter = vocab.count_words(reading.read_documents([str(path)]))
  made = vocab.make_vocab(counter, min_count=1)
  assert made.words == ("x" * 999, "y")
  vocab.write_vocab(made, tmp_path / "vocab.txt")
  assert vocab.read_vocab(tmp_path / "vocab.txt") == made


@pytest.mark.parametrize(
  ("counter", "options", "message"),
  [
    ({}, {}, "The corpus is empty"),
    ({"<unk>": 9}, {}, "The corpus is empty"),
    ({"a": 4, "b": 3}, {}, "No word occurs min_count=5 times.*'a', occurs 4"),
    ({"ha\ud83d": 9}, {}, r"'ha.ud83d' holds '.ud83d', which is half of a"),
    ({"a": 4}, {"min_count": -1}, "min_count is -1"),
    ({"a": 4}, {"max_vocab": -1}, "max_vocab is -1"),
  ],
)
def test_bad_input_to_make_vocab(counter, options, message):
  with pytest.raises(ValueError, match=message):
    vocab.make_vocab(Counter(counter), **options)


def test_vocab_finds_words():
  made = vocab.Vocab(("b", "a"), [5, 2])
  assert len(made) == 2 and "a" in made and "c" not in made
  assert made.index == {"b": 0, "a": 1} and made.id("a") == 1
  assert made.counts.dtype == np.int64 and not made.counts.flags.writeable
  with pytest.raises(ValueError, match="'c' is not among the 2 words"):
    made.id("c")


def test_vocabs_are_equal_by_value():
  made = vocab.Vocab(("b", "a"), [5, 2])
  assert made == vocab.Vocab(["b", "a"], np.array([5, 2]))
  assert made != vocab.Vocab(("b", "a"), [5, 3])
  assert made != vocab.Vocab(("b", "c"), [5, 2])
  assert made != "b"


def test_vocab_refuses_what_does_not_fit():
  with pytest.raises(ValueError, match="2 words need as many counts"):
    vocab.Vocab(("a", "b"), [1])
  with pytest.raises(ValueError, match="must not be negative, got -1"):
    vocab.Vocab(("a", "b"), [2, -1])
  with pytest.raises(ValueError, match="holds 'a' more than once"):
    vocab.Vocab(("a", "b", "a"), [3, 2, 1])


words = st.text(
  st.characters(exclude_characters="\n\ufeff", exclude_categories=["Cs"]),
  min_size=1,
)


@settings(deadline=None)
@given(st.dictionaries(words, st.integers(1, 2**60), min_size=1))
def test_any_words_survive_the_file(tmp_path_factory, counts):
  path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
  made = vocab.Vocab(tuple(counts), list(counts.values()))
  vocab.write_vocab(made, path)
  assert vocab.read_vocab(path) == made


def test_invalid_bytes_survive_the_file(tmp_path):
  (tmp_path / "v.txt").write_bytes(b"caf\xe9 7\r\nb 5\n")
  made = vocab.read_vocab(tmp_path / "v.txt")
  assert made.counts.tolist() == [7, 5]
  vocab.write_vocab(made, tmp_path / "w.txt")
  assert (tmp_path / "w.txt").read_bytes() == b"caf\xe9 7\nb 5\n"


def test_byte_order_marks_are_no_part_of_words(tmp_path):
  path = tmp_path / "v.txt"
  path.write_text("\ufeffthe 7\n\ufeffend 5\n")
  assert vocab.read_vocab(path).words == ("the", "end")
  with pytest.raises(ValueError, match="holds a byte-order mark, which"):
    vocab.write_vocab(vocab.Vocab(("\ufeffa",), [1]), path)


def test_fixed_words_keep_the_order_of_their_file(tmp_path):
  path = tmp_path / "v.txt"
  path.write_text("rare 9\n<unk> 8\nking 7\nnever 3\nqueen 1\n")
  counter = Counter({"king": 2, "rare": 1, "other": 50, "queen": 4, "<unk>": 9})
  words = vocab.fixed_vocab(path, counter)
  assert words == vocab.Vocab(("rare", "king", "never", "queen"), [1, 2, 0, 4])
  assert vocab.fixed_vocab(path, counter, max_vocab=2).words == ("rare", "king")
  with pytest.raises(ValueError, match=r"None of the words of .*v.txt occurs"):
    vocab.fixed_vocab(path, Counter({"other": 50}))


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("", "holds no words"),
    ("a 3\nb\n", "line 2: expected `word count`"),
    ("a 3\nb x\n", "line 2: expected `word count`"),
    ("a 3\n\n", "line 2: expected `word count`"),
    (" 3\n", "line 1: expected `word count`"),
    ("a 3\na 2\n", r"vocab\.txt .* holds 'a' more than once"),
    ("a -3\n", r"vocab\.txt is no vocabulary: .* not be negative"),
    ("a 99999999999999999999\n", r"vocab\.txt is no vocabulary"),
  ],
)
def test_bad_vocabulary_files(tmp_path, text, message):
  (tmp_path / "vocab.txt").write_text(text)
  with pytest.raises(ValueError, match=message):
    vocab.read_vocab(tmp_path / "vocab.txt")


def test_missing_vocabulary_file(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"Vocabulary .*no such file"):
    vocab.read_vocab(tmp_path / "vocab.txt")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
  path = tmp_path / "vocab.txt"
  vocab.write_vocab(vocab.Vocab(("a",), [1]), path)
  with pytest.raises(ValueError, match="holds a newline"):
    vocab.write_vocab(vocab.Vocab(("a", "b\nc"), [2, 1]), path)
  with pytest.raises(ValueError, match="A word is empty"):
    vocab.write_vocab(vocab.Vocab(("a", ""), [2, 1]), path)
  assert path.read_bytes() == b"a 1\n"
  assert [p.name for p in tmp_path.iterdir()] == ["vocab.txt"]


def test_a_string_is_no_document():
  words = vocab.Vocab(("a", "b"), [2, 1])
  for documents in (["the cat sat"], "the cat", [["a"], b"a b"]):
    with pytest.raises(ValueError, match=r"list of words, not a string: tok"):
      vocab.count_words(documents)
    with pytest.raises(ValueError, match=r"list of words, not a string: tok"):
      list(vocab.encode(documents, words))
  with pytest.raises(ValueError, match="A word is a string, not of type int"):
    vocab.count_words([[1, 2]])


def test_encode_drops_unknown_words_or_keeps_their_places():
  made = vocab.Vocab(("a", "b"), [2, 1])
  documents = [["a", "x", "b"], ["x"], ["b", "a"]]
  dropped = list(vocab.encode(documents, made))
  assert [ids.tolist() for ids in dropped] == [[0, 1], [], [1, 0]]
  kept = list(vocab.encode(documents, made, keep_places=True))
  assert [ids.tolist() for ids in kept] == [[0, -1, 1], [-1], [1, 0]]
  assert {ids.dtype for ids in dropped + kept} == {np.dtype(np.int32)}


def test_encode_puts_continued_documents_together():
  made = vocab.Vocab(("a", "b"), [2, 1])
  pieces = [["a"], ["a", "b"], reading.Continuation(["b"]), ["a"]]
  assert [ids.tolist() for ids in vocab.encode(pieces, made)] == [
    [0],
    [0, 1, 1],
    [0],
  ]
