"""GloVe from raw text to evaluated word vectors.

Each command is a function of the words that follow it on the command line, and
declares the flags that it uses. `run.py`, `python -m glove_jax` and `glove-jax`
run `main`.
"""

import atexit
import contextlib
import dataclasses
import gc
import importlib
import os
import shlex
import sys
from typing import TYPE_CHECKING

if gc.isenabled():
  # What is imported stays. Looking for garbage in it takes a tenth of the time
  # of a small count.
  gc.set_threshold(100_000)

try:
  from glove_jax import experiments  # as installed
except ImportError:
  import experiments  # beside run.py

from glove_jax import command_help, command_line, interrupts, lazy
from glove_jax import config as configs
from glove_jax.command_help import Command
from glove_jax.command_line import expect, given, say
from glove_jax.run_flags import (
  COMBINED,
  RUN_FIELDS,
  SWEEP_FIELDS,
  ProcessFlags,
  RunFlags,
  given_settings,
  new_config,
  read_flags,
  read_input,
  run_config,
  trained,
  workdir,
)
from glove_jax.sweeps.options import SweepConfig
from glove_jax.workdir import artifacts, exports, pipeline, stages

if TYPE_CHECKING:
  from glove_jax.vectors.word_vectors import WordVectors

# What counting does not need.
sweeps = lazy.module("glove_jax.sweeps.command")
evaluation = lazy.module("glove_jax.vectors.evaluate")
explorer = lazy.module("glove_jax.explore.server")
formats = lazy.module("glove_jax.vectors.formats")
queries = lazy.module("glove_jax.vectors.queries")
model_card = lazy.module("glove_jax.workdir.model_card")


def train(arguments: list[str]) -> None:
  expect("train", arguments, 0, "no words")
  if given(SWEEP_FIELDS):
    sweep()
    return
  config = new_config()
  folder = workdir()
  vectors, results = pipeline.Pipeline(config, folder, say).run()
  say(artifacts.summary(folder, vectors, results))


def sweep() -> None:
  """Runs a sweep or search; exits with 1 if one of its points failed."""
  flags = given(SWEEP_FIELDS)
  needs = {"experiment", "sweep", "search", "dry_run"}
  if not needs & flags.keys():
    raise ValueError(
      f"--{min(flags)} is for sweeps: give --experiment or --sweep too."
    )
  unused = {"trials", "objective"} & flags.keys()
  if unused and "search" not in flags:
    raise ValueError(f"--{min(unused)} is for searches: give --search too.")
  program = command_line.program()
  start = ["python", program] if program.endswith(".py") else [program]
  typed = shlex.join([*start, *sys.argv[1:]])
  config = SweepConfig(**flags)
  named = given(configs.fields()).keys()
  if sweeps.main(
    config, given_settings(), experiments.load, workdir(), typed, say, named
  ):
    sys.exit(1)


def report(arguments: list[str]) -> None:
  expect("report", arguments, 0, "no words")
  output = read_flags().output or None
  sweeps.rewrite(workdir(), experiments.load, output, say)


def count(arguments: list[str]) -> None:
  expect("count", arguments, 0, "no words")
  config = new_config()
  folder = workdir()
  _, counts = pipeline.Pipeline(config, folder, say).count()
  say(
    f"{len(counts.row):,} counts of {counts.vocab_size:,} words "
    f"are in {folder / 'counts'}"
  )


def evaluate(arguments: list[str]) -> None:
  expect("evaluate", arguments, 0, "no words")
  flags = read_flags()
  vectors, config = trained()
  lowercase = given(configs.fields()).get("lowercase")
  results = evaluation.evaluate_vectors(vectors, config.evaluate, lowercase)
  say(evaluation.format_table(results))
  if not flags.input:
    folder = workdir()
    try:
      artifacts.write_results(results, folder)
      if (folder / "vectors.md").exists():
        if given(configs.fields()).get("max_vocab"):  # the card is of all
          vectors = artifacts.read_vectors(folder, config.vectors)
        model_card.write(folder, vectors, config.vectors.license)
    except OSError as error:
      raise OSError(
        f"These results could not be written to {folder}: {error}."
      ) from error


