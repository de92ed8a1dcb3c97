"""What a run survives: kills, failing writes, damaged files, changed inputs.

  python benchmarks/faults.py
  python benchmarks/faults.py --kills=25 --first=50 --writes=0 --damages=0

Each trial does one thing to a work directory, and gives the command of the run
again. A trial of damage first gives every command that reads. The tally says
how the trials ended:

  same      the result has the bytes of an undisturbed run
  said      one sentence and a non-zero exit code, and nothing wrong was kept;
            or the same bytes, and a sentence on what is not shown
  WRONG     exit code 0 and other bytes or another output
  TRACEBACK an error that is not one sentence
  HANG      no end within --timeout seconds

The exit code is 0 if every trial ended in one of the first two. Trials are
numbered, and each depends on --seed and its number alone: --first=50 continues
with trial 50 of each kind, so that a long series can be run in parts.

The commands run in processes forked from one that has imported the package, as
run.py would run them. 100 kills take about 10 minutes on 2 cores.
"""

import argparse
import hashlib
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

RESULTS = (
  "vocab.txt", "counts/row.npy", "counts/col.npy", "counts/count.npy",
  "tables.npz", "vectors.txt", "evaluation.json",
)  # fmt: skip
SETTINGS = (
  "--analogies=", "--dim=8", "--window=3", "--growth=32:2", "--epochs=3",
  "--tile_size=16", "--threads=1",
)  # fmt: skip
READING = {
  "neighbors": ("neighbors", "w1", "w2"),
  "similarity": ("similarity", "w1", "w2"),
  "analogy": ("analogy", "w1", "w2", "w3"),
  "evaluate": ("evaluate", "--analogies="),
  "export vectors": ("export", "--output={out}"),
  "export tables": ("export", "--format=npz", "--output={out}"),
  "export counts": ("export", "--format=stanford_records", "--output={out}"),
}
DAMAGES = ("emptied", "halved", "flipped", "removed", "garbage")


class Done(NamedTuple):
  """A command that has ended."""

  code: int | None  # None if it hangs
  stdout: str
  stderr: str


def work(arguments: list[str], output: str, limit: int) -> None:
  """Runs a command in a new process, as run.py does."""
  from glove_jax import commands

  for number, name in ((1, "out"), (2, "err")):
    with open(f"{output}.{name}", "wb") as file:
      os.dup2(file.fileno(), number)
  sys.stdin.close()
  if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
  sys.argv = ["run.py", *arguments]
  commands.main()


class Lab:
  """A text, the settings of a run on it, and an undisturbed run."""

  def __init__(self, folder: pathlib.Path, timeout: float):
    self.folder, self.timeout, self._number = folder, timeout, 0
    self._fork = multiprocessing.get_context("forkserver")
    self._fork.set_forkserver_preload(["glove_jax.commands"])
    self.text = folder / "text.txt"
    self.text.write_text(make_text(0))
    self.pairs = folder / "pairs.tsv"
    self.pairs.write_text("w1\tw2\t9\nw3\tw4\t5\nw5\tw60\t1\n")
    self.sound = folder / "sound"
    self.run(folder / "warm")  # numba compiles what it does not remember
    start = time.perf_counter()
    done = self.run(self.sound)
    self.seconds = time.perf_counter() - start
    if done.code:
      sys.exit(f"The undisturbed run failed: {done.stderr}")
    self.bytes = digest(self.sound)
    # What a run says of its results, after what it did for them.
    self.summary = done.stdout[done.stdout.index("cost per count") :]
    asked = shutil.copytree(self.sound, folder / "asked")
    self.answers = {name: self.read(asked, name) for name in READING}

  def arguments(self, workdir: pathlib.Path, *command: str) -> list[str]:
    settings = () if command else SETTINGS
    files = [] if command else [f"--corpus={self.text}"]
    if not command or "evaluate" in command:
      files.append(f"--similarity={self.pairs}")
    return [*command, *files, *settings, f"--workdir={workdir}"]

  def start(self, arguments: list[str], limit: int = 0):
    """Starts a command; `limit` is the largest file that it can write."""
    self._number += 1
    output = str(self.folder / f"output-{self._number}")
    process = self._fork.Process(target=work, args=(arguments, output, limit))
    process.start()
    return process, output

  def finish(self, process, output: str) -> Done:
    process.join(self.timeout)
    code = process.exitcode
    if code is None:
      process.kill()
      process.join()
    texts = []
    for name in ("out", "err"):
      path = pathlib.Path(f"{output}.{name}")
      texts.append(path.read_text() if path.exists() else "")
      path.unlink(missing_ok=True)
    return Done(code, *texts)

  def run(self, workdir: pathlib.Path, *command: str, limit: int = 0) -> Done:
    return self.finish(*self.start(self.arguments(workdir, *command), limit))

  def read(self, workdir: pathlib.Path, name: str) -> tuple[Done, bytes]:
    """Gives a command that reads; also returns the file that it writes."""
    out = self.folder / "exported"
    out.unlink(missing_ok=True)
    done = self.run(workdir, *(x.format(out=out) for x in READING[name]))
    return done, out.read_bytes() if out.exists() else b""

  def judge(self, workdir: pathlib.Path) -> str:
    """Gives the same command again, and says how that ends."""
    done = self.run(workdir)
    if done.code != 0:
      return judge_message(done)
    if digest(workdir) != self.bytes:
      return "WRONG"
    if self.summary in done.stdout:
      return "same"
    return "said" if "is not as it was written" in done.stdout else "WRONG"


