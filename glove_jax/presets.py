"""Published recipes, by the name that --preset takes.

- fast: good vectors in half of the default's time, at a higher cost.
- glove: GloVe's own objective.
- missing: pairs that never occur train too, for texts of 10 million words or
  more; missing_small for less. docs/missing.md has their figures.
- stanford_demo: demo.sh of github.com/stanfordnlp/GloVe.
- paper: section 4.2 of Pennington et al. (2014), the model of 300 dimensions.
"""

from typing import Any

_MISSING = {
  "missing": 0.05,
  "missing_count": 1.0,
  "x_max": 30.0,
  "growth": ("8192:8",),
  "core": 16384,
  "epochs": 10,
  "fit_passes": 2,
  "products": "bfloat16",
}
PRESETS: dict[str, dict[str, Any]] = {
  "fast": {"growth": ("8192:6", "32768:3"), "epochs": 3},
  "glove": {
    "missing": 0.0,
    "x_max": 10.0,
    "growth": ("8192:10", "16384:6", "32768:5"),
    "epochs": 5,
    "products": "float32",
  },
  "missing": _MISSING,
  "missing_small": _MISSING | {"growth": (), "core": 0, "epochs": 15},
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
