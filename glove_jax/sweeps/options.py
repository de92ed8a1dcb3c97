"""The options of sweeps and searches: the flags beside the settings of runs."""

from dataclasses import dataclass

from glove_jax.settings import Part, setting

SIMILARITY = "similarity"  # the objective that is the mean of similarity sets


@dataclass(frozen=True)
class SweepConfig(Part):
  """Which sweep or search runs, and how."""

  experiment: str = setting("", "run this experiment")
  sweep: str = setting(
    "",
    "run all combinations of these values: field=value,value;field=value",
  )
  seeds: int = setting(
    0,
    "run each point of a sweep with this many seeds, from 0",
    low=0,
    high=10_000,
  )
  together: int = setting(
    0,
    "number of points of a sweep that train at once, in one program, if they "
    "differ only in x_max, alpha, learning rate or missing; 0 means 1 on a CPU "
    "and 4 on an accelerator",
    low=0,
    high=10_000,
  )
  dry_run: bool = setting(
    False, "show the points of a sweep and about how long they take"
  )
  keep_tables: bool = setting(
    False, "keep the trained tables (tables.npz) of each point of a sweep"
  )
  tensorboard: bool = setting(
    False, "also write the points of a sweep for TensorBoard"
  )
  search: str = setting(
    "",
    "choose each point by the results of earlier ones; --sweep is then the "
    "search space, as field=low..high or field=value,value",
    choices=("", "optuna"),
  )
  trials: int = setting(
    50, "number of settings that a search tries", low=1, high=1_000_000
  )
  objective: str = setting(
    SIMILARITY,
    "what a search maximises: a score such as google, or 'similarity', the "
    "mean of all similarity sets; it minimises cost, train_seconds and "
    "wall_seconds",
  )
  stanford: str = setting(
    "", "folder of Stanford's built programs, for the experiment stanford"
  )
