"""Trains Stanford's glove and this library on the same counts, side by side.

  python benchmarks/training.py --stanford=GloVe/build --corpus=wiki.txt

needs the built programs of github.com/stanfordnlp/GloVe. It counts the corpus
once, hands the same shuffled records to both sides, and prints for every pass
the seconds so far, the cost, and the quality on Google's analogies,
WordSim-353 and SimLex-999; then how long each side needs to the quality that
the C program has after its last pass: Google within 0.5 points and WordSim-353
within 0.01 of it, or better. Evaluation is not timed on either side, nor is the
writing of the C program's vectors; our seconds include the start (fitting the
biases, cutting the tiles, compiling). All goes to --workdir, with a plot.

Without the C program, on a GPU say, it trains ours alone; what the C program
reached on another machine is given by --target=GOOGLE,WORDSIM,SECONDS,RATE.

Passes are not alike: one of ours may visit the most frequent words alone, so
the rate is of counts a second, over the passes that visit all of them. It is
compared with two floors of a pass, from a product of matrices and a copy that
are timed on the same device: the arithmetic of all tiles' products, and the
bytes of all tiles and of the vectors that the other counts gather.

--grid does it for several dimensions and vocabularies, --quick with a tenth of
the text and 50 dimensions; the latter ends within ten minutes.
"""

import dataclasses
import itertools
import json
import multiprocessing
import os
import pathlib
import queue as queues
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks import c_programs, floors
from benchmarks.processes import apart, high_water
from glove_jax import config, presets
from glove_jax.counts import stanford, triplets
from glove_jax.text import datasets, vocab
from glove_jax.training import loop, preparation
from glove_jax.vectors import analogy, sets, similarity, word_vectors
from glove_jax.workdir import pipeline

flags.DEFINE_string(
  "stanford", None, "folder of Stanford's built programs; without, ours alone"
)
flags.DEFINE_string("corpus", None, "the text")
flags.DEFINE_string("workdir", "runs/training_benchmark", "where all goes")
flags.DEFINE_list(
  "sides", ["blocked"], "engines and presets of ours to race, or default"
)
flags.DEFINE_integer("dim", 100, "D")
flags.DEFINE_integer("max_vocab", 0, "keep only so many words; 0 keeps all")
flags.DEFINE_integer("window", 15, "the window of the counts")
flags.DEFINE_string("documents", "blank_line", "as in run.py")
flags.DEFINE_integer("passes", 15, "passes of the C program")
flags.DEFINE_integer("threads", 2, "threads of the C program")
flags.DEFINE_bool("quick", False, "a tenth of the text, 50 dimensions")
flags.DEFINE_bool("grid", False, "50, 100, 300 dimensions; 10k, 30k, all words")
flags.DEFINE_list(
  "target", None, "Google, WordSim-353, seconds and counts/s of the C program"
)
flags.mark_flags_as_required(["corpus"])
flags.register_validator(
  "corpus", lambda path: path and os.path.isfile(path), "no such file"
)
flags.register_validator(
  "stanford",
  lambda folder: not folder or not c_programs.missing(folder, ["glove"]),
  "the program `glove` is not in that folder: build it first",
)
FLAGS = flags.FLAGS

SETS = ("google", "wordsim353", "simlex999")


@dataclasses.dataclass
class Pass:
  """What one side had after one pass."""

  seconds: float  # since the start, evaluation left out
  pass_seconds: float
  triplets_per_second: float
  whole: bool  # whether it visited as many counts as any
  cost: float
  google: float
  wordsim353: float
  simlex999: float


def main(argv):
  del argv
  if FLAGS.grid:
    cases = itertools.product((10_000, 30_000, 0), (50, 100, 300))
  else:
    cases = [(FLAGS.max_vocab, 50 if FLAGS.quick else FLAGS.dim)]
  for max_vocab, dim in cases:
    compare(pathlib.Path(FLAGS.workdir, f"vocab_{max_vocab}"), max_vocab, dim)


def compare(workdir: pathlib.Path, max_vocab: int, dim: int) -> None:
  """Trains all sides on one vocabulary, with one number of dimensions."""
  workdir.mkdir(parents=True, exist_ok=True)
  # Run in a separate process, because a child's peak memory starts at its
  # parent's.
  apart(count, workdir, max_vocab, FLAGS.flag_values_dict())
  counts = triplets.read_triplets(workdir / "counts")
  print(
    f"\n{len(counts.row):,} counts of {counts.vocab_size:,} words, D = {dim}\n",
    flush=True,
  )
  sides = {}
  if FLAGS.stanford:
    sides["stanford"] = run_stanford(workdir, counts, dim)
  for side in FLAGS.sides:
    sides[side] = run_side(workdir, side, dim)
  report(workdir, dim, sides)


