"""Optimizers as optax transformations over `model.Params`, chosen by name."""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax.config import TrainConfig
from glove_jax.model import Params


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
  free until `starts.init_opt_state` says otherwise.

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
  """Makes the optimizer of a config.

  Args:
    config: names the optimizer and its constants; with `freeze`, the optimizer
      leaves held rows as they are, see `hold`.
    learning_rate: replaces that of the config; it may be traced.
    tx: used instead of the named optimizer; it has its own learning rate.
  """
  if learning_rate is None:
    learning_rate = config.learning_rate
  if tx is None:
    tx = make_optimizer(
      config.optimizer,
      learning_rate=learning_rate,
      initial_accumulator=config.initial_accumulator,
      clip=config.clip,
    )
  return hold(tx) if config.freeze else tx


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


def replace_sums(
  opt_state: optax.OptState,
  function: Callable,
  *rest,
  kinds: tuple[type, ...] = (optax.ScaleByRssState, StanfordState),
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
