"""The training loop, the same for every engine."""

import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glove_jax import biases, checkpoint, metrics, model, optimizers, steps
from glove_jax.batches import batches, plan_batches
from glove_jax.config import TrainConfig
from glove_jax.triplets import Triplets, check


class Engine(NamedTuple):
  """A way to train: what it starts from, and how it does an epoch."""

  init: Callable[[model.Params], Any]  # parameters -> state
  stacks: Callable[[int], Iterator[Any]]  # epoch -> stacks of batches
  run_steps: Callable[[Any, Any], Any]  # state, stack -> state, costs [K]
  params: Callable[[Any], model.Params]  # state -> parameters
  num_calls: int  # stacks in an epoch
  num_steps: int  # steps in an epoch


def initial_params(triplets: Triplets, config: TrainConfig) -> model.Params:
  """Random vectors, and biases by `config.bias_init`; all of config.dtype."""
  params = _random_params(triplets.vocab_size, config)
  if config.bias_init == "random":
    return params
  word_bias, context_bias = biases.fit_biases(
    triplets, x_max=config.x_max, alpha=config.alpha
  )
  return params._replace(
    word_bias=jnp.asarray(word_bias, config.dtype),
    context_bias=jnp.asarray(context_bias, config.dtype),
  )


def _random_params(vocab_size: int, config: TrainConfig) -> model.Params:
  return model.init_params(
    jax.random.key(config.seed),
    vocab_size,
    config.dim,
    jnp.dtype(config.dtype),
  )


def make_optimizer(
  config: TrainConfig, num_steps: int
) -> optax.GradientTransformation:
  """The optimizer that the config names, its schedule over num_steps."""
  return optimizers.make_optimizer(
    config.optimizer,
    learning_rate=config.learning_rate,
    schedule=config.schedule,
    num_steps=num_steps,
    initial_accumulator=config.initial_accumulator,
    clip=config.clip,
  )


def make_run_steps(
  engine: str, loss: steps.Loss, tx: optax.GradientTransformation
) -> Callable[[steps.TrainState, model.Batch], Any]:
  """Compiles many steps into one program.

  Args:
    engine: 'dense' or 'rows'.
    loss: (params, batch) -> the cost summed over the batch.
    tx: the optimizer.

  Returns:
    (state, batches of shape [K, B]) -> (state, costs [K]). The state that
    goes in is given up to the one that comes out.
  """

  def dense(state, stack):
    step = functools.partial(steps.dense_step, loss=loss, tx=tx)
    return jax.lax.scan(step, state, stack)

  def rows(state, stack):
    def step(carry, batch):
      state, slots, cost = steps.rows_step(*carry, batch, loss=loss, tx=tx)
      return (state, slots), cost

    slots = steps.init_slots(state.params.word_bias.size)
    (state, _), costs = jax.lax.scan(step, (state, slots), stack)
    return state, costs

  return jax.jit({"dense": dense, "rows": rows}[engine], donate_argnums=0)


def make_engine(
  triplets: Triplets, config: TrainConfig, loss: steps.Loss
) -> Engine:
  """The engine 'dense' or 'rows' over these counts."""
  plan = plan_batches(len(triplets.row), config.batch_size)
  tx = make_optimizer(config, config.epochs * plan.num_batches)

  def stacks(epoch):
    return batches(
      triplets,
      batch_size=config.batch_size,
      rng=np.random.default_rng([config.seed, epoch]),
      dtype=np.float64 if config.dtype == "float64" else np.float32,
    )

  return Engine(
    init=functools.partial(steps.init_state, tx=tx),
    stacks=stacks,
    run_steps=make_run_steps(config.engine, loss, tx),
    params=lambda state: state.params,
    num_calls=plan.calls,
    num_steps=plan.num_batches,
  )


