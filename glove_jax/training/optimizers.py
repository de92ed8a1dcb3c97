"""Optimizers as optax transformations over `model.Params`, chosen by name."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax.model import Params


class StanfordState(NamedTuple):
  """Sums of squared gradients, one number for each parameter."""

  sum_of_squares: Params


def stanford(eta: float = 0.05, clip: float = 100.0):
  """The update rule of Stanford's glove.c, as an optax transformation.

  The C code scales a gradient g by eta, divides it by the root of an
  accumulator that starts at 1, and only then adds (eta g)^2 to it. That is

    update = -g / sqrt(G),    G <- G + g^2    (in this order),

  with G = 1 / eta^2 at first for the vectors. The biases know neither eta nor
  the clip: their G starts at 1. Fed one count at a time this is the C code's
  arithmetic; fed batches, g is the sum over the batch.

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


def make_schedule(name: str) -> Callable[[np.ndarray], np.ndarray]:
  """How the learning rate falls: the done share of a run -> share of the rate.

  It is data that every step is handed, not part of the optimizer: neither the
  rate nor the length of a run is compiled in.

  Raises:
    ValueError: no such schedule.
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


def make_optimizer(
  name: str = "adagrad",
  *,
  learning_rate: float = 0.05,
  initial_accumulator: float = 0.1,
  clip: float = 100.0,
) -> optax.GradientTransformation:
  """Makes the optimizer that a run asks for.

  Args:
    name: 'adagrad' (optax.adagrad), 'stanford', or any other optimizer of
      optax that needs no more than a learning rate: 'adam', 'rmsprop', 'sgd'.
    learning_rate: the step size; eta for 'stanford'. It may be traced.
    initial_accumulator: where Adagrad's sums of squares start.
    clip: for 'stanford', the bound on each component of a vector's gradient.

  Raises:
    ValueError: no such optimizer.
  """
  if name == "stanford":
    return stanford(learning_rate, clip)
  if name == "adagrad":
    return optax.adagrad(learning_rate, initial_accumulator)
  make = getattr(optax, name, None)
  if name.startswith("_") or not _takes_only_a_rate(make):
    raise ValueError(
      f"There is no optimizer {name!r}: use adagrad, stanford, or the name of "
      "an optax optimizer that needs only a learning rate, such as adam."
    )
  return make(learning_rate)


def _takes_only_a_rate(make) -> bool:
  if not inspect.isfunction(make):
    return False
  needed = [
    p.name
    for p in inspect.signature(make).parameters.values()
    if p.default is p.empty and p.kind is not p.VAR_KEYWORD
  ]
  return needed == ["learning_rate"]
