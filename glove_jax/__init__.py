"""GloVe word vectors in JAX: the map of the house.

Text becomes vectors room by room. A room imports only from those above it.

- `config`, `presets`, `settings`: what a run can be configured to do.
- `model`: the equations of GloVe, and nothing else.
- `atomic`, `memory`, `threads`, `metrics`: small tools.
- `text`: files -> words -> ids.
- `counts`: ids -> X_ij, the weighted co-occurrence counts.
- `training`: X -> `Params`. Start with `training.loop` and `training.rows`;
  `training.tiles` is the fast engine.
- `vectors`: `Params` -> word vectors, their files and their evaluation.
- `workdir`: a whole run on disk, stage by stage.
- `sweeps`: many runs, and the report on them.
- `command_line`: flags made from settings, and errors as one sentence.

The names below are loaded when they are first used, so that importing one room
does not import the others.
"""

import importlib

_PUBLIC = {
  "Config": "config",
  "make_config": "config",
  "Params": "model",
  "loss": "model",
  "weight": "model",
  "Pipeline": "workdir.pipeline",
  "WordVectors": "vectors.word_vectors",
  "load_vectors": "vectors.formats",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
  if name not in _PUBLIC:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  return getattr(importlib.import_module(f"glove_jax.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *__all__})
