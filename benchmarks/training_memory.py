"""Peak memory of training in a new process, and of the C program.

  python benchmarks/training_memory.py --counts=run/counts \\
    --stanford=GloVe/build
  python benchmarks/training_memory.py --counts=run/counts --ours=--missing=0

Ours is the peak of resident memory, libraries and pages mapped from files
included, and that of the part that is not from files. The C program trains on a
few counts of as many words, because its memory does not depend on the number of
counts. The last line is the ratio of the two peaks.
"""

import pathlib
import sys
import tempfile
import threading

import numpy as np
from absl import app, flags

REPO = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(REPO))

from benchmarks import c_programs, processes, trainers  # noqa: E402
from glove_jax import atomic  # noqa: E402

flags.DEFINE_string("counts", None, "the folder of counts of a run")
flags.DEFINE_string("ours", "", 'flags of run.py for ours: "--missing=0"')
flags.DEFINE_integer("dim", 100, "D, the dimensions of both sides")
flags.DEFINE_string("stanford", None, "folder of Stanford's built programs")
flags.DEFINE_string("scratch", None, "folder for temporary files")
flags.mark_flags_as_required(["counts"])
FLAGS = flags.FLAGS


def main(_) -> None:
  settings = {"dim": FLAGS.dim} | trainers.parse_settings(FLAGS.ours)
  with tempfile.TemporaryDirectory(dir=FLAGS.scratch) as folder:
    scratch = pathlib.Path(folder)
    processes.apart(train, FLAGS.counts, settings, scratch)
    ours = atomic.read_json(scratch / "peak.json")
    print(f"ours: {ours['all']:.3f} GB, {ours['anonymous']:.3f} not from files")
    if FLAGS.stanford:
      theirs = c_peak(FLAGS.stanford, ours["words"], scratch)
      print(f"C: {theirs:.3f} GB\nmemory_ratio: {ours['all'] / theirs:.2f}")


def train(counts: str, settings: dict, folder: pathlib.Path) -> None:
  """Trains on the counts in a folder, and writes the peaks to peak.json."""
  from glove_jax.config import make_config
  from glove_jax.counts.triplets import read_triplets
  from glove_jax.training.following import train_folder

  done, peaks = threading.Event(), [0.0]

  def watch() -> None:
    while not done.wait(0.01):
      peaks.append(max(peaks.pop(), processes.resident("RssAnon")))

  thread = threading.Thread(target=watch)
  thread.start()
  try:
    train_folder(counts, make_config(**settings).train, folder / "run")
  finally:
    done.set()
  thread.join()
  record = {"all": processes.high_water(), "anonymous": peaks[0]}
  record |= {"words": read_triplets(counts).vocab_size}
  atomic.write_json(folder / "peak.json", record)


def c_peak(programs: str, num_words: int, folder: pathlib.Path) -> float:
  """The peak of the C program with a vocabulary of a size, in GB."""
  words = "".join(f"w{i} 1\n" for i in range(num_words))
  (folder / c_programs.VOCAB).write_text(words)
  counts = np.ones(1000, [("row", "i4"), ("col", "i4"), ("count", "f8")])
  counts.tofile(folder / c_programs.SHUFFLED)
  command = c_programs.glove(
    programs, folder, dim=FLAGS.dim, passes=1, threads=2
  )
  return processes.timed([*command, "-verbose", 0], folder=folder).peak_gb


if __name__ == "__main__":
  app.run(main)