def make_text(seed: int, num_lines: int = 600) -> str:
  """Lines of 30 words w1 to w100, drawn by Zipf's law."""
  rng = random.Random(seed)
  weights = [1 / rank for rank in range(1, 101)]
  words = [f"w{rank}" for rank in range(1, 101)]
  lines = (
    " ".join(rng.choices(words, weights, k=30)) for _ in range(num_lines)
  )
  return "\n".join(lines) + "\n"


def digest(workdir: pathlib.Path) -> dict[str, str]:
  """The hashes of a run's results."""
  return {
    name: hashlib.sha256((workdir / name).read_bytes()).hexdigest()
    for name in RESULTS
    if (workdir / name).exists()
  }


def judge_message(done: Done) -> str:
  if done.code is None:
    return "HANG"
  lines = done.stderr.strip().splitlines()
  sentence = lines and lines[-1].startswith("run.py: ")
  return "said" if sentence and "Traceback" not in done.stderr else "TRACEBACK"


def kill(lab: Lab, workdir: pathlib.Path, rng: random.Random, number) -> str:
  """Kills a run at a random moment of all its stages."""
  process, output = lab.start(lab.arguments(workdir))
  process.join(rng.uniform(0, 1.05) * lab.seconds)
  if process.exitcode is None:
    process.kill()
  lab.finish(process, output)
  return lab.judge(workdir)


def fail_write(lab: Lab, workdir: pathlib.Path, rng, number) -> str:
  """Lets no file grow beyond a random size, as on a full disk."""
  done = lab.run(workdir, limit=int(10 ** rng.uniform(1.5, 5)))
  if done.code != 0 and judge_message(done) != "said":
    return f"{judge_message(done)} (first: {done.stderr[-300:]!r})"
  return lab.judge(workdir)


def damage(lab: Lab, workdir: pathlib.Path, rng, number: int) -> str:
  """Damages one file of a finished run, reads it, and runs it again."""
  files = sorted(p for p in lab.sound.rglob("*") if is_result(p))
  path, how = [(p, how) for p in files for how in DAMAGES][
    number % (len(files) * len(DAMAGES))
  ]
  path = workdir / path.relative_to(lab.sound)
  verdicts = []
  for name in (*READING, "train"):
    shutil.rmtree(workdir, ignore_errors=True)
    shutil.copytree(lab.sound, workdir)
    damage_file(path, how, rng)
    if name == "train":
      verdict = lab.judge(workdir)
    else:
      verdict = compare(lab, workdir, name)
    bad = verdict not in ("same", "said")
    where = f" ({name}, {path.relative_to(workdir)} {how})" if bad else ""
    verdicts.append(verdict + where)
  return "; ".join(verdicts)


