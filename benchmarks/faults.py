"""What a run survives: kills, failing writes, damaged files, changed inputs.

  python benchmarks/faults.py --kills=20 --damages=60 --writes=10

Each trial starts `run.py` on a small generated text in a new work directory,
does one thing to it, and gives the same command again. The tally says how the
trials ended:

  same      the result has the bytes of an undisturbed run
  said      one sentence and a non-zero exit code, and nothing wrong was kept
  WRONG     exit code 0 and other bytes
  TRACEBACK an error that is not one sentence
  HANG      no end within `--timeout` seconds

The exit code is 0 if every trial ended in one of the first two. 100 kills take
about 25 minutes on 2 cores.
"""

import hashlib
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

from absl import app, flags

REPO = pathlib.Path(__file__).parent.parent
RESULTS = (
  "vocab.txt", "counts/row.npy", "counts/col.npy", "counts/count.npy",
  "tables.npz", "vectors.txt", "evaluation.json",
)  # fmt: skip
READING = {
  "neighbors": ["neighbors", "w1", "w2"],
  "export": ["export", "--output={out}"],
}

flags.DEFINE_integer("kills", 20, "runs that are killed at a random moment")
flags.DEFINE_integer("writes", 10, "runs in which a write fails")
flags.DEFINE_integer("damages", 60, "damaged files")
flags.DEFINE_integer("timeout", 120, "seconds after which a command hangs")
flags.DEFINE_integer("seed", 0, "of the trials")
FLAGS = flags.FLAGS


class Lab:
  """A text, the settings of a run on it, and an undisturbed run."""

  def __init__(self, folder: pathlib.Path, rng: random.Random):
    self.folder, self.rng = folder, rng
    self.text = folder / "text.txt"
    self.text.write_text(self.make_text(0))
    self.pairs = folder / "pairs.tsv"
    self.pairs.write_text("w1\tw2\t9\nw3\tw4\t5\nw5\tw60\t1\n")
    self.sound = folder / "sound"
    start = time.perf_counter()
    done = self.run(self.sound)
    self.seconds = time.perf_counter() - start
    if done.returncode:
      sys.exit(f"The undisturbed run failed: {done.stderr}")
    self.bytes = digest(self.sound)

  def make_text(self, seed: int) -> str:
    rng = random.Random(seed)
    weights = [1 / rank for rank in range(1, 201)]
    words = [f"w{rank}" for rank in range(1, 201)]
    lines = (" ".join(rng.choices(words, weights, k=30)) for _ in range(2000))
    return "\n".join(lines) + "\n"

  def line(self, workdir: pathlib.Path, *command: str) -> list[str]:
    settings = [] if command else [
      f"--corpus={self.text}", f"--similarity={self.pairs}", "--analogies=",
      "--dim=16", "--window=5", "--growth=64:3", "--epochs=12",
      "--tile_size=32", "--threads=1",
    ]  # fmt: skip
    script = str(REPO / "run.py")
    return [
      sys.executable, script, *command, *settings, f"--workdir={workdir}"
    ]  # fmt: skip

  def run(self, workdir: pathlib.Path, *command: str, limit: int = 0):
    """Runs a command; `limit` is the largest file that it can write."""

    def set_limit():
      resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
      self.line(workdir, *command),
      capture_output=True,
      text=True,
      timeout=FLAGS.timeout,
      preexec_fn=set_limit if limit else None,
      check=False,
    )

  def judge(self, workdir: pathlib.Path) -> str:
    """Gives the same command again, and says how that ends."""
    try:
      done = self.run(workdir)
    except subprocess.TimeoutExpired:
      return "HANG"
    if done.returncode:
      return judge_message(done)
    return "same" if digest(workdir) == self.bytes else "WRONG"


def digest(workdir: pathlib.Path) -> dict[str, str]:
  """The hashes of a run's results."""
  return {
    name: hashlib.sha256((workdir / name).read_bytes()).hexdigest()
    for name in RESULTS
    if (workdir / name).exists()
  }


def judge_message(done) -> str:
  lines = done.stderr.strip().splitlines()
  sentence = lines and lines[-1].startswith("run.py: ")
  return "said" if sentence and "Traceback" not in done.stderr else "TRACEBACK"


