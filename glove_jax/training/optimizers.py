"""Optimizers as optax transformations over `model.Params`, chosen by name."""

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax.config import TrainConfig
from glove_jax.model import Params
from glove_jax.training.starts import Given


class StanfordState(NamedTuple):
  """The sum of squared gradients of each parameter."""

  sum_of_squares: Params


def stanford(eta: float = 0.05, clip: float = 100.0):
  """The update rule of Stanford's glove.c, as an optax transformation.

  The C code scales a gradient g by eta, divides it by the root of an
  accumulator that starts at 1, and only then adds (eta g)^2 to the
  accumulator. In terms of g this is

    update = -g / sqrt(G),    G <- G + g^2    (in this order),

  where G starts at 1 / eta^2 for the vectors. The biases use neither eta nor
  the clip, and their G starts at 1. With batches of one count this is the
  arithmetic of the C code; otherwise g is the sum over the batch.

  Args:
    eta: the learning rate of the C code (`-eta`).
    clip: bound on each component of a vector's gradient (`-grad-clip`).

  Returns:
    An optax.GradientTransformation for trees of the type `model.Params`.
  """

  def init(params):
    start = Params(eta**-2, eta**-2, 1.0, 1.0)
    return StanfordState(jax.tree.map(jnp.full_like, params, start))

  def update(grads, state, params=None):
    del params
    grads = grads._replace(
      word=jnp.clip(grads.word, -clip, clip),
      context=jnp.clip(grads.context, -clip, clip),
    )
    updates = jax.tree.map(
      lambda g, s: -g * jax.lax.rsqrt(s), grads, state.sum_of_squares
    )
    sums = jax.tree.map(lambda g, s: s + g * g, grads, state.sum_of_squares)
    return updates, StanfordState(sums)

  return optax.GradientTransformation(init, update)


class HeldState(NamedTuple):
  """The state of `hold`."""

  inner: optax.OptState
  free: Params  # [V] bool of each table: False for rows that are held


def hold(tx: optax.GradientTransformation) -> optax.GradientTransformation:
  """An optimizer that leaves some rows as they are.

  Held rows have no gradient and get no update, so weight decay and momentum do
  not move them either. Which rows these are is a part of the state, because
  engines slice tables in the state as they slice the parameters. All rows are
  free until `init_opt_state` says otherwise.

  Args:
    tx: the optimizer of the other rows.
  """

  def init(params):
    free = jax.tree.map(lambda table: jnp.ones(len(table), bool), params)
    return HeldState(tx.init(params), free)

  def mask(values, free):
    return jax.tree.map(
      lambda value, is_free: jnp.where(
        is_free.reshape(*is_free.shape, *(1,) * (value.ndim - is_free.ndim)),
        value,
        0,
      ),
      values,
      free,
    )

  def update(grads, state, params=None):
    updates, inner = tx.update(mask(grads, state.free), state.inner, params)
    return mask(updates, state.free), HeldState(inner, state.free)

  return optax.GradientTransformation(init, update)


def init_opt_state(
  tx: optax.GradientTransformation, params: Params, given: Given
) -> optax.OptState:
  """The optimizer's state before the first step, in vocabulary order.

  Args:
    tx: the optimizer, from `from_config`.
    params: where training starts.
    given: what is not as `tx.init` makes it.
  """
  opt_state = tx.init(params)
  if given.sums is not None:
    opt_state = replace_sums(
      opt_state,
      lambda usual, sums: jnp.where(jnp.isnan(sums), usual, sums),
      given.sums,
    )
  if given.free is not None:
    opt_state = opt_state._replace(free=given.free)
  return opt_state


def restart(
  tx: optax.GradientTransformation, params: Params, opt_state: optax.OptState
) -> optax.OptState:
  """The state before the first step; rows that are held stay held."""
  start = tx.init(params)
  if isinstance(opt_state, HeldState):
    start = start._replace(free=opt_state.free)
  return start


def make_schedule(name: str) -> Callable[[np.ndarray], np.ndarray]:
  """Makes a schedule: fraction of the run completed -> multiplier.

  The multipliers of the learning rate are data of each step, not part of the
  optimizer, so neither the rate nor the length of a run is compiled in.

  Args:
    name: 'constant', 'linear' or 'cosine'.

  Raises:
    ValueError: there is no such schedule.

  Example:
    >>> print(make_schedule("linear")(np.array([0.0, 0.25, 1.0])))
    [1.   0.75 0.  ]
  """
  schedules = {
    "constant": np.ones_like,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + np.cos(np.pi * done)) / 2,
  }
  if name not in schedules:
    raise ValueError(
      f"There is no schedule {name!r}: use one of {', '.join(schedules)}."
    )
  return schedules[name]


def from_config(
  config: TrainConfig,
  learning_rate=None,
  tx: optax.GradientTransformation | None = None,
) -> optax.GradientTransformation:
  """Makes the optimizer of a run.

  Args:
    config: names the optimizer and its constants; with `freeze`, the optimizer
      leaves held rows as they are, see `hold`.
    learning_rate: replaces that of the config; it may be traced.
    tx: used instead of the optimizer of the config; it has its own rate.
  """
  tx = base(config, learning_rate) if tx is None else tx
  return hold(tx) if config.freeze else tx


def base(
  config: TrainConfig, learning_rate=None
) -> optax.GradientTransformation:
  """Makes the optimizer that a config names, which may move every row.

  Raises:
    ValueError: there is no such optimizer.
  """
  config = config.resolved
  if is_own(config.optimizer):
    return load(config.optimizer, config.learning_rate)
  if learning_rate is None:
    learning_rate = config.learning_rate
  return make_optimizer(
    config.optimizer,
    learning_rate=learning_rate,
    initial_accumulator=config.initial_accumulator,
    clip=config.clip,
  )


