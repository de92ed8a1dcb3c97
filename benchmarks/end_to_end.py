"""Times the whole way from a text to word vectors, for ours and for others.

  python benchmarks/end_to_end.py --corpus=wiki.txt --stanford=GloVe/build
  python benchmarks/end_to_end.py --corpus=wiki.txt

The sides, one after another, each program in a process of its own:

| side | what is timed |
|---|---|
| ours | `run.py train`, with evaluation; changed by --ours="--preset=glove" |
| stanford | vocab_count, cooccur, shuffle, glove; left out without --stanford |
| cbow, sgns | gensim's Word2Vec (--gensim=cbow,sgns) |

All read one file of tokens, which our tokenizer `word` writes first. Times are
wall times of whole processes, imports included, but gensim's side leaves out
the start of Python. All vectors answer the same evaluation sets (--sets adds a
folder of them); only ours are charged for it, as run.py evaluates too.

The quality of a side is the mean of its scores. The time of ours to the quality
of another side is that of all stages before training, and of training from the
same counts once more, in another process, up to the first pass whose vectors
are as good; between passes the clock stands still. The last line is the time
of the C programs divided by that; without them, that of gensim's first side. It
is 0 if ours does not get there.
"""

import contextlib
import dataclasses
import pathlib
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks import c_programs, quality, quality_table, trainers
from benchmarks.processes import Stage, apart, timed
from glove_jax import atomic, config
from glove_jax.settings import setting
from glove_jax.vectors import formats
from glove_jax.vectors.word_vectors import WordVectors

REPO = pathlib.Path(__file__).parent.parent


@dataclasses.dataclass(frozen=True)
class Options(trainers.Shared):
  """The flags of this benchmark."""

  stanford: str = setting("", "folder of Stanford's built programs")
  gensim: tuple[str, ...] = setting(("cbow",), "sides of gensim")
  window: int = setting(15, "the window of the C programs", low=1)
  passes: int = setting(15, "passes of the C program", low=1)
  memory_gb: float = setting(4.0, "memory for counting, on both sides", low=0)
  threads: int = setting(2, "threads of all sides", low=1)


class Side(NamedTuple):
  """What one side came to."""

  stages: list[Stage]
  quality: float  # the mean of its scores

  @property
  def seconds(self) -> float:
    return sum(stage.seconds for stage in self.stages)


class Pass(NamedTuple):
  """A pass of our training."""

  seconds: float  # since training began
  quality: float


def main(argv) -> None:
  del argv
  from glove_jax import command_line

  options = Options(**command_line.given(dataclasses.fields(Options)))
  check(options)
  with contextlib.ExitStack() as stack:
    folder = options.workdir or stack.enter_context(
      tempfile.TemporaryDirectory()
    )
    compare(options, pathlib.Path(folder))


def check(options: Options) -> None:
  """Refuses flags that would only fail after hours."""
  if not options.corpus:
    raise SystemExit("--corpus names no text.")
  if options.stanford and (lost := c_programs.missing(options.stanford)):
    raise SystemExit(
      f"{options.stanford} does not contain the program {lost}: build it first."
    )
  if unknown := set(options.gensim) - {*trainers.GENSIM}:
    raise SystemExit(
      f"gensim has no side {min(unknown)!r}: use {', '.join(trainers.GENSIM)}."
    )
  if options.sets and not pathlib.Path(options.sets).is_dir():
    raise SystemExit(f"--sets: there is no folder {options.sets}.")
  trainers.check(options, "ours", ("memory_gb", "threads"))


