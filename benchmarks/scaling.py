"""What each placement costs: bytes on 1, 2, 4 and 8 devices, seconds of real
processes, and idle devices.

  python benchmarks/scaling.py
  python benchmarks/scaling.py --tables=times --corpus=wiki.txt
  XLA_FLAGS=--xla_force_host_platform_device_count=256 \
    python benchmarks/scaling.py --tables=idle --vocab_size=20000

The first table is of devices that the CPU simulates: its bytes are those of the
programs that jax compiles for them. The counts are drawn at random, with
frequencies after Zipf's law. For each placement and number of devices it has
what one device holds of the state, what a program takes beside it, and what a
device hands to the others or sums up with them in a pass.

The second is of real processes, which `run.py` trains in on this machine: each
has one CPU to itself. Sides take turns; seconds are medians.

The third counts steps of the blocked engine: in a call all devices take as
many, and those without a tile or a line take empty ones.
"""

import collections
import itertools
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple
from unittest import mock

ENVIRONMENT = dict(os.environ)  # the environment for the timed processes
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import numpy as np  # noqa: E402
from absl import app, flags  # noqa: E402

REPO = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(REPO))

from benchmarks import collectives  # noqa: E402
from glove_jax import config  # noqa: E402
from glove_jax.counts import triplets  # noqa: E402
from glove_jax.training import preparation, sharding  # noqa: E402
from glove_jax.training.drawing import random_params  # noqa: E402
from glove_jax.training.engine import Placement  # noqa: E402
from glove_jax.training.tiles.layout import LineBatches, Tiles  # noqa: E402
from glove_jax.training.tiles.ring import RingEngine  # noqa: E402

ENGINES = {"batch": "rows", "dim": "rows", "blocks": "blocked"}
flags.DEFINE_integer("vocab_size", 8192, "V")
flags.DEFINE_integer("dim", 104, "D, a multiple of 8")
flags.DEFINE_integer("batch_size", 4096, "B, for rows")
flags.DEFINE_integer("tile_size", 128, "T, for blocked")
flags.DEFINE_integer("counts", 1_000_000, "N, before equal ones are one")
flags.DEFINE_multi_enum(
  "tables", ["bytes", "times"], ["bytes", "times", "idle"], "what to measure"
)
flags.DEFINE_string("corpus", "enwiki_sample", "text of the processes")
flags.DEFINE_multi_enum(
  "placements", list(ENGINES), list(ENGINES), "how models are spread"
)
flags.DEFINE_list("devices", ["8", "64", "256"], "how many, for idle")
flags.DEFINE_list("processes", ["1", "2"], "how many there are")
flags.DEFINE_integer("rounds", 3, "runs of each side")
flags.DEFINE_integer(
  "passes", 3, "passes of a run, of which the first is not timed"
)
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
  if "bytes" in FLAGS.tables:
    print_bytes()
  if "idle" in FLAGS.tables:
    print_idle()
  if "times" in FLAGS.tables:
    with tempfile.TemporaryDirectory() as folder:
      print_times(pathlib.Path(folder))


def print_bytes() -> None:
  counts = draw_counts(FLAGS.vocab_size, FLAGS.counts)
  print(
    f"V {counts.vocab_size:,}, D {FLAGS.dim}, {len(counts.row):,} counts, "
    f"B {FLAGS.batch_size}, T {FLAGS.tile_size}\n\n{HEADER}"
  )
  for placement, mesh in itertools.product(FLAGS.placements, (1, 2, 4, 8)):
    cost = measure(counts, placement, mesh)
    state, beside, traffic = (f"{n / 1e6:.2f}" for n in cost[:3])
    by = ", ".join(sorted(cost.kinds)) or "nothing"
    print(f"| {placement} | {mesh} | {state} | {beside} | {traffic} | {by} |")


def print_idle() -> None:
  counts = draw_counts(FLAGS.vocab_size, FLAGS.counts)
  print(
    f"V {counts.vocab_size:,}, {len(counts.row):,} counts\n\n"
    "| missing | devices | T | pass | device-steps | idle |\n"
    "|---|---|---|---|---|---|",
    flush=True,
  )
  sides = itertools.product((0.05, 0.0), map(int, FLAGS.devices))
  for missing, mesh in sides:
    how = config.make_config(
      dim=8, missing=missing, mesh=mesh, bias_init="random"
    ).train
    engine = preparation.make_engine(counts, how)
    state = jax.tree.leaves(engine.state_shape)
    tile_size = next(leaf.shape[2] for leaf in state if leaf.ndim == 4)
    for size, epoch in {s: i for i, s in enumerate(engine.epochs, 1)}.items():
      slots = count_slots(engine, epoch)
      print(
        f"| {missing:g} | {mesh} | {tile_size} | {epoch}, "
        f"{size.num_triplets:,} counts | {slots.size:,} | "
        f"{np.mean(slots == 0):.0%} |",
        flush=True,
      )


