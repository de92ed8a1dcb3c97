"""Flags that are no settings of a run, and what the given flags stand for."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from glove_jax import config as configs
from glove_jax import effects
from glove_jax.command_line import given
from glove_jax.presets import PRESETS
from glove_jax.settings import MOST, Part, setting
from glove_jax.sweeps.options import SweepConfig
from glove_jax.workdir import artifacts, exports, names, stages

if TYPE_CHECKING:
  from glove_jax.vectors.word_vectors import WordVectors


@dataclasses.dataclass(frozen=True)
class RunFlags(Part):
  """Where a command reads and writes, and what it shows."""

  workdir: str = setting(
    "", "folder for all outputs of a run (default: runs/<corpus>)"
  )
  preset: str = setting(
    "",
    "the settings of a published recipe; flags given as well take precedence",
    choices=("", *sorted(PRESETS)),
  )
  input: str = setting(
    "",
    "a file of vectors to use instead of a workdir's, plain or packed, in any "
    "format of --format but counts; glove.6B.zip/glove.6B.50d.txt names a "
    "member of an archive",
  )
  skip_bad_lines: bool = setting(
    False, "leave out malformed lines of a file of vectors, and count them"
  )
  format: str = setting(
    "",
    "format to write (default: by the name's ending, such as .bin, .vec, .npz, "
    ".safetensors or .parquet, and otherwise stanford_text)",
    choices=("", *exports.EXPORTS),
  )
  output: str = setting(
    "",
    "file to export to, packed if it ends in .gz, .bz2, .xz, .zst or .zip; a "
    "folder for the formats projector and model2vec, and for the results of a "
    "sweep",
  )
  sif: float = setting(
    0.0,
    "multiply each vector by SIF / (SIF + p(word)), for sentence vectors; 1e-3 "
    "is usual, 0 leaves the lengths",
    low=0,
    high=1,
  )
  remove: int = setting(
    0,
    "common directions to remove from vectors, for sentences",
    low=0,
    high=MOST,
  )
  intervals: bool = setting(
    False,
    "show the 95% interval of each cosine, from the counts of the run; a lower "
    "bound, since other text and another seed change cosines more",
  )
  port: int = setting(
    8000, "port of the local page; 0 takes a free one", low=0, high=65535
  )
  k: int = setting(10, "number of answers to show", low=1, high=MOST)
  traceback: bool = setting(False, "show where in the code an error arose")


@dataclasses.dataclass(frozen=True)
class ProcessFlags(Part):
  """Several processes that train together."""

  coordinator: str = setting(
    "",
    "host:port of the first of several processes that train together; not "
    "needed in Slurm, MPI and Kubernetes jobs and on TPU pods, nor are the "
    "next two flags",
  )
  num_processes: int = setting(
    0, "number of processes that train together", low=0, high=MOST
  )
  process_id: int = setting(
    -1, "which of these processes this is, from 0", low=-1, high=MOST
  )


RUN_FIELDS = dataclasses.fields(RunFlags)
SWEEP_FIELDS = dataclasses.fields(SweepConfig)
# How the vectors of a run are formed.
COMBINED = {"vectors", "context_weight", "unk"}


def read_flags() -> RunFlags:
  """These flags; an --input that is a run stands for --workdir."""
  flags = RunFlags(**given(RUN_FIELDS))
  if flags.input and stages.is_workdir(flags.input):
    return dataclasses.replace(flags, workdir=flags.input, input="")
  return flags


def given_settings() -> dict:
  """The settings that the command line gives, by preset or by flag."""
  preset = read_flags().preset
  return (PRESETS[preset] if preset else {}) | given(configs.fields())


def new_config() -> configs.Config:
  """The config of a new run; a ValueError if a flag has no effect in it."""
  config = configs.make_config(**given_settings())
  effects.check([configs.all_settings(config)], given(configs.fields()))
  return config


def workdir() -> pathlib.Path:
  """The work directory: as given, or named after what is counted."""
  if folder := read_flags().workdir:
    return pathlib.Path(folder)
  flags, settings = given(SWEEP_FIELDS), given_settings()
  if flags.get("experiment") or flags.get("sweep"):
    return names.sweep_workdir(
      flags.get("experiment", ""), flags.get("sweep", ""), settings
    )
  return names.default_workdir(configs.make_config(**settings).corpus)


def run_config() -> configs.Config:
  """The config of the run in the workdir, with the flags that are given."""
  flags = given(configs.fields())
  config = configs.make_config(**artifacts.read_settings(workdir()) | flags)
  effects.check([configs.settings(config.vectors)], COMBINED & flags.keys())
  return config


def trained() -> tuple["WordVectors", configs.Config]:
  """The vectors of --input or of the workdir's run, and their config."""
  flags, settings = read_flags(), given(configs.fields())
  if "corpus" in settings and (flags.workdir or flags.input):
    raise ValueError(
      "--corpus only names a workdir here: leave it out, or else --workdir and "
      "--input."
    )
  if flags.input:
    config = configs.make_config(**settings)
    return read_input(flags.input, flags), config
  if flags.skip_bad_lines:
    raise ValueError("--skip_bad_lines is for files: give --input too.")
  config = run_config()
  vectors = artifacts.read_vectors(workdir(), config.vectors)
  limit = settings.get("max_vocab") or len(vectors)
  return vectors.first(limit), config


def read_input(path: str, flags: RunFlags) -> "WordVectors":
  """The vectors of a file, as many as --max_vocab says."""
  settings = given(configs.fields())
  configs.make_config(**settings)  # which checks their ranges
  return artifacts.load(
    path,
    limit=settings.get("max_vocab") or None,
    skip_bad_lines=flags.skip_bad_lines,
    **{name: settings[name] for name in COMBINED & settings.keys()},
  )
