"""Counts six copies of a corpus within 1 GB, and checks every count.

  python benchmarks/counting_memory.py --corpus=wiki.txt

Each word gets the letter of its copy as a prefix, so no two copies share a
word. The counts of the copies must then equal six times those of one copy,
which is counted with the default memory.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

REPO = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(REPO))

from glove_jax.counts import column_files, triplets  # noqa: E402
from glove_jax.text import vocab  # noqa: E402

flags.DEFINE_string("corpus", None, "the text, with spaces between words")
flags.DEFINE_string("scratch", None, "folder for temporary files")
flags.DEFINE_integer("copies", 6, "number of copies", upper_bound=26)
flags.DEFINE_float("memory_gb", 1.0, "memory for counting the copies")
flags.DEFINE_integer("window", 15, "words to each side")
flags.mark_flags_as_required(["corpus"])
flags.register_validator(
  "corpus", lambda path: path and os.path.isfile(path), "no such file"
)
flags.register_validator(
  "scratch", lambda path: not path or os.path.isdir(path), "no such folder"
)
FLAGS = flags.FLAGS


def main(_) -> None:
  with tempfile.TemporaryDirectory(dir=FLAGS.scratch) as folder:
    scratch = pathlib.Path(folder)
    _count(FLAGS.corpus, scratch / "one", 0)
    copies = scratch / "copies.txt"
    words = _write_copies(pathlib.Path(FLAGS.corpus), copies)
    peak = _count(copies, scratch / "copies", FLAGS.memory_gb)
    print(f"{words:,} words: peak {peak / 1e9:.3f} GB resident")
    size = _compare(scratch / "one", scratch / "copies")
    print(f"all {size:,} counts equal those of one copy, bit for bit")


def _write_copies(source: pathlib.Path, target: pathlib.Path) -> int:
  words = 0
  with target.open("wb") as file:
    for copy in range(FLAGS.copies):
      letter = b"abcdefghijklmnopqrstuvwxyz"[copy : copy + 1]
      with source.open("rb") as lines:
        for line in lines:
          tokens = line.split()
          words += len(tokens)
          file.write(b" ".join(letter + token for token in tokens) + b"\n")
  return words


def _count(corpus, workdir: pathlib.Path, memory_gb: float) -> int:
  """Counts with run.py; returns the peak memory in bytes."""
  process = subprocess.Popen(
    [
      sys.executable, REPO / "run.py", "count", f"--corpus={corpus}",
      f"--workdir={workdir}", f"--window={FLAGS.window}",
      "--tokenizer=whitespace", "--nolowercase", f"--memory_gb={memory_gb}",
    ],
  )  # fmt: skip
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  if process.returncode:
    raise RuntimeError(f"run.py count failed with {process.returncode}")
  return usage.ru_maxrss * 1024


def _compare(one: pathlib.Path, copies: pathlib.Path) -> int:
  """Looks up each count of the multiplied text in the counts of one copy.

  Raises:
    ValueError: the numbers of counts or the counts themselves differ.
  """
  old, new = (triplets.read_triplets(path / "counts") for path in (one, copies))
  words = vocab.read_vocab(one / "vocab.txt")
  names = vocab.read_vocab(copies / "vocab.txt").words
  ids = np.array([words.index[name[1:]] for name in names])
  letter = np.array([ord(name[0]) for name in names])
  if len(new.row) != FLAGS.copies * len(old.row):
    raise ValueError(
      f"The copies have {len(new.row)} counts, one has {len(old.row)}."
    )
  keys = old.row.astype(np.int64) << 32 | old.col
  for shard in column_files.read_manifest(copies / "counts")["shards"]:
    part = slice(shard["start"], shard["start"] + shard["size"])
    row, col = new.row[part], new.col[part]
    wanted = ids[row] << 32 | ids[col]
    found = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    same = keys[found] == wanted
    same &= letter[row] == letter[col]
    if not (same & (old.count[found] == new.count[part])).all():
      raise ValueError(f"The counts differ, from {part.start} on.")
    triplets.release(new)
  return len(new.row)


if __name__ == "__main__":
  app.run(main)
