"""Whether memory stays flat when one process works for long, as a notebook may.

  python benchmarks/load.py --minutes=30

Round after round, one process counts a text, trains on it, evaluates the
vectors, asks for neighbours and analogies, and writes and reads files of them.
Settings and shapes differ from round to round and come back after some rounds,
so that caches fill at first and then should be full. A line a minute has the
resident memory. The last line has the slope over the second half of the rounds,
with what the straight line leaves unexplained; the exit code is 1 if memory
grows by more than --slope MB a minute there.
"""

import argparse
import gc
import os
import pathlib
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.faults import make_text
from glove_jax import config
from glove_jax.counts import triplets
from glove_jax.training import loop
from glove_jax.vectors import evaluate, formats
from glove_jax.workdir import artifacts, pipeline

SETTINGS = (
  {"dim": 8, "growth": ("32:2",), "tile_size": 16},
  {"dim": 12, "engine": "rows", "batch_size": 256},
  {"dim": 8, "engine": "dense", "batch_size": 512, "optimizer": "adam"},
  {"dim": 8, "growth": (), "tile_size": 32, "missing": 0.1, "core": 32},
)  # fmt: skip


def work(number: int, folder: pathlib.Path) -> None:
  """One round: everything that a user does, in a new work directory."""
  text = folder / "text.txt"
  text.write_text(make_text(number % 8, num_lines=300))
  settings = SETTINGS[number % len(SETTINGS)] | {
    "corpus": text, "window": 3, "epochs": 2, "threads": 1, "seed": number,
    "analogies": (folder / "questions.txt",),
    "similarity": (folder / "pairs.tsv",),
  }  # fmt: skip
  (folder / "pairs.tsv").write_text("w1\tw2\t9\nw3\tw4\t5\nw5\tw6\t1\n")
  (folder / "questions.txt").write_text(": a\nw1 w2 w3 w4\nw5 w6 w7 w8\n")
  run = pipeline.Pipeline(
    config.make_config(**settings), folder / "run", lambda line: None
  )
  vectors, _ = run.run()
  artifacts.summary(folder / "run", vectors, {})
  counts = triplets.read_triplets(folder / "run" / "counts")
  loop.train(counts, run.config.train)
  vectors.neighbors("w1", 5)
  vectors.analogy("w1", "w2", "w3", 5)
  for name in ("v.txt", "v.bin", "v.npz", "v.txt.gz"):
    formats.write_vectors(vectors, folder / name)
    again = formats.load_vectors(folder / name)
    evaluate.evaluate_vectors(again, run.config.evaluate)


def resident_megabytes() -> float:
  with open("/proc/self/statm") as file:
    return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(minutes: list[float], megabytes: list[float]) -> tuple[float, float]:
  """MB a minute over the second half, and the standard error of that."""
  half = len(minutes) // 2
  x, y = np.array(minutes[half:]), np.array(megabytes[half:])
  if len(x) < 3:
    return 0.0, 0.0
  x = x - x.mean()
  value = x @ y / (x @ x)
  rest = y - y.mean() - value * x
  return value, np.sqrt(rest @ rest / (len(x) - 2) / (x @ x))


def main(arguments=None) -> int:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--minutes", type=float, default=1)
  parser.add_argument("--slope", type=float, default=1, help="MB a minute")
  options = parser.parse_args(arguments)
  start, number, shown = time.perf_counter(), 0, -1
  minutes, megabytes = [], []
  while not minutes or minutes[-1] < options.minutes:
    with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
      work(number, pathlib.Path(folder))
    number += 1
    gc.collect()
    minutes.append((time.perf_counter() - start) / 60)
    megabytes.append(resident_megabytes())
    if int(minutes[-1]) > shown:
      shown = int(minutes[-1])
      print(
        f"minute {shown:3d}  round {number:5d}  {megabytes[-1]:7.1f} MB",
        flush=True,
      )
  value, error = slope(minutes, megabytes)
  print(
    f"{number} rounds: first {megabytes[0]:.1f} MB, last {megabytes[-1]:.1f} "
    f"MB; second half: {value:+.2f} ± {error:.2f} MB a minute"
  )
  return 1 if value > options.slope else 0


if __name__ == "__main__":
  sys.exit(main())
