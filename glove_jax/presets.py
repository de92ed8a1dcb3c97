"""Published recipes, by the name that --preset takes.

- fast: good vectors in half of the default's time, at a higher cost.
- glove: GloVe's own objective.
- stanford_demo: demo.sh of github.com/stanfordnlp/GloVe.
- paper: section 4.2 of Pennington et al. (2014), the model of 300 dimensions.
"""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
  "fast": {"growth": ("8192:6", "32768:3"), "epochs": 3},
  "glove": {
    "missing": 0.0,
    "x_max": 10.0,
    "growth": ("8192:10", "16384:6", "32768:5"),
    "epochs": 5,
    "products": "float32",
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
