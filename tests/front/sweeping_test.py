"""Sweeps as data frames."""

import math

import numpy as np
import pytest

import glove_jax

TEXTS = ["ice is cold and solid", "steam is hot and gas"] * 9
WORDS = [text.split() for text in TEXTS]
BASE = {
  "dim": 3, "engine": "dense", "epochs": 1, "bias_init": "random",
  "quiet": True,
}  # fmt: skip


def cosine(vectors):
  return {"cosine": vectors.similarity("ice", "cold")}


@pytest.fixture(scope="module")
def counts():
  return glove_jax.count(WORDS, window=3, quiet=True)


@pytest.fixture(scope="module")
def frame(counts):
  return glove_jax.sweep(
    counts, x_max=np.linspace(1, 9, 2), seeds=2, evaluate=cosine, **BASE
  )


def test_a_row_for_each_point(frame, counts):
  assert frame[["x_max", "seed"]].values.tolist() == [
    [1, 0], [1, 1], [9, 0], [9, 1],
  ]  # fmt: skip
  assert (frame["num_counts"] == len(counts.triplets().count)).all()
  assert (frame["wall_seconds"] > 0).all() and "google" not in frame


def test_a_point_is_what_train_does(frame, counts):
  lines = []
  params = glove_jax.train(
    counts, x_max=9, seed=1, on_epoch=lines.append, **BASE
  )
  assert frame["cost"][3] == lines[-1]["cost"]
  assert frame["cosine"][3] == cosine(counts.vectors(params))["cosine"]


def test_question_sets_have_n_and_coverage(tmp_path, counts):
  pairs = "ice\tcold\t9\nsteam\thot\t8\nice\tgas\t1\nking\tice\t2\n"
  (tmp_path / "mine.tsv").write_text(pairs)
  options = {"similarity": tmp_path / "mine.tsv", "analogies": "google"}
  row = glove_jax.sweep(counts, **options, **BASE).iloc[0]
  assert row["mine_n"] == 3 and row["mine_coverage"] == 0.75
  assert -1 <= row["mine"] <= 1
  assert row["google_n"] == 0 and math.isnan(row["google"])


def test_a_folder_keeps_what_is_done(tmp_path, capsys):
  options = {"window": [1, 3], "evaluate": cosine, "workdir": tmp_path / "s"}
  first = glove_jax.sweep((text for text in TEXTS), **options, **BASE)
  assert capsys.readouterr().out == ""
  again = glove_jax.sweep(TEXTS, **options, **BASE | {"quiet": False})
  assert "2 of 2 points are done" in capsys.readouterr().out
  assert first.equals(again) and first["window"].tolist() == [1, 3]
  assert (tmp_path / "s" / "report.html").exists()


def test_a_point_that_fails_says_why(counts, capsys):
  frame = glove_jax.sweep(
    counts, evaluate=lambda vectors: 1 / 0, **BASE | {"quiet": False}
  )
  assert "ZeroDivisionError" in frame["error"][0]
  assert "failed: seed=0" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["x_max", "cost", "score"])
def test_a_score_has_a_column_of_its_own(counts, name):
  frame = glove_jax.sweep(
    counts, x_max=[3, 9], evaluate=lambda vectors: {name: 0.5}, **BASE
  )
  assert frame["x_max"].tolist() == [3, 9]
  if name == "score":
    assert frame["score"].tolist() == [0.5, 0.5]
  else:
    assert f"a score named {name}, which names another" in frame["error"][1]


def test_settings_that_are_lists_vary_by_lists(counts):
  frame = glove_jax.sweep(
    counts, growth=[["8192:1"], []], preset="glove", evaluate=cosine, **BASE
  )
  assert frame["growth"].tolist() == ["8192:1", "none"]


@pytest.mark.parametrize("options, message", [
  ({"xmax": [1]}, "no setting 'xmax': did you mean x_max"),
  ({"x_max": [1, -1]}, "x_max must be greater than 0"),
  ({"x_max": []}, "x_max has no values"),
  ({"x_max": [1, 1]}, "Points 1 and 2 of the sweep are the same"),
  ({"window": [1, 2]}, "to vary it, give files or texts"),
  ({"window": 2}, "window is for counting, which is done"),
  ({"loss": len}, "no setting 'loss'"),
])  # fmt: skip
def test_mistakes_get_a_sentence(counts, options, message):
  with pytest.raises(ValueError, match=message):
    glove_jax.sweep(counts, **options, **BASE)
