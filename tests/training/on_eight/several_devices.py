"""Training on some of eight devices: what the tests of this folder share."""

import functools

import worker_process

from glove_jax import config
from glove_jax.training import loop, optimizers, preparation, sharding
from glove_jax.training.biases import fit_biases, initial_params

SIZE = worker_process.SIZE


def settings(**changes) -> config.TrainConfig:
  small = {"dim": 8, "epochs": 2, "batch_size": 500, "growth": ["64:3"]}
  tiles = {"tile_size": 8, "min_fill": 0.5, "bias_init": "random"}
  tiles |= {"missing": 0.0, "x_max": 10.0}
  return config.make_config(**{**small, **tiles, **changes}).train


def train_on(counts, **changes):
  lines = []
  params = loop.train(counts, settings(**changes), on_epoch=lines.append)
  return params, [line["cost"] for line in lines]


def start(counts, **changes):
  """An engine, the state that it starts from, its optimizer, its placement."""
  how = settings(**changes)
  engine = preparation.make_engine(counts, how)
  fit = functools.partial(fit_biases, counts)
  params = initial_params(counts.vocab_size, how, fit)
  state = sharding.put_state(engine.placement, engine.init(params))
  tx = optimizers.make_optimizer(how.optimizer)
  return engine, state, tx, sharding.make_placement(how)


def compiled_text(run, *arguments):
  return run.lower(*arguments).compile().as_text()


class Killed(Exception):
  pass


def kill(line):
  if line["epoch"] == 2:
    raise Killed
