"""Plots leave the session of a notebook as it is."""

import matplotlib
from matplotlib import pyplot

from glove_jax.sweeps import plots

ROWS = [{"x_max": x, "google": 0.1 * x, "seed": 0} for x in (1.0, 2.0)]
PLOT = plots.Plot("x_max", "Scores", "lines", x="x_max")


def test_a_figure_shows_itself_and_belongs_to_no_backend(tmp_path):
  with matplotlib.rc_context({"backend": "svg"}):
    figure = plots.draw(PLOT, ROWS)
    assert matplotlib.get_backend() == "svg"
  assert figure._repr_png_().startswith(b"\x89PNG")
  svg = plots.write(PLOT, ROWS, tmp_path)
  assert svg == plots.write(PLOT, ROWS, tmp_path)
  assert not pyplot.get_fignums()
