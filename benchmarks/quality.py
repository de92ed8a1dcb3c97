"""Trains this library and gensim's word2vec and fastText on one text.

  python benchmarks/quality.py --quick
  python benchmarks/quality.py --corpus=wiki.txt --sets=DIR --workdir=DIR
  python benchmarks/quality.py --corpus=wiki.txt --ours="--missing=0.1"

The sides are, one after another, each in a process of its own:

| side | what it trains |
|---|---|
| ours | the default recipe of run.py, changed by --ours |
| glove | the preset of GloVe's own objective, changed by --glove |
| cbow, sgns | gensim's Word2Vec |
| fasttext, fasttext_sg | gensim's FastText: CBOW (its default) and skip-gram |

All of them read the same file of tokens, which our tokenizer `word` writes
once, one document on each line; gensim cuts documents at 10,000 words. They
have the same vocabulary and number of dimensions. gensim reads the file by
`corpus_file`, which is its fastest way, with --workers threads.

The table has, for each side:

- text to vectors: wall time from the tokens to vectors in memory. Importing
  the side's library, the vocabulary, counting and compiling are included.
  Tokenizing is left out of all sides, as are starting Python and evaluation.
- training only: our stage of training (with biases, tiles and compiling), or
  gensim's `train`. The vocabulary, and our counting, are left out.
- peak memory: the largest resident size of the side's process (VmHWM).
- every score, with the fraction of questions whose words all have vectors. Of
  Google's analogies the two halves count as two sets.

The last lines say on how many sets ours is better than every gensim side, and
by how much its mean over all sets differs from that of the best gensim side.

The first run on a machine compiles our counting loops, which numba keeps; a
small text is counted beforehand so that no side is charged for it. With
--workdir, gensim's vectors are kept there. A later run on the same tokens with
the same settings of gensim reads them, and marks their seconds as cached; they
were measured under the load of the earlier run.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Mapping

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

# A side is charged for what it imports, so that only what all sides need is
# imported here; the processes of the sides import this file too.
from benchmarks import quality_table, trainers
from benchmarks.processes import apart
from benchmarks.trainers import GENSIM, OURS
from glove_jax import atomic, config
from glove_jax.settings import setting
from glove_jax.text import datasets, reading, sources
from glove_jax.vectors import evaluate
from glove_jax.vectors.word_vectors import WordVectors


@dataclasses.dataclass(frozen=True)
class Options(trainers.Shared):
  """The flags of this benchmark."""

  sides: tuple[str, ...] = setting(
    ("ours", "cbow", "sgns", "fasttext", "glove"), "the sides, in their order"
  )
  glove: str = setting("", "flags of run.py for glove")
  window: int = setting(5, "window of gensim's sides", low=1)
  passes: int = setting(5, "passes of gensim's sides", low=1)
  workers: int = setting(2, "threads of gensim's sides", low=1)
  seeds: int = setting(1, "train each side with this many seeds", low=1)
  suite: str = setting(
    "none",
    "'standard' also evaluates the sets of run.py --suite=standard, which are "
    "downloaded if need be",
    choices=("none", "standard"),
  )
  quick: bool = setting(
    False, "use the default text of run.py: about two minutes"
  )
  plot: str = setting("", "an image file: mean score over seconds")


def main(argv) -> None:
  del argv
  from glove_jax import command_line

  options = Options(**command_line.given(dataclasses.fields(Options)))
  with contextlib.ExitStack() as stack:
    folder = options.workdir or stack.enter_context(
      tempfile.TemporaryDirectory()
    )
    check(options)
    compare(options, pathlib.Path(folder))


def check(options: Options) -> None:
  """Refuses flags that would only fail after hours."""
  if bool(options.corpus) == options.quick:
    raise SystemExit("Give either --corpus=FILE or --quick.")
  for side in options.sides:
    if side not in (*OURS, *GENSIM):
      raise SystemExit(
        f"There is no side {side!r}: use {', '.join((*OURS, *GENSIM))}."
      )
  if options.plot and not can_plot():
    raise SystemExit("--plot needs matplotlib: pip install matplotlib.")
  if options.sets and not os.path.isdir(options.sets):
    raise SystemExit(f"--sets: there is no folder {options.sets}.")
  for side in OURS:
    trainers.check(options, side)


def compare(options: Options, folder: pathlib.Path) -> dict:
  """Trains and evaluates all sides; returns the results by side and seed."""
  folder.mkdir(parents=True, exist_ok=True)
  tokens = folder / "tokens.txt"
  started = time.perf_counter()
  num_tokens, digest = write_tokens(options, tokens)
  print(
    f"{num_tokens:,} tokens, written in {time.perf_counter() - started:.1f} s "
    "(left out of all sides)",
    flush=True,
  )
  with tempfile.TemporaryDirectory(dir=folder) as scratch:
    apart(warm_up, tokens, pathlib.Path(scratch))
  judged = train_all(options, folder, digest)
  if options.workdir:
    record = {"options": dataclasses.asdict(options), "tokens": num_tokens}
    atomic.write_json(folder / "quality.json", record | {"results": judged})
  print()
  print(quality_table.report(judged, tuple(GENSIM)), flush=True)
  if options.plot:
    quality_table.plot(pathlib.Path(options.plot), judged)
  return judged


def train_all(
  options: Options, folder: pathlib.Path, digest: str
) -> dict[str, list[dict]]:
  """Trains and evaluates the sides in turn, with one seed after another."""
  judged: dict[str, list[dict]] = {side: [] for side in options.sides}
  words: set[str] = set()
  for seed in range(options.seeds):
    for side in options.sides:
      record, vectors = train(side, seed, options, folder, digest)
      if not words:
        print(f"{len(vectors):,} words have vectors", flush=True)
      words = words or set(vectors.words)
      if words != set(vectors.words):
        raise SystemExit(f"{side} has another vocabulary than the others.")
      judged[side].append(record | {"scores": judge(vectors, options)})
      show(side, seed, judged[side][-1])
  return judged


def write_tokens(options: Options, path: pathlib.Path) -> tuple[int, str]:
  """Writes one document of tokens on each line.

  Returns:
    The number of tokens, and the SHA-256 of the file.

  Raises:
    SystemExit: there is no such corpus.
  """
  names, documents = options.corpus, options.documents
  if options.quick:
    names, documents = config.CorpusConfig().corpus, "line"
  known = datasets.corpora()
  files = [datasets.load_corpus(n) if n in known else n for n in names]
  try:
    files = sources.resolve(files)
  except (FileNotFoundError, ValueError) as error:
    raise SystemExit(str(error)) from None
  num_tokens, digest = 0, hashlib.sha256()
  with atomic.write_whole(path) as file:
    separator = b""
    for document in reading.read_documents(files, documents=documents):
      is_new = not isinstance(document, reading.Continuation)
      line = (separator if is_new else b" ") + " ".join(document).encode()
      separator = b"\n"
      file.write(line)
      digest.update(line)
      num_tokens += len(document)
    file.write(b"\n")
  return num_tokens, digest.hexdigest()


def warm_up(tokens: pathlib.Path, scratch: pathlib.Path) -> None:
  """Counts the first megabyte, so that numba's loops are compiled."""
  from glove_jax.workdir import pipeline

  with tokens.open("rb") as file:
    (scratch / "head.txt").write_bytes(file.read(1 << 20))
  values = trainers.our_values(scratch / "head.txt") | {"min_count": 1}
  run = pipeline.Pipeline(
    config.make_config(**values), scratch / "run", say=lambda line: None
  )
  run.count()


