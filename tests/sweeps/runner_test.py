"""What is kept of the points of a sweep."""

import pytest

from glove_jax.sweeps import command
from glove_jax.sweeps.options import SweepConfig
from glove_jax.workdir import artifacts


def test_tables_that_were_not_kept_are_named(swept, tiny):
  workdir, _ = swept
  config, said = SweepConfig(sweep="x_max=1,10", seeds=2), []
  plan = command.make_plan(config, tiny)
  command.run(plan, SweepConfig(keep_tables=True), workdir, said.append)
  assert (
    "The tables of 4 of these were not kept: a new workdir keeps" in said[1]
  )
  folder = next((workdir / "points").iterdir())
  with pytest.raises(FileNotFoundError, match="not kept the tables of this"):
    artifacts.tables_path(folder)
