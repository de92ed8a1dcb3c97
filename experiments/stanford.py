"""Are we as good as Stanford's C program, and how long does each take?

    python run.py --experiment=stanford --stanford=GloVe/build --seeds=3

needs the built programs of github.com/stanfordnlp/GloVe. Both sides train on
the same counts; the C program takes as many threads as there are cores.
`benchmarks/training.py` is the race pass by pass.

On the default corpus, one seed, 2 cores: 64 s.
To expect there, with one seed: by the same rule Google 0.016 to the C program's
0.017 and WordSim-353 0.200 to 0.193, in 13 s of training to its 20 s.
"""

import os
import pathlib
import subprocess
import time

import numpy as np

from glove_jax.counts import stanford, triplets
from glove_jax.sweeps import grid
from glove_jax.sweeps.plots import Plot
from glove_jax.text import vocab
from glove_jax.vectors import word_vectors

PROGRAM = "Stanford's glove"


def get_config():
  return {}


def get_sweep():
  rule = {"optimizer": "stanford", "learning_rate": 0.05}
  return [
    {grid.LABEL: PROGRAM, "engine": "rows", "bias_init": "random"} | rule,
    {grid.LABEL: "rows, same rule", "engine": "rows", "bias_init": "random"}
    | rule,
    {grid.LABEL: "rows", "engine": "rows"},
    {grid.LABEL: "blocked", "engine": "blocked"},
  ]


def report(results):
  del results
  return [
    Plot(
      "stanford",
      "Scores over the time of training",
      "scatter",
      x="train_seconds",
      by=grid.LABEL,
      log=True,
    )
  ]


def get_trainers(stanford):
  """What trains the points of the C program.

  Raises:
    ValueError: no folder was given, or it does not hold the program.
  """
  if not stanford or not pathlib.Path(stanford, "glove").is_file():
    raise ValueError(
      "The experiment stanford needs stanford=FOLDER, the folder of the "
      "built program `glove` of github.com/stanfordnlp/GloVe."
    )
  program = pathlib.Path(stanford, "glove").resolve()

  def train(point, counts, folder, on_epoch):
    return run_program(program, point.config.train, counts, folder, on_epoch)

  return {PROGRAM: train}


def run_program(program, config, counts, folder, on_epoch):
  """Trains by the C program on the counts of a work directory."""
  data = triplets.read_triplets(counts / "counts")
  shuffled, saved = folder / "shuffled.bin", folder / "vectors"
  stanford.write_shuffled_records(data, shuffled, seed=config.seed)
  command = [
    program, "-input-file", shuffled, "-vocab-file", counts / "vocab.txt",
    "-save-file", saved, "-threads", os.cpu_count(), "-vector-size",
    config.dim, "-x-max", config.x_max, "-alpha", config.alpha, "-eta",
    config.learning_rate, "-iter", config.epochs, "-binary", 1, "-verbose", 2,
    "-seed", config.seed + 1,  # 0 is the clock
  ]  # fmt: skip
  _follow([str(part) for part in command], on_epoch)
  table = np.fromfile(saved.with_suffix(".bin"))
  word, context = table.reshape(2, data.vocab_size, config.dim + 1)[:, :, :-1]
  shuffled.unlink()
  saved.with_suffix(".bin").unlink()
  words = vocab.read_vocab(counts / "vocab.txt").words
  return word_vectors.WordVectors(words, (word + context).astype(np.float32))


def _follow(command: list[str], on_epoch) -> None:
  """Runs the program, and tells of each pass that it reports."""
  before, epoch = time.perf_counter(), 0
  with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
    for line in process.stderr:
      if "iter:" not in line:
        continue
      now, epoch = time.perf_counter(), epoch + 1
      cost = float(line.split("cost:")[1])
      on_epoch({"epoch": epoch, "cost": cost, "seconds": now - before})
      before = now
  if process.returncode:
    raise OSError(f"{command[0]} stopped with code {process.returncode}.")
