"""What a run can be told: one flat frozen dataclass a stage.

Flags are made from the fields: name, type, default and help stand here once.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any


def _field(
  default, doc: str, *, choices=None, low=None, above=None, resource=False
):
  """A field with its help, and what its values must keep to.

  A `resource` is what a stage is done with. It does not have the stage done
  again: what is made is the same or, over several devices, as good.
  """
  metadata = {"help": doc, "choices": choices, "low": low, "above": above}
  metadata["resource"] = resource
  return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CorpusConfig:
  """Which text, and how it is cut into documents and words."""

  corpus: tuple[str, ...] = _field(
    ("enwiki_sample",),
    "files, globs, folders, '-' (standard input) or named corpora "
    "(enwiki_sample, text8), separated by commas; .gz, .bz2 and .xz are read",
  )
  documents: str = _field(
    "line",
    "what separates documents; no window crosses a document's end",
    choices=("line", "blank_line"),
  )
  tokenizer: str = _field(
    "word",
    "'word': runs of letters and digits of any script; 'whitespace': what "
    "stands between spaces, as Stanford's programs split",
    choices=("word", "whitespace"),
  )
  lowercase: bool = _field(True, "fold words to lower case")
  share: float = _field(
    1.0,
    "the share of the documents to use, drawn at random; a smaller one is a "
    "part of a larger one",
    above=0,
  )
  add_to: tuple[str, ...] = _field(
    (),
    "work directories whose counts are added to those of the corpus; with "
    "--corpus= to theirs alone",
  )
  add_vocab: str = _field(
    "grow",
    "for --add_to: words are those of all ('grow') or only of the added "
    "('fixed')",
    choices=("grow", "fixed"),
  )
  records: str = _field(
    "",
    "take the counts from this file of Stanford's, such as "
    "cooccurrence.shuf.bin, instead of counting a corpus",
  )
  records_vocab: str = _field("", "for --records: its vocab.txt")


@dataclass(frozen=True)
class VocabConfig:
  """Which words get a vector."""

  min_count: int = _field(5, "drop words that occur less often", low=1)
  max_vocab: int = _field(
    0, "keep only so many of the most frequent words; 0 keeps all", low=0
  )


@dataclass(frozen=True)
class CountConfig:
  """What X_ij counts."""

  window: int = _field(10, "words to each side that count as near", low=1)
  context: str = _field(
    "symmetric",
    "where j may stand for X_ij: on both sides of i, to its left or right",
    choices=("symmetric", "left", "right"),
  )
  distance_weighting: str = _field(
    "inverse",
    "what a pair at distance d adds: 1/d, or 1",
    choices=("inverse", "none"),
  )
  keep_places: bool = _field(
    False,
    "words outside the vocabulary keep their places when distances are "
    "measured, instead of being dropped first",
  )
  count_dtype: str = _field(
    "float32",
    "type of the counts on disk",
    choices=("float32", "float64"),
  )
  memory_gb: float = _field(
    0.0,
    "memory for counting, beside 0.4 GB for the program; 0 for half of the "
    "machine's",
    low=0,
    resource=True,
  )
  threads: int = _field(
    0, "threads that count; 0 for one a CPU", low=0, resource=True
  )
  dask: str = _field(
    "",
    "count by workers of Dask: local:N starts N processes here, which share "
    "the threads and memory_gb; tcp://host:8786 is a running scheduler, each "
    "of whose workers may use as much",
    resource=True,
  )


@dataclass(frozen=True)
class TrainConfig:
  """The model and how it is trained."""

  dim: int = _field(100, "D, the width of a vector", low=1)
  x_max: float = _field(10.0, "the count from which the weight is 1", above=0)
  alpha: float = _field(0.75, "exponent of the weight below x_max", low=0)
  epochs: int = _field(
    5, "passes over all counts, after those of --growth; 15 for rows", low=0
  )
  engine: str = _field(
    "blocked",
    "'blocked' multiplies blocks of words; 'rows' updates only the rows that a "
    "batch touches; 'dense' takes gradients of whole tables",
    choices=("blocked", "rows", "dense"),
  )
  growth: tuple[str, ...] = _field(
    ("8192:10", "16384:6", "32768:5"),
    "for blocked: passes over the most frequent words alone that come before "
    "the epochs, as words:passes, separated by commas",
  )
  tile_size: int = _field(512, "for blocked: T, words in a block", low=8)
  min_fill: float = _field(
    0.02,
    "for blocked: the share of a tile that is filled from which its cells are "
    "sooner done than its counts",
    low=0,
  )
  products: str = _field(
    "float32",
    "for blocked: type of the factors of its matrix products",
    choices=("float32", "bfloat16"),
  )
  mesh: int = _field(
    0, "devices to train on; 0 for all, of all processes", low=0, resource=True
  )
  placement: str = _field(
    "auto",
    "over several devices: 'batch' splits batches, 'dim' the vectors (both for "
    "rows and dense), 'blocks' the words (for blocked); 'auto' is blocks for "
    "blocked and else batch",
    choices=("auto", "batch", "dim", "blocks"),
    resource=True,
  )
  batch_size: int = _field(4096, "B, counts in one update", low=1)
  optimizer: str = _field(
    "adagrad",
    "adagrad, stanford (the rule of Stanford's C code) or any optax optimizer "
    "that needs only a learning rate",
  )
  learning_rate: float = _field(
    0.2, "step size; for stanford, its eta (use 0.05)", above=0
  )
  schedule: str = _field(
    "linear",
    "how the learning rate falls over the run; constant for rows",
    choices=("constant", "linear", "cosine"),
  )
  initial_accumulator: float = _field(
    0.1, "where Adagrad's sums of squared gradients start", low=0
  )
  keep: float = _field(
    0.2,
    "share of Adagrad's sums of squares that is kept from epoch to epoch; 1 "
    "for rows",
    low=0,
  )
  clip: float = _field(
    100.0, "for stanford: bound on each component of a gradient", above=0
  )
  bias_init: str = _field(
    "fit",
    "'fit' starts the biases at their best values without vectors; 'random' "
    "draws them, as the paper's code does",
    choices=("fit", "random"),
  )
  seed: int = _field(0, "seed of the start and of every shuffle", low=0)
  dtype: str = _field(
    "float32",
    "type of parameters and arithmetic",
    choices=("float32", "float64", "bfloat16"),
  )


@dataclass(frozen=True)
class VectorsConfig:
  """What is made of the trained tables."""

  vectors: str = _field(
    "sum",
    "how a word's vector is made of its word and context vectors",
    choices=("sum", "word", "context", "concat"),
  )
  unk: bool = _field(
    False,
    "add a vector for <unk>: the mean of the last 100 words, as the C code",
  )


@dataclass(frozen=True)
class EvaluateConfig:
  """What the vectors are asked."""

  analogies: tuple[str, ...] = _field(
    ("google",),
    "analogy sets: files in the form of questions-words.txt, or 'google'",
  )
  similarity: tuple[str, ...] = _field(
    ("wordsim353", "simlex999"),
    "similarity sets: files of word pairs and scores, or a set's name",
  )
  analogy_method: str = _field(
    "add", "3CosAdd or 3CosMul", choices=("add", "mul")
  )
  suite: str = _field(
    "none",
    "'standard' evaluates the sets that papers report too, which it downloads "
    "if need be, with confidence intervals",
    choices=("none", "standard"),
  )
  sets: str = _field(
    "",
    "a folder of evaluation sets in any published form, each of which is "
    "evaluated",
  )
  against: str = _field(
    "", "a file of other vectors to compare with, by paired tests"
  )


@dataclass(frozen=True)
class Config:
  """Everything a run can be told."""

  corpus: CorpusConfig = CorpusConfig()
  vocab: VocabConfig = VocabConfig()
  count: CountConfig = CountConfig()
  train: TrainConfig = TrainConfig()
  vectors: VectorsConfig = VectorsConfig()
  evaluate: EvaluateConfig = EvaluateConfig()


# What the engines that take counts one by one use instead, where not told.
_BATCH_RECIPE = {"epochs": 15, "schedule": "constant", "keep": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
  "rows": _BATCH_RECIPE,
  "dense": _BATCH_RECIPE,
}

# fast: good vectors in half of the default's time, at a higher cost.
# The published recipes: stanford_demo: demo.sh of stanfordnlp/GloVe. paper:
# section 4.2 of Pennington et al. (2014), the model of 300 dimensions.
PRESETS: dict[str, dict[str, Any]] = {
  "fast": {"growth": ("8192:6", "32768:3"), "epochs": 3},
  "stanford_demo": {
    "engine": "rows",
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


def settings(part) -> dict[str, Any]:
  """The fields of a stage's config that its output depends on."""
  return {
    f.name: getattr(part, f.name)
    for f in dataclasses.fields(part)
    if not f.metadata["resource"]
  }


