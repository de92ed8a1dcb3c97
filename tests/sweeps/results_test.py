"""Rows of results: their means, and what plots show of them."""

import pytest

from glove_jax.sweeps import plots, results


def test_means_and_deviations_by_hand():
  rows = [
    {"point": "a", "dim": 2, "seed": 0, "score": 1.0},
    {"point": "b", "dim": 2, "seed": 1, "score": 3.0},
    {"point": "c", "dim": 4, "seed": 0, "score": 5.0},
  ]
  first, second = results.mean_rows(rows, ["dim"])
  assert first == {
    "dim": 2, "num_points": 2, "score": 2.0, "score_sd": 2**0.5,
  }  # fmt: skip
  assert second["score"] == 5.0 and second["score_sd"] is None


@pytest.mark.parametrize(
  "kind", ["lines", "bars", "heatmap", "scatter", "dots"]
)
def test_a_plot_shows_what_there_is(kind, tmp_path):
  rows = [
    {"x_max": x, "alpha": a, "seed": s, "google": x * a + s, "cost": None}
    for x in (1.0, 10.0)
    for a in (0.5, 1.0)
    for s in (0, 1)
    if (x, a) != (10.0, 1.0)
  ]
  plot = plots.Plot("p", "Title", kind, x="x_max", by="alpha", log=True)
  svg = plots.write(plot, rows, tmp_path)
  assert svg == plots.write(plot, rows, tmp_path)
  assert (tmp_path / "p.png").exists()
