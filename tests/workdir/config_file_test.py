"""config.json describes what is in the work directory, whatever is asked."""

import pytest

from glove_jax import config
from glove_jax.workdir import artifacts, pipeline


@pytest.fixture
def settings(tmp_path):
  """The settings of a finished run in `tmp_path / "run"`."""
  for name, text in (("a", "x y z x y\n"), ("b", "X y z y x\n")):
    (tmp_path / f"{name}.txt").write_text(text * 9)
  settings = {
    "corpus": f"{tmp_path}/a.txt",
    "analogies": (),
    "similarity": (),
    "engine": "rows",
    "dim": 2,
    "epochs": 1,
    "window": 2,
    "vectors": "concat",
  }
  run(settings, tmp_path)
  return settings


def run(settings, tmp_path, only_count=False):
  """Runs with these settings; returns what config.json says then."""
  made = pipeline.Pipeline(
    config.make_config(**settings), tmp_path / "run", lambda line: None
  )
  made.count() if only_count else made.run()
  return artifacts.read_settings(tmp_path / "run")


def test_counting_again_leaves_the_settings_of_training(settings, tmp_path):
  other = settings | {"dim": 3, "vectors": "sum"}
  assert run(other, tmp_path, only_count=True)["dim"] == 2
  assert artifacts.read_settings(tmp_path / "run")["vectors"] == "concat"


def test_another_corpus_is_the_one_that_is_named(settings, tmp_path):
  other = settings | {"corpus": f"{tmp_path}/b.txt", "lowercase": False}
  found = run(other, tmp_path, only_count=True)
  assert found["corpus"] == [f"{tmp_path}/b.txt"]
  assert found["lowercase"] is False and found["vectors"] == "concat"


def test_a_changed_stage_replaces_its_own_settings(settings, tmp_path):
  found = run(settings | {"vectors": "sum"}, tmp_path)
  assert found["vectors"] == "sum" and found["dim"] == 2


@pytest.mark.parametrize("old, new", [
  ('"dim": 2', '"dim": 3'), ('"dim": 2', '"dim": "2"'), ("{", "["),
  ('"settings": {', '"settings": {"none": 1, '), ("{", "\udcff{"),
])  # fmt: skip
def test_a_damaged_file_is_said(settings, tmp_path, old, new):
  path = tmp_path / "run" / "config.json"
  text = path.read_text().replace(old, new, 1)
  path.write_text(text, errors="surrogateescape")
  with pytest.raises(ValueError, match=r"config\.json is damaged .* remove it"):
    artifacts.read_settings(tmp_path / "run")


def test_damaged_metrics_are_said_and_missing_ones_cost_no_results(
  settings, tmp_path
):
  path = tmp_path / "run" / "metrics.jsonl"
  vectors = artifacts.read_vectors(
    tmp_path / "run", config.make_config(**settings).vectors
  )

  def summary():
    return artifacts.summary(tmp_path / "run", vectors, {})

  assert "cost per count" in summary()
  path.write_text(path.read_text().replace('"cost": ', '"cost": 9'))
  assert f"{path} is not as it was written" in summary()
  path.unlink()
  assert "no costs are shown" in summary()


def test_a_refused_corpus_leaves_no_folder(tmp_path):
  (tmp_path / "a.txt").write_bytes(b"\x89PNG\r\n\x1a\n0000")
  made = pipeline.Pipeline(
    config.make_config(corpus=tmp_path / "a.txt"), tmp_path / "run", print
  )
  with pytest.raises(ValueError, match="PNG image"):
    made.count()
  assert not (tmp_path / "run").exists()
