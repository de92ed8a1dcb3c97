"""What a run starts from: `init_from`, and the sums of `init_gradsq`.

A file has one vector for each word, or all parameters: word vector, bias,
context vector and context bias in one line, as Stanford's program writes them
with -model 0. The file of its -save-gradsq looks the same. A work directory has
all parameters in tables.npz, and the sums in its last checkpoint.
"""

import contextlib
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from glove_jax.config import TrainConfig, make_config
from glove_jax.counts import triplets
from glove_jax.model import Params
from glove_jax.training import checkpoint, starts, sums
from glove_jax.training.starts import Start
from glove_jax.vectors import formats
from glove_jax.vectors.formats import opening, projector
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import artifacts

Say = Callable[[str], object]


def check(config: TrainConfig, workdir: str | os.PathLike) -> None:
  """Finds mistakes before anything is counted.

  Raises:
    FileNotFoundError: a file is missing, or a work directory is not trained.
    ValueError: settings that do not fit each other, or a run that is to start
      from itself.
  """
  if not config.init_from:
    for name in ("init_gradsq", "freeze", "retrofit"):
      if getattr(config, name):
        raise ValueError(f"{name} needs init_from, the vectors to start from.")
  folder = pathlib.Path(workdir).resolve()
  for path in filter(None, (config.init_from, config.init_gradsq)):
    if pathlib.Path(path).expanduser().resolve().is_relative_to(folder):
      raise ValueError(
        f"A run cannot start from itself: {path} is in its workdir, so copy it "
        "or name another workdir."
      )
  files(config)
  if config.init_from:
    _read_params(config.init_from, config, limit=1)


def files(config: TrainConfig) -> list[pathlib.Path]:
  """The files that a start is read from.

  Raises:
    FileNotFoundError: as `check`.
  """
  found = []
  if config.init_from:
    found += _vector_files(config.init_from)
  if config.init_gradsq and _is_run(config.init_gradsq):
    tables = _vector_files(config.init_gradsq)
    folder = pathlib.Path(config.init_gradsq, "checkpoints")
    found += tables + _last_checkpoint(folder)
  elif config.init_gradsq:
    found += opening.files_of(config.init_gradsq)
  return found


def read(
  config: TrainConfig, words: Sequence[str], say: Say = print
) -> Start | None:
  """Reads what a run starts from.

  Args:
    config: names the files.
    words: the V words of the run, in order.
    say: called with a sentence on how many words start there.

  Returns:
    The start; None if the config names none.

  Raises:
    ValueError: a file does not fit the run, or has none of its words.
    FileNotFoundError, OSError: a file is missing or cannot be read.
  """
  if not config.init_from:
    return None
  start = start_of(config.init_from, words, config)
  known = int((~np.isnan(start.params.word[:, 0])).sum())
  say(f"{known:,} of {len(words):,} words start from {config.init_from}.")
  if config.init_gradsq:
    start = start._replace(sums=_read_sums(config, words))
  return start


def start_of(
  init: Params | Start | WordVectors | str | os.PathLike,
  words: Sequence[str],
  config: TrainConfig,
) -> Start:
  """The start of a run from parameters, vectors or a file.

  Args:
    init: parameters of these words, vectors of any words, or the path of a
      file or a work directory.
    words: the V words of the run, in order.
    config: has `dim`, `freeze` and the seed.

  Raises:
    ValueError, FileNotFoundError, OSError: as `read`.

  Example:
    >>> vectors = WordVectors(["a", "b"], np.ones((2, 3)))
    >>> start = start_of(vectors, ["b", "c"], TrainConfig(dim=3, freeze=True))
    >>> print(start.params.word)
    [[0.5 0.5 0.5]
     [nan nan nan]]
  """
  if isinstance(init, Start):
    return init
  if isinstance(init, Params):
    return Start(init)
  if isinstance(init, WordVectors):
    _say_two_sides(init, config.dim, "init")
    found, name = (_split(init, config, "init"), init.words), "init"
  elif isinstance(init, (str, os.PathLike)):
    found, name = _read_params(init, config), str(init)
  else:
    raise ValueError(
      "init must be Params, WordVectors or the path of a file, not a "
      f"{type(init).__name__}."
    )
  params = starts.align(*found, words)
  if np.isnan(params.word[:, 0]).all():
    raise ValueError(
      f"{name} has none of the {len(words):,} words of this run: give vectors "
      "of the same language, and in lower case if the run's words are."
    )
  return Start(params)


def _is_run(path: str | os.PathLike) -> bool:
  """Whether a path is a work directory, and not a folder for the projector."""
  path = pathlib.Path(path).expanduser()
  return path.is_dir() and not (path / projector.CONFIG).exists()


