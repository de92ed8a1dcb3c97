"""The settings of training, and the recipes behind their defaults."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from glove_jax.settings import MOST, Part, setting


@dataclass(frozen=True)
class TrainConfig(Part):
  """The model and how it is trained.

  Some defaults depend on the engine, on the optimizer, and on whether pairs
  that never occur train (`missing`): they are None until `resolved`.

  >>> TrainConfig().resolved.missing, TrainConfig().resolved.x_max
  (0.05, 30.0)
  >>> TrainConfig(missing=0).resolved.x_max
  10.0
  >>> dataclasses.replace(TrainConfig(), engine="rows").resolved.missing
  0.0
  """

  dim: int = setting(
    100, "D, the number of dimensions of a vector", low=1, high=MOST
  )
  x_max: float | None = setting(
    None,
    "the count from which the weight of a pair is 1 (default: 30, or 10 "
    "without --missing)",
    above=0,
    high=1e12,
  )
  alpha: float = setting(
    0.75,
    "exponent of the weight (count / x_max)^alpha below x_max",
    low=0,
    high=100,
  )
  missing: float | None = setting(
    None,
    "w0, the weight of pairs of words that never occur; 0 minimises GloVe's "
    "own objective, which ignores them (default: 0.05, or 0 for the engines "
    "rows and dense)",
    low=0,
    high=100,
  )
  missing_count: float = setting(
    1.0,
    "with --missing: x0, the count above which predictions for a pair that "
    "never occurs become costly",
    above=0,
    high=1e12,
  )
  core: int = setting(
    16384,
    "with --missing, for blocked: train this many most frequent words on all "
    "their pairs, then fit the other words to them; 0 trains all words",
    low=0,
    high=MOST,
  )
  fit_passes: int = setting(
    1,
    "with --core: passes over the pairs of the other words with the core",
    low=1,
    high=MOST,
  )
  epochs: int | None = setting(
    None,
    "passes over all counts, or with --core over all pairs of the core, after "
    "those of --growth (default: 7, or 5 without --missing, or 15 for the "
    "engines rows and dense)",
    low=0,
    high=MOST,
  )
  joint_epochs: int | None = setting(
    None,
    "with --core: in the last this many of --epochs, which come after the fit, "
    "the other words train together with the core (default: 1, and fewer than "
    "--epochs)",
    low=0,
    high=MOST,
  )
  engine: str = setting(
    "blocked",
    "'blocked' trains tiles of the count matrix by matrix products and is the "
    "fastest; 'rows' trains batches of counts and updates only the rows that "
    "occur in a batch; 'dense' updates whole tables after every batch",
    choices=("blocked", "rows", "dense"),
  )
  growth: tuple[str, ...] | None = setting(
    None,
    "for blocked: first passes over the counts of the most frequent words "
    "only, as a comma-separated list of words:passes (default: 8192:8, or "
    "8192:10,16384:6,32768:5 without --missing)",
  )
  tile_size: int = setting(
    512,
    "for blocked: T, the words along each side of a tile; several devices may "
    "use smaller tiles",
    low=8,
    high=8192,
  )
  min_fill: float = setting(
    0.02,
    "for blocked: minimum fraction of non-zero cells for a tile to be trained "
    "densely",
    low=0,
    high=1,
  )
  products: str | None = setting(
    None,
    "for blocked: type of the factors of its matrix products (default: "
    "bfloat16, or float32 without --missing)",
    choices=("float32", "bfloat16"),
  )
  mesh: int = setting(
    0,
    "number of devices to train on, over all processes; 0 uses all",
    low=0,
    high=MOST,
    resource=True,
  )
  placement: str = setting(
    "auto",
    "what is split over several devices: 'batch' splits batches and 'dim' the "
    "dimensions (both for rows and dense), 'blocks' splits the words (for "
    "blocked); 'auto' is blocks for blocked, otherwise batch",
    choices=("auto", "batch", "dim", "blocks"),
    resource=True,
  )
  batch_size: int = setting(
    4096,
    "B, the number of counts in a batch (of rows and dense)",
    low=1,
    high=MOST,
  )
  optimizer: str = setting(
    "adagrad",
    "adagrad, stanford (the update rule of Stanford's C program), any optax "
    "optimizer that needs only a learning rate, such as adam, or "
    "module:function, your own function that returns an optax transformation; "
    "it is called with learning_rate if it takes that",
  )
  learning_rate: float | None = setting(
    None,
    "step size; for stanford its eta (default: 0.2, or 0.05 for stanford)",
    above=0,
    high=1e30,
  )
  schedule: str | None = setting(
    None,
    "how the learning rate falls over the run (default: linear, or constant "
    "for the engines rows and dense)",
    choices=("constant", "linear", "cosine"),
  )
  initial_accumulator: float = setting(
    0.1,
    "initial value of Adagrad's sums of squared gradients",
    low=0,
    high=1e12,
  )
  keep: float | None = setting(
    None,
    "factor on Adagrad's sums of squared gradients at the start of each pass "
    "after the first (default: 0.2, or 1 for the engines rows and dense)",
    low=0,
    high=1,
  )
  clip: float = setting(
    100.0,
    "for stanford: bound on the absolute value of each gradient component",
    above=0,
    high=1e12,
  )
  bias_init: str = setting(
    "fit",
    "'fit' starts from the biases that are best without vectors; 'random' "
    "draws them at random, as Stanford's program does",
    choices=("fit", "random"),
  )
  init_from: str = setting(
    "",
    "start from these vectors: a file in any format that --input reads, "
    "Stanford's files of all parameters (-model 0), or the work directory of a "
    "trained run; words that it lacks start as usual",
  )
  init_gradsq: str = setting(
    "",
    "with --init_from: the sums of squared gradients to start from; a file "
    "that Stanford's -save-gradsq wrote, or the work directory of a trained "
    "run",
  )
  freeze: bool = setting(
    False,
    "with --init_from: hold what it gives, and train only the other words",
  )
  retrofit: float = setting(
    0.0,
    "with --init_from: mu, the weight of Mittens' term, which keeps the sum of "
    "a word's two vectors near where it started; Mittens' default is 0.1",
    low=0,
    high=1e6,
  )
  seed: int = setting(
    0,
    "random seed of the initial vectors and of every shuffle",
    low=0,
    high=2**32 - 1,
  )
  dtype: str = setting(
    "float32",
    "type of the parameters and of the arithmetic",
    choices=("float32", "float64", "bfloat16"),
  )

  @property
  def resolved(self) -> "TrainConfig":
    """This config with the right defaults in place of None."""
    is_blocked = self.engine == "blocked"
    missing = self.missing
    if missing is None:
      missing = _MISSING_DEFAULTS["missing"] if is_blocked else 0.0
    defaults = _MISSING_DEFAULTS if missing else _J_DEFAULTS
    defaults = defaults | {"missing": missing}
    defaults |= _BLOCKED_DEFAULTS if is_blocked else _BATCH_DEFAULTS
    rate = 0.05 if self.optimizer == "stanford" else 0.2
    defaults |= {"learning_rate": rate}
    epochs = defaults["epochs"] if self.epochs is None else self.epochs
    joint = _JOINT_EPOCHS if missing and is_blocked else 0
    defaults |= {"joint_epochs": max(0, min(joint, epochs - 1))}
    unset = {n: v for n, v in defaults.items() if getattr(self, n) is None}
    return dataclasses.replace(self, **unset) if unset else self

  @property
  def context_weight(self) -> float:
    """The factor on context vectors that suits the objective."""
    return 0.3 if self.resolved.missing else 1.0

  @property
  def objective(self) -> str:
    """What training minimises, as a phrase.

    >>> TrainConfig(missing=0).objective
    "GloVe's J (x_max 10, alpha 0.75)"
    """
    config = self.resolved
    phrase = f"GloVe's J (x_max {config.x_max:g}, alpha {config.alpha:g})"
    if config.missing:
      phrase += (
        f" and the cost of pairs that never occur (missing {config.missing:g}, "
        f"missing_count {config.missing_count:g}); --missing=0 is J alone"
      )
    return phrase


# The recipes: of J and the pairs that never occur, and of J alone.
_MISSING_DEFAULTS: dict[str, Any] = {
  "missing": 0.05,
  "x_max": 30.0,
  "growth": ("8192:8",),
  "epochs": 7,
  "products": "bfloat16",
}
_JOINT_EPOCHS = 1
_J_DEFAULTS: dict[str, Any] = {
  "missing": 0.0,
  "x_max": 10.0,
  "growth": ("8192:10", "16384:6", "32768:5"),
  "epochs": 5,
  "products": "float32",
}
_BLOCKED_DEFAULTS = {"schedule": "linear", "keep": 0.2}
_BATCH_DEFAULTS = {"epochs": 15, "schedule": "constant", "keep": 1.0}
