"""Times Stanford's programs and this library on the same corpus.

  python benchmarks/counting.py --stanford=GloVe/build --corpus=wiki.txt

This needs the built programs of github.com/stanfordnlp/GloVe. Stanford's side
writes shuffled records (vocab_count, cooccur, shuffle). Our side (run.py count)
writes counts, which training can read in any order. Each program is a separate
process, timed from start to end, so our time includes Python's imports. The
bytecode of modules and the compiled loops are in the caches of Python and of
numba, as after any first run; one run with an empty cache of numba is timed
separately. The counts of both sides are compared. All figures are medians of
--repeats; the last line is Stanford's time divided by ours.

--quick uses a tenth of the text.
"""

import os
import pathlib
import shutil
import statistics
import sys
import tempfile
from typing import NamedTuple

import numpy as np
from absl import app, flags

REPO = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(REPO))

from benchmarks import processes  # noqa: E402
from glove_jax.counts import stanford, triplets  # noqa: E402

flags.DEFINE_string("stanford", None, "folder of Stanford's built programs")
flags.DEFINE_string("corpus", None, "the text, one document per line")
flags.DEFINE_string("scratch", None, "folder for temporary files")
flags.DEFINE_integer("window", 15, "words to each side")
flags.DEFINE_integer("min_count", 5, "smallest count of a word")
flags.DEFINE_float(
  "memory_gb", 4.0, "memory for Stanford's programs and for ours"
)
flags.DEFINE_integer("threads", 2, "threads of run.py")
flags.DEFINE_integer("repeats", 3, "how often to run both sides")
flags.DEFINE_bool("quick", False, "use a tenth of the text")
flags.mark_flags_as_required(["stanford", "corpus"])
flags.register_validator(
  "corpus", lambda path: path and os.path.isfile(path), "no such file"
)
flags.register_validator(
  "stanford",
  lambda folder: not folder or os.path.isfile(os.path.join(folder, "cooccur")),
  "the folder does not contain the program `cooccur`: build it first",
)
flags.register_validator(
  "scratch", lambda path: not path or os.path.isdir(path), "no such folder"
)
FLAGS = flags.FLAGS


class Stage(NamedTuple):
  """The time and space that one process used."""

  name: str
  seconds: float
  peak_gb: float  # of resident memory
  written: int  # bytes


def main(_) -> None:
  with tempfile.TemporaryDirectory(dir=FLAGS.scratch) as folder:
    scratch = pathlib.Path(folder)
    text = _text(scratch)
    _ours(text, scratch / "first")  # fills the caches of numba and of files
    print("with an empty cache of compiled loops:")
    _show([[_ours(text, scratch / "cold", cache=scratch / "cache")]])
    sides = {"stanford": [], "ours": []}
    for _ in range(FLAGS.repeats):
      sides["stanford"].append(_stanford(text, scratch))
      sides["ours"].append([_ours(text, scratch / "ours")])
    totals = {}
    for side, runs in sides.items():
      print(f"{side}, medians of {len(runs)}:")
      totals[side] = _show(runs)
    _compare(text, scratch)
    print(f"ratio: {totals['stanford'] / totals['ours']:.1f}")


def _text(scratch: pathlib.Path) -> pathlib.Path:
  corpus = pathlib.Path(FLAGS.corpus)
  if not FLAGS.quick:
    return corpus
  tenth = scratch / "tenth.txt"
  left = corpus.stat().st_size // 10
  with corpus.open("rb") as source, tenth.open("wb") as target:
    for line in source:
      target.write(line)
      left -= len(line)
      if left < 0:
        break
  return tenth


def _stanford(text: pathlib.Path, scratch: pathlib.Path) -> list[Stage]:
  programs = pathlib.Path(FLAGS.stanford)
  memory = ["-memory", str(FLAGS.memory_gb), "-verbose", "0"]
  names = ("vocab.txt", "cooccurrence.bin", "cooccurrence.shuf.bin")
  vocab, pairs, shuffled = (scratch / name for name in names)
  window = ["-window-size", str(FLAGS.window), "-vocab-file", str(vocab)]
  count = ["-min-count", str(FLAGS.min_count), "-verbose", "0"]
  return [
    _timed([programs / "vocab_count", *count], text, vocab),
    _timed([programs / "cooccur", *memory, *window], text, pairs, scratch),
    _timed([programs / "shuffle", *memory], pairs, shuffled, scratch),
  ]


