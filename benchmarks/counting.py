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

from benchmarks import c_programs  # noqa: E402
from benchmarks.processes import Stage, timed  # noqa: E402
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
  lambda folder: (
    not folder or not c_programs.missing(folder, c_programs.PROGRAMS[:3])
  ),
  "that folder needs vocab_count, cooccur and shuffle: build them first",
)
flags.register_validator(
  "scratch", lambda path: not path or os.path.isdir(path), "no such folder"
)
FLAGS = flags.FLAGS


class Side(NamedTuple):
  """What one run of a side came to."""

  stages: list[Stage]
  written: list[int]  # bytes that each stage leaves


def main(_) -> None:
  with tempfile.TemporaryDirectory(dir=FLAGS.scratch) as folder:
    scratch = pathlib.Path(folder)
    text = pathlib.Path(FLAGS.corpus)
    if FLAGS.quick:
      text = c_programs.tenth(text, scratch / "tenth.txt")
    _ours(text, scratch / "first")  # fills the caches of numba and of files
    print("with an empty cache of compiled loops:")
    _show([_ours(text, scratch / "cold", cache=scratch / "cache")])
    sides = {"stanford": [], "ours": []}
    for _ in range(FLAGS.repeats):
      sides["stanford"].append(_stanford(text, scratch))
      sides["ours"].append(_ours(text, scratch / "ours"))
    totals = {}
    for side, runs in sides.items():
      print(f"{side}, medians of {len(runs)}:")
      totals[side] = _show(runs)
    _compare(text, scratch)
    print(f"ratio: {totals['stanford'] / totals['ours']:.1f}")


def _stanford(text: pathlib.Path, scratch: pathlib.Path) -> Side:
  stages = c_programs.count(
    FLAGS.stanford,
    text,
    scratch,
    min_count=FLAGS.min_count,
    window=FLAGS.window,
    memory_gb=FLAGS.memory_gb,
  )
  files = c_programs.VOCAB, c_programs.PAIRS, c_programs.SHUFFLED
  return Side(stages, [(scratch / name).stat().st_size for name in files])


def _ours(text, workdir, cache=None, dtype="float32") -> Side:
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
  stage = timed(command, environment=environment)._replace(name="run.py count")
  files = [path for path in workdir.rglob("*") if path.is_file()]
  return Side([stage], [sum(path.stat().st_size for path in files)])


def _show(runs: list[Side]) -> float:
  """Prints the medians of each stage; returns the median of their sum."""
  median = statistics.median
  for i, stage in enumerate(runs[0].stages):
    seconds = median(run.stages[i].seconds for run in runs)
    peak_gb = median(run.stages[i].peak_gb for run in runs)
    written = median(run.written[i] for run in runs)
    print(
      f"  {stage.name:12} {seconds:7.2f} s  peak {peak_gb:5.2f} GB  "
      f"leaves {written / 1e9:5.2f} GB"
    )
  total = median(sum(stage.seconds for stage in run.stages) for run in runs)
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
  for theirs in stanford.read_record_blocks(scratch / c_programs.PAIRS):
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
