"""The benchmark of quality: its parts, and one race on a tiny text."""

import random

import pytest

from benchmarks import quality, quality_table


def result(seconds, **scores):
  return {
    "seconds": seconds, "training_seconds": seconds / 2, "peak_gb": 0.25,
    "load": 0.0, "cached": False,
    "scores": {name: [score, 0.5] for name, score in scores.items()},
  }  # fmt: skip


JUDGED = {
  "ours": [result(8, men=0.5, rw=0.2)],
  "cbow": [result(2, men=0.3, rw=0.1)],
  "sgns": [result(6, men=0.4, rw=0.4)],
  "glove": [result(4, men=0.9, rw=0.9)],
}


def test_a_win_is_over_every_side_of_gensim_and_no_other():
  text = quality_table.report(JUDGED, ("cbow", "sgns"))
  # ours .35; the best of gensim is sgns with .4; glove does not count
  assert text.splitlines()[-2:] == ["wins: 1 of 2", "mean_difference: -0.0500"]
  rows = [line.split("|") for line in text.splitlines() if line[:1] == "|"]
  cells = {row[1].strip(): [x.strip() for x in row[2:-1]] for row in rows}
  assert cells["men"] == ["0.500", "0.500", "0.300", "0.400", "0.900"]
  assert cells["text to vectors, s"] == ["", "8.0", "2.0", "6.0", "4.0"]
  assert cells["training only, s"][1] == "4.0"


def test_seeds_are_averaged_and_old_seconds_are_marked():
  other = result(10, men=0.7, rw=0.2) | {"cached": True}
  text = quality_table.report({"cbow": [result(8, men=0.5, rw=0.2), other]}, ())
  assert "| 0.600 ± 0.141" in text
  assert "| 9.0 ± 1.4 (cached)" in text
  assert "wins" not in text


def test_halves_of_analogies_count_and_unseen_sets_do_not():
  half = {"all": 4, "accuracy": 0.25, "coverage": 1.0}
  none = {"all": 0, "accuracy": None, "coverage": None}
  google = {"kind": "analogies", "semantic": half, "syntactic": half}
  msr = {"kind": "analogies", "semantic": none, "total": half}
  pairs = {"kind": "similarity", "coverage": 0.0, "spearman": None}
  found = quality_table.scores({"google": google, "msr": msr, "rw": pairs})
  assert list(found) == ["google semantic", "google syntactic", "msr"]
  assert found["msr"] == [0.25, 1.0]


def test_flags_of_run_py_become_settings():
  text = "--x_max=30 --growth= --epochs=2 --nounk --vectors=word"
  assert quality.parse_settings(text) == {
    "x_max": 30.0, "growth": (), "epochs": 2, "unk": False, "vectors": "word",
  }  # fmt: skip
  chosen = quality.parse_settings("--epochs=9 --preset=fast")
  assert chosen == {"growth": ("8192:6", "32768:3"), "epochs": 9}


@pytest.mark.parametrize("flags, message", [
  ({}, "--corpus"),
  ({"quick": True, "sides": ("ours", "elmo")}, "no side 'elmo'"),
  ({"quick": True, "ours": "--xmax=3"}, "no setting 'xmax'"),
  ({"quick": True, "ours": "--preset=slow"}, "no preset 'slow'"),
  ({"quick": True, "ours": "--min_count=9"}, "min_count, which all sides"),
])  # fmt: skip
def test_wrong_flags_are_refused_before_anything_runs(flags, message):
  with pytest.raises(SystemExit, match=message):
    quality.check(quality.Options(**flags))


def test_tokens_are_written_one_document_a_line(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text("To be,\nor not\n\nto be!\n")
  options = quality.Options(corpus=str(path))
  num_tokens, digest = quality.write_tokens(options, tmp_path / "tokens.txt")
  assert num_tokens == 6 and len(digest) == 64
  assert (tmp_path / "tokens.txt").read_text() == "to be or not\nto be\n"


@pytest.mark.slow  # half a minute: four processes import jax or gensim
def test_sides_train_on_one_vocabulary_and_gensim_is_kept(tmp_path, capsys):
  rng = random.Random(0)
  words = [f"w{i}" for i in range(40)]
  lines = (" ".join(rng.choices(words, k=30)) for _ in range(200))
  (tmp_path / "text.txt").write_text("\n\n".join(lines))
  (tmp_path / "sets").mkdir()
  pairs = (f"w{i} w{i + 1} {i}\n" for i in range(30))
  (tmp_path / "sets" / "pairs.txt").write_text("".join(pairs))
  options = quality.Options(
    corpus=str(tmp_path / "text.txt"), sides=("ours", "cbow"), dim=6,
    passes=2, ours="--epochs=2 --growth=", sets=str(tmp_path / "sets"),
    workdir=str(tmp_path / "run"),
  )  # fmt: skip
  first = quality.compare(options, tmp_path / "run")
  again = quality.compare(options, tmp_path / "run")
  assert "wins: " in capsys.readouterr().out
  assert first["ours"][0]["scores"] == again["ours"][0]["scores"]
  cbow, kept = first["cbow"][0], again["cbow"][0]
  assert not cbow["cached"] and kept == cbow | {"cached": True}
  assert list(cbow["scores"]) == ["pairs"]
  for record in (cbow, first["ours"][0]):
    assert 0 < record["training_seconds"] < record["seconds"]
    assert 0.01 < record["peak_gb"] < 5
