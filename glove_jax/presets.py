"""Published recipes, by the name that --preset takes.

- small: more passes and a wider window, for texts of a few million words.
- glove: GloVe's own objective, J, which ignores pairs that never occur.
- fast: J in half of the time of `glove`, at a higher cost.
- stanford_demo: demo.sh of github.com/stanfordnlp/GloVe.
- paper: section 4.2 of Pennington et al. (2014), the model of 300 dimensions.
"""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
  "fast": {"missing": 0.0, "growth": ("8192:6", "32768:3"), "epochs": 3},
  "glove": {"missing": 0.0},
  "small": {
    "window": 15,
    "growth": ("8192:12",),
    "epochs": 12,
    "joint_epochs": 4,
  },
  "stanford_demo": {
    "engine": "rows",
    "missing": 0.0,
    "tokenizer": "whitespace",
    "lowercase": False,
    "min_count": 5,
    "window": 15,
    "dim": 50,
    "x_max": 10.0,
    "epochs": 15,
    "optimizer": "stanford",
    "learning_rate": 0.05,
    "bias_init": "random",
    "unk": True,
  },
  "paper": {
    "engine": "rows",
    "missing": 0.0,
    "lowercase": True,
    "min_count": 1,
    "max_vocab": 400_000,
    "window": 10,
    "dim": 300,
    "x_max": 100.0,
    "epochs": 100,
    "optimizer": "stanford",
    "learning_rate": 0.05,
    "bias_init": "random",
  },
}