def count(workdir: pathlib.Path, max_vocab: int, given: dict) -> None:
  """Counts the corpus once; leaves shuffled records for the C program."""
  path = pathlib.Path(given["corpus"])
  if given["quick"]:
    path = c_programs.tenth(path, workdir / "tenth.txt")
  settings = config.make_config(
    corpus=[str(path)],
    documents=given["documents"],
    max_vocab=max_vocab,
    window=given["window"],
  )
  _, counts = pipeline.Pipeline(settings, workdir).count()
  if not given["stanford"]:
    return
  stanford.write_shuffled_records(counts, workdir / c_programs.SHUFFLED)


@dataclasses.dataclass
class Side:
  """What one side came to."""

  passes: list[Pass]
  peak_gb: float
  floors: dict | None = None  # seconds of a pass over everything


class Judge:
  """Asks tables the three question sets."""

  def __init__(self, words):
    self._words = words
    self._google = sets.read_analogies(datasets.evaluation_set("google"))
    self._pairs = [
      sets.read_similarity(datasets.evaluation_set(name)) for name in SETS[1:]
    ]

  def __call__(self, table: np.ndarray) -> dict[str, float]:
    """The score of word + context vectors [V, D] on each set."""
    made = word_vectors.WordVectors(self._words, table)
    scores = [
      analogy.evaluate_analogies(made, self._google)["total"]["accuracy"],
      *(
        similarity.evaluate_similarity(made, pairs)["spearman"]
        for pairs in self._pairs
      ),
    ]
    return dict(zip(SETS, scores, strict=True))


def run_stanford(workdir, counts, dim: int) -> Side:
  """Runs glove, and judges what it wrote after each pass."""
  costs, times, peak = run_glove(workdir, dim)
  judge = Judge(vocab.read_vocab(workdir / "vocab.txt").words)
  passes, seconds = [], 0.0
  for number, (cost, took) in enumerate(zip(costs, times, strict=True), 1):
    path = workdir / f"stanford.{number:03d}.bin"
    if number == FLAGS.passes and not path.exists():
      path = workdir / "stanford.bin"
    table = np.fromfile(path).reshape(2, counts.vocab_size, dim + 1)
    path.unlink()
    seconds += took
    word, context = table[:, :, :-1]
    rate = len(counts.row) / took
    scores = judge(word + context)
    passes.append(Pass(seconds, took, rate, True, cost, **scores))
    show("stanford", number, passes[-1])
  return Side(passes, peak)


def run_glove(workdir, dim: int) -> tuple[list[float], list[float], float]:
  """Runs glove: the cost and seconds of each pass, and its peak memory, GB."""
  command = c_programs.glove(
    FLAGS.stanford,
    workdir,
    dim=dim,
    passes=FLAGS.passes,
    threads=FLAGS.threads,
  )
  command += ["-checkpoint-every", 1, "-binary", 1, "-verbose", 2]
  process = subprocess.Popen(
    [str(part) for part in command],
    cwd=workdir,
    stderr=subprocess.PIPE,
    text=True,
  )
  start, costs, times, peak = time.perf_counter(), [], [], 0.0
  for line in process.stderr:
    if "iter:" in line:
      peak = high_water(process.pid)
      times.append(time.perf_counter() - start)
      costs.append(float(line.split("cost:")[1]))
    if "saving intermediate" in line:
      start = time.perf_counter()
  process.wait()
  if process.returncode or len(costs) != FLAGS.passes:
    raise SystemExit(f"glove stopped with exit code {process.returncode}")
  return costs, times, peak


def run_side(workdir, side: str, dim: int) -> Side:
  """Runs one of ours in a process of its own, as the C program's is."""
  judge = Judge(vocab.read_vocab(workdir / "vocab.txt").words)
  context = multiprocessing.get_context("spawn")
  queue, judged = context.Queue(), context.Event()
  process = context.Process(
    target=race, args=(queue, judged, workdir, side, dim), name=side
  )
  process.start()
  passes = []
  while isinstance(item := next_item(queue, process), dict):
    table = np.load(workdir / "vectors.npy")
    passes.append(Pass(**item, **judge(table)))
    show(side, len(passes), passes[-1])
    judged.set()
  process.join()
  return Side(passes, *item)


def next_item(queue, process):
  """What the process puts next; says so where it died instead."""
  while True:
    try:
      return queue.get(timeout=1)
    except queues.Empty:
      if not process.is_alive():
        raise SystemExit(f"{process.name} failed") from None


