"""Trains a small model in some of the RUNS; `multihost_test` runs it.

  python tests/training/worker_process.py FOLDER NAMES [COORDINATOR NUMBER ID]

NAMES are those of runs, such as own,missing. Each run leaves FOLDER/<name>.npz,
written by the first process.
"""

import pathlib
import sys

import jax
import numpy as np

from glove_jax import config
from glove_jax.counts import triplets
from glove_jax.training import loop, multihost, sharding
from glove_jax.training.tiles import cutting

SIZE, TILE_SIZE = 150, 8


def make_counts() -> triplets.Triplets:
  """Counts that have something to learn, dense where words are frequent."""
  rng = np.random.default_rng(0)
  word, context = rng.normal(size=(2, SIZE, 4))
  frequency = 1 / np.arange(1, SIZE + 1) ** 0.8
  rates = 900 * np.exp(0.4 * word @ context.T) * np.outer(frequency, frequency)
  count = rng.poisson(rates)
  row, col = np.nonzero(count)
  count = count[row, col].astype(np.float32)
  return triplets.Triplets(row.astype("i4"), col.astype("i4"), count, SIZE)


def spoil_others(counts: triplets.Triplets) -> triplets.Triplets:
  """Makes nonsense of the counts of words that other processes have."""
  rank = np.argsort(-np.bincount(counts.row, minlength=SIZE), kind="stable")
  position = np.empty(SIZE, int)
  position[rank] = cutting.tiered_order(SIZE, 2048, np.random.default_rng(0))
  part = position[counts.row] // TILE_SIZE % jax.device_count()
  processes_of = np.array([device.process_index for device in jax.devices()])
  own = processes_of[part] == jax.process_index()
  return counts._replace(count=np.where(own, counts.count, 1e4))


ALONE = {"bias_init": "random"}  # by which a process reads its own counts only
# By name: whether the counts of others are spoiled, and the settings.
RUNS = {
  "blocks": (False, {}),
  "own": (True, ALONE),
  "missing": (True, ALONE | {"missing": 0.1, "core": 64}),
  # Of which pairs of rounds of blocks are tiles on four devices.
  "rounds": (True, ALONE | {"missing": 0.0, "min_fill": 0.65}),
  "batch": (False, {"engine": "rows", "placement": "batch"}),
  "dim": (False, {"engine": "rows", "placement": "dim"}),
}


def main(folder: str, names: str, where="", number=0, process=-1) -> None:
  multihost.start(where, int(number), int(process))
  multihost._SUMMED = sharding._GATHERED = 512  # arrays are sent in pieces
  counts = make_counts()
  for name in names.split(","):
    is_spoiled, how = RUNS[name]
    small = {"dim": 8, "epochs": 2, "batch_size": 500, "growth": ["64:2"]}
    tiles = {"tile_size": TILE_SIZE, "min_fill": 0.5}
    settings = config.make_config(**small | tiles | how)
    data = spoil_others(counts) if is_spoiled else counts
    params = loop.train(data, settings.train)
    assert len(params.word) == (SIZE if multihost.is_first() else 0)
    if multihost.is_first():
      np.savez(pathlib.Path(folder, f"{name}.npz"), **params._asdict())
  multihost.finish()


if __name__ == "__main__":
  main(*sys.argv[1:])
