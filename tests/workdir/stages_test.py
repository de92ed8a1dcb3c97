"""Which stages run: the changed, those after them, and the unfinished."""

import os

import pytest

from glove_jax.workdir import stages


def write_outputs(folder, name):
  for output in stages.STAGES[name].outputs:
    if "." in output:
      (folder / output).write_text(f"{name} wrote {output}")
    else:
      (folder / output).mkdir(exist_ok=True)
      (folder / output / "part").write_text(name)


@pytest.fixture
def folder(tmp_path):
  """A work directory in which all stages are done, with the setting a = 1."""
  (tmp_path / "corpus.txt").write_text("ice steam")
  run(tmp_path)
  return tmp_path


def run(folder, changed=None):
  """The stages that run if `changed` has a = 2, and what is said."""
  lines, ran = [], []
  made = stages.Stages(folder, lines.append)
  for name in stages.STAGES:
    settings = {"a": 2 if name == changed else 1}
    inputs = (
      [folder / "corpus.txt"] if name in ("sample", "vocab", "counts") else []
    )
    with made.stage(name, settings, inputs) as todo:
      if todo:
        write_outputs(folder, name)
        ran.append(name)
  return ran, [line for line in lines if "again" in line]


def test_a_finished_stage_does_not_run_again(folder):
  assert run(folder) == ([], [])


def test_a_changed_setting_runs_its_stage_and_those_after_it(folder):
  ran, lines = run(folder, changed="train")
  assert ran == ["train", "vectors", "evaluate"]
  assert lines == [
    "train (and so vectors, evaluate) again: a was 1 and is now 2."
  ]


def test_a_changed_input_runs_all_that_is_made_of_it(folder):
  """The file keeps its size and its time."""
  path = folder / "corpus.txt"
  stat = path.stat()
  path.write_text("ice water")
  os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
  ran, lines = run(folder)
  assert ran == list(stages.STAGES)
  assert lines[0].endswith(f"again: {path} has changed.")


def test_another_number_of_inputs_is_a_change(folder):
  made, lines = stages.Stages(folder, print), []
  made._say = lines.append
  with made.stage("vocab", {"a": 1}, []) as todo:
    assert todo
  assert "there were 1 inputs and now there are 0" in lines[0]


def test_another_input_is_named(folder):
  other = folder / "other.txt"
  other.write_text("water")
  lines = []
  with stages.Stages(folder, lines.append).stage("vocab", {"a": 1}, [other]):
    pass
  assert f"again: {folder / 'corpus.txt'} is now {other}." in lines[0]


def test_a_moved_input_is_no_change(folder):
  moved = (folder / "corpus.txt").rename(folder / "moved.txt")
  with stages.Stages(folder, print).stage("vocab", {"a": 1}, [moved]) as todo:
    assert not todo


@pytest.mark.parametrize("damage", ["missing", "emptied", "changed"])
def test_an_output_that_is_not_as_written_is_made_again(folder, damage):
  path = folder / "vectors.txt"
  if damage == "missing":
    path.unlink()
  else:
    path.write_text(
      {"emptied": "", "changed": "vectors wrote vectors.tx_"}[damage]
    )
  ran, lines = run(folder)
  assert ran == ["vectors", "evaluate"]
  assert len(lines) == 1


def test_a_stage_that_runs_again_removes_what_later_stages_left(folder):
  made = stages.Stages(folder, print)
  with (
    pytest.raises(KeyboardInterrupt),
    made.stage("counts", {"a": 2}),
  ):
    raise KeyboardInterrupt
  left = {path.name for path in folder.iterdir()} - {"fingerprints.json"}
  assert left == {
    "corpus.txt", "sample.txt", "vocab.txt", "counts", "stages.json"
  }  # fmt: skip
  assert not stages.is_valid(folder, "counts")
  assert run(folder)[0] == list(stages.STAGES)[2:]


def test_an_input_that_changes_meanwhile_is_said_and_nothing_is_noted(folder):
  made = stages.Stages(folder, print)
  path = folder / "corpus.txt"
  with (
    pytest.raises(ValueError, match=r"corpus\.txt has changed.*same command"),
    made.stage("vocab", {"a": 2}, [path]),
  ):
    path.write_text("steam engine")
  assert not stages.is_valid(folder, "vocab")


def test_a_stage_that_failed_is_not_done(folder):
  made = stages.Stages(folder, print)
  with (
    pytest.raises(KeyboardInterrupt),
    made.stage("vectors", {"a": 2}),
  ):
    raise KeyboardInterrupt
  assert run(folder)[0] == ["vectors", "evaluate"]


def test_an_invalidated_stage_runs_again(folder):
  stages.invalidate(folder, "evaluate")
  assert run(folder)[0] == ["evaluate"]


def test_notes_of_an_earlier_version_are_not_trusted(folder):
  notes = stages.read_notes(folder)
  notes["vocab"] = notes["vocab"]["settings"]  # as they were
  stages.atomic.write_json(folder / "stages.json", notes)
  ran, lines = run(folder)
  assert ran == list(stages.STAGES)[1:]
  assert "an earlier version" in lines[0]


def test_a_damaged_file_is_said(folder):
  (folder / "stages.json").write_text("{")
  with pytest.raises(ValueError, match=r"stages\.json is damaged .* remove it"):
    run(folder)


def test_files_of_a_run_are_not_for_other_output(tmp_path):
  stages.refuse_own(tmp_path / "vocab.txt")  # there is no run
  (tmp_path / "stages.json").write_text("{}")
  for name in ("vocab.txt", "tables.npz", "vectors.txt", "config.json"):
    with pytest.raises(ValueError, match=f"{name} belongs to the run in"):
      stages.refuse_own(tmp_path / name)
  stages.refuse_own(tmp_path / "vectors.bin")
