"""Flags of the command line that are no settings of a run or of a sweep."""

import dataclasses

from glove_jax.presets import PRESETS
from glove_jax.settings import MOST, Part, setting
from glove_jax.workdir import exports


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
