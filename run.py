"""GloVe from raw text to evaluated word vectors.

python run.py [train]                    text -> vectors -> evaluation
python run.py count     --workdir=DIR    text -> vocabulary -> counts
python run.py evaluate  --workdir=DIR    analogies and similarities
python run.py neighbors --workdir=DIR WORD ...
python run.py analogy   --workdir=DIR A B C     A is to B as C is to ?
python run.py export    --workdir=DIR --format=F --output=FILE

python run.py --experiment=NAME          many runs that answer one question
python run.py --sweep="x_max=1,10;dim=50,100"   all combinations of values
python run.py report    --workdir=DIR    the tables and plots of a sweep
"""

import contextlib
import dataclasses
import pathlib
import re
import shlex
import sys
import traceback

from absl import app, flags, logging

import experiments
from glove_jax import config as configs
from glove_jax import settings
from glove_jax.settings import Part, setting
from glove_jax.sweeps import command as sweeps
from glove_jax.sweeps.options import SweepConfig
from glove_jax.training import loop, multihost
from glove_jax.vectors import evaluate as evaluation
from glove_jax.vectors import formats
from glove_jax.workdir import artifacts, pipeline

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class RunFlags(Part):
  """Flags that are neither settings of a run nor of a sweep."""

  workdir: str = setting(
    "", "folder for all outputs of a run (default: runs/<first corpus>)"
  )
  preset: str = setting(
    "",
    "the settings of a published recipe; flags given as well take precedence",
    choices=("", *sorted(configs.PRESETS)),
  )
  input: str = setting("", "a file of vectors to use instead of a workdir's")
  format: str = setting(
    "stanford_text", "format to export", choices=tuple(artifacts.EXPORTS)
  )
  output: str = setting(
    "", "file to export to, or folder to copy the results of a sweep to"
  )
  k: int = setting(10, "number of answers to show", low=1)
  traceback: bool = setting(False, "show where in the code an error arose")
  coordinator: str = setting(
    "",
    "host:port of the first of several processes that train together; not "
    "needed in Slurm, MPI and Kubernetes jobs and on TPU pods, nor are the "
    "next two flags",
  )
  num_processes: int = setting(0, "number of processes that train together")
  process_id: int = setting(-1, "which of these processes this is, from 0")


def define_flag(field: dataclasses.Field, choices=None) -> None:
  """Makes a flag of a setting."""
  doc, choices = field.metadata["help"], field.metadata["choices"] or choices
  if choices:
    # No choice at all is the default of some flags, but nothing to type.
    choices = [choice for choice in choices if choice]
    flags.DEFINE_enum(field.name, field.default or None, choices, doc)
    return
  define = {
    tuple: flags.DEFINE_list,
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
  }[settings.kind(field)]
  default = field.default
  define(field.name, list(default) if type(default) is tuple else default, doc)


def define_flags() -> None:
  for field in (*configs.fields(), *dataclasses.fields(RunFlags)):
    define_flag(field)
  for field in dataclasses.fields(SweepConfig):
    is_name = field.name == "experiment"
    define_flag(field, experiments.NAMES if is_name else None)


def given(fields) -> dict:
  """The values of the flags that the command line gives."""
  return {f.name: FLAGS[f.name].value for f in fields if FLAGS[f.name].present}


def given_settings() -> dict:
  """The settings that the command line gives, by preset or by flag."""
  preset = configs.PRESETS[FLAGS.preset] if FLAGS.preset else {}
  return preset | given(configs.fields())


def workdir() -> pathlib.Path:
  if FLAGS.workdir:
    return pathlib.Path(FLAGS.workdir)
  if FLAGS.experiment or FLAGS.sweep:
    return pathlib.Path("runs", FLAGS.experiment or "sweep")
  first = pathlib.Path(FLAGS.corpus[0]).name if FLAGS.corpus else "run"
  return pathlib.Path("runs", first.split(".")[0] or "run")


def train(arguments: list[str]) -> None:
  expect(arguments, 0, "no words")
  if FLAGS.experiment or FLAGS.sweep or FLAGS.search or FLAGS.dry_run:
    sweep()
    return
  config = configs.make_config(**given_settings())
  vectors, results = pipeline.Pipeline(config, workdir(), say).run()
  say(artifacts.summary(workdir(), vectors, results))


def sweep() -> None:
  """Runs a sweep or search; exits with 1 if one of its points failed."""
  config = SweepConfig(**given(dataclasses.fields(SweepConfig)))
  name = config.experiment
  experiment = experiments.load(name) if name else None
  typed = shlex.join(["python", "run.py", *sys.argv[1:]])
  if config.dry_run and multihost.several():
    raise ValueError("A dry run needs one process only: start no others.")
  if config.dry_run and config.search:
    raise ValueError("A search has no plan: it chooses its points as it goes.")
  if config.search:
    failed = sweeps.run_search(
      config, given_settings(), experiment, workdir(), typed, say
    )
  else:
    plan = sweeps.make_plan(config, given_settings(), experiment, command=typed)
    run = sweeps.dry_run if config.dry_run else sweeps.run
    failed = run(plan, config, workdir(), say)
  if failed:
    sys.exit(1)


