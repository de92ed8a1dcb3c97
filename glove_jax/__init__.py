"""GloVe word vectors in JAX: the map of the house.

Text becomes vectors room by room. A room imports only from those above it.

- `config`, `train_config`, `effects`, `presets`, `settings`: what a run can be
  configured to do.
- `model`: the equations of GloVe, and nothing else.
- `atomic`, `cache`, `memory`, `threads`, `native`, `metrics`, `lazy`,
  `interrupts`: small tools.
- `text`: files -> words -> ids.
- `counts`: ids -> X_ij, the weighted co-occurrence counts.
- `training`: X -> `Params`. Start with `training.loop` and `training.rows`;
  `training.tiles` is the fast engine.
- `vectors`: `Params` -> word vectors, their files and their evaluation.
- `workdir`: a whole run on disk, stage by stage.
- `sweeps`: many runs, and the report on them.
- `explore`: a local page that asks vectors.
- `front`: `fit`, `count`, `train`, `sweep`: the whole in a few lines.
- `command_line`: flags made from settings, and errors as one sentence.
  `command_help` is the help.
- `run_flags`: flags beside settings, and what the given flags stand for.
- `commands`: the commands of the command line.

The names below, and the modules that notebooks use most, are loaded when they
are first used: `from glove_jax import vocab` finds `glove_jax.text.vocab`. So
importing one room does not import the others.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; `__getattr__` finds them at run time
  from glove_jax.config import Config as Config
  from glove_jax.config import make_config as make_config
  from glove_jax.front.cooccurrences import Cooccurrences as Cooccurrences
  from glove_jax.front.cooccurrences import from_matrix as from_matrix
  from glove_jax.front.fitting import count as count
  from glove_jax.front.fitting import fit as fit
  from glove_jax.front.fitting import load as load
  from glove_jax.front.fitting import train as train
  from glove_jax.front.sweeping import sweep as sweep
  from glove_jax.model import Params as Params
  from glove_jax.model import loss as loss
  from glove_jax.model import weight as weight
  from glove_jax.vectors.formats import load_vectors as load_vectors
  from glove_jax.vectors.word_vectors import WordVectors as WordVectors
  from glove_jax.workdir.pipeline import Pipeline as Pipeline

__version__ = "0.1.0"

_PUBLIC = {
  "fit": "front.fitting",
  "count": "front.fitting",
  "train": "front.fitting",
  "load": "front.fitting",
  "sweep": "front.sweeping",
  "from_matrix": "front.cooccurrences",
  "Cooccurrences": "front.cooccurrences",
  "Config": "config",
  "make_config": "config",
  "Params": "model",
  "loss": "model",
  "weight": "model",
  "Pipeline": "workdir.pipeline",
  "WordVectors": "vectors.word_vectors",
  "load_vectors": "vectors.formats",
}
_MODULES = {
  "reading": "text",
  "vocab": "text",
  "datasets": "text",
  "cooccur": "counts",
  "triplets": "counts",
  "ratios": "counts",
  "loop": "training",
  "word_vectors": "vectors",
  "formats": "vectors",
  "evaluate": "vectors",
  "pipeline": "workdir",
  "grid": "sweeps",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
  if name in _MODULES:
    return importlib.import_module(f"glove_jax.{_MODULES[name]}.{name}")
  if name in _PUBLIC:
    module = importlib.import_module(f"glove_jax.{_PUBLIC[name]}")
    return getattr(module, name)
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
  return sorted({*globals(), *_PUBLIC, *_MODULES})