def neighbors(arguments: list[str]) -> None:
  if not arguments:
    raise ValueError("neighbors needs one word or more: neighbors frog king.")
  vectors, _ = trained()
  k = read_flags().k
  for name, positive, negative in queries.questions(arguments, vectors):
    if positive == [name]:
      found = vectors.neighbors(name, k)
    else:
      found = vectors.most_similar(positive, negative, k)
    lines = answers(found)
    if read_flags().intervals:
      for i, (word, _) in enumerate(found):
        low, high = vectors.interval(positive, word, negative)
        lines[i] = f"{lines[i][:8]}  {low:6.3f} to {high:6.3f}{lines[i][8:]}"
    say(f"{name}:", *lines)


def analogy(arguments: list[str]) -> None:
  expect("analogy", arguments, 3, "three words, such as man king woman")
  vectors, config = trained()
  a, b, c = arguments
  found = vectors.analogy(
    a, b, c, read_flags().k, config.evaluate.analogy_method
  )
  say(f"{a} is to {b} as {c} is to:", *answers(found))


def similarity(arguments: list[str]) -> None:
  expect("similarity", arguments, 2, "two words, such as king queen")
  vectors, _ = trained()
  say(f"{vectors.similarity(*arguments):6.3f}  {' '.join(arguments)}")


def explore(arguments: list[str]) -> None:
  expect("explore", arguments, 0, "no words")
  vectors, _ = trained()
  flags, other = read_flags(), given(configs.fields()).get("against")
  runs = [explorer.NamedVectors(flags.input or str(workdir()), vectors)]
  if other:
    runs.append(explorer.NamedVectors(other, read_input(other, flags)))
  page = explorer.Server(explorer.Explorer(runs), flags.port)
  say(f"The page is at {page.url} until Ctrl-C.")
  try:
    page.serve_forever()
  except KeyboardInterrupt as interrupt:
    if isinstance(interrupt, interrupts.Terminated):
      sys.exit(143)


def export(arguments: list[str]) -> None:
  expect("export", arguments, 0, "no words")
  flags = read_flags()
  if not flags.output:
    is_folder = flags.format in ("projector", "model2vec")
    what = "FOLDER" if is_folder else "FILE"
    raise ValueError(f"export needs --output={what}.")
  stages.refuse_own(flags.output)
  form = flags.format or formats.format_of(flags.output) or "stanford_text"
  _check_export(form, flags)
  if flags.input:
    vectors, _ = trained()
    formats.write_vectors(_for_sentences(vectors, flags), flags.output, form)
    card = None
  else:
    limit = given(configs.fields()).get("max_vocab") or None
    card = exports.export(
      workdir(), run_config(), form, flags.output, limit,
      sif=flags.sif, remove=flags.remove,
    )  # fmt: skip
  say(
    f"{form} is in {flags.output}" + f", its model card in {card}" * bool(card)
  )


def _for_sentences(vectors: "WordVectors", flags: RunFlags) -> "WordVectors":
  if flags.sif or flags.remove:
    return vectors.weighted(flags.sif or None, flags.remove)
  return vectors


def _check_export(form: str, flags: RunFlags) -> None:
  """Raises a ValueError if a flag has no effect on this format."""
  kind = "vectors" if flags.input else exports.EXPORTS[form]
  if flags.input and exports.EXPORTS[form] == "counts":
    raise ValueError(f"--input has no counts: name a workdir for {form}.")
  used = {"vectors": {"max_vocab", *COMBINED}, "tables": {"max_vocab"}}
  given_flags = given(configs.fields()).keys() - used.get(kind, set())
  if form == "stanford_shuffled":
    given_flags -= {"seed"}
  unused = given_flags & {"max_vocab", "seed", *COMBINED}
  if kind != "vectors":
    unused |= given(RUN_FIELDS).keys() & {"sif", "remove"}
  if unused:
    raise ValueError(f"{form} does not use --{min(unused)}: leave it out.")


