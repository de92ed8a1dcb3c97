"""Output that cannot be written costs no results."""

import subprocess
import sys

import pytest
from run_py import REPO, run, sentence

from glove_jax import config
from glove_jax.workdir import pipeline


@pytest.fixture
def trained(tmp_path):
  """The work directory of a finished run, and a file of pairs."""
  (tmp_path / "a.txt").write_text("king queen man woman king man\n" * 9)
  (tmp_path / "pairs.tsv").write_text(
    "king\tqueen\t9\nman\twoman\t8\nz\ty\t1\n"
  )
  settings = config.make_config(
    corpus=tmp_path / "a.txt", engine="rows", dim=2, epochs=1, analogies=(),
    similarity=(),
  )  # fmt: skip
  pipeline.Pipeline(settings, tmp_path / "run", lambda line: None).run()
  return tmp_path / "run", tmp_path / "pairs.tsv"


def test_a_folder_that_cannot_be_written_to(trained):
  workdir, pairs = trained
  (workdir / ".lock").unlink(missing_ok=True)
  (workdir / ".lock").mkdir()  # no lock can be taken
  done = run("evaluate", f"--workdir={workdir}", f"--similarity={pairs}")
  assert "2/3" in done.stdout
  sentence(done, "These results could not be written to", str(workdir))


def test_a_pipe_that_its_reader_has_closed(trained):
  command = ["run.py", "neighbors", f"--workdir={trained[0]}", "king"]
  with subprocess.Popen(
    [sys.executable, *command], cwd=REPO, text=True,
    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
  ) as process:  # fmt: skip
    process.stdout.close()  # as `| head` does
    assert process.stderr.read() == ""
  assert process.returncode == 0