def stages() -> dict[str, type]:
  """The config class of each stage, by the stage's name."""
  return {f.name: type(f.default) for f in dataclasses.fields(Config)}


def fields() -> list[dataclasses.Field]:
  """Every field of every stage: the flags of a run."""
  return [f for cls in stages().values() for f in dataclasses.fields(cls)]


def make_config(**values) -> Config:
  """Makes a Config from fields by name.

  Those not named are by the engine's recipe, or keep their default.

  Raises:
    ValueError: an unknown field, a wrong type, or a value out of its range.
  """
  known = {f.name: f for f in fields()}
  values = RECIPES.get(values.get("engine"), {}) | values
  for name, value in values.items():
    if name not in known:
      raise ValueError(f"There is no setting {name!r}: see --help for all.")
    values[name] = _checked(known[name], value)
  made = {}
  for stage, cls in stages().items():
    names = {f.name for f in dataclasses.fields(cls)}
    made[stage] = cls(**{k: v for k, v in values.items() if k in names})
  return Config(**made)


def _checked(field: dataclasses.Field, value):
  """Returns the value in the field's type, or says what is wrong with it."""
  kind, rule = type(field.default), field.metadata
  if kind is tuple and isinstance(value, (list, tuple)):
    return tuple(value)
  if kind is float and type(value) is int:
    value = float(value)
  if type(value) is not kind:
    raise ValueError(
      f"--{field.name} must be of type {kind.__name__}, got {value!r}."
    )
  if rule["choices"] and value not in rule["choices"]:
    raise ValueError(
      f"--{field.name} must be one of {', '.join(rule['choices'])}, "
      f"got {value!r}."
    )
  if rule["low"] is not None and not value >= rule["low"]:
    raise ValueError(
      f"--{field.name} must be at least {rule['low']}, got {value}."
    )
  if rule["above"] is not None and not value > rule["above"]:
    raise ValueError(
      f"--{field.name} must be greater than {rule['above']}, got {value}."
    )
  return value
