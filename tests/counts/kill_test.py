"""kill -9 at random moments of a count: what comes next ends the same."""

import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

NAMES = ("row.npy", "col.npy", "count.npy", "manifest.json")
# Some seven parts, of which five are merged into one before the end.
CHILD = """
import sys
from glove_jax import config
from glove_jax.counts import out_of_core, spill
from glove_jax.text import compiled, reading, vocab
text, folder = sys.argv[1:]
reading.BLOCK_BYTES = 1 << 14
spill.MAX_RUNS = 5
out_of_core.Budget.entries = 20_000
out_of_core.make_budget = lambda *_: out_of_core.Budget(2, 6_000, 0)
text = compiled.Text([text], "whitespace")
words = vocab.make_vocab(compiled.count_words(text), min_count=1)
print("begins", flush=True)
out_of_core.count_corpus(
  text, words, folder, config.make_config(window=5).count, source={}
)
print("ends", flush=True)
"""


def start(text, folder):
  process = subprocess.Popen(
    [sys.executable, "-c", CHILD, str(text), str(folder)],
    stdout=subprocess.PIPE,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert process.stdout.readline() == "begins\n"
  return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A text, the folder of its counts, and the seconds that they took."""
  folder = tmp_path_factory.mktemp("kill")
  ids = np.random.default_rng(0).integers(0, 8_000, (1000, 40))
  text = folder / "text.txt"
  text.write_text(
    "".join(" ".join(f"w{i}" for i in line) + "\n" for line in ids)
  )
  for name in ("compiled", "whole"):
    process = start(text, folder / name)
    begin = time.perf_counter()
    assert process.communicate()[0] == "ends\n"
  return text, folder / "whole", time.perf_counter() - begin


def kill_once(whole, tmp_path, seed):
  """Kills a count at a random moment; returns whether a part was finished.

  The moment is after a random part, and not only a time: how long the first
  one takes depends on what else the machine does.
  """
  text, expected, seconds = whole
  folder, rng = tmp_path / f"{seed}", np.random.default_rng(seed)
  part = pathlib.Path(f"{folder}.parts/run-{rng.integers(6):06}.json")
  process = start(text, folder)
  while process.poll() is None and seed % 3 and not part.exists():
    time.sleep(0.005)
  time.sleep(rng.uniform(0, seconds / 4))
  process.kill()
  process.communicate()
  parts = len(list(pathlib.Path(f"{folder}.parts").glob("run-*.json")))
  again = start(text, folder)
  assert again.communicate()[0] == "ends\n"
  for name in NAMES:
    assert (folder / name).read_bytes() == (expected / name).read_bytes()
  return parts > 0


def test_a_killed_count_ends_with_the_same_bytes(whole, tmp_path):
  parts = [kill_once(whole, tmp_path, seed) for seed in range(3)]
  assert any(parts)


@pytest.mark.slow
def test_fifty_killed_counts_end_with_the_same_bytes(whole, tmp_path):
  parts = [kill_once(whole, tmp_path, seed) for seed in range(100, 150)]
  assert sum(parts) > 10
