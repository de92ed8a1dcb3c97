"""Readers of evaluation sets: every published form, by hand."""

import pathlib

import gensim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.vectors import sets
from glove_jax.vectors.sets import Pair, Relation

SETS = pathlib.Path(gensim.__file__).parent / "test" / "test_data"


def write(tmp_path, text: str, name: str = "set.txt") -> pathlib.Path:
  path = tmp_path / name
  path.parent.mkdir(exist_ok=True)
  path.write_bytes(text.encode("utf-8"))
  return path


# Questions and relations.

QUESTIONS = """# a comment
: family
man king Woman Queen
man king queen woman
man king woman apple
: gram1-plural
man king woman xyzzy

: gram2
prince king princess queen
"""


def test_questions_by_section(tmp_path):
  sections = sets.read_analogies(write(tmp_path, QUESTIONS))
  assert list(sections) == ["family", "gram1-plural", "gram2"]
  assert sections["family"][0] == ("man", "king", "Woman", "Queen")
  assert [len(section) for section in sections.values()] == [3, 1, 1]


@pytest.mark.parametrize(
  "text",
  [
    ": s\r\na b c d \r\n\r\ne f g h\r\n",
    "\ufeff: s\na\tb\tc\td\t\ne\tf\tg\th\n",
    ":s\na, b, c, d\n# comment\ne,f,g,h",
    "// comment\n: s\na  b  c  d\ne f g h\n",
  ],
)
def test_forms_of_questions(text, tmp_path):
  sections = sets.read_analogies(write(tmp_path, text))
  assert sections == {"s": [("a", "b", "c", "d"), ("e", "f", "g", "h")]}


def test_questions_without_a_section(tmp_path):
  path = write(tmp_path, "// a comment\na b c d\n")
  assert sets.read_analogies(path) == {"questions": [("a", "b", "c", "d")]}


MSR = {
  "JJ_JJR": [("good", "better", "rough", "rougher")],
  "NN_NNS": [("cat", "cats", "dog", "dogs"), ("dog", "dogs", "cat", "cats")],
}


def test_msr_with_a_fifth_column(tmp_path):
  text = (
    "good better rough rougher JJ_JJR\ncat cats dog dogs NN_NNS\n"
    "dog dogs cat cats NN_NNS\n"
  )
  assert sets.read_analogies(write(tmp_path, text)) == MSR


@pytest.mark.parametrize(
  "questions, answers",
  [
    (
      "good better rough\ncat cats dog\ndog dogs cat\n",
      "JJ_JJR rougher\nNN_NNS dogs\nNN_NNS cats\n",
    ),
    (
      "good better JJ_JJR rough\ncat cats NN_NNS dog\ndog dogs NN_NNS cat\n",
      "rougher\ndogs\ncats\n",
    ),
  ],
)
def test_msr_with_a_file_of_answers(questions, answers, tmp_path):
  path = write(tmp_path, questions, "word_relationship.questions")
  write(tmp_path, answers, "word_relationship.answers")
  assert sets.read_analogies(path) == MSR
  write(tmp_path, answers.splitlines()[0], "word_relationship.answers")
  with pytest.raises(ValueError, match="1 answers to 3 questions"):
    sets.read_analogies(path)


def test_relations_of_a_file(tmp_path):
  path = write(tmp_path, "king\tqueen/empress\r\nman\twoman\r\n")
  assert sets.read_analogies(path) == {
    "set": [Relation("king", ("queen", "empress")), Relation("man", ("woman",))]
  }


def test_relations_of_a_folder(tmp_path):
  write(tmp_path, "king\tqueen\n", "E10 [male - female].txt")
  write(tmp_path, "cat\tcats\n", "1_Inflectional/I01 [noun - plural].txt")
  write(tmp_path, "what this is and who wrote it", "README.txt")
  assert sets.read_analogies(tmp_path) == {
    "I01 [noun - plural]": [Relation("cat", ("cats",))],
    "E10 [male - female]": [Relation("king", ("queen",))],
  }