def count_slots(engine: RingEngine, epoch: int) -> np.ndarray:
  """The tiles or lines of each device in each step; 0 where it is idle."""

  def first(placement, spec, pieces):
    """One device's piece: what the others load does not matter here."""
    return pieces(0)

  with mock.patch.object(sharding, "join", first):
    slots = [
      counted
      for stack, counted in engine.stacks(epoch)
      if isinstance(stack, (Tiles, LineBatches))
    ]
  return np.concatenate(slots) if slots else np.zeros(1)


def print_times(folder: pathlib.Path) -> None:
  """Trains with each placement in so many processes, again and again."""
  print("\n| placement | processes | s a pass | counts/s | times as fast |")
  print("|---|---|---|---|---|", flush=True)
  numbers = [int(number) for number in FLAGS.processes]
  for placement in FLAGS.placements:
    passes = collections.defaultdict(list)
    for seed, number in itertools.product(range(FLAGS.rounds), numbers):
      how = [f"--placement={placement}", f"--seed={seed}"]
      how += [f"--engine={ENGINES[placement]}"]
      passes[number] += train(folder / f"{placement}_{number}", number, how)
    base = statistics.median(line["seconds"] for line in passes[numbers[0]])
    for number, lines in passes.items():
      seconds = statistics.median(line["seconds"] for line in lines)
      rate = statistics.median(line["triplets_per_second"] for line in lines)
      print(
        f"| {placement} | {number} | {seconds:.3f} | {rate:,.0f} | "
        f"{base / seconds:.2f} |",
        flush=True,
      )


def train(folder: pathlib.Path, number: int, how: list[str]) -> list[dict]:
  """The metrics of all passes but the first, by so many processes."""
  command = [
    sys.executable, "run.py", f"--workdir={folder}", f"--corpus={FLAGS.corpus}",
    f"--dim={FLAGS.dim}", f"--epochs={FLAGS.passes}", "--growth=",
    "--analogies=", "--similarity=", *how,
  ]  # fmt: skip
  if number > 1:
    with socket.create_server(("127.0.0.1", 0)) as server:
      port = server.getsockname()[1]
    command += [f"--coordinator=127.0.0.1:{port}", f"--num_processes={number}"]
  cpus, started = sorted(os.sched_getaffinity(0)), []
  for process in range(number):
    own = [f"--process_id={process}"] if number > 1 else []
    os.sched_setaffinity(0, {cpus[process % len(cpus)]})  # is inherited
    started.append(
      subprocess.Popen(
        command + own, cwd=REPO, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
      )
    )  # fmt: skip
  os.sched_setaffinity(0, cpus)
  for process in started:
    output = process.communicate()[0]
    if process.returncode:
      sys.exit(f"scaling.py: a process has failed:\n{output}")
  text = (folder / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.splitlines()[1:]]


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


def measure(counts: triplets.Triplets, placement: str, mesh: int) -> Cost:
  """Compiles the programs of a pass over everything, and asks them."""
  how = config.make_config(
    dim=FLAGS.dim,
    batch_size=FLAGS.batch_size,
    tile_size=FLAGS.tile_size,
    growth=[],
    missing=0.0,
    bias_init="random",
    engine=ENGINES[placement],
    placement=placement,
    mesh=mesh,
  ).train
  if how.engine == "rows":
    engine = preparation.make_engine(counts, how)
  else:  # by the ring on one device too, to compare like with like
    placement_ = Placement("blocks", sharding.make_mesh(how.mesh))
    engine = RingEngine(counts, how, placement_)
  run_steps = jax.jit(engine.run_steps, donate_argnums=0)
  params = random_params(counts.vocab_size, how)
  state = sharding.put_state(engine.placement, engine.init(params))
  compiled, traffic, beside, kinds = {}, 0, 0, set()
  for stack, counted in engine.stacks(1):
    shape = type(stack), *(array.shape for array in stack)
    if shape not in compiled:
      rates = np.ones(len(counted), np.float32)
      compiled[shape] = run_steps.lower(state, stack, rates).compile()
    program = compiled[shape]
    beside = max(beside, program.memory_analysis().temp_size_in_bytes)
    found = collectives.transfers(program.as_text()) if how.mesh > 1 else []
    for transfer in found:  # a ring of one hands its contexts to itself
      # Of a program that loops over batches, gradients are summed in each.
      times = len(counted) if transfer.kind == "all-reduce" else 1
      traffic += times * transfer.num_bytes
      kinds.add(transfer.kind)
  return Cost(
    max(collectives.bytes_by_device(state).values()), beside, traffic, kinds
  )


if __name__ == "__main__":
  app.run(main)
