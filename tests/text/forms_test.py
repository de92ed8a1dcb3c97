"""What is recognised as files, texts and lists of words."""

import pathlib

import numpy as np
import pandas as pd
import pyarrow
import pytest

from glove_jax.text import forms, vocab

TEXTS = ["I like NLP", "I like deep learning"]
WORDS = [text.split() for text in TEXTS]


@pytest.mark.parametrize("given, kind", [
  (TEXTS, "texts"),
  (iter(TEXTS), "texts"),
  (np.array(TEXTS), "texts"),
  (pd.Series([*TEXTS, None, float("nan")]), "texts"),
  (pd.Series([*TEXTS, None], dtype="string"), "texts"),
  (WORDS, "words"),
  ((words for words in WORDS), "words"),
  (pd.Series(WORDS), "words"),
  ([None, *WORDS], "words"),
])  # fmt: skip
def test_texts_and_words_of_any_iterable(given, kind):
  source = forms.recognise(given)
  assert source.kind == kind
  items = list(source.items)
  assert items == (TEXTS if kind == "texts" else WORDS)


def test_files_are_strings_that_exist(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path("a.txt").touch()
  pathlib.Path("b c.txt").touch()
  for given in ("a.txt", pathlib.Path("a.txt"), ["b c.txt", "a.txt"], "*.txt"):
    assert forms.recognise(given).kind == "files"
  found = forms.recognise(pathlib.Path().glob("*.txt"))
  assert found.kind == "files" and sorted(found.items) == ["a.txt", "b c.txt"]
  assert forms.recognise(["enwiki_sample"]).items == ["enwiki_sample"]
  assert forms.recognise([pathlib.Path("none")]).items == ["none"]
  with pytest.raises(ValueError, match=r"'a.txt', which is a file, and 'no'"):
    forms.recognise(["a.txt", "no"])


@pytest.mark.parametrize("given", [
  pd.DataFrame({"n": [1, 2], "text": TEXTS}),
  pyarrow.table({"n": [1, 2, 3], "text": [*TEXTS, None]}),
  [{"n": 1, "text": text} for text in TEXTS],
  ({"text": text} for text in [TEXTS[0], None, TEXTS[1]]),
])  # fmt: skip
def test_a_field_of_tables_and_dicts(given):
  source = forms.recognise(given, "text")
  assert source.kind == "texts" and list(source.items) == TEXTS


@pytest.mark.parametrize("given, message", [
  ([], "is empty"),
  ([None], "is empty"),
  (["the", "cat"], "holds single words, such as 'cat': give a list of lists"),
  (iter(["the", "cat"]), "holds single words"),
  (["no.txt"], "'no.txt'.* or files that exist"),
  ("I like NLP", "no file 'I like NLP': put a text itself into a list"),
  ({"train": TEXTS}, r"keys train: give one of its values.*data\['train'\]"),
  (pd.DataFrame({"text": TEXTS}), "is a table; its columns are text"),
  ([{"text": "a b"}], "is a dict; its fields are text"),
  (7, "of type int"),
  (b"a b", "of type bytes"),
  ([1, 2], "An item of sentences is 1"),
  ([WORDS[0], {"a", "b"}], "a set, whose words have no order"),
  ([*WORDS, "a b"], "'a b': give lists of words only"),
  ([*TEXTS, ["a"]], r"\['a'\], others are strings"),
])  # fmt: skip
def test_other_things_get_a_sentence(given, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    list(forms.recognise(given).items)


def test_a_wrong_field_names_the_others():
  with pytest.raises(ValueError, match=r"no column 'txt'.* n, text"):
    forms.recognise(pd.DataFrame({"n": [1], "text": ["a"]}), "txt")
  with pytest.raises(ValueError, match="no 'txt'; its fields are n, text"):
    list(forms.recognise([{"n": 1, "text": "a"}], "txt").items)


@pytest.mark.parametrize("keep_places", [False, True])
def test_numbers_become_the_ids_that_encode_gives(keep_places):
  documents = [["to", "be"], [], ["or", "not", "to", "be"], ["to"]]
  numbered = forms.number_words(iter(documents))
  assert numbered.counter == vocab.count_words(documents)
  words = vocab.make_vocab(numbered.counter, min_count=2)
  got = forms.encode(numbered, words, keep_places=keep_places)
  want = vocab.encode(documents, words, keep_places=keep_places)
  for ours, theirs in zip(got, want, strict=True):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("document, message", [
  ([1, 2], "The word 1 is of type int: give strings, such as '1'"),
  ([b"a"], "of type bytes"),
  ([["a"]], "no word"),
])  # fmt: skip
def test_words_are_strings(document, message):
  with pytest.raises(ValueError, match=message):
    forms.number_words([["a"], document])
