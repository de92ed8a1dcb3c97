"""Points that differ in a few settings train in one program."""

import numpy as np
import pytest
from small_counts import make_triplets

from glove_jax import config
from glove_jax.training import loop, together


def test_points_that_train_together_end_as_they_do_alone():
  counts = make_triplets()
  base = {"dim": 4, "epochs": 3, "growth": ["32:2"], "tile_size": 8,
          "min_fill": 0.3}  # fmt: skip
  changes = [
    {}, {"x_max": 100.0}, {"alpha": 0.5}, {"learning_rate": 0.05}, {"seed": 1}
  ]  # fmt: skip
  points = [config.make_config(**base | change).train for change in changes]
  lines = []
  trained = together.train_together(counts, points, on_epoch=lines.append)
  for number, point in enumerate(points[:-1]):
    alone_lines = []
    alone = loop.train(counts, point, on_epoch=alone_lines.append)
    for a, b in zip(trained[number], alone, strict=True):
      np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(
      lines[-1]["cost"][number], alone_lines[-1]["cost"], rtol=1e-4
    )
  # Another seed starts elsewhere, but has the first one's order of work.
  assert not np.allclose(trained[0].word, trained[-1].word)
  np.testing.assert_allclose(lines[-1]["cost"][0], lines[-1]["cost"][-1], 0.1)


def test_a_point_that_diverges_does_not_stop_the_others():
  base = {"dim": 4, "epochs": 2, "growth": [], "tile_size": 8, "min_fill": 0.3}
  points = [
    config.make_config(**base, learning_rate=rate).train for rate in (0.1, 1e30)
  ]
  lines = []
  good, bad = together.train_together(
    make_triplets(), points, on_epoch=lines.append
  )
  assert np.isfinite(good.word).all() and not np.isfinite(bad.word).all()
  assert np.isfinite(lines[-1]["cost"][0])
  assert not np.isfinite(lines[-1]["cost"][1])


@pytest.mark.parametrize("change", [{"dim": 5}, {"engine": "rows"}])
def test_points_that_differ_in_more_do_not_train_together(change):
  points = [
    config.make_config(**{"dim": 4} | other).train for other in ({}, change)
  ]
  assert not together.can_train_together(points)
  with pytest.raises(ValueError, match="differ only in"):
    together.train_together(make_triplets(), points)