def _vector_files(path: str | os.PathLike) -> list[pathlib.Path]:
  if _is_run(path):
    return [artifacts.tables_path(path)]
  return opening.files_of(path)


def _last_checkpoint(folder: pathlib.Path) -> list[pathlib.Path]:
  epochs = checkpoint.epochs(folder)
  if not epochs:
    raise FileNotFoundError(
      f"There is no checkpoint in {folder}, which init_gradsq needs: name the "
      "work directory of a trained run."
    )
  return sorted(folder.glob(f"epoch_{epochs[-1]:06d}*.npz"))


def _read_params(
  path, config: TrainConfig, limit: int | None = None
) -> tuple[Params, tuple[str, ...]]:
  """The parameters in a file or work directory, and their words.

  A limit reads only so many vectors, to see whether they fit.
  """
  (first, *_) = _vector_files(path)
  params = None
  if ".npz" in first.name:
    with contextlib.suppress(ValueError):  # it holds vectors, not tables
      params, words = formats.read_tables(first)
  if params is not None:
    _check_dim(params.word.shape[1], config.dim, path)
    return params, words
  vectors = formats.load_vectors(path, limit=limit)
  if limit is None:
    _say_two_sides(vectors, config.dim, path)
  return _split(vectors, config, path), vectors.words


def _say_two_sides(vectors: WordVectors, dim: int, name) -> None:
  """Warns of vectors that are read as two, which may be a wrong dim."""
  if vectors.vector_size == 2 * dim:
    warnings.warn(
      f"{name} has {2 * dim} numbers a word, twice dim: the first {dim} start "
      f"w and the others w~. If they are one vector, give dim={2 * dim}.",
      stacklevel=3,
    )


def _split(vectors: WordVectors, config: TrainConfig, name) -> Params:
  """The parameters in vectors of D, 2 D or 2 (D + 1) numbers."""
  table, dim = vectors.vectors, config.dim
  bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
  if bad.size:
    raise ValueError(
      f"The vector of {vectors.words[bad[0]]!r} in {name} is not finite: "
      "remove it, or give another file."
    )
  if table.shape[1] == 2 * (dim + 1):
    return _all_parameters(table)
  if table.shape[1] == 2 * dim:
    unknown = np.full(len(table), np.nan, table.dtype)
    return Params(table[:, :dim], table[:, dim:], unknown, unknown)
  _check_dim(table.shape[1], dim, name)
  return starts.from_vectors(table, seed=config.seed, exact=config.freeze)


def _all_parameters(table: np.ndarray) -> Params:
  """Splits lines of Stanford's program: w, b, w~, b~."""
  word, context = np.split(table, 2, axis=1)
  return Params(word[:, :-1], context[:, :-1], word[:, -1], context[:, -1])


def _check_dim(found: int, dim: int, name) -> None:
  if found != dim:
    raise ValueError(
      f"The vectors in {name} have {found} dimensions and dim is {dim}: give "
      f"dim={found}, or other vectors."
    )


def _read_sums(config: TrainConfig, words: Sequence[str]) -> Params:
  """The sums of squared gradients of `init_gradsq`, NaN for other words."""
  path = config.init_gradsq
  if _is_run(path):
    old = make_config(**artifacts.read_settings(path)).train.resolved
    if old.optimizer != config.optimizer:
      raise ValueError(
        f"The sums in {path} are those of optimizer={old.optimizer}, not "
        f"{config.optimizer}: name the same."
      )
    params, old_words = formats.read_tables(artifacts.tables_path(path))
    found = sums.read(
      pathlib.Path(path, "checkpoints"),
      triplets.read_triplets(pathlib.Path(path, "counts")),
      old,
      params,
    )
  else:
    found, old_words = _read_gradsq(config)
  _check_dim(found.word.shape[1], config.dim, path)
  return starts.align(found, old_words, words)


def _read_gradsq(config: TrainConfig) -> tuple[Params, tuple[str, ...]]:
  """A file of -save-gradsq, in the terms of `optimizers.stanford`.

  The file has sums of (eta g)^2 for vectors, which start at 1.
  """
  path, dim = config.init_gradsq, config.dim
  vectors = formats.load_vectors(path)
  if config.optimizer != "stanford" or vectors.vector_size != 2 * (dim + 1):
    raise ValueError(
      f"{path} must have 2 * (dim + 1) = {2 * (dim + 1)} numbers a word, as "
      "Stanford's -save-gradsq writes them, and goes with optimizer=stanford; "
      f"it has {vectors.vector_size}, and optimizer is {config.optimizer}."
    )
  found = _all_parameters(vectors.vectors)
  scale = config.resolved.learning_rate**-2
  return found._replace(
    word=found.word * scale, context=found.context * scale
  ), vectors.words
