"""The jobs of a pass: what each call of `run_steps` trains on."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from glove_jax.config import TrainConfig
from glove_jax.training.engine import Stack
from glove_jax.training.tiles import layout
from glove_jax.training.tiles.fitting import plan_fit
from glove_jax.training.tiles.layout import Lines
from glove_jax.training.tiles.lines import stack_lines, stack_shape
from glove_jax.training.tiles.pulls import Pull, of_blocks
from glove_jax.training.tiles.strips import Strip, Strips, read_strip


class Job(NamedTuple):
  """One call of `run_steps`."""

  load: Callable[[], Stack]
  num_steps: np.ndarray  # [K] how many steps each batch of the stack counts as
  then: Sequence["Job"] = ()  # those that follow it, in any order of jobs

  def keep(self, stack: Stack) -> "Job":
    """The job on a stack that was loaded before."""
    return self._replace(load=lambda: stack)


class StripJobs(NamedTuple):
  """The jobs of the words outside of the core."""

  core: int  # the words of the core
  num_counts: int  # of the other words with the core, of all processes
  fit: list[list[Job]]  # fit them to the core, in each turn of the fit
  # Train their tiles, in each turn of a joint pass. Empty if these tiles are
  # among the others, and a joint pass visits more of them.
  joint: list[list[Job]]


def make_line_jobs(lines: Lines | None, cells: int) -> list[Job]:
  """One job for each stack of lines.

  Args:
    lines: None if there are none.
    cells: as for `lines.stack_shape`.
  """
  if lines is None:
    return []
  shape = stack_shape(*lines.code.shape, cells)
  num_steps = shape.num_steps(len(lines.row))
  return [
    Job(functools.partial(stack_lines, lines, shape, i), num_steps[i])
    for i in range(shape.stacks)
  ]


def make_strip_jobs(
  strips: Strips | None, config: TrainConfig, pull: Pull | None = None
) -> StripJobs | None:
  """One job for each strip, all in one turn; its load fills the cells.

  With a pull, each strip has the targets of its words.
  """
  if strips is None:
    return None
  (plan,) = plan_fit(
    strips.code_shape[0],
    config.fit_passes,
    keep=config.keep,
    seed=config.seed,
  )

  def load(strip: int) -> Strip:
    stack = read_strip(strips, plan, strip)
    if pull is None:
      return stack
    block = stack.block[0] % strips.num_blocks
    return stack._replace(pull=of_blocks(pull, block))

  def jobs(load, num_steps) -> list[list[Job]]:
    ones = np.ones(num_steps, int)
    return [
      [Job(functools.partial(load, i), ones) for i in range(strips.num_strips)]
    ]

  read_tiles = functools.partial(layout.read_strip_tiles, strips)
  return StripJobs(
    strips.core_blocks * strips.tile_size,
    len(strips.code),
    jobs(load, 1),
    jobs(read_tiles, strips.core_blocks),
  )
