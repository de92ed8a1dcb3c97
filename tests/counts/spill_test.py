"""Runs on disk: what a merge takes up again, and what it does not."""

import errno
import os
import pathlib

import numpy as np
import pytest

from glove_jax.counts import pair_counter, spill


def make_runs(folder, number):
  """Runs with one entry each: the pair (0, number of the run)."""
  runs = spill.Runs(folder, {}, threads=1, entries=100)
  for col in range(len(runs), number):
    columns = np.zeros(1, np.int32), np.array([col], np.int32), np.ones(1, int)
    runs.write([pair_counter.Entries(*columns)], end=[0, col, False])
  return runs


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", ["gone", "no facts", "flipped", "cut", "text"])
def test_a_missing_or_damaged_run_is_not_skipped(tmp_path, missing, kind):
  """The count resumes after the run before it."""
  folder = tmp_path / "parts"
  make_runs(folder, 4)
  keys = folder / f"run-{missing:06d}.keys"
  facts = keys.with_suffix(".json")
  if kind in ("gone", "no facts"):
    (keys if kind == "gone" else facts).unlink()
  if kind == "flipped":
    keys.write_bytes(bytes([keys.read_bytes()[0] ^ 1]) + keys.read_bytes()[1:])
  if kind == "cut":
    keys.write_bytes(keys.read_bytes()[:-1])
  if kind == "text":
    facts.write_text(facts.read_text().replace('"end"', '"eng"'))
  runs = spill.Runs(folder, {}, threads=1, entries=100)
  assert len(runs) == missing
  end = {"end": [0, missing - 1, False]} if missing else {}
  assert runs.facts == end
  assert len(list(folder.glob("*.json"))) == missing + 1  # and the task
  (block,) = make_runs(folder, 4).merge()
  assert block.col.tolist() == [0, 1, 2, 3] and block.units.tolist() == [1] * 4


def test_a_merged_run_replaces_its_parts_in_any_state(tmp_path, monkeypatch):
  """A kill may leave some of the merged runs, or all."""
  monkeypatch.setattr(spill, "MAX_RUNS", 3)
  monkeypatch.setattr(spill, "_remove", lambda run: None)
  make_runs(tmp_path / "parts", 3)
  monkeypatch.undo()
  (tmp_path / "parts" / "run-000000.json").unlink()
  runs = spill.find_runs(tmp_path / "parts")
  assert [(run.first, run.number, run.size) for run in runs] == [(0, 3, 3)]
  names = {path.name for path in (tmp_path / "parts").glob("*.json")}
  assert names == {"run-000003.json", "task.json"}


def test_a_damaged_task_starts_anew(tmp_path):
  make_runs(tmp_path / "parts", 2)
  (tmp_path / "parts" / "task.json").write_bytes(b"\xff{")
  assert len(spill.Runs(tmp_path / "parts", {}, threads=1, entries=9)) == 0


def test_a_run_that_cannot_be_opened_is_kept(tmp_path, monkeypatch):
  def refuse(path):
    raise OSError(errno.EMFILE, "Too many open files")

  make_runs(tmp_path / "parts", 2)
  monkeypatch.setattr(spill, "_checksums", refuse)
  with pytest.raises(OSError, match="Too many"):
    spill.Runs(tmp_path / "parts", {}, threads=1, entries=9)
  monkeypatch.undo()
  assert len(spill.Runs(tmp_path / "parts", {}, threads=1, entries=9)) == 2


def test_data_of_a_run_is_on_disk_before_its_facts(tmp_path, monkeypatch):
  synced = []

  def fsync(number):
    synced.append(pathlib.Path(os.readlink(f"/proc/self/fd/{number}")).name)

  make_runs(tmp_path / "parts", 0)
  monkeypatch.setattr(os, "fsync", fsync)
  make_runs(tmp_path / "parts", 1)
  assert synced[:2] == ["run-000000.keys", "run-000000.units"]
  assert synced[2].startswith(".run-000000.json") and len(synced) == 3


def test_counts_of_another_task_are_not_gone_on_with(tmp_path):
  entry = pair_counter.Entries(
    np.zeros(1, np.int32), np.ones(1, np.int32), np.ones(1, np.int64)
  )
  folder = tmp_path / "parts"
  first = spill.Runs(folder, {"window": 5}, threads=1, entries=100)
  first.write([entry], end=[0, 5, False])
  again = spill.Runs(folder, {"window": 5}, threads=1, entries=100)
  assert len(again) == 1 and again.facts == {"end": [0, 5, False]}
  (folder / "run-000000.keys").write_bytes(b"")
  assert len(spill.Runs(folder, {"window": 5}, threads=1, entries=100)) == 0
  assert len(spill.Runs(folder, {"window": 6}, threads=1, entries=100)) == 0
  assert sorted(path.name for path in folder.iterdir()) == ["task.json"]
