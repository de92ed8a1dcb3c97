"""Whether an engine can train with an optimizer, found out by trying it.

The engines rows and blocked train a slice of the tables at a time, with the
same slice of the optimizer's state. So an optimizer fits them if it treats each
row of a table by itself. `check` compares updates of slices with updates of
whole tables, on small ones, so it needs no list of the optimizers of optax.
"""

import functools
import hashlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import atomic
from glove_jax.config import TrainConfig
from glove_jax.model import Params
from glove_jax.training import multihost, optimizers
from glove_jax.training.engine import each, map_tables

_VOCAB_SIZE, _DIM, _SLICE = 12, 3, 4  # of the tables of the trial
_SCALES = (1.0, 100.0, 0.01)  # of their gradients, so that clips are met
_MANY_WORDS = 100_003  # more than any dimension
_BUMPS = (0, 0, 0, 1000, 100_000)  # added to step counts before a step


@functools.lru_cache(maxsize=64)
def check(
  tx: optax.GradientTransformation, engine: str, dim: int, tile_size: int
) -> None:
  """Checks that an engine can train with an optimizer.

  Args:
    tx: the optimizer.
    engine: 'dense' updates whole tables, 'rows' and 'blocked' slices.
    dim: D of the run.
    tile_size: T of the run.

  Raises:
    ValueError: the optimizer fails, or the engine updates slices and the
      optimizer does not treat each row by itself.

  Example:
    The norm of a gradient is that of its slice, if the rest of it is 0. But
    LAMB needs the norms of whole tables.

    >>> clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    >>> check(clipped, "blocked", dim=100, tile_size=512)
    >>> check(optax.lamb(0.1), "blocked", dim=100, tile_size=512)
    Traceback (most recent call last):
    ValueError: This optimizer updates a row by what is in other rows: ...
  """
  if not isinstance(tx, optax.GradientTransformation):
    hint = " (call it first)" if callable(tx) else ""
    raise ValueError(
      "The optimizer must be an optax transformation, such as "
      f"optax.adam(1e-3), not a {type(tx).__name__}{hint}."
    )
  try:
    moves = _moves(tx)
    reason = _reason(tx, engine, dim, tile_size) if engine != "dense" else ""
  except Exception as error:
    why = " ".join(str(error).split()).rstrip(".")
    raise ValueError(
      f"The optimizer fails when it is tried out: {type(error).__name__}: "
      f"{why}."
    ) from error
  if engine != "dense" and not moves:
    reason = "gathers gradients over several steps"
  if reason:
    raise ValueError(
      f"This optimizer {reason}: use engine=dense, for engine={engine} trains "
      "slices of the tables, or another optimizer."
    )


@functools.lru_cache(maxsize=64)
def check_named(config: TrainConfig) -> None:
  """As `check`, for the optimizer that a config names.

  Raises:
    ValueError: as `check` and `optimizers.base`.
  """
  if not optimizers.has_sums(config):
    tx = optimizers.base(config)
    check(tx, config.engine, config.dim, config.tile_size)


def describe(
  config: TrainConfig, tx: optax.GradientTransformation | None = None
) -> str:
  """The optimizer of a run, with a fingerprint if it is one's own.

  >>> describe(TrainConfig(optimizer="adam"))
  'adam'
  """
  name = config.optimizer if tx is None else "an optax transformation"
  if tx is None and optimizers.is_own(name):
    tx = optimizers.base(config)
  return name if tx is None else f"{name} ({fingerprint(tx)})"


def note(
  folder: pathlib.Path,
  config: TrainConfig,
  tx: optax.GradientTransformation | None,
  *,
  resumes: bool,
) -> None:
  """Notes the optimizer of the checkpoints in a folder, or compares it.

  Raises:
    ValueError: the run resumes, and the checkpoints are of another optimizer.
  """
  path, name = folder / "optimizer.txt", describe(config, tx)
  if resumes and path.exists() and path.read_text().strip() != name:
    raise ValueError(
      f"The checkpoints in {folder} are of another optimizer, "
      f"{path.read_text().strip()}, not {name}: train in another workdir, or "
      "remove them."
    )
  if not resumes and multihost.is_first():
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, name + "\n")


