"""A text that trains in a moment, and a sweep over it."""

import numpy as np
import pytest

from glove_jax.sweeps import command
from glove_jax.sweeps.options import SweepConfig


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> dict:
  """Settings of a run that takes a moment."""
  folder = tmp_path_factory.mktemp("corpus")
  rng = np.random.default_rng(0)
  topics = np.array([f"w{i}" for i in range(64)]).reshape(4, 16)
  (folder / "text.txt").write_text(
    "".join(
      " ".join(rng.choice(topics[rng.integers(4)], 30)) + "\n"
      for _ in range(100)
    )
  )
  (folder / "pairs.tsv").write_text("w1\tw2\t9\nw1\tw40\t2\nw3\tw50\t1\n")
  (folder / "questions.txt").write_text(": gram1\nw1 w2 w3 w4\n")
  return {
    "corpus": [f"{folder}/text.txt"],
    "analogies": [f"{folder}/questions.txt"],
    "similarity": [f"{folder}/pairs.tsv"],
    "dim": 8,
    "epochs": 1,
    "growth": [],
    "window": 3,
  }


@pytest.fixture(scope="session")
def swept(tiny, tmp_path_factory):
  """A finished sweep of two points and two seeds: (workdir, lines said)."""
  workdir, said = tmp_path_factory.mktemp("sweep"), []
  config = SweepConfig(sweep="x_max=1,10", seeds=2)
  plan = command.make_plan(config, tiny, command="python run.py --sweep")
  assert command.run(plan, SweepConfig(), workdir, said.append) == 0
  return workdir, said