def test_a_folder_without_relations(tmp_path):
  with pytest.raises(ValueError, match="name a folder"):
    sets.read_analogies(tmp_path)


@pytest.mark.parametrize(
  "text, message",
  [
    ("", "holds no analogy questions"),
    (": family\n", "holds no analogy questions"),
    (": family\na b c d\na b c\n", r"Line 3 of .*set.txt has 3 words"),
    (" ,,\na b c d\n", r"Line 1 of .*set.txt has 0 words"),
    ("a b c\n", r"Line 1 of .*set.txt has 3 words"),
    ("a\tb/c\nd\te\tf\n", r"Line 2 of .*set.txt has 3 columns"),
    ("a\tb\nd\t/\n", r"Line 2 of .*set.txt has 2 columns"),
    ("a b\0c d\n", "is not a text file"),
    ("JJ_JJR rougher\nJJ_JJR better\n", "answers without questions"),
    ("a b c d\n" + "a " * 60_000, r"Line 2 of .* has 119,999 characters"),
  ],
)
def test_bad_questions(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    sets.read_analogies(write(tmp_path, text))


def test_missing_files():
  for read in (sets.read_analogies, sets.read_similarity, sets.read_set):
    with pytest.raises(FileNotFoundError, match="no evaluation file nowhere"):
      read("nowhere")


@pytest.mark.parametrize(
  "name, expected",
  [
    ("gram3-comparative", True),
    ("I01 [noun - plural_reg]", True),
    ("D07 [verb+able_reg]", True),
    ("JJ_JJR", True),
    ("family", False),
    ("E01 [country - capital]", False),
    ("L10 [antonyms - binary]", False),
    ("questions", False),
  ],
)
def test_syntactic_sections(name, expected):
  assert sets.is_syntactic(name) == expected


# Word pairs.


@pytest.mark.parametrize(
  "text",
  [
    "tiger\tcat\t7.35\nnew york\tcity\t5\n",
    "# comment\n\nWord 1,Word 2,Human (mean)\ntiger,cat,7.35\nnew york,city,5",
    "tiger;cat;7.35;1;2\nnew york;city;5;1;2\n",
    '"tiger","cat","7.35"\r\n"new york","city","5"\r\n',
    "\ufeffw1\tw2\tPOS\tSimLex999\tSD\ntiger\tcat\tN\t7.35\t1.2\n"
    "new york\tcity\tN\t5\t0.3\n",
    # Decimal commas, blanks at the end, columns in front, old line ends.
    "tiger\tcat\t7,35\nnew york\tcity\t5,0\n",
    'tiger,cat,"7,35"\nnew york,city,"5"\n',
    "tiger;cat;7,35 \nnew york;city;5  \n\n",
    "tiger\tcat\t7.35\t\t\r\nnew york\tcity\t5\t\t\r\n",
    "tiger\tcat\t7.35\rnew york\tcity\t5\r",
    "tiger ; cat ; 7.35\nnew york ; city ; 5\n",
    ",word1,word2,score\n0,tiger,cat,7.35\n1,new york,city,5\n",
    "t\ttiger\tcat\t7.35\ni\tnew york\tcity\t5\n",
    # Names of columns that look like numbers; the mean after other scores.
    "Word 1,Word 2,Human (mean),1,2\ntiger,cat,7.35,9,5\nnew york,city,5,4,6",
    "word1,word2,a1,a2,mean\ntiger,cat,9,5,7.35\nnew york,city,4,6,5\n",
  ],
)
def test_forms_of_similarity_sets(text, tmp_path):
  expected = [Pair("tiger", "cat", 7.35), Pair("new york", "city", 5.0)]
  assert sets.read_similarity(write(tmp_path, text)) == expected


@pytest.mark.parametrize(
  "text",
  [
    "tiger  cat 7.35\nsun moon 5.0\n",
    "tiger cat 7,35\nsun moon 5,0\n",
    "tiger-n cat-n 7.350000\nsun-n moon-n 5.000000\n",
    "tiger cat\t7.35\nsun moon\t5\n",
    "take\tremove\tV\t6.81\tSYNONYMS\ngo\tdo\tV\t1\tNONE\n",
  ],
)
def test_similarity_set_with_spaces(text, tmp_path):
  path = write(tmp_path, text)
  expected = [Pair("tiger", "cat", 7.35), Pair("sun", "moon", 5.0)]
  if "remove" in text:
    expected = [Pair("take", "remove", 6.81), Pair("go", "do", 1.0)]
  assert sets.read_similarity(path) == expected


def test_repeated_pairs_are_kept(tmp_path):
  path = write(tmp_path, "a b 1\na b 1\nb a 2\n")
  assert len(sets.read_similarity(path)) == 3


def test_utf_16_is_read(tmp_path):
  path = tmp_path / "set.txt"
  path.write_bytes("naïve\tsimple\t5\n".encode("utf-16"))
  assert sets.read_similarity(path) == [Pair("naïve", "simple", 5.0)]


def test_half_a_file_in_utf_16(tmp_path):
  path = tmp_path / "set.txt"
  path.write_bytes("one two 5\n".encode("utf-16")[:-1])
  with pytest.raises(ValueError, match="is not valid utf-16"):
    sets.read_similarity(path)


@pytest.mark.parametrize(
  "text, message",
  [
    ("# only a comment\n", "holds no word pairs"),
    ("word1 word2 score\n", "holds no word pairs"),
    ("a b 1\nc d\n", "Line 2 of .*set.txt is not two words and a score"),
    ("a b 1\nc d nan\n", "Line 2 of .*set.txt is not two words and a score"),
    ("a\tb\t1\n\tc\t2\n", "Line 2 of .*set.txt is not two words"),
    ("a b N 1\nc d 2\ne f N 3\n", "Line 2 of .*set.txt is not two words"),
    ("a b N 1\nc d 2\ne f 3\n", "Line 1 of .*set.txt is not two words"),
  ],
)
def test_bad_similarity_sets(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    sets.read_similarity(write(tmp_path, text))


# Either.


@pytest.mark.parametrize(
  "text, kind",
  [
    (QUESTIONS, dict),
    ("a b c d\n", dict),
    ("king\tqueen/empress\n", dict),
    ("Word 1,Word 2,Human (mean)\ntiger,cat,7.35\n", list),
    ("tiger cat 7,35\n", list),
    ("take\tremove\tV\t6.81\tSYNONYMS\n", list),
  ],
)
def test_the_content_decides(text, kind, tmp_path):
  assert type(sets.read_set(write(tmp_path, text))) is kind


def test_sets_of_gensim():
  sections = sets.read_analogies(SETS / "questions-words.txt")
  assert len(sections) == 14 and sum(map(len, sections.values())) == 19544
  pairs = sets.read_similarity(SETS / "wordsim353.tsv")
  assert len(pairs) == 353 and pairs[0] == ("love", "sex", 6.77)
  pairs = sets.read_similarity(SETS / "simlex999.txt")
  assert len(pairs) == 999 and pairs[0] == ("old", "new", 1.58)
  for name in ("wordsim353.tsv", "simlex999.txt"):
    assert sets.read_set(SETS / name) == sets.read_similarity(SETS / name)


LINES = st.lists(
  st.lists(
    st.sampled_from(["a", "b-n", "7,5", "1", '"', "/", "JJ_JJR", ":", "#", ""]),
    max_size=5,
  ).flatmap(lambda row: st.sampled_from(" \t,;").map(lambda m: m.join(row))),
  max_size=5,
).map(lambda lines: "\n".join(lines).encode())


@settings(max_examples=300, deadline=None)
@given(content=LINES | st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory, content):
  path = tmp_path_factory.getbasetemp() / "any.txt"
  path.write_bytes(content)
  for read in (sets.read_set, sets.read_analogies, sets.read_similarity):
    try:
      assert read(path)
    except ValueError as error:
      assert str(path) in str(error)