def fingerprint(tx: optax.GradientTransformation) -> str:
  """A short hash of what an optimizer does, so that a run resumes with its own.

  It is of the first updates on small tables, and of some with step counts that
  were moved on, so that schedules that differ late differ too.
  """

  def run():
    params, updates = _random(0), []
    state = tx.init(params)
    for i, bump in enumerate(_BUMPS):
      state = jax.tree.map(lambda leaf, n=bump: _moved_on(leaf, n), state)
      update, state = tx.update(_random(i + 1), state, params)
      updates.append(update)
    return updates

  leaves = jax.tree.leaves(jax.jit(run)())
  numbers = [f"{x:.4e}" for leaf in leaves for x in np.ravel(leaf)]
  return hashlib.sha256(" ".join(numbers).encode()).hexdigest()[:12]


def _moved_on(leaf, number: int):
  is_count = jnp.shape(leaf) == () and jnp.issubdtype(leaf.dtype, jnp.integer)
  return leaf + number if is_count else leaf


def _reason(tx, engine: str, dim: int, tile_size: int) -> str:
  """Why slices cannot be trained with an optimizer; empty if they can."""
  if not all(_fits(tx, take, dim) for take in _slices(engine, tile_size)):
    return "keeps a state that is not one number for each parameter"
  for take in _slices(engine, _SLICE):
    whole, slices = jax.jit(lambda take=take: _trial(tx, take))()
    if not jax.tree.all(jax.tree.map(_is_close, whole, slices)):
      return "updates a row by what is in other rows"
  return ""


def _fits(tx, take, dim: int) -> bool:
  """Whether the slice of a state is, in its shapes, the state of a slice."""
  shapes = [(_MANY_WORDS, dim)] * 2 + [(_MANY_WORDS,)] * 2
  large = Params(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))
  try:
    sliced = jax.eval_shape(
      lambda p: map_tables(Params, take, tx.init(p)), large
    )
  except (TypeError, IndexError):
    return False
  return sliced == jax.eval_shape(lambda p: tx.init(take(p)), large)


def _slices(engine: str, size: int) -> list:
  """The slices Params -> Params that an engine trains, of `size` rows."""
  a, b = np.arange(size), np.arange(size) + 1

  def rows(table: Params) -> Params:
    pairs = zip(Params(a, b, a, b), table, strict=True)
    return Params(*(each(lambda x, i=i: x[i], x) for i, x in pairs))

  def tile(table: Params) -> Params:
    def both(*sides):
      return each(lambda *arrays: jnp.stack(arrays)[None], *sides)

    word, context, word_bias, context_bias = rows(table)
    return line(both(word, context), both(word_bias, context_bias))

  def line(*sides) -> Params:
    cuts = [(x, number) for x in sides for number in (size, 0)]
    return Params(*(each(lambda x, n=n: x[:n], x) for x, n in cuts))

  if engine == "rows":
    return [rows]
  return [
    tile,
    lambda table: line(table.word, table.word_bias),
    lambda table: line(table.context, table.context_bias),
  ]


def _trial(tx, take):
  """Updates with gradients that are 0 outside of a slice, and of the slice."""
  params, whole, slices = _random(0), [], []
  state = tx.init(params)
  for i, scale in enumerate(_SCALES):
    grads = jax.tree.map(lambda x, s=scale: x * s, _random(i + 1))
    part = take(grads)
    (sparse,) = jax.linear_transpose(take, params)(part)
    updates, new = tx.update(sparse, state, params)
    whole.append((take(updates), map_tables(Params, take, new)))
    part_state = map_tables(Params, take, state)
    slices.append(tx.update(part, part_state, take(params)))
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return whole, slices


def _is_close(a, b) -> bool:
  if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
    a, b = jax.random.key_data(a), jax.random.key_data(b)
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  scale = np.max(np.abs(a), initial=0)
  return np.allclose(a, b, rtol=1e-4, atol=1e-5 * scale, equal_nan=True)


def _moves(tx) -> bool:
  """Whether an optimizer moves parameters at every step.

  A schedule may start at a rate of 0, or end with it. An optimizer that
  gathers gradients moves nothing for some steps, and then all that it gathered.
  """

  def run():
    params, grads = _random(0), _random(1)
    state, moves = tx.init(params), []
    for _ in range(4):
      updates, state = tx.update(grads, state, params)
      params = optax.apply_updates(params, updates)
      moves.append(sum(jnp.any(leaf != 0) for leaf in jax.tree.leaves(updates)))
    return moves

  moves = [bool(x) for x in jax.jit(run)()]
  moves = moves if moves[0] else moves[1:]
  return moves[0] and moves == sorted(moves, reverse=True)


def _random(seed: int) -> Params:
  rng = np.random.default_rng(seed)
  shapes = [(_VOCAB_SIZE, _DIM)] * 2 + [(_VOCAB_SIZE,)] * 2
  return Params(*(jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes))
