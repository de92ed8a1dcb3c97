"""Stanford's C programs as their demo.sh runs them, and a text for them."""

import os
import pathlib
from collections.abc import Sequence

from benchmarks.processes import Stage, timed

PROGRAMS = ("vocab_count", "cooccur", "shuffle", "glove")
# What the first three leave.
VOCAB, PAIRS, SHUFFLED = (
  "vocab.txt",
  "cooccurrence.bin",
  "cooccurrence.shuf.bin",
)


def missing(
  folder: str | os.PathLike, programs: Sequence[str] = PROGRAMS
) -> str:
  """The first program that a folder does not have, or ""."""
  lost = (p for p in programs if not pathlib.Path(folder, p).is_file())
  return next(lost, "")


def tenth(text: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
  """Writes the first tenth of a text, in whole lines; returns its file."""
  left = text.stat().st_size // 10
  with text.open("rb") as source, output.open("wb") as target:
    for line in source:
      target.write(line)
      left -= len(line)
      if left < 0:
        break
  return output


def count(
  programs: str | os.PathLike,
  text: str | os.PathLike,
  folder: pathlib.Path,
  *,
  min_count: int,
  window: int,
  memory_gb: float,
) -> list[Stage]:
  """Runs vocab_count, cooccur and shuffle, one after another.

  Args:
    programs: the folder of the built programs.
    text: the text, one document on each line.
    folder: receives `VOCAB`, `PAIRS` and `SHUFFLED`.
    min_count: words that occur fewer times are dropped.
    window: words to each side.
    memory_gb: what cooccur and shuffle may use each.

  Raises:
    RuntimeError: a program failed.
  """
  home = pathlib.Path(programs).resolve()
  words, pairs, shuffled = (
    folder.resolve() / name for name in (VOCAB, PAIRS, SHUFFLED)
  )
  quiet = ["-verbose", "0"]
  memory = [*quiet, "-memory", memory_gb]
  vocab_count = [*quiet, "-min-count", min_count]
  cooccur = [*memory, "-vocab-file", words, "-window-size", window]
  return [
    timed([home / "vocab_count", *vocab_count], text, words),
    timed([home / "cooccur", *cooccur], text, pairs, folder),
    timed([home / "shuffle", *memory], pairs, shuffled, folder),
  ]


def glove(
  programs: str | os.PathLike,
  folder: pathlib.Path,
  *,
  dim: int,
  passes: int,
  threads: int,
) -> list:
  """The command that trains on the counts in a folder.

  Args:
    programs: the folder of the built programs.
    folder: has `VOCAB` and `SHUFFLED`, and receives vectors named `stanford`.
    dim: D.
    passes: how often it goes through the counts.
    threads: the number of its threads.
  """
  home = folder.resolve()
  return [
    pathlib.Path(programs, "glove").resolve(), "-input-file", home / SHUFFLED,
    "-vocab-file", home / VOCAB, "-save-file", home / "stanford",
    "-vector-size", dim, "-iter", passes, "-threads", threads, "-x-max", 10,
  ]  # fmt: skip
