"""GloVe from raw text to evaluated word vectors.

python run.py [train]                       text -> vectors -> evaluation
python run.py count     --workdir=DIR       text -> vocabulary -> counts
python run.py evaluate  --workdir=DIR       analogies and similarities
python run.py neighbors --workdir=DIR WORD ...
python run.py analogy   --workdir=DIR A B C      A is to B as C is to ?
python run.py export    --workdir=DIR --format=F --output=FILE

python run.py --experiment=NAME             many runs, a question answered
python run.py --sweep="x_max=1,10;dim=50,100"    many runs, without a file
python run.py report    --workdir=DIR       the tables and plots of a sweep
"""

import contextlib
import pathlib
import shlex
import sys
import traceback

from absl import app, flags, logging

import experiments
from glove_jax import config as configs
from glove_jax.sweeps import command as experiment_command
from glove_jax.training import loop as training
from glove_jax.training import multihost
from glove_jax.vectors import evaluate as evaluation
from glove_jax.vectors import formats
from glove_jax.workdir import artifacts, pipeline

FORMATS = (
  "stanford_text",
  "word2vec",
  "word2vec_binary",
  "npz",
  "stanford_records",
  "stanford_shuffled",
)
FLAGS = flags.FLAGS


def define_flags() -> None:
  """Makes a flag of every field of every config, and the run's own flags."""
  for field in configs.fields():
    doc, choices = field.metadata["help"], field.metadata["choices"]
    kind = type(field.default)
    if choices:
      flags.DEFINE_enum(field.name, field.default, choices, doc)
    elif kind is tuple:
      flags.DEFINE_list(field.name, list(field.default), doc)
    elif kind is bool:
      flags.DEFINE_bool(field.name, field.default, doc)
    elif kind is int:
      flags.DEFINE_integer(field.name, field.default, doc)
    elif kind is float:
      flags.DEFINE_float(field.name, field.default, doc)
    else:
      flags.DEFINE_string(field.name, field.default, doc)
  flags.DEFINE_string(
    "workdir",
    None,
    "folder for everything the run makes (default: runs/<first corpus>)",
  )
  flags.DEFINE_enum(
    "preset",
    None,
    sorted(configs.PRESETS),
    "a published recipe; flags given beside it win",
  )
  flags.DEFINE_string(
    "input", None, "a file of vectors to ask, instead of a workdir's"
  )
  flags.DEFINE_enum("format", "stanford_text", FORMATS, "what to export")
  flags.DEFINE_string(
    "output", None, "the file to export to, the folder to keep a report in"
  )
  flags.DEFINE_integer("k", 10, "how many answers to show", lower_bound=1)
  flags.DEFINE_bool("traceback", False, "show where in the code an error arose")


def define_process_flags() -> None:
  """Makes the flags of several processes that train as one."""
  flags.DEFINE_string(
    "coordinator",
    "",
    "where several processes meet: host:port of the first of them; Slurm, MPI, "
    "Kubernetes jobs and TPU pods need none of these three",
  )
  flags.DEFINE_integer("num_processes", 0, "how many processes there are")
  flags.DEFINE_integer("process_id", -1, "which of them this is, from 0")


def define_sweep_flags() -> None:
  """Makes the flags of experiments: many runs by one command."""
  flags.DEFINE_enum(
    "experiment", None, experiments.NAMES, "run this experiment"
  )
  flags.DEFINE_string(
    "sweep",
    None,
    "run all combinations of these values, as field=value,value;field=value",
  )
  flags.DEFINE_integer(
    "seeds", 0, "run each point of a sweep with so many seeds", lower_bound=0
  )
  flags.DEFINE_integer(
    "together",
    0,
    "how many points of a sweep train at once, in one program, where they "
    "differ in x_max, alpha, learning rate or seed only; 0 is 1 on a CPU",
    lower_bound=0,
  )
  flags.DEFINE_bool(
    "dry_run", False, "show the points of a sweep and how long they may take"
  )
  flags.DEFINE_bool(
    "keep_tables", False, "keep what each point of a sweep has trained"
  )
  flags.DEFINE_bool(
    "tensorboard", False, "write the points of a sweep for TensorBoard too"
  )
  flags.DEFINE_enum(
    "search",
    None,
    ["optuna"],
    "pick points by what earlier ones came to; --sweep is then the space, as "
    "field=low..high or field=value,value",
  )
  flags.DEFINE_integer("trials", 50, "how many settings a search tries")
  flags.DEFINE_string(
    "objective",
    "similarity",
    "what a search maximises: a column of the results such as google, or the "
    "mean of all similarity sets",
  )
  flags.DEFINE_string(
    "stanford", None, "folder of Stanford's built programs, to compare with"
  )


def given_settings() -> dict:
  """The fields that the command line gives, by preset or by flag."""
  settings = dict(configs.PRESETS[FLAGS.preset]) if FLAGS.preset else {}
  for field in configs.fields():
    if FLAGS[field.name].present:
      settings[field.name] = FLAGS[field.name].value
  return settings


def workdir() -> pathlib.Path:
  if FLAGS.workdir:
    return pathlib.Path(FLAGS.workdir)
  if FLAGS.experiment or FLAGS.sweep:
    return pathlib.Path("runs", FLAGS.experiment or "sweep")
  first = pathlib.Path(FLAGS.corpus[0]).name if FLAGS.corpus else "run"
  return pathlib.Path("runs", first.split(".")[0] or "run")


