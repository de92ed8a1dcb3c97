"""Trains Stanford's glove and this library on the same counts, side by side.

  python benchmarks/training.py --stanford=GloVe/build --corpus=wiki.txt

needs the built programs of github.com/stanfordnlp/GloVe (without them it trains
ours alone: on a GPU, say). It counts the corpus once, hands the same shuffled
records to both sides, and prints for every pass the seconds so far, the cost,
and the quality on Google's analogies, WordSim-353 and SimLex-999; then how long
each side needs to the quality that the C program has after its last pass:
Google within 0.5 points and WordSim-353 within 0.01 of it, or better.
Evaluation is not timed on either side, nor is the writing of the C program's
vectors; our seconds include the start (fitting the biases, cutting the tiles,
compiling). All goes to --workdir, with a plot.

Passes are not alike: one of ours may visit the most frequent words alone, so
the rate is of counts a second, over the passes that visit all of them.

--quick takes a tenth of the text and 50 dimensions; it ends within ten minutes.
"""

import dataclasses
import json
import multiprocessing
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from glove_jax import (
  config,
  datasets,
  engines,
  evaluate,
  pipeline,
  train,
  triplets,
  vectors,
  vocab,
)

flags.DEFINE_string(
  "stanford", None, "folder of Stanford's built programs; without, ours alone"
)
flags.DEFINE_string("corpus", None, "the text")
flags.DEFINE_string("workdir", "runs/training_benchmark", "where all goes")
flags.DEFINE_list("sides", ["blocked"], "engines and presets of ours to race")
flags.DEFINE_integer("dim", 100, "D")
flags.DEFINE_integer("max_vocab", 0, "keep only so many words; 0 keeps all")
flags.DEFINE_integer("window", 15, "the window of the counts")
flags.DEFINE_string("documents", "blank_line", "as in run.py")
flags.DEFINE_integer("passes", 15, "passes of the C program")
flags.DEFINE_integer("threads", 2, "threads of the C program")
flags.DEFINE_bool("quick", False, "a tenth of the text, 50 dimensions")
flags.mark_flags_as_required(["corpus"])
FLAGS = flags.FLAGS

SETS = ("google", "wordsim353", "simlex999")


@dataclasses.dataclass
class Pass:
  """What one side had after one pass."""

  seconds: float  # since the start, evaluation left out
  pass_seconds: float
  triplets_per_second: float
  whole: bool  # whether it visited all counts
  cost: float
  google: float
  wordsim353: float
  simlex999: float


