"""Are our vectors as good as those of Stanford's C program, and who is faster?

    python run.py --experiment=stanford --stanford=GloVe/build --seeds=3

It needs the built programs of github.com/stanfordnlp/GloVe. Both sides train on
the same counts, and the C program runs one thread per core.
`benchmarks/training.py` compares the two pass by pass.

On enwiki_sample with one seed it takes 64 s on 2 cores. Expect, with the
same update rule, Google of 0.016 against 0.017 for the C program, WordSim-353
of 0.200 against 0.193, and 13 s of training against 20 s.
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

from . import GLOVE

PROGRAM = "Stanford's glove"


def get_config():
  return GLOVE


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
  """Returns the function that trains the points of the C program.

  Raises:
    ValueError: no folder is given, or the program is not in it.
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
  """Trains with the C program on the counts of a work directory."""
  config = config.resolved
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
  """Runs the program and passes on the cost of each pass that it reports."""
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
