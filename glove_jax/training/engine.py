"""What an engine is, and what all engines share."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from glove_jax import model
from glove_jax.config import TrainConfig
from glove_jax.training import optimizers, steps


class Epoch(NamedTuple):
  """How much there is to an epoch."""

  num_steps: int  # batches
  num_triplets: int  # counts


class Engine(NamedTuple):
  """A way to train: what it starts from, and how it does an epoch.

  `stacks` yields K batches at a time, for one call of `run_steps`, and [K] how
  many steps each of them is; `run_steps` takes with them [K] the shares of the
  learning rate, and returns [K] costs. It gives up the state that goes in.
  """

  init: Callable[[model.Params], Any]  # parameters -> state, not yet in place
  put: Callable[[Any], Any]  # state -> state where it belongs
  start_epoch: Callable[[Any], Any]  # state -> state
  stacks: Callable[[int], Iterator[tuple[Any, np.ndarray]]]  # epoch, from 1
  run_steps: Callable[[Any, Any, np.ndarray], Any]  # state, stack, rates
  params: Callable[[Any], model.Params]  # state -> parameters
  schedule: Callable[[np.ndarray], np.ndarray]  # done share -> that of the rate
  epochs: list[Epoch]  # of the whole run


def make_optimizer(
  config: TrainConfig, learning_rate
) -> optax.GradientTransformation:
  """The optimizer that the config names, at a rate that may be traced."""
  return optimizers.make_optimizer(
    config.optimizer,
    learning_rate=learning_rate,
    initial_accumulator=config.initial_accumulator,
    clip=config.clip,
  )


@functools.partial(jax.jit, static_argnames="keep", donate_argnums=0)
def forget(state: steps.TrainState, keep: float) -> steps.TrainState:
  """Keeps a share of Adagrad's sums of squares, of other optimizers all.

  The early gradients are large and all of one mind; remembered for ever they
  hold back the later steps.
  """
  if keep == 1:
    return state

  def fade(node):
    if not isinstance(node, optax.ScaleByRssState):
      return node
    sums = jax.tree.map(lambda table: table * keep, node.sum_of_squares)
    return node._replace(sum_of_squares=sums)

  opt_state = jax.tree.map(
    fade,
    state.opt_state,
    is_leaf=lambda node: isinstance(node, optax.ScaleByRssState),
  )
  return state._replace(opt_state=opt_state)