def main(argv):
  del argv
  workdir = pathlib.Path(FLAGS.workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  # In a process of its own: a child's peak memory begins at its parent's.
  apart(count, workdir, FLAGS.flag_values_dict())
  counts = triplets.read_triplets(workdir / "counts")
  print(
    f"{len(counts.row):,} counts of {counts.vocab_size:,} words, "
    f"D = {FLAGS.dim}\n",
    flush=True,
  )
  sides = {}
  if FLAGS.stanford:
    sides["stanford"] = run_stanford(workdir, counts)
  for side in FLAGS.sides:
    sides[side] = run_side(workdir, side)
  report(workdir, sides)


def apart(function, *args) -> None:
  """Calls a function in a new process, and waits for its end."""
  process = multiprocessing.get_context("spawn").Process(
    target=function, args=args
  )
  process.start()
  process.join()
  if process.exitcode:
    raise SystemExit(f"{function.__name__} failed")


def count(workdir: pathlib.Path, given: dict) -> None:
  """Counts the corpus once; leaves shuffled records for the C program."""
  path = pathlib.Path(given["corpus"])
  if given["quick"]:
    path = tenth(path, workdir / "tenth.txt")
  settings = config.make_config(
    corpus=[str(path)],
    documents=given["documents"],
    max_vocab=given["max_vocab"],
    window=given["window"],
  )
  counts = pipeline.Pipeline(settings, workdir).run_counts()
  if not given["stanford"]:
    return
  records = workdir / "cooccurrence.shuf.bin"
  order = np.random.default_rng(0).permutation(len(counts.row))
  triplets.write_records(
    triplets.Triplets(*(c[order] for c in counts[:3]), counts.vocab_size),
    records,
  )


def tenth(path: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
  """The first tenth of a text file."""
  with path.open("rb") as file:
    output.write_bytes(file.read(path.stat().st_size // 10))
  return output


def dim() -> int:
  return 50 if FLAGS.quick else FLAGS.dim


class Judge:
  """Asks tables the three question sets."""

  def __init__(self, words):
    self._words = words
    self._google = evaluate.read_analogies(datasets.evaluation_set("google"))
    self._pairs = [
      evaluate.read_similarity(datasets.evaluation_set(name))
      for name in SETS[1:]
    ]

  def __call__(self, word, context) -> tuple[float, float, float]:
    made = vectors.WordVectors(self._words, word + context)
    total = evaluate.evaluate_analogies(made, self._google)["total"]
    return (
      total["accuracy"],
      *(
        evaluate.evaluate_similarity(made, pairs)["spearman"]
        for pairs in self._pairs
      ),
    )


def run_stanford(workdir, counts) -> tuple[list[Pass], float]:
  """Runs glove; returns its passes and its peak memory in GB."""
  command = [
    pathlib.Path(FLAGS.stanford, "glove").resolve(),
    "-input-file", "cooccurrence.shuf.bin", "-vocab-file", "vocab.txt",
    "-save-file", "stanford", "-threads", FLAGS.threads,
    "-vector-size", dim(), "-x-max", 10, "-alpha", 0.75, "-eta", 0.05,
    "-iter", FLAGS.passes, "-checkpoint-every", 1, "-binary", 1,
    "-verbose", 2,
  ]  # fmt: skip
  words = vocab.read_vocab(workdir / "vocab.txt").words
  judge, passes, seconds = Judge(words), [], 0.0
  process = subprocess.Popen(
    [str(part) for part in command],
    cwd=workdir,
    stderr=subprocess.PIPE,
    text=True,
  )
  start, costs, times = time.perf_counter(), [], []
  for line in process.stderr:
    if "iter:" in line:
      times.append(time.perf_counter() - start)
      costs.append(float(line.split("cost:")[1]))
    if "saving intermediate" in line:
      start = time.perf_counter()
  process.wait()
  if process.returncode or len(costs) != FLAGS.passes:
    raise SystemExit(f"glove stopped with exit code {process.returncode}")
  peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
  for number, (cost, took) in enumerate(zip(costs, times, strict=True), 1):
    path = workdir / f"stanford.{number:03d}.bin"
    if number == FLAGS.passes and not path.exists():
      path = workdir / "stanford.bin"
    table = np.fromfile(path).reshape(2, counts.vocab_size, dim() + 1)
    path.unlink()
    seconds += took
    word, context = table[:, :, :-1]
    rate = len(counts.row) / took
    passes.append(Pass(seconds, took, rate, True, cost, *judge(word, context)))
    show("stanford", number, passes[-1])
  return passes, peak


def run_side(workdir, side: str) -> tuple[list[Pass], float]:
  """Runs one of ours in a process of its own, as the C program's is."""
  context = multiprocessing.get_context("spawn")
  queue = context.Queue()
  process = context.Process(target=race, args=(queue, workdir, side, dim()))
  process.start()
  passes = []
  while isinstance(item := queue.get(), Pass):
    passes.append(item)
    show(side, len(passes), item)
  process.join()
  return passes, item


def race(queue, workdir, side: str, dim: int) -> None:
  """Trains; puts a Pass a pass into the queue and, last, the peak in GB."""
  given = config.PRESETS.get(side) or {"engine": side}
  settings = config.make_config(**given | {"dim": dim}).train
  judge = Judge(vocab.read_vocab(workdir / "vocab.txt").words)
  start, judging, peak = time.perf_counter(), 0.0, 0.0
  counts = triplets.read_triplets(workdir / "counts")
  engine = engines.make_engine(counts, settings)
  state = engine.init(engines.initial_params(counts, settings))
  for epoch in range(1, len(engine.epochs) + 1):
    state, line = train.run_epoch(engine, state, epoch)
    params = engine.params(state)
    before = time.perf_counter()
    peak = max(peak, resident() if peak else peak_resident())
    quality = judge(np.asarray(params.word), np.asarray(params.context))
    queue.put(
      Pass(
        before - start - judging,
        line["seconds"],
        line["triplets_per_second"],
        engine.epochs[epoch - 1].num_triplets == len(counts.row),
        line["cost"],
        *quality,
      )
    )
    judging += time.perf_counter() - before
  queue.put(peak)


def peak_resident() -> float:
  """The most memory that this process ever held, in GB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def resident() -> float:
  """The memory that this process holds now, in GB: judging left no trace."""
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
  return pages * resource.getpagesize() / 1e9


def show(side: str, number: int, made: Pass) -> None:
  print(
    f"{side:10s} pass {number:3d}  {made.seconds:8.1f} s  "
    f"cost {made.cost:.5f}  google {made.google:.4f}  "
    f"wordsim353 {made.wordsim353:.4f}  simlex999 {made.simlex999:.4f}",
    flush=True,
  )


def seconds_to(passes: list[Pass], target: Pass) -> float | None:
  """When a side first is as good as the target; None if it never is."""
  for made in passes:
    if (
      made.google >= target.google - 0.005
      and made.wordsim353 >= target.wordsim353 - 0.01
    ):
      return made.seconds
  return None


def report(workdir, sides: dict) -> None:
  """Prints the table and the two ratios; writes results.json and the plot."""
  record = {
    side: {"peak_gb": peak, "passes": [vars(made) for made in passes]}
    for side, (passes, peak) in sides.items()
  }
  (workdir / "results.json").write_text(json.dumps(record, indent=2))
  plot(workdir / "quality.png", sides)
  target = sides["stanford"][0][-1] if "stanford" in sides else None
  print(f"\n{'':10s} s/pass  triplets/s  peak GB  s to the C quality")
  rates, reached = {}, {}
  for side, (passes, peak) in sides.items():
    whole = [made for made in passes if made.whole]
    rates[side] = statistics.median(p.triplets_per_second for p in whole)
    took = statistics.median(made.pass_seconds for made in whole)
    reached[side] = target and seconds_to(passes, target)
    needed = f"{reached[side]:.1f}" if reached[side] else "-"
    print(
      f"{side:10s} {took:6.1f}  {rates[side]:10,.0f}  {peak:7.2f}  {needed}"
    )
  if target is None:
    return
  first = FLAGS.sides[0]
  print(f"triplets_per_second_ratio: {rates[first] / rates['stanford']:.2f}")
  ratio = target.seconds / reached[first] if reached[first] else 0.0
  print(f"time_to_quality_ratio: {ratio:.2f}")


def plot(path: pathlib.Path, sides: dict) -> None:
  """Quality over seconds, a panel a question set."""
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
    for (side, (passes, _)), mark in zip(sides.items(), "os^D", strict=False):
      axis.plot(
        [made.seconds for made in passes],
        [getattr(made, name) for made in passes],
        marker=mark,
        label=side,
      )
    axis.set(xscale="log", xlabel="seconds of training", title=title)
    axis.grid(alpha=0.3)
  axes[0].legend()
  figure.savefig(path, dpi=120)


if __name__ == "__main__":
  app.run(main)