def is_result(path: pathlib.Path) -> bool:
  return path.is_file() and not path.name.startswith(".")


def damage_file(path: pathlib.Path, how: str, rng: random.Random) -> None:
  data = bytearray(path.read_bytes())
  if how == "removed":
    path.unlink()
    return
  if how == "flipped" and data:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
  elif how == "halved":
    data = data[: len(data) // 2]
  else:
    data = b"" if how == "emptied" else rng.randbytes(50)
  path.write_bytes(data)


def compare(lab: Lab, workdir: pathlib.Path, name: str) -> str:
  """Whether a command says the same of a damaged run as of the sound one."""
  sound, content = lab.answers[name]
  done, found = lab.read(workdir, name)
  if done.code != 0:
    return judge_message(done)
  same = (done.stdout, found) == (sound.stdout, content)
  return "same" if same else "WRONG"


def change(lab: Lab, workdir: pathlib.Path, rng, number: int) -> str:
  """Another text under the same name, size and time, while a run is stopped."""
  shutil.copytree(lab.sound, workdir)
  stat = lab.text.stat()
  try:
    text = make_text(number + 1).ljust(stat.st_size)[: stat.st_size]
    lab.text.write_text(text)
    os.utime(lab.text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    fresh = workdir.with_name("fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    lab.run(fresh)
    lab.run(workdir)
    return "same" if digest(workdir) == digest(fresh) else "WRONG"
  finally:
    lab.text.write_text(make_text(0))


def run_twice(lab: Lab, workdir: pathlib.Path, rng, number) -> str:
  """Two runs in one folder: one is refused, and the other ends well."""
  children = [lab.start(lab.arguments(workdir)) for _ in range(2)]
  ended = [lab.finish(*child) for child in children]
  refused = any("Another process works in" in done.stderr for done in ended)
  good = refused and sorted(str(done.code) for done in ended) == ["0", "1"]
  return "same" if good and digest(workdir) == lab.bytes else "WRONG"


TRIALS: dict[str, Callable[..., str]] = {
  "kills": kill,
  "writes": fail_write,
  "damages": damage,
  "changes": change,
  "twice": run_twice,
}


def parse_arguments(arguments=None):
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  numbers = {
    "kills": (20, "runs that are killed at a random moment"),
    "writes": (10, "runs in which a write fails"),
    "damages": (55, "damaged files, each read by every command"),
    "changes": (1, "texts that are replaced"),
    "twice": (1, "pairs of runs in one folder"),
    "first": (0, "number of the first trial of each kind"),
    "seed": (0, "of the trials"),
    "timeout": (60, "seconds after which a command hangs"),
  }
  for name, (default, what) in numbers.items():
    parser.add_argument(f"--{name}", type=int, default=default, help=what)
  return parser.parse_args(arguments)


def main(arguments=None) -> int:
  options = parse_arguments(arguments)
  # Killed processes leave semaphores, which are removed at the end.
  os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:multiprocessing"
  bad = 0
  with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
    lab = Lab(pathlib.Path(folder), options.timeout)
    print(f"an undisturbed run: {lab.seconds:.1f} s", flush=True)
    for name, trial in TRIALS.items():
      tally = Counter()
      for number in range(options.first, options.first + vars(options)[name]):
        workdir = lab.folder / f"{name}-{number}"
        rng = random.Random(f"{options.seed} {name} {number}")
        verdicts = trial(lab, workdir, rng, number).split("; ")
        tally.update(verdicts)
        for verdict in {*verdicts} - {"same", "said"}:
          print(f"{name}, trial {number}: {verdict}", flush=True)
        shutil.rmtree(workdir, ignore_errors=True)
      bad += sum(tally.values()) - tally["same"] - tally["said"]
      words = ", ".join(f"{tally[how]} {how}" for how in sorted(tally))
      if vars(options)[name]:
        print(f"{name}: {vars(options)[name]} trials: {words}", flush=True)
  print(f"bad: {bad}")
  return 1 if bad else 0


if __name__ == "__main__":
  sys.exit(main())