def _ours(text, workdir, cache=None, dtype="float32") -> Stage:
  """Counts with run.py in a new work directory."""
  shutil.rmtree(workdir, ignore_errors=True)
  environment = {"PYTHONDONTWRITEBYTECODE": ""}  # as by default
  if cache:
    environment["NUMBA_CACHE_DIR"] = str(cache)
  command = [
    sys.executable, REPO / "run.py", "count", f"--corpus={text}",
    f"--workdir={workdir}", "--tokenizer=whitespace", "--nolowercase",
    f"--window={FLAGS.window}", f"--min_count={FLAGS.min_count}",
    f"--memory_gb={FLAGS.memory_gb}", f"--threads={FLAGS.threads}",
    f"--count_dtype={dtype}",
  ]  # fmt: skip
  return _timed(command, os.devnull, workdir, environment=environment)


def _timed(command, source, target, folder=None, environment=None) -> Stage:
  """Runs a program that writes to `target`, a file or a new folder.

  Raises:
    RuntimeError: the program failed.
  """
  makes_folder = environment is not None
  output = os.devnull if makes_folder else target
  made = processes.timed(command, source, output, folder, environment)
  files = target.rglob("*") if makes_folder else [target]
  written = sum(file.stat().st_size for file in files if file.is_file())
  name = "run.py count" if makes_folder else made.name
  return Stage(name, made.seconds, made.peak_gb, written)


def _show(runs: list[list[Stage]]) -> float:
  """Prints the medians of each stage; returns the median of their sum."""
  for stages in zip(*runs, strict=True):
    seconds, peak_gb, written = (
      statistics.median(values)
      for values in list(zip(*stages, strict=True))[1:]
    )
    print(
      f"  {stages[0].name:12} {seconds:7.2f} s  peak {peak_gb:5.2f} GB  "
      f"leaves {written / 1e9:5.2f} GB"
    )
  total = statistics.median(sum(s.seconds for s in stages) for stages in runs)
  print(f"  {'all':12} {total:7.2f} s", flush=True)
  return total


def _compare(text: pathlib.Path, scratch: pathlib.Path) -> None:
  """Compares our float64 counts with the C program's.

  Raises:
    ValueError: they differ by more than the rounding of the C program's sums.
  """
  _ours(text, scratch / "exact", dtype="float64")
  if (scratch / "vocab.txt").read_bytes() != (
    scratch / "exact" / "vocab.txt"
  ).read_bytes():
    raise ValueError("The vocabularies differ.")
  ours = triplets.read_triplets(scratch / "exact" / "counts")
  position, worst = 0, 0.0
  for theirs in stanford.read_record_blocks(scratch / "cooccurrence.bin"):
    part = slice(position, position + len(theirs.row))
    position = part.stop
    for name in ("row", "col"):
      if not np.array_equal(getattr(ours, name)[part], getattr(theirs, name)):
        raise ValueError(f"The {name}s differ, from {part.start} on.")
    count = ours.count[part]
    difference = np.abs(theirs.count - count) / count
    # A running sum of n terms rounds n - 1 times, and each term once.
    terms = FLAGS.window * count
    if (difference > (terms + 1) * 2.0**-53).any():
      raise ValueError(f"The counts differ, from {part.start} on.")
    worst = max(worst, float(difference.max()))
    triplets.release(ours)
  if position != len(ours.row):
    raise ValueError(
      f"There are {position} records but {len(ours.row)} counts."
    )
  print(
    f"both sides have the same words and the same {position:,} pairs; counts "
    f"differ by the C program's rounding only (at most {worst:.0e})"
  )


if __name__ == "__main__":
  app.run(main)