def compare(options: Options, folder: pathlib.Path) -> dict[str, Side]:
  """Runs all sides, and prints the table and the ratio."""
  folder.mkdir(parents=True, exist_ok=True)
  folder = folder.resolve()
  tokens = folder / "tokens.txt"
  num_tokens, _ = quality.write_tokens(judging(options), tokens)
  print(f"{num_tokens:,} tokens", flush=True)
  with tempfile.TemporaryDirectory(dir=folder) as scratch:
    apart(quality.warm_up, tokens, pathlib.Path(scratch))
  sides = {"ours": run_ours(options, folder)}
  passes = run_passes(options, folder)
  if options.stanford:
    sides["stanford"] = run_stanford(options, folder)
  else:
    print("Without --stanford: ours and gensim's word2vec only.", flush=True)
  for side in options.gensim:
    sides[side] = run_gensim(options, folder, side)
  print(report(sides, passes), flush=True)
  if options.workdir:
    record = {name: side._asdict() for name, side in sides.items()}
    record |= {"passes": passes, "options": dataclasses.asdict(options)}
    atomic.write_json(folder / "end_to_end.json", record)
  return sides


def judging(options: Options) -> quality.Options:
  """The same options for the parts of `quality.py`."""
  names = [field.name for field in dataclasses.fields(trainers.Shared)]
  return quality.Options(
    workers=options.threads, **{n: getattr(options, n) for n in names}
  )


def run_ours(options: Options, folder: pathlib.Path) -> Side:
  """Runs `run.py train` up to the evaluation."""
  run, log = folder / "ours", folder / "ours.log"
  atomic.remove(run)
  given = trainers.our_settings("ours", options)
  given |= trainers.our_values(folder / "tokens.txt")
  given |= {"threads": options.threads, "memory_gb": options.memory_gb}
  command = [sys.executable, REPO / "run.py", "train", f"--workdir={run}"]
  command += [flag_of(name, value) for name, value in given.items()]
  whole = timed(command, output=log)
  stages = split_stages(log.read_text(), whole)
  vectors = formats.load_vectors(run / "vectors.txt")
  return show("ours", Side(stages, judge(vectors, options)))


def flag_of(name: str, value) -> str:
  """A setting as a flag.

  >>> flag_of("lowercase", False), flag_of("growth", ("8192:6", "32768:3"))
  ('--nolowercase', '--growth=8192:6,32768:3')
  """
  if isinstance(value, bool):
    return f"--{name}" if value else f"--no{name}"
  text = ",".join(value) if isinstance(value, tuple) else value
  return f"--{name}={text}"


def split_stages(log: str, whole: Stage) -> list[Stage]:
  """The stages that run.py reports, after what they leave of its time.

  >>> whole = Stage("run.py", 9.0, 1.5)
  >>> for stage in split_stages("vocab: 1.5 s\\nnews\\ntrain: 6.0 s", whole):
  ...   print(*stage)
  start 1.5 1.5
  vocab 1.5 1.5
  train 6.0 1.5
  """
  lines = re.findall(r"^(\w+): ([\d.]+) s$", log, re.MULTILINE)
  stages = [Stage(name, float(took), whole.peak_gb) for name, took in lines]
  rest = whole.seconds - sum(stage.seconds for stage in stages)
  return [Stage("start", rest, whole.peak_gb), *stages]


def run_passes(options: Options, folder: pathlib.Path) -> list[Pass]:
  """Trains once more, and judges the vectors of each pass."""
  settings = trainers.our_settings("ours", options)
  apart(train_in_passes, folder / "ours", settings, folder)
  words = (folder / "words.txt").read_text().split("\n")
  passes = []
  for number, seconds in enumerate(atomic.read_json(folder / "seconds.json")):
    path = folder / f"pass-{number}.npy"
    vectors = WordVectors(words, np.load(path))
    passes.append(Pass(seconds, judge(vectors, options)))
    path.unlink()
  return passes


def train_in_passes(
  run: pathlib.Path, settings: dict, folder: pathlib.Path
) -> None:
  """Writes the vectors after each pass, and the seconds without writing."""
  start = time.perf_counter()
  from glove_jax.counts import triplets
  from glove_jax.text import vocab
  from glove_jax.training import loop, preparation
  from glove_jax.workdir import artifacts

  made = config.make_config(**settings)
  words, waited = vocab.read_vocab(run / "vocab.txt").words, 0.0
  counts, seconds = triplets.read_triplets(run / "counts"), []
  with tempfile.TemporaryDirectory(dir=folder) as tiles:
    engine, state = preparation.prepare(counts, made.train, tiles_folder=tiles)
    for number in range(len(engine.epochs)):
      state, _ = loop.run_epoch(engine, made.train, state, number + 1)
      params = engine.params(state)
      vectors = artifacts.make_vectors(words, params, made.vectors)
      before = time.perf_counter()
      seconds.append(before - start - waited)
      np.save(folder / f"pass-{number}.npy", vectors.vectors)
      waited += time.perf_counter() - before
  atomic.write_text(folder / "words.txt", "\n".join(vectors.words))
  atomic.write_json(folder / "seconds.json", seconds)