def train(arguments: list[str]) -> None:
  _expect(arguments, 0, "no words")
  if FLAGS.experiment or FLAGS.sweep or FLAGS.search or FLAGS.dry_run:
    sweep()
    return
  config = configs.make_config(**given_settings())
  run = pipeline.Pipeline(config, workdir(), _say)
  results = run.run_evaluation()
  _say(artifacts.summary(run.workdir, config, results))


def sweep() -> None:
  """Runs an experiment; exits with 1 where one of its points failed."""
  request = experiment_command.Request(
    experiment=FLAGS.experiment,
    sweep=FLAGS.sweep,
    settings=given_settings(),
    seeds=FLAGS.seeds,
    stanford=FLAGS.stanford,
    command=shlex.join(["python", "run.py", *sys.argv[1:]]),
  )
  how = experiment_command.How(
    **{name: FLAGS[name].value for name in experiment_command.How._fields}
  )
  if FLAGS.dry_run and multihost.several():
    raise ValueError("A dry run is for one process: start no others.")
  if FLAGS.dry_run and FLAGS.search:
    raise ValueError("A search has no plan: it picks its points as it goes.")
  if FLAGS.dry_run:
    experiment_command.dry_run(request, workdir(), how, _say)
    return
  run = experiment_command.run
  if FLAGS.search:
    run = experiment_command.run_search
  if run(request, workdir(), how, _say):
    sys.exit(1)


def report(arguments: list[str]) -> None:
  _expect(arguments, 0, "no words")
  experiment_command.rewrite(workdir(), FLAGS.output, _say)


def count(arguments: list[str]) -> None:
  _expect(arguments, 0, "no words")
  config = configs.make_config(**given_settings())
  run = pipeline.Pipeline(config, workdir(), _say)
  counts = run.run_counts()
  _say(
    f"{len(counts.row):,} counts of {counts.vocab_size:,} words "
    f"are in {run.workdir / 'counts'}"
  )


def evaluate(arguments: list[str]) -> None:
  _expect(arguments, 0, "no words")
  vectors, config = _trained()
  results = evaluation.evaluate_vectors(vectors, config.evaluate)
  if not FLAGS.input:
    artifacts.write_results(results, workdir())
  _say(evaluation.format_table(results))


def neighbors(arguments: list[str]) -> None:
  if not arguments:
    raise ValueError("neighbors needs one word or more: neighbors frog king.")
  vectors, _ = _trained()
  for word in arguments:
    answers = vectors.neighbors(word, FLAGS.k)
    _say(f"{word}:")
    _show(answers)


def analogy(arguments: list[str]) -> None:
  _expect(arguments, 3, "three words, such as man king woman")
  vectors, config = _trained()
  method = config.evaluate.analogy_method
  a, b, c = arguments
  answers = vectors.analogy(a, b, c, FLAGS.k, method)
  _say(f"{a} is to {b} as {c} is to:")
  _show(answers)


def export(arguments: list[str]) -> None:
  _expect(arguments, 0, "no words")
  if not FLAGS.output:
    raise ValueError("export needs --output=FILE.")
  config = configs.make_config(
    **(artifacts.read_settings(workdir()) | given_settings())
  )
  artifacts.export(workdir(), config, FLAGS.format, FLAGS.output)
  _say(f"{FLAGS.format} is in {FLAGS.output}")


def _trained():
  """The vectors of --input or of the workdir's run, and their config."""
  if FLAGS.input:
    config = configs.make_config(**given_settings())
    return formats.load_vectors(FLAGS.input), config
  config = configs.make_config(
    **(artifacts.read_settings(workdir()) | given_settings())
  )
  return artifacts.read_vectors(workdir(), config), config


def _show(answers) -> None:
  for word, cosine in answers:
    _say(f"  {cosine:6.3f}  {word}")


def _expect(arguments: list[str], number: int, what: str) -> None:
  if len(arguments) != number:
    command = sys.argv[1] if len(sys.argv) > 1 else "train"
    raise ValueError(f"{command} takes {what}, got {' '.join(arguments)!r}.")


def _say(line: str) -> None:
  print(line, flush=True)


COMMANDS = {
  "train": train,
  "count": count,
  "evaluate": evaluate,
  "neighbors": neighbors,
  "analogy": analogy,
  "export": export,
  "report": report,
}


def main(argv: list[str]) -> None:
  # What jax logs about platforms that it looked for is no news to a user.
  logging.set_verbosity(logging.WARNING)
  command, *arguments = argv[1:] or ["train"]
  try:
    if command not in COMMANDS:
      raise ValueError(
        f"There is no command {command!r}: use {', '.join(COMMANDS)}."
      )
    multihost.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    if multihost.is_first():
      COMMANDS[command](arguments)
    else:
      training.follow()
    multihost.finish()
  except SystemExit:
    multihost.finish()
    raise
  except KeyboardInterrupt:
    _fail("stopped; the same command goes on where it was.")
  except (ValueError, OSError, ArithmeticError, ImportError) as error:
    _fail(str(error))
  except Exception as error:
    if not multihost.several():
      raise
    _fail(f"{type(error).__name__}: {error}")


def _fail(message: str) -> None:
  """One sentence and exit code 1, or with --traceback where it arose."""
  if FLAGS.traceback:
    traceback.print_exc()
  if multihost.several():
    multihost.stop(message)
  sys.exit(f"run.py: {message}")


def parse_flags(argv: list[str]) -> list[str]:
  """Parses the flags; a bad one is one sentence and exit code 1."""
  try:
    return FLAGS(argv)
  except flags.Error as error:
    sys.exit(f"run.py: {error}")


define_flags()
define_sweep_flags()
define_process_flags()

if __name__ == "__main__":
  with contextlib.suppress(BrokenPipeError):
    app.run(main, flags_parser=parse_flags)