def race(queue, judged, workdir, side: str, dim: int) -> None:
  """Trains; waits after each pass until it is judged, in another process.

  Puts what a Pass knows of itself into the queue and, last, peak and floors.
  """
  given = {"default": {}, **presets.PRESETS}.get(side)
  if given is None:
    given = {"engine": side, "missing": 0.0}
  settings = config.make_config(**given | {"dim": dim}).train
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # as run.py
  start, waited, peak = time.perf_counter(), 0.0, 0.0
  counts = triplets.read_triplets(workdir / "counts")
  with tempfile.TemporaryDirectory() as folder:
    engine, state = preparation.prepare(counts, settings, tiles_folder=folder)
    most = max(size.num_triplets for size in engine.epochs)
    for epoch in range(1, len(engine.epochs) + 1):
      state, line = loop.run_epoch(engine, settings, state, epoch)
      before = time.perf_counter()
      peak = max(peak, high_water())
      params = engine.params(state)
      np.save(workdir / "vectors.npy", np.asarray(params.word + params.context))
      queue.put(
        {
          "seconds": before - start - waited,
          "pass_seconds": line["seconds"],
          "triplets_per_second": line["triplets_per_second"],
          "whole": engine.epochs[epoch - 1].num_triplets == most,
          "cost": line["cost"],
        }
      )
      del params
      judged.wait()
      judged.clear()
      waited += time.perf_counter() - before
    is_blocked = settings.engine == "blocked"
    least = floors.of_tiles(engine.blocks, dim) if is_blocked else None
  queue.put((peak, least))


def show(side: str, number: int, made: Pass) -> None:
  print(
    f"{side:10s} pass {number:3d}  {made.seconds:8.1f} s  "
    f"cost {made.cost:.5f}  google {made.google:.4f}  "
    f"wordsim353 {made.wordsim353:.4f}  simlex999 {made.simlex999:.4f}",
    flush=True,
  )


def seconds_to(passes: list[Pass], google: float, wordsim353: float):
  """When a side first is within the margin of a quality; None: never."""
  for made in passes:
    if made.google >= google - 0.005 and made.wordsim353 >= wordsim353 - 0.01:
      return made.seconds
  return None


def report(workdir, dim: int, sides: dict[str, Side]) -> None:
  """Prints the table and the two ratios; writes results and the plot."""
  record = {name: dataclasses.asdict(side) for name, side in sides.items()}
  (workdir / f"results_{dim}.json").write_text(json.dumps(record, indent=2))
  plot(workdir / f"quality_{dim}.png", sides)
  target = target_of(sides)
  print(
    f"\n{'':10s} s/pass     triplets/s  peak GB  start s  s to the C quality"
  )
  rates, reached = {}, {}
  for name, side in sides.items():
    whole = [made for made in side.passes if made.whole]
    rates[name] = statistics.median(p.triplets_per_second for p in whole)
    took = statistics.median(made.pass_seconds for made in whole)
    start = side.passes[0].seconds - side.passes[0].pass_seconds
    reached[name] = target and seconds_to(side.passes, *target[:2])
    needed = f"{reached[name]:.1f}" if reached[name] else "-"
    print(
      f"{name:10s} {took:6.3f}  {rates[name]:13,.0f}  {side.peak_gb:7.2f}  "
      f"{start:7.1f}  {needed}"
    )
    if side.floors:
      shares = ", ".join(
        f"{floor:.4f} s ({floor / took:.1%}) of {what}"
        for what, floor in side.floors.items()
      )
      print(f"{'':10s} floors of a pass: {shares}")
  if target is None:
    return
  first, (_, _, seconds, rate) = FLAGS.sides[0], target
  print(f"triplets_per_second_ratio: {rates[first] / rate:.2f}")
  ratio = seconds / reached[first] if reached[first] else 0.0
  print(f"time_to_quality_ratio: {ratio:.2f}")


def target_of(sides: dict[str, Side]) -> tuple | None:
  """The C program's Google score, WordSim-353 score, seconds and rate.

  None if unknown.
  """
  if "stanford" in sides:
    passes = sides["stanford"].passes
    rate = statistics.median(made.triplets_per_second for made in passes)
    last = passes[-1]
    return last.google, last.wordsim353, last.seconds, rate
  return tuple(map(float, FLAGS.target)) if FLAGS.target else None


def plot(path: pathlib.Path, sides: dict) -> None:
  """Plots quality over time, one panel per question set."""
  try:
    import matplotlib
  except ImportError:
    print("matplotlib is not installed: no plot")
    return
  matplotlib.use("agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
  titles = ("Google analogies, accuracy", "WordSim-353, Spearman",
            "SimLex-999, Spearman")  # fmt: skip
  for axis, name, title in zip(axes, SETS, titles, strict=True):
    for (label, side), mark in zip(sides.items(), "os^D", strict=False):
      axis.plot(
        [made.seconds for made in side.passes],
        [getattr(made, name) for made in side.passes],
        marker=mark,
        label=label,
      )
    axis.set(xscale="log", xlabel="seconds of training", title=title)
    axis.grid(alpha=0.3)
  axes[0].legend()
  figure.savefig(path, dpi=120)


if __name__ == "__main__":
  app.run(main)