def run_stanford(options: Options, folder: pathlib.Path) -> Side:
  """Runs the C programs with the settings of their demo.sh."""
  stages = c_programs.count(
    options.stanford,
    folder / "tokens.txt",
    folder,
    min_count=options.min_count,
    window=options.window,
    memory_gb=options.memory_gb,
  )
  command = c_programs.glove(
    options.stanford,
    folder,
    dim=options.dim,
    passes=options.passes,
    threads=options.threads,
  )
  stages.append(timed([*command, "-binary", 0, "-verbose", 0], folder=folder))
  for name in (c_programs.PAIRS, c_programs.SHUFFLED):
    (folder / name).unlink()
  vectors = formats.load_vectors(folder / "stanford.txt")
  return show("stanford", Side(stages, judge(vectors, options)))


def run_gensim(options: Options, folder: pathlib.Path, side: str) -> Side:
  """Trains a model of gensim, always anew, as its seconds are compared."""
  values = quality.side_settings(side, 0, judging(options))
  record, vectors = trainers.train(
    side, values, folder / "tokens.txt", folder / side
  )
  training, whole = record["training_seconds"], record["seconds"]
  stages = [
    Stage("vocabulary", whole - training, record["peak_gb"]),
    Stage("train", training, record["peak_gb"]),
  ]
  return show(side, Side(stages, judge(vectors, options)))


def judge(vectors: WordVectors, options: Options) -> float:
  """The mean of the scores of vectors on all sets."""
  scores = quality.judge(vectors, judging(options))
  (mean,) = quality_table.means([{"scores": scores}])
  return mean


def show(name: str, side: Side) -> Side:
  print(f"{name}: {side.seconds:.1f} s, mean {side.quality:.4f}", flush=True)
  return side


def seconds_to(
  quality: float, ours: Side, passes: Sequence[Pass]
) -> float | None:
  """When ours is as good as this, from the text on; None if it never is."""
  after = ("train", "vectors", "evaluate")
  before = sum(s.seconds for s in ours.stages if s.name not in after)
  for made in passes:
    if made.quality >= quality:
      return before + made.seconds
  return None


def report(sides: Mapping[str, Side], passes: Sequence[Pass]) -> str:
  """The stages of all sides, times to their quality, and the ratio."""
  lines = ["", "| side | stage | s | peak memory, GB |", "|---|---|---|---|"]
  for name, side in sides.items():
    for stage in side.stages:
      cells = stage.name, f"{stage.seconds:.2f}", f"{stage.peak_gb:.2f}"
      lines.append(f"| {name} | {' | '.join(cells)} |")
    peak = max(stage.peak_gb for stage in side.stages)
    lines.append(f"| {name} | all | {side.seconds:.2f} | {peak:.2f} |")
  lines += ["", "| quality of | mean | its s | s of ours to it |"]
  lines.append("|---|---|---|---|")
  ratios = []
  for name, side in list(sides.items())[1:]:
    needed = seconds_to(side.quality, sides["ours"], passes)
    ratios.append(side.seconds / needed if needed else 0.0)
    reached = f"{needed:.2f}" if needed else "-"
    cells = f"{side.quality:.4f}", f"{side.seconds:.2f}", reached
    lines.append(f"| {name} | {' | '.join(cells)} |")
  if ratios:
    lines.append(f"end_to_end_ratio: {ratios[0]:.2f}")
  return "\n".join(lines)


if __name__ == "__main__":
  from glove_jax import command_line

  command_line.define_flags(Options)
  flags.adopt_module_key_flags(command_line)  # --help shows them
  app.run(main)
