"""Benchmarks: their parts, and small versions of what they do."""

import random
import time

import pytest

from benchmarks import (
  c_programs,
  end_to_end,
  faults,
  fuzz,
  load,
  quality,
  quality_table,
  step,
  trainers,
)
from benchmarks.end_to_end import Pass, Side
from benchmarks.fuzz_samples import Reader, Sample
from benchmarks.processes import Stage
from glove_jax import presets
from glove_jax.config import TrainConfig


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
  assert trainers.parse_settings(text) == {
    "x_max": 30.0, "growth": (), "epochs": 2, "unk": False, "vectors": "word",
  }  # fmt: skip
  chosen = trainers.parse_settings("--epochs=9 --preset=fast")
  fast = presets.PRESETS["fast"]
  assert chosen == fast | {"epochs": 9} and fast["epochs"] == 3


@pytest.mark.parametrize("flags, message", [
  ({}, "--corpus"),
  ({"quick": True, "sides": ("ours", "elmo")}, "no side 'elmo'"),
  ({"quick": True, "ours": "--xmax=3"}, "no setting 'xmax'"),
  ({"quick": True, "ours": "--preset=slow"}, "no preset 'slow'"),
  ({"quick": True, "ours": "--min_count=9"}, "min_count, which all sides"),
  ({"quick": True, "glove": "--dim=9"}, "--glove changes dim, which all sides"),
])  # fmt: skip
def test_wrong_flags_are_refused_before_anything_runs(flags, message):
  with pytest.raises(SystemExit, match=message):
    quality.check(quality.Options(**flags))


def test_a_missing_corpus_is_one_sentence(tmp_path):
  options = quality.Options(corpus=[str(tmp_path / "absent")])
  with pytest.raises(SystemExit, match="absent': no such file"):
    quality.write_tokens(options, tmp_path / "tokens.txt")
  assert not list(tmp_path.iterdir())


