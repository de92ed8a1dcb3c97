"""What memory each of several processes takes to start and to end training.

  python benchmarks/process_memory.py
  python benchmarks/process_memory.py --vocab_size=2000000 --processes=8

The processes are real ones, on this machine, with one simulated device each and
the placement `blocks`. Random counts are few, so that tables take the memory.
Figures are MB of resident memory at most: with everything imported and
connected, with the engine built, with the first state in place, and with the
trained parameters fetched. On a CPU, the device's memory is the host's.
"""

import multiprocessing
import os
import pathlib
import socket
import sys
from unittest import mock

os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks import processes
from glove_jax import config
from glove_jax.counts.triplets import Triplets
from glove_jax.training import multihost, preparation

flags.DEFINE_integer("vocab_size", 400_000, "V")
flags.DEFINE_integer("dim", 100, "D")
flags.DEFINE_integer("counts", 50_000, "N, before equal ones are one")
flags.DEFINE_list("processes", ["2", "4"], "how many there are")
FLAGS = flags.FLAGS


def main(_) -> None:
  size, dim = FLAGS.vocab_size, FLAGS.dim
  tables = 4 * size * (dim + 1) * 4 / 1e6
  print(
    f"V {size:,}, D {dim}: parameters and Adagrad's sums take {tables:,.0f} MB"
    "\n\n| process | imports | engine | first state | parameters |\n"
    "|---|---|---|---|---|",
    flush=True,
  )
  for number in map(int, FLAGS.processes):
    with socket.create_server(("127.0.0.1", 0)) as server:
      port = server.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    started = [
      context.Process(
        target=train, args=(process, number, port, size, dim, FLAGS.counts)
      )
      for process in range(number)
    ]
    for process in started:
      process.start()
    for process in started:
      process.join()


def train(
  process: int, number: int, port: int, size: int, dim: int, num_counts: int
) -> None:
  """Starts a model with the other processes, and fetches its parameters."""
  multihost.start(f"127.0.0.1:{port}", number, process)
  rng = np.random.default_rng(0)
  pair = np.unique(rng.integers(0, size**2, num_counts))
  row, col = np.divmod(pair, size)
  ids = row.astype(np.int32), col.astype(np.int32)
  counts = Triplets(*ids, np.ones(len(row)), size)
  how = config.make_config(
    dim=dim, missing=0, growth=[], bias_init="random", placement="blocks"
  ).train
  peaks = [processes.high_water()]
  make_engine = preparation.make_engine

  def measured(*args, **named):
    engine = make_engine(*args, **named)
    peaks.append(processes.high_water())
    return engine

  with mock.patch.object(preparation, "make_engine", measured):
    engine, state = preparation.prepare(counts, how)
  peaks.append(processes.high_water())
  engine.params(state)
  peaks.append(processes.high_water())
  cells = " | ".join(f"{peak * 1000:,.0f}" for peak in peaks)
  print(f"| {process} of {number} | {cells} |", flush=True)
  multihost.finish()


if __name__ == "__main__":
  app.run(main)
