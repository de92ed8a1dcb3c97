"""Messages of the library, as the command line shows them."""

import pytest

from glove_jax import command_line


@pytest.mark.parametrize(
  "message, shown",
  [
    ("x_max must be at least 1.", "--x_max must be at least 1."),
    ("Use a smaller learning_rate.", "Use a smaller --learning_rate."),
    ("Point 2 (dim=0, x_max=1): dim is", "Point 2 (dim=0, x_max=1): --dim is"),
    ("Use engine=rows.", "Use --engine=rows."),
    ("Use --engine=rows.", "Use --engine=rows."),
    ("Point 2 (dim=0): dim is low.", "Point 2 (dim=0): --dim is low."),
    ("There is no file runs/x_max.txt.", "There is no file runs/x_max.txt."),
    ("The dim of vectors differs.", "The dim of vectors differs."),
    ('Give sweep="x_max=1;dim=2".', 'Give --sweep="x_max=1;dim=2".'),
  ],
)
def test_settings_become_flags(message, shown, monkeypatch):
  names = ["x_max", "learning_rate", "dim", "engine", "sweep"]
  monkeypatch.setattr(command_line, "_names", names)
  assert command_line.with_flags(message) == shown