def train(
  side: str, seed: int, options: Options, folder: pathlib.Path, digest: str
) -> tuple[dict, WordVectors]:
  """Trains one side in a new process, or reads what an earlier run kept.

  Returns:
    What `quality_table` needs of a run but its scores, with the 'load' of the
    machine at its end; and the vectors.
  """
  values = side_settings(side, seed, options)
  name = f"{side}-{atomic.fingerprint([digest, values])}"
  output = folder / "sides" / name
  cached = side in GENSIM and (output / "record.json").exists()
  record, vectors = (
    trainers.read(output)
    if cached
    else trainers.train(side, values, folder / "tokens.txt", output)
  )
  return record | {"cached": cached}, vectors


def side_settings(side: str, seed: int, options: Options) -> dict:
  """Everything but the text that the vectors of a side depend on."""
  if side in OURS:
    return trainers.our_settings(side, options) | {"seed": seed}
  return {
    "class": GENSIM[side][0],
    "version": importlib.metadata.version("gensim"),
    "vector_size": options.dim,
    "window": options.window,
    "epochs": options.passes,
    "min_count": options.min_count,
    "workers": options.workers,
    "seed": seed + 1,  # gensim's default is 1
    **GENSIM[side][1],
  }


def judge(vectors: WordVectors, options: Options) -> dict[str, list[float]]:
  """The [score, coverage] of vectors on each set, by its name."""
  asked = config.EvaluateConfig(sets=options.sets, suite=options.suite)
  scores = quality_table.scores(evaluate.evaluate_vectors(vectors, asked))
  if not scores:
    raise SystemExit("No evaluation set has a question of known words.")
  return scores


def show(side: str, seed: int, result: Mapping) -> None:
  (mean,) = quality_table.means([result])
  print(
    f"{side}, seed {seed}: {result['seconds']:.1f} s, mean {mean:.4f}, load "
    f"of the machine {result['load']:.1f}"
    + (" (cached)" if result["cached"] else ""),
    flush=True,
  )


def can_plot() -> bool:
  from glove_jax.sweeps import plots

  return plots.has_matplotlib()


if __name__ == "__main__":
  from glove_jax import command_line

  command_line.define_flags(Options)
  flags.adopt_module_key_flags(command_line)  # --help shows them
  app.run(main)