def convert(arguments: list[str]) -> None:
  expect("convert", arguments, 2, "two files: the one to read, the new one")
  flags = read_flags()
  source, output = map(command_line.expand, arguments)
  form = flags.format or formats.format_of(output)
  if form and exports.EXPORTS[form] == "counts":
    raise ValueError(f"{form} is for counts: use export with --workdir.")
  stages.refuse_own(output)
  vectors = _for_sentences(read_input(source, flags), flags)
  formats.write_vectors(vectors, output, form)
  say(f"{len(vectors):,} vectors are in {output}")


def answers(found) -> list[str]:
  return [f"  {cosine:6.3f}  {word}" for word, cosine in found]


def _settings(*parts: str) -> set[str]:
  """The names of the settings of some parts of the config."""
  all_parts = configs.parts()
  return {f.name for p in parts for f in dataclasses.fields(all_parts[p])}


_COUNT = {"workdir", "preset", *_settings("corpus", "vocab", "count")}
_PROCESSES = {f.name for f in dataclasses.fields(ProcessFlags)}
_SWEEPS = {f.name for f in SWEEP_FIELDS}
_FILE = {"max_vocab", "skip_bad_lines", *COMBINED}
_VECTORS = {"workdir", "corpus", "input", *_FILE}

COMMANDS = {
  "train": Command(
    train,
    "",
    "text -> vectors -> evaluation; also experiments, sweeps and searches",
    _COUNT | _settings("train", "vectors", "evaluate") | _SWEEPS | _PROCESSES,
  ),
  "count": Command(
    count, "", "text -> vocabulary -> counts", _COUNT | _PROCESSES
  ),
  "evaluate": Command(
    evaluate,
    "",
    "analogies and similarities of a run or a file",
    _VECTORS | _settings("evaluate") | {"lowercase"},
  ),
  "neighbors": Command(
    neighbors,
    "WORD [+|- WORD ...]",
    "the nearest words to each word, or to a sum: king - man + woman",
    _VECTORS | {"k", "intervals"},
  ),
  "analogy": Command(
    analogy,
    "A B C",
    "A is to B as C is to ?",
    _VECTORS | {"k", "analogy_method"},
  ),
  "similarity": Command(similarity, "A B", "the cosine of two words", _VECTORS),
  "explore": Command(
    explore,
    "",
    "a local page: neighbours, analogies, a map; with --against, two runs",
    _VECTORS | {"against", "port"},
  ),
  "export": Command(
    export,
    "--output=FILE",
    "the vectors, tables or counts of a run for another program",
    _VECTORS | {"output", "format", "seed", "license", "sif", "remove"},
  ),
  "convert": Command(
    convert,
    "IN OUT",
    "a file of vectors in another format",
    _FILE | {"format", "sif", "remove"},
  ),
  "report": Command(
    report,
    "",
    "the tables and plots of a sweep",
    {"workdir", "output", "experiment", "sweep"},
  ),
}


def _load_numba() -> None:
  """Loads numba without scipy.linalg, which takes as long as all of numba.

  numba asks for it when it is first used, for its dot products. Our loops have
  none, and what has some asks again.
  """
  name = "scipy.linalg.cython_blas"
  if name not in sys.modules:
    sys.modules[name] = None  # as if it were not installed
    with contextlib.suppress(ImportError):
      importlib.import_module("numba.np.arraymath")
    del sys.modules[name]


def main() -> None:
  """Runs the command that the command line names."""
  atexit.register(gc.freeze)  # what is left need not be freed one by one
  # Memory of a GPU as it is needed: to take most of it takes a second.
  os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
  _load_numba()
  for cls in (*configs.parts().values(), RunFlags, ProcessFlags):
    command_line.define_flags(cls)
  command_line.define_flags(SweepConfig, experiment=experiments.NAMES)
  questions = {
    name: command_help.first_line(experiments.load(name))
    for name in experiments.NAMES
    if command_line.wants_help(sys.argv)
  }
  command_line.main(COMMANDS, sys.argv, questions, workdir)
