"""The passes of a run: which tiles, lines and strips each of them visits."""

import re

from glove_jax.config import TrainConfig
from glove_jax.training.tiles import layout
from glove_jax.training.tiles.jobs import StripJobs
from glove_jax.training.tiles.layout import Blocks, Pass


def plan_passes(
  blocks: Blocks, config: TrainConfig, strips: StripJobs | None = None
) -> list[Pass]:
  """The passes of a whole run: those of `growth`, then the epochs.

  A stage whose words fill no tile has empty passes, which the loop skips.

  Args:
    blocks: tiles and lines.
    config: the training settings.
    strips: the jobs of the words outside of the core, if there are any. The
      last passes, `joint_epochs`, train them, and the one before fits them.
  """
  config = config.resolved
  joint = config.joint_epochs if strips else 0
  core = strips.core if strips else None
  stages = [
    (min(words, core or words), passes)
    for words, passes in growth_stages(config)
  ]
  stages += [(core, config.epochs - joint), (None, joint)]
  plans = [
    layout.plan_pass(blocks, words)
    for words, passes in stages
    for _ in range(passes)
  ]
  if strips is None:
    return plans
  first_joint = len(plans) - joint
  for i in range(max(0, first_joint - 1), len(plans)):
    fits = i < first_joint
    jobs = strips.fit if fits else strips.joint
    counts = strips.num_counts if any(jobs) else 0
    plans[i] = plans[i]._replace(
      num_triplets=plans[i].num_triplets + counts,
      fits_strips=fits,
      with_strips=not fits,
    )
  return plans


def growth_stages(config: TrainConfig) -> list[tuple[int, int]]:
  """Parses `growth`: [(words, passes)] for each stage before all words train.

  Raises:
    ValueError: a stage is not words:passes.

  Example:
    >>> growth_stages(TrainConfig(growth=("8192:10", "16384:6")))
    [(8192, 10), (16384, 6)]
  """
  stages = []
  for stage in config.resolved.growth:
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", stage, re.ASCII)
    words, passes = map(int, match.groups()) if match else (0, 0)
    if not (words and passes):
      raise ValueError(f"growth takes words:passes, as 8192:6, got {stage!r}.")
    stages.append((words, passes))
  return stages