def has_sums(config: TrainConfig) -> bool:
  """Whether the optimizer that a config names is Adagrad's or Stanford's."""
  return config.optimizer in ("adagrad", "stanford")


def is_own(name: str) -> bool:
  """Whether the name of an optimizer is module:function."""
  return ":" in name


def load(name: str, learning_rate: float) -> optax.GradientTransformation:
  """Loads an optimizer by module:function.

  Args:
    name: of a module in the current folder or an installed one, and of a
      function in it that returns an optax transformation.
    learning_rate: the argument of the function, if it has one of this name.

  Raises:
    ValueError: there is no such module or function, it fails, or it returns
      something else.
  """
  module_name, _, attribute = name.partition(":")
  make = getattr(_import(module_name, name), attribute, None)
  if not callable(make):
    raise ValueError(
      f"optimizer={name}: the module {module_name} has no function "
      f"{attribute!r}."
    )
  try:
    tx = _call(make, learning_rate)
  except Exception as error:
    raise ValueError(
      f"optimizer={name} fails: {type(error).__name__}: {error}."
    ) from error
  if not isinstance(tx, optax.GradientTransformation):
    raise ValueError(
      f"optimizer={name} must return an optax transformation, such as "
      f"optax.adam(1e-3), not a {type(tx).__name__}."
    )
  return tx


@functools.lru_cache(maxsize=16)
def _call(make: Callable, learning_rate: float):
  """Calls the function once for each rate, so that its result is one object."""
  takes_rate = "learning_rate" in inspect.signature(make).parameters
  return make(learning_rate=learning_rate) if takes_rate else make()


def _import(module_name: str, name: str):
  folder = os.getcwd()
  sys.path.insert(0, folder)
  try:
    return importlib.import_module(module_name)
  except Exception as error:
    why = f"{type(error).__name__}: {error}".rstrip(".")
    missing = isinstance(error, ModuleNotFoundError) and error.name
    if missing and module_name.split(".")[0] == missing.split(".")[0]:
      why = f"there is no such module in {folder}, and none is installed"
    raise ValueError(f"optimizer={name} cannot be imported: {why}.") from error
  finally:
    sys.path.remove(folder)


def make_optimizer(
  name: str = "adagrad",
  *,
  learning_rate: float = 0.05,
  initial_accumulator: float = 0.1,
  clip: float = 100.0,
) -> optax.GradientTransformation:
  """Makes an optimizer by name.

  Args:
    name: 'adagrad' (optax.adagrad), 'stanford', or any other optimizer of
      optax that needs only a learning rate: 'adam', 'rmsprop', 'sgd'.
    learning_rate: the step size; eta for 'stanford'. It may be traced.
    initial_accumulator: for 'adagrad', where its sums of squares start.
    clip: for 'stanford', bound on each component of a vector's gradient.

  Raises:
    ValueError: there is no such optimizer.
  """
  if name == "stanford":
    return stanford(learning_rate, clip)
  if name == "adagrad":
    return optax.adagrad(learning_rate, initial_accumulator)
  make = getattr(optax, name, None)
  if name.startswith("_") or not _needs_only_a_rate(make):
    raise ValueError(
      f"There is no optimizer {name!r}: use adagrad, stanford, or the name of "
      "an optax optimizer that needs only a learning rate, such as adam."
    )
  return make(learning_rate)


def _needs_only_a_rate(make) -> bool:
  if not inspect.isfunction(make):
    return False
  needed = [
    p.name
    for p in inspect.signature(make).parameters.values()
    if p.default is p.empty and p.kind is not p.VAR_KEYWORD
  ]
  return needed == ["learning_rate"]


@functools.partial(jax.jit, static_argnames="keep", donate_argnums=0)
def decay_sums(opt_state: optax.OptState, keep: float) -> optax.OptState:
  """Multiplies Adagrad's sums of squares by `keep`.

  Early gradients are large and point the same way. Without decay they slow
  down all later steps.

  Args:
    opt_state: donated. Optimizers other than Adagrad are left unchanged.
    keep: the multiplier; 1 leaves the sums unchanged.
  """
  return opt_state if keep == 1 else scale_sums(opt_state, keep)


def scale_sums(opt_state: optax.OptState, keep) -> optax.OptState:
  """As `decay_sums`, inside a program: `keep` may be traced."""
  kinds = (optax.ScaleByRssState,)
  return replace_sums(opt_state, lambda table: table * keep, kinds=kinds)


_KINDS = (optax.ScaleByRssState, StanfordState)  # have `sum_of_squares`


def find_sums(opt_state: optax.OptState):
  """The tables of sums of squared gradients in a state; None without any."""
  nodes = jax.tree.leaves(
    opt_state, is_leaf=lambda node: isinstance(node, _KINDS)
  )
  found = [node.sum_of_squares for node in nodes if isinstance(node, _KINDS)]
  return found[0] if found else None


def replace_sums(
  opt_state: optax.OptState,
  function: Callable,
  *rest,
  kinds: tuple[type, ...] = _KINDS,
) -> optax.OptState:
  """Applies a function to the sums of squared gradients in a state.

  Args:
    opt_state: the state; one without such sums is returned unchanged.
    function: (array, *arrays) -> the array in its place.
    *rest: trees of the structure of the sums, for the other arguments.
    kinds: the states that have a field `sum_of_squares`.
  """

  def replace(node):
    if not isinstance(node, kinds):
      return node
    sums = jax.tree.map(function, node.sum_of_squares, *rest)
    return node._replace(sum_of_squares=sums)

  return jax.tree.map(
    replace, opt_state, is_leaf=lambda node: isinstance(node, kinds)
  )
