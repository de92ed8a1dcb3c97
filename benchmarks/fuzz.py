"""Feeds damaged files and nonsense to every reader of the package.

  python benchmarks/fuzz.py --examples=1000
  python benchmarks/fuzz.py --only=sets,tables --examples=20000 --seed=7

For each reader in `fuzz_files` and `fuzz_runs`, Hypothesis makes inputs from
sound files: bytes flipped, cut, inserted and repeated, lines shuffled, JSON
values replaced, tokens of the file and nasty ones in any order, and bytes or
text at random.
An example fails if its reader

- raises an exception that its docstring does not name,
- raises one whose message does not name the file, or has several lines,
- reads a file wrongly, where there is a second way to read it,
- takes longer than --seconds, or more memory than --megabytes.

The last lines are a tally for each reader; the exit code is 1 if any example
failed. For each kind of failure the smallest input is shown, and is kept in the
folder --keep. Equal seeds give equal examples.
"""

import argparse
import collections
import contextlib
import copy
import gc
import json
import pathlib
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from typing import NamedTuple

import hypothesis
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks import fuzz_files, fuzz_runs, fuzz_samples
from benchmarks.fuzz_samples import Reader, Sample

READERS = [*fuzz_files.READERS, *fuzz_runs.READERS]

DAMAGES = ("flip", "cut", "insert", "token", "drop", "repeat")
NASTY = [
  b"", b" ", b"\t", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2",
  b"\xff\xfe", b"\x1b[2J", b"\xe2\x80\xae", b"\xed\xa0\x80", b"nan", b"-inf",
  b"1e999", b"-1", b"0", b"2147483648", b"9" * 19, b"9" * 5000, b"1_0", b"0x1",
  b"[" * 3000, b'{"a":' * 2000, b"{}", b"null", b'"', b"'", b"\\", b"\\ud800",
  b",", b";", b":", b"/", b"#", b"..", b"../../x", b"<unk>", b"PK\x03\x04",
  b"\x1f\x8b\x08", b"PAR1", b"a" * 2000, "é".encode(), "\u0661".encode(),
  "\u0130".encode(), "\u00b2".encode(), "\u200d".encode(),
]  # fmt: skip
VALUES = [
  None, True, -1, 0, 1, 3, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", "a",
  "\0", "../x", "\ud800", "float64", [], [[]], ["a"], [1, 2], {}, {"a": 1},
]  # fmt: skip
_TOKEN = re.compile(rb"[\w.+-]+|[^\w.+-]")
_MB = 1 << 20


class Timeout(BaseException):
  """An example takes too long; no reader catches this."""


class Failure(NamedTuple):
  """The smallest input of one kind of failure."""

  sample: Sample
  data: bytes
  story: str


class Tally:
  """What has become of the examples of one reader."""

  def __init__(self, reader: Reader):
    self.reader = reader
    self.outcomes = collections.Counter()
    self.failures: dict[str, Failure] = {}
    self.longest = 0.0  # seconds

  def line(self) -> str:
    counts = ", ".join(
      f"{n:,} {how}" for how, n in sorted(self.outcomes.items())
    )
    total = sum(self.outcomes.values())
    return (
      f"{self.reader.name:<14} {total:>7,} examples: {counts}; longest "
      f"{1000 * self.longest:.0f} ms"
    )


@st.composite
def edits(draw, content: bytes) -> bytes:
  """The content with one to eight small damages."""
  data = bytearray(content)
  for _ in range(draw(st.integers(1, 8))):
    kind = draw(st.sampled_from(DAMAGES))
    start = draw(st.integers(0, len(data)))
    if kind == "flip" and start < len(data):
      data[start] ^= draw(st.integers(1, 255))
    elif kind == "cut":
      del data[start:]
    elif kind == "insert":
      data[start:start] = draw(st.binary(max_size=9))
    elif kind == "token":
      data[start : start + draw(st.integers(0, 9))] = draw(
        st.sampled_from(NASTY)
      )
    else:
      part = data[start : start + draw(st.integers(1, 40))]
      data[start : start + len(part)] = part * (3 if kind == "repeat" else 0)
  return bytes(data)


@st.composite
def shuffled_lines(draw, content: bytes) -> bytes:
  lines = content.split(b"\n")
  return b"\n".join(draw(st.permutations(lines[:40]))) + b"\n"


@st.composite
def grammar(draw, content: bytes) -> bytes:
  """Tokens of the content and nasty ones, in any order."""
  tokens = sorted({*_TOKEN.findall(content[:2000])})
  one = st.sampled_from(tokens) | st.sampled_from(NASTY)
  return b"".join(draw(st.lists(one, max_size=60)))


@st.composite
def changed_json(draw, content: bytes) -> bytes:
  """The JSON with some values replaced, removed or put in other places."""
  root = [json.loads(content)]
  for _ in range(draw(st.integers(1, 3))):
    node, key = root, 0
    while isinstance(node[key], dict | list) and node[key]:
      if not draw(st.booleans()):
        break
      node = node[key]
      keys = sorted(node) if isinstance(node, dict) else range(len(node))
      key = draw(st.sampled_from(list(keys)))
    if node is not root and draw(st.integers(0, 3)) == 0:
      del node[key]
      continue
    node[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
  return json.dumps(root[0]).encode()


def inputs(sample: Sample) -> st.SearchStrategy[bytes]:
  """What one sample is turned into, before it is sealed."""
  content = sample.content
  ways = [
    edits(content), edits(content), shuffled_lines(content), grammar(content),
    st.binary(max_size=300), st.text(max_size=100).map(_to_bytes),
  ]  # fmt: skip
  if content[:1] in (b"{", b"["):
    with contextlib.suppress(ValueError):
      json.loads(content)
      ways += [changed_json(content)] * 3
  return st.one_of(ways)


def _to_bytes(text: str) -> bytes:
  return text.encode("utf-8", "surrogatepass")


@contextlib.contextmanager
def limits(seconds: float):
  """Raises Timeout in a block that takes too long."""

  def stop(number, frame):
    raise Timeout

  signal.signal(signal.SIGALRM, stop)
  signal.setitimer(signal.ITIMER_REAL, seconds)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)


