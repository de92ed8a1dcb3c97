"""What each placement costs on 1, 2, 4 and 8 devices: memory and traffic.

  python benchmarks/scaling.py

The devices are simulated by the CPU: bytes are those of the programs that jax
compiles for them, and nothing is timed. The counts are drawn at random, with
frequencies after Zipf's law. Prints a table in Markdown: for each placement and
number of devices, what one device holds of the state, what a program takes
beside it, and what a device hands to the others or sums up with them in a pass.
"""

import os
import sys
from typing import NamedTuple

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import pathlib

import jax
import numpy as np
from absl import app, flags

REPO = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(REPO))

from glove_jax import (  # noqa: E402
  config,
  engines,
  ring,
  sharding,
  triplets,
)

flags.DEFINE_integer("vocab_size", 8192, "V")
flags.DEFINE_integer("dim", 104, "D, a multiple of 8")
flags.DEFINE_integer("batch_size", 4096, "B, for rows")
flags.DEFINE_integer("tile_size", 128, "T, for blocked")
flags.DEFINE_integer("counts", 1_000_000, "N, before equal ones are one")
FLAGS = flags.FLAGS
HEADER = (
  "| placement | devices | state, MB a device | beside it, MB | "
  "traffic, MB a pass | by |\n|---|---|---|---|---|---|"
)


class Cost(NamedTuple):
  """What a placement costs; bytes are those of one device."""

  state: int
  beside: int  # at most, in any of the programs
  traffic: int  # in a pass
  kinds: set[str]  # of communication


def main(_) -> None:
  counts = draw_counts(FLAGS.vocab_size, FLAGS.counts)
  print(
    f"V {counts.vocab_size:,}, D {FLAGS.dim}, {len(counts.row):,} counts, "
    f"B {FLAGS.batch_size}, T {FLAGS.tile_size}\n\n{HEADER}"
  )
  for engine, placement in (
    ("rows", "batch"),
    ("rows", "dim"),
    ("blocked", "blocks"),
  ):
    for mesh in (1, 2, 4, 8):
      cost = measure(counts, engine=engine, placement=placement, mesh=mesh)
      state, beside, traffic = (f"{n / 1e6:.2f}" for n in cost[:3])
      by = ", ".join(sorted(cost.kinds)) or "nothing"
      print(f"| {placement} | {mesh} | {state} | {beside} | {traffic} | {by} |")


def draw_counts(vocab_size: int, number: int) -> triplets.Triplets:
  """Counts of pairs whose words are drawn after Zipf's law."""
  rng = np.random.default_rng(0)
  share = 1 / np.arange(1, vocab_size + 1)
  words = rng.choice(vocab_size, (2, number), p=share / share.sum())
  pair, count = np.unique(words[0] * vocab_size + words[1], return_counts=True)
  row, col = np.divmod(pair, vocab_size)
  return triplets.Triplets(
    row.astype(np.int32), col.astype(np.int32), count.astype(float), vocab_size
  )


def measure(counts: triplets.Triplets, **placed) -> Cost:
  """Compiles the programs of a pass over everything, and asks them."""
  how = config.make_config(
    dim=FLAGS.dim,
    batch_size=FLAGS.batch_size,
    tile_size=FLAGS.tile_size,
    growth=[],
    bias_init="random",
    **placed,
  ).train
  if how.engine == "rows":
    engine = engines.make_engine(counts, how)
  else:  # by the ring on one device too, to compare like with like
    place = sharding.Placement("blocks", sharding.make_mesh(how.mesh))
    engine = ring.make_engine(counts, how, place)
  run_steps = jax.jit(engine.run_steps, donate_argnums=0)
  state = engine.put(engine.init(engines.initial_params(counts, how)))
  compiled, traffic, beside, kinds = {}, 0, 0, set()
  for stack, counted in engine.stacks(1):
    shape = type(stack), *(array.shape for array in stack)
    if shape not in compiled:
      rates = np.ones(len(counted), np.float32)
      compiled[shape] = run_steps.lower(state, stack, rates).compile()
    program = compiled[shape]
    beside = max(beside, program.memory_analysis().temp_size_in_bytes)
    found = sharding.transfers(program.as_text()) if how.mesh > 1 else []
    for transfer in found:  # a ring of one hands its contexts to itself
      # On batches, a program is a loop over them; a turn of the ring is none.
      times = len(counted) if how.engine == "rows" else 1
      traffic += times * transfer.num_bytes
      kinds.add(transfer.kind)
  return Cost(
    max(sharding.bytes_by_device(state).values()), beside, traffic, kinds
  )


if __name__ == "__main__":
  app.run(main)