def train(
  triplets: Triplets,
  config: TrainConfig,
  *,
  workdir: str | os.PathLike | None = None,
  loss: steps.Loss | None = None,
  on_epoch: Callable[[dict], None] | None = None,
) -> model.Params:
  """Trains GloVe on counts.

  With a workdir, every epoch leaves a checkpoint and a line in
  `metrics.jsonl`, and a run that was stopped goes on from its last checkpoint;
  on the CPU it ends with the same bytes as a run that was not.

  Args:
    triplets: the counts.
    config: dimension, weighting, optimizer, epochs and so on.
    workdir: where checkpoints and metrics go; None keeps nothing.
    loss: (params, batch) -> summed cost, instead of `model.loss` with the
      x_max and alpha of the config.
    on_epoch: called with the metrics of each epoch.

  Returns:
    The trained parameters.

  Raises:
    ValueError: ids out of range, or counts that are not positive.
    FloatingPointError: the cost is no longer finite.
  """
  check(triplets)
  loss = loss or functools.partial(
    model.loss, x_max=config.x_max, alpha=config.alpha
  )
  with jax.enable_x64(config.dtype == "float64"):
    engine = make_engine(triplets, config, loss)
    state, done = _start(engine, triplets, config, workdir)
    if workdir:
      pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
      writer = metrics.MetricsWriter(
        pathlib.Path(workdir, "metrics.jsonl"), done
      )
    for epoch in range(done + 1, config.epochs + 1):
      label = f"epoch {epoch}/{config.epochs}"
      state, line = run_epoch(engine, state, epoch, len(triplets.row), label)
      if workdir:
        checkpoint.save(pathlib.Path(workdir, "checkpoints"), epoch, state)
        writer.write(**line)
      if on_epoch:
        on_epoch(line)
    return engine.params(state)


def run_epoch(
  engine: Engine, state, epoch: int, num_triplets: int, label: str = ""
) -> tuple[Any, dict]:
  """One pass over the counts.

  The costs of a call are read only after the next call was dispatched, so that
  the device never waits for the host.

  Returns:
    The new state, and a line of metrics: `step` and `epoch` reached, mean
    `cost` a count, `seconds`, `triplets_per_second`.

  Raises:
    FloatingPointError: the cost of a step is no longer finite.
  """
  start, cost, waiting = time.perf_counter(), 0.0, None
  step = (epoch - 1) * engine.num_steps
  last_step = step + engine.num_steps
  with metrics.progress(label, num_triplets, " counts") as bar:
    for stack in itertools.chain(engine.stacks(epoch), [None]):
      costs = None
      if stack is not None:
        state, costs = engine.run_steps(state, stack)
      if waiting is not None:
        cost += finite_sum(waiting, step)
        step += len(waiting)
        share = 1 - (last_step - step) / engine.num_steps
        bar.update(share * num_triplets - bar.n)
        bar.set_postfix(cost=f"{cost / (share * num_triplets):.5f}")
      waiting = costs
  seconds = time.perf_counter() - start
  return state, {
    "step": last_step,
    "epoch": epoch,
    "cost": cost / num_triplets,
    "seconds": seconds,
    "triplets_per_second": num_triplets / seconds,
  }


def finite_sum(costs: jax.Array, first_step: int) -> float:
  """The sum of the costs of consecutive steps.

  Raises:
    FloatingPointError: one of them is not finite; names the step.
  """
  costs = np.asarray(costs, np.float64)
  bad = np.flatnonzero(~np.isfinite(costs))
  if bad.size:
    raise FloatingPointError(
      f"The cost became {costs[bad[0]]} at step {first_step + bad[0]}: use a "
      "smaller --learning_rate. The last checkpoint is as it was before."
    )
  return float(costs.sum())


def _start(engine, triplets, config, workdir) -> tuple[Any, int]:
  """The state to start from, and the number of epochs that it has seen."""
  folder = pathlib.Path(workdir or "", "checkpoints")
  saved = checkpoint.epochs(folder) if workdir else []
  saved = [epoch for epoch in saved if epoch <= config.epochs]
  if not saved:
    return engine.init(initial_params(triplets, config)), 0
  like = jax.eval_shape(
    lambda: engine.init(_random_params(triplets.vocab_size, config))
  )
  return checkpoint.restore(folder, saved[-1], like), saved[-1]