def report(arguments: list[str]) -> None:
  expect(arguments, 0, "no words")
  sweeps.rewrite(workdir(), experiments.load, FLAGS.output or None, say)


def count(arguments: list[str]) -> None:
  expect(arguments, 0, "no words")
  config = configs.make_config(**given_settings())
  _, counts = pipeline.Pipeline(config, workdir(), say).count()
  say(
    f"{len(counts.row):,} counts of {counts.vocab_size:,} words "
    f"are in {workdir() / 'counts'}"
  )


def evaluate(arguments: list[str]) -> None:
  expect(arguments, 0, "no words")
  vectors, config = trained()
  results = evaluation.evaluate_vectors(vectors, config.evaluate)
  if not FLAGS.input:
    artifacts.write_results(results, workdir())
  say(evaluation.format_table(results))


def neighbors(arguments: list[str]) -> None:
  if not arguments:
    raise ValueError("neighbors needs one word or more: neighbors frog king.")
  vectors, _ = trained()
  for word in arguments:
    say(f"{word}:", *answers(vectors.neighbors(word, FLAGS.k)))


def analogy(arguments: list[str]) -> None:
  expect(arguments, 3, "three words, such as man king woman")
  vectors, config = trained()
  a, b, c = arguments
  found = vectors.analogy(a, b, c, FLAGS.k, config.evaluate.analogy_method)
  say(f"{a} is to {b} as {c} is to:", *answers(found))


def export(arguments: list[str]) -> None:
  expect(arguments, 0, "no words")
  if not FLAGS.output:
    raise ValueError("export needs --output=FILE.")
  artifacts.export(workdir(), run_config(), FLAGS.format, FLAGS.output)
  say(f"{FLAGS.format} is in {FLAGS.output}")


def run_config() -> configs.Config:
  """The config of the run in the workdir, with the flags that are given."""
  return configs.make_config(
    **(artifacts.read_settings(workdir()) | given_settings())
  )


def trained():
  """The vectors of --input or of the workdir's run, and their config."""
  if FLAGS.input:
    config = configs.make_config(**given_settings())
    return formats.load_vectors(FLAGS.input), config
  config = run_config()
  return artifacts.read_vectors(workdir(), config.vectors), config


def answers(found) -> list[str]:
  return [f"  {cosine:6.3f}  {word}" for word, cosine in found]


def expect(arguments: list[str], number: int, what: str) -> None:
  if len(arguments) != number:
    command = sys.argv[1] if len(sys.argv) > 1 else "train"
    raise ValueError(f"{command} takes {what}, got {' '.join(arguments)!r}.")


def say(*lines: str) -> None:
  print(*lines, sep="\n", flush=True)


COMMANDS = (train, count, evaluate, neighbors, analogy, export, report)


def main(argv: list[str]) -> None:
  logging.set_verbosity(logging.WARNING)  # jax reports platforms it looked for
  commands = {command.__name__: command for command in COMMANDS}
  command, *arguments = argv[1:] or ["train"]
  try:
    if command not in commands:
      raise ValueError(
        f"There is no command {command!r}: use {', '.join(commands)}."
      )
    RunFlags(**given(dataclasses.fields(RunFlags)))  # checks them
    multihost.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    if multihost.is_first():
      commands[command](arguments)
    else:
      loop.follow()
    multihost.finish()
  except SystemExit:
    multihost.finish()
    raise
  except KeyboardInterrupt:
    fail("Stopped: the same command resumes the run.")
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    fail(with_flags(str(error)))
  except Exception as error:
    if not multihost.several():
      raise
    fail(f"{type(error).__name__}: {error}")


def with_flags(message: str) -> str:
  """Writes the settings that a message of the library names as flags.

  A name is a setting at the start of the message or of a clause, before =, and
  wherever it has an underscore: "x_max must be ..." -> "--x_max must be ...".
  """
  name = f"({'|'.join(FLAGS)})"
  long = f"({'|'.join(name for name in FLAGS if '_' in name)})"
  first = rf"(^|(?<=: ))(?={name} )"
  inside = rf"(?<!\S)(?<!, )(?={name}=|{long}\b[^/])"
  return re.sub(f"{first}|{inside}", "--", message)


def fail(message: str) -> None:
  """Exits with one sentence and code 1; --traceback shows where it arose."""
  if FLAGS.traceback:
    traceback.print_exc()
  if multihost.several():
    multihost.stop(message)
  sys.exit(f"run.py: {message}")


def parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags; a bad one exits with one sentence and code 1."""
  try:
    return FLAGS(argv)
  except flags.Error as error:
    sys.exit(f"run.py: {error}")


define_flags()

if __name__ == "__main__":
  with contextlib.suppress(BrokenPipeError):
    app.run(main, flags_parser=parse_flags)
