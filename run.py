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
import shlex
import sys

from absl import app, flags

import experiments
from glove_jax import command_line
from glove_jax import config as configs
from glove_jax.command_line import FLAGS, expect, given, say
from glove_jax.presets import PRESETS
from glove_jax.settings import Part, setting
from glove_jax.sweeps import command as sweeps
from glove_jax.sweeps.options import SweepConfig
from glove_jax.vectors import evaluate as evaluation
from glove_jax.vectors import formats
from glove_jax.workdir import artifacts, pipeline


@dataclasses.dataclass(frozen=True)
class RunFlags(Part):
  """Flags that are neither settings of a run nor of a sweep."""

  workdir: str = setting(
    "", "folder for all outputs of a run (default: runs/<first corpus>)"
  )
  preset: str = setting(
    "",
    "the settings of a published recipe; flags given as well take precedence",
    choices=("", *sorted(PRESETS)),
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


RUN_FIELDS = dataclasses.fields(RunFlags)
SWEEP_FIELDS = dataclasses.fields(SweepConfig)


def given_settings() -> dict:
  """The settings that the command line gives, by preset or by flag."""
  preset = PRESETS[FLAGS.preset] if FLAGS.preset else {}
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
  config = SweepConfig(**given(SWEEP_FIELDS))
  typed = shlex.join(["python", "run.py", *sys.argv[1:]])
  if sweeps.main(
    config, given_settings(), experiments.load, workdir(), typed, say
  ):
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
    say(f"{word}:", *answers(vectors.neighbors(word, num_answers())))


def analogy(arguments: list[str]) -> None:
  expect(arguments, 3, "three words, such as man king woman")
  vectors, config = trained()
  a, b, c = arguments
  found = vectors.analogy(
    a, b, c, num_answers(), config.evaluate.analogy_method
  )
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


def num_answers() -> int:
  return RunFlags(**given(RUN_FIELDS)).k  # checks its range


def answers(found) -> list[str]:
  return [f"  {cosine:6.3f}  {word}" for word, cosine in found]


COMMANDS = (train, count, evaluate, neighbors, analogy, export, report)


def main(argv: list[str]) -> None:
  command_line.run(COMMANDS, argv)


command_line.define_flags(configs.fields())
command_line.define_flags(RUN_FIELDS)
command_line.define_flags(SWEEP_FIELDS, experiment=experiments.NAMES)
flags.adopt_module_key_flags(command_line)  # --help shows them

if __name__ == "__main__":
  with contextlib.suppress(BrokenPipeError):
    app.run(main, flags_parser=command_line.parse)
