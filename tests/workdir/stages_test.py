"""Which stages run: the changed, those after them, and the unfinished."""

import pytest

from glove_jax.workdir import stages


@pytest.fixture
def folder(tmp_path):
  """A work directory in which all stages are done, with the setting a = 1."""
  tracker = stages.Stages(tmp_path / "stages.json", print)
  for name in stages.STAGES:
    with tracker.stage(name, {"a": 1}, tmp_path / name) as todo:
      assert todo
      (tmp_path / name).touch()
  return tmp_path


def run(folder, changed=None):
  """The stages that run where `changed` has a = 2, and what is said."""
  lines, ran = [], []
  tracker = stages.Stages(folder / "stages.json", lines.append)
  for name in stages.STAGES:
    settings = {"a": 2 if name == changed else 1}
    with tracker.stage(name, settings, folder / name) as todo:
      ran += [name] * todo
  return ran, lines


def test_what_is_done_is_not_done_again(folder):
  assert run(folder) == ([], [])


def test_a_changed_setting_runs_its_stage_and_those_after_it(folder):
  ran, lines = run(folder, changed="train")
  assert ran == ["train", "vectors", "evaluate"]
  assert lines[0] == (
    "train (and so vectors, evaluate) again: a was 1 and is now 2."
  )


def test_a_missing_output_is_made_again(folder):
  (folder / "evaluate").unlink()
  ran, lines = run(folder)
  assert ran == ["evaluate"]
  assert lines[0] == "evaluate again: its output is missing."


def test_a_stage_that_failed_is_not_done(folder):
  tracker = stages.Stages(folder / "stages.json", print)
  with (
    pytest.raises(KeyboardInterrupt),
    tracker.stage("vectors", {"a": 2}, folder / "vectors"),
  ):
    raise KeyboardInterrupt
  assert run(folder)[0] == ["vectors", "evaluate"]


def test_an_invalidated_stage_runs_again(folder):
  stages.invalidate("evaluate", folder / "stages.json")
  assert run(folder)[0] == ["evaluate"]


def test_a_damaged_file_is_said(folder):
  (folder / "stages.json").write_text("{")
  with pytest.raises(ValueError, match=r"stages\.json is damaged .* remove it"):
    run(folder)