def kill(lab: Lab, workdir: pathlib.Path) -> str:
  """Kills a run at a random moment of all its stages."""
  child = subprocess.Popen(
    lab.line(workdir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  try:
    child.wait(lab.rng.uniform(0.3, 1.1) * lab.seconds)
  except subprocess.TimeoutExpired:
    child.kill()
    child.wait()
  return lab.judge(workdir)


def fail_write(lab: Lab, workdir: pathlib.Path) -> str:
  """Lets no file grow beyond a random size, as on a full disk."""
  done = lab.run(workdir, limit=int(10 ** lab.rng.uniform(2, 5.5)))
  if done.returncode and judge_message(done) != "said":
    return "TRACEBACK"
  return lab.judge(workdir)


def damage(lab: Lab, workdir: pathlib.Path) -> str:
  """Damages one file of a finished run; reads it, and runs it again."""
  shutil.copytree(lab.sound, workdir)
  files = sorted(p for p in workdir.rglob("*") if p.is_file())
  path = lab.rng.choice([p for p in files if not p.name.startswith(".")])
  data = bytearray(path.read_bytes())
  how = lab.rng.choice(["emptied", "halved", "flipped", "removed", "garbage"])
  if how == "removed":
    path.unlink()
  elif how == "flipped" and data:
    data[lab.rng.randrange(len(data))] ^= 1 << lab.rng.randrange(8)
    path.write_bytes(data)
  elif how == "halved":
    path.write_bytes(data[: len(data) // 2])
  else:
    path.write_bytes(b"" if how == "emptied" else lab.rng.randbytes(50))
  name, command = lab.rng.choice(sorted(READING.items()))
  verdict = read(lab, workdir, command)
  if verdict not in ("same", "said"):
    return f"{verdict} ({name}, {path.relative_to(workdir)} {how})"
  verdict = lab.judge(workdir)
  if verdict in ("same", "said"):
    return verdict
  return f"{verdict} ({path.relative_to(workdir)} {how})"


def read(lab: Lab, workdir: pathlib.Path, command: list[str]) -> str:
  """A command that reads a run: what it says of the sound and the damaged."""
  outputs = []
  for folder in (lab.sound, workdir):
    out = lab.folder / "out.txt"
    out.unlink(missing_ok=True)
    try:
      done = lab.run(folder, *(part.format(out=out) for part in command))
    except subprocess.TimeoutExpired:
      return "HANG"
    if done.returncode:
      return judge_message(done)
    outputs.append((done.stdout, out.exists() and out.read_bytes()))
  return "same" if outputs[0] == outputs[1] else "WRONG"


def change(lab: Lab, workdir: pathlib.Path) -> str:
  """Another text under the same name, size and time, while a run is stopped."""
  shutil.copytree(lab.sound, workdir)
  stat = lab.text.stat()
  try:
    lab.text.write_text(lab.make_text(1).ljust(stat.st_size)[: stat.st_size])
    os.utime(lab.text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fresh = workdir.with_name("fresh")
    lab.run(fresh)
    lab.run(workdir)
    return "same" if digest(workdir) == digest(fresh) else "WRONG"
  finally:
    lab.text.write_text(lab.make_text(0))


def run_twice(lab: Lab, workdir: pathlib.Path) -> str:
  """Two runs in one folder: one is refused, and the other ends well."""
  children = [
    subprocess.Popen(
      lab.line(workdir),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.PIPE,
      text=True,
    )
    for _ in range(2)
  ]
  messages = [child.communicate(timeout=FLAGS.timeout)[1] for child in children]
  codes = sorted(child.returncode for child in children)
  refused = any("Another process works in" in text for text in messages)
  ended = codes == [0, 1] and refused
  return "same" if ended and digest(workdir) == lab.bytes else "WRONG"


def main(_):
  rng = random.Random(FLAGS.seed)
  trials = {
    "killed": (kill, FLAGS.kills),
    "a write fails": (fail_write, FLAGS.writes),
    "a damaged file": (damage, FLAGS.damages),
    "a changed text": (change, 1),
    "two runs at once": (run_twice, 1),
  }
  bad = 0
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    lab = Lab(pathlib.Path(folder), rng)
    print(f"an undisturbed run: {lab.seconds:.1f} s", flush=True)
    for name, (trial, number) in trials.items():
      tally = Counter()
      for i in range(number):
        workdir = lab.folder / f"{trial.__name__}-{i}"
        tally[trial(lab, workdir)] += 1
        shutil.rmtree(workdir, ignore_errors=True)
      bad += sum(tally.values()) - tally["same"] - tally["said"]
      words = ", ".join(f"{tally[how]} {how}" for how in sorted(tally))
      print(f"{name}: {number} trials: {words}", flush=True)
  print(f"bad: {bad}")
  sys.exit(bool(bad))


if __name__ == "__main__":
  app.run(main)