def peak_megabytes() -> float:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def attempt(reader: Reader, path: pathlib.Path, options) -> tuple[str, str]:
  """Reads one input.

  Returns:
    What happened, and for failures where: an exception's type and line.
  """
  before = peak_megabytes()
  try:
    with limits(options.seconds):
      reader.read(path)
    how, where = "read", ""
  except reader.allowed as error:
    how, where = judge(reader, error, path)
  except Timeout as error:
    how, where = "HANG", place(error)
  except Exception as error:
    how, where = "UNDOCUMENTED", f"{type(error).__name__}, {place(error)}"
  if how[0].islower() and peak_megabytes() - before > options.megabytes:
    return "MEMORY", f"{peak_megabytes() - before:.0f} MB"
  return how, where


def judge(reader: Reader, error: Exception, path) -> tuple[str, str]:
  """Whether an exception that the reader may raise says what it should."""
  message = str(error)
  names = path.name, str(path.parent)
  if reader.names_file and not any(name in message for name in names):
    return "NAMELESS", f"{type(error).__name__}, {place(error)}"
  if "\n" in message.strip():
    return "LINES", f"{type(error).__name__}, {place(error)}"
  return "refused", ""


def place(error: BaseException) -> str:
  """The innermost line of this package that an exception went through."""
  frames = traceback.extract_tb(error.__traceback__)
  ours = [f for f in frames if "glove_jax" in f.filename] or frames
  return f"{pathlib.Path(ours[-1].filename).name}:{ours[-1].lineno}"


def try_reader(reader: Reader, folder: pathlib.Path, options) -> Tally:
  """Runs the examples of one reader."""
  tally = Tally(reader)
  samples = reader.samples(folder / "samples")
  for sample in samples:
    path = write(sample, sample.content, folder / "input")
    how, where = attempt(reader, path, options)
    if how != "read" and not sample.is_refused:
      sys.exit(f"{reader.name}: the sound {sample.name} is {how}: {where}")
  one = st.sampled_from(range(len(samples))).flatmap(
    lambda i: st.tuples(st.just(samples[i]), inputs(samples[i]))
  )

  @hypothesis.settings(
    max_examples=options.examples,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.seed(options.seed)
  @hypothesis.given(one)
  def examine(example):
    sample, data = example
    path = write(sample, data, folder / "input")
    start = time.perf_counter()
    how, where = attempt(reader, path, options)
    tally.longest = max(tally.longest, time.perf_counter() - start)
    tally.outcomes[how] += 1
    kind = f"{how} ({where})"
    smallest = tally.failures.get(kind)
    if how.isupper() and (not smallest or len(data) < len(smallest.data)):
      tally.failures[kind] = Failure(sample, data, kind)

  examine()
  gc.collect()
  return tally


def write(sample: Sample, data: bytes, folder: pathlib.Path) -> pathlib.Path:
  """Writes the files of an example; returns the one that differs."""
  path = folder / sample.name
  for name, content in {
    **sample.others,
    sample.name: sample.seal(data),
  }.items():
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
  for other in folder.iterdir():
    if other.name not in (sample.name.split("/")[0], *sample.others):
      fuzz_samples.remove(other)
  return path


def show(tally: Tally, keep: str) -> None:
  """Prints the failures of a reader, and keeps their inputs."""
  for number, failure in enumerate(tally.failures.values()):
    print(f"  {failure.story}: {failure.sample.name} {failure.data[:200]!r}")
    if keep:
      folder = pathlib.Path(keep, f"{tally.reader.name}-{number}")
      write(failure.sample, failure.data, folder)


def parse_arguments(arguments=None):
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--examples", type=int, default=200, help="per reader")
  parser.add_argument("--only", default="", help="readers, comma-separated")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--seconds", type=float, default=5)
  parser.add_argument("--megabytes", type=float, default=300)
  parser.add_argument("--keep", default="", help="folder for failing inputs")
  options = parser.parse_args(arguments)
  options.only = [name for name in options.only.split(",") if name]
  known = [reader.name for reader in READERS]
  if unknown := {*options.only} - {*known}:
    parser.error(f"There is no reader {min(unknown)!r}: {', '.join(known)}.")
  return options


def main(arguments=None) -> int:
  options = parse_arguments(arguments)
  warnings.simplefilter("ignore")
  tallies = []
  gc.freeze()  # collecting garbage need not look through what is imported
  for reader in READERS:
    if reader.name in (options.only or [reader.name]):
      with tempfile.TemporaryDirectory(prefix="glove_jax_") as folder:
        tally = try_reader(reader, pathlib.Path(folder), options)
      tallies.append(tally)
      print(tally.line(), flush=True)
      show(tally, options.keep)
  total = sum(sum(tally.outcomes.values()) for tally in tallies)
  bad = sum(
    number
    for tally in tallies
    for how, number in tally.outcomes.items()
    if how.isupper()
  )
  print(f"{total:,} examples, {bad:,} bad")
  gc.unfreeze()
  return 1 if bad else 0


if __name__ == "__main__":
  sys.exit(main())