def test_tokens_are_written_one_document_a_line(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text("To be,\nor not\n\nto be!\n")
  options = quality.Options(corpus=[str(path)])
  num_tokens, digest = quality.write_tokens(options, tmp_path / "tokens.txt")
  assert num_tokens == 6 and len(digest) == 64
  assert (tmp_path / "tokens.txt").read_text() == "to be or not\nto be\n"


@pytest.mark.slow  # half a minute: four processes import jax or gensim
def test_sides_train_on_one_vocabulary_and_gensim_is_kept(tmp_path, capsys):
  text, sets = make_small_text(tmp_path)
  options = quality.Options(
    corpus=[text], sides=("ours", "cbow"), dim=6,
    passes=2, ours="--epochs=2 --growth=", sets=sets,
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


TIMES = {"start": 1, "counts": 3, "train": 9, "evaluate": 2}
OURS = Side([Stage(name, took, 0.7) for name, took in TIMES.items()], 0.6)
PASSES = [Pass(2.0, 0.3), Pass(4.0, 0.5), Pass(6.0, 0.6)]


def test_the_way_to_a_quality_begins_with_the_text():
  assert end_to_end.seconds_to(0.5, OURS, PASSES) == 1 + 3 + 4
  assert end_to_end.seconds_to(0.7, OURS, PASSES) is None


def test_the_ratio_is_to_the_first_other_side():
  c = Side([Stage("cooccur", 50, 2.1), Stage("glove", 30, 0.2)], 0.45)
  cbow = Side([Stage("train", 20, 0.9)], 0.65)
  lines = end_to_end.report({"ours": OURS, "c": c, "cbow": cbow}, PASSES)
  assert "| ours | all | 15.00 | 0.70 |" in lines
  assert "| c | 0.4500 | 80.00 | 8.00 |" in lines
  assert "| cbow | 0.6500 | 20.00 | - |" in lines
  assert lines.splitlines()[-1] == "end_to_end_ratio: 10.00"
  alone = end_to_end.report({"ours": OURS, "cbow": cbow}, PASSES)
  assert alone.splitlines()[-1] == "end_to_end_ratio: 0.00"


@pytest.mark.parametrize("flags, message", [
  ({}, "--corpus names no text"),
  ({"corpus": ("a",), "stanford": "nowhere"}, "program vocab_count"),
  ({"corpus": ("a",), "gensim": ("elmo",)}, "no side 'elmo'"),
  ({"corpus": ("a",), "ours": "--xmax=3"}, "no setting 'xmax'"),
  ({"corpus": ("a",), "ours": "--corpus=b"}, "--ours changes corpus, which"),
  ({"corpus": ("a",), "ours": "--documents=line"}, "changes documents, which"),
  ({"corpus": ("a",), "ours": "--dim=9"}, "changes dim, which all sides share"),
  ({"corpus": ("a",), "ours": "--min_count=1"}, "changes min_count, which"),
  ({"corpus": ("a",), "ours": "--threads=9"}, "changes threads, which"),
  ({"corpus": ("a",), "ours": "--preset=paper"}, "dim, lowercase, "),
])  # fmt: skip
def test_wrong_flags_of_end_to_end_are_refused(flags, message):
  with pytest.raises(SystemExit, match=message):
    end_to_end.check(end_to_end.Options(**flags))


def test_each_c_program_reads_what_the_one_before_wrote(tmp_path):
  """Stand-ins write their name and flags, and then what they read."""
  programs, work = tmp_path / "build", tmp_path / "work"
  programs.mkdir()
  work.mkdir()
  for name in c_programs.PROGRAMS[:3]:
    path = programs / name
    path.write_text('#!/bin/sh\necho "${0##*/} $*"\ncat\n')
    path.chmod(0o755)
  assert c_programs.missing(programs) == "glove"
  assert not c_programs.missing(programs, c_programs.PROGRAMS[:3])
  (tmp_path / "text.txt").write_text("to be\n")
  stages = c_programs.count(
    programs, tmp_path / "text.txt", work, min_count=3, window=7, memory_gb=0.5
  )
  assert [s.name for s in stages] == ["vocab_count", "cooccur", "shuffle"]
  shuffle, cooccur, text = (work / c_programs.SHUFFLED).read_text().splitlines()
  assert shuffle == "shuffle -verbose 0 -memory 0.5" and text == "to be"
  assert cooccur.endswith("vocab.txt -window-size 7")
  vocab = (work / c_programs.VOCAB).read_text()
  assert vocab == "vocab_count -verbose 0 -min-count 3\nto be\n"


def test_a_tenth_of_a_text_ends_with_a_line(tmp_path):
  text = tmp_path / "text.txt"
  text.write_text("to be\n" * 40)
  part = c_programs.tenth(text, tmp_path / "tenth.txt")
  assert part.read_text() == "to be\n" * 5  # the line that passes 24 bytes


def make_small_text(tmp_path):
  """A text of 40 words, and a folder with one set of pairs of them."""
  rng = random.Random(0)
  words = [f"w{i}" for i in range(40)]
  lines = (" ".join(rng.choices(words, k=30)) for _ in range(200))
  (tmp_path / "text.txt").write_text("\n\n".join(lines))
  (tmp_path / "sets").mkdir()
  pairs = (f"w{i} w{i + 1} {i}\n" for i in range(30))
  (tmp_path / "sets" / "pairs.txt").write_text("".join(pairs))
  return str(tmp_path / "text.txt"), str(tmp_path / "sets")


@pytest.mark.slow  # half a minute: processes import jax or gensim
def test_end_to_end_without_the_c_programs(tmp_path, capsys):
  text, sets = make_small_text(tmp_path)
  options = end_to_end.Options(
    corpus=(text,), dim=6, ours="--epochs=2 --growth=", sets=sets,
    workdir=str(tmp_path / "run"),
  )  # fmt: skip
  sides = end_to_end.compare(options, tmp_path / "run")
  names = [stage.name for stage in sides["ours"].stages]
  assert names == ["start", "vocab", "counts", "train", "vectors", "evaluate"]
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1].startswith("end_to_end_ratio: ")


def test_readers_refuse_damaged_files_and_say_which(capsys):
  # Parsing flags would define them for the other tests, too.
  names = [reader.name for reader in fuzz.READERS if reader.name != "flags"]
  code = fuzz.main(["--examples=8", f"--only={','.join(names)}"])
  assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("read, kind", [
  (lambda path: path.read_bytes().index(b"nowhere"), "NAMELESS"),
  (lambda path: {}[path], "UNDOCUMENTED"),
  (lambda path: time.sleep(9), "HANG"),
])  # fmt: skip
def test_a_reader_that_fails_is_found(
  tmp_path, capsys, monkeypatch, read, kind
):
  samples = [Sample("a.txt", b"ab", is_refused=True)]
  reader = Reader("bad", read, lambda folder: samples)
  monkeypatch.setattr(fuzz, "READERS", [reader])
  code = fuzz.main(["--examples=1", "--seconds=0.1", f"--keep={tmp_path}"])
  assert code == 1 and f"1 {kind}" in capsys.readouterr().out
  assert (tmp_path / "bad-0" / "a.txt").exists()


def test_equal_seeds_give_equal_examples(monkeypatch):
  def examples(seed):
    seen = []
    read = lambda path: seen.append(path.read_bytes())  # noqa: E731
    samples = [Sample("a.json", b'{"a": [1, "b"], "c": {"d": null}}')]
    monkeypatch.setattr(
      fuzz, "READERS", [Reader("all", read, lambda folder: samples)]
    )
    assert fuzz.main(["--examples=40", f"--seed={seed}"]) == 0
    return seen

  assert examples(1) == examples(1) != examples(2)


def test_damage_of_a_file(tmp_path):
  path, rng = tmp_path / "a", random.Random(0)
  sizes = {"emptied": 0, "halved": 50, "flipped": 100, "garbage": 50}
  for how, size in sizes.items():
    path.write_bytes(bytes(100))
    faults.damage_file(path, how, rng)
    assert path.stat().st_size == size
  faults.damage_file(path, "removed", rng)
  assert not path.exists()


def test_the_verdict_on_a_message():
  def verdict(code, stderr):
    return faults.judge_message(faults.Done(code, "", stderr))

  assert verdict(1, "run.py: No such file.\n") == "said"
  assert verdict(1, "Traceback\nrun.py: No such file.\n") == "TRACEBACK"
  assert verdict(1, "KeyError: 3\n") == "TRACEBACK"
  assert verdict(None, "") == "HANG"


def test_the_slope_of_memory_is_that_of_the_second_half():
  minutes = [0.5 * i for i in range(20)]
  megabytes = [90 + i for i in range(10)] + [100 + 3 * m for m in minutes[10:]]
  value, error = load.slope(minutes, megabytes)
  assert value == pytest.approx(3) and error < 1e-6
  assert load.slope([1], [2]) == (0, 0)


@pytest.mark.slow  # half a minute
def test_a_killed_and_a_damaged_run_end_with_the_same_bytes():
  assert faults.main(["--kills=1", "--writes=1", "--damages=1"]) == 0


def test_the_step_that_is_timed_trains():
  train = step.make_step(TrainConfig(dim=4, tile_size=8).resolved)
  costs = [train() for _ in range(20)]
  assert costs[-1] < 0.9 * costs[0]
