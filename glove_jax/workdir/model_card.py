"""The model card of a run: what its vectors are made from, and how good."""

import os
import pathlib

from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.config import Config
from glove_jax.counts import column_files
from glove_jax.text import vocab
from glove_jax.text.streams import PACKED
from glove_jax.vectors import card
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import stages

_MANY = 12  # more files of a corpus are not listed one by one


def write(
  workdir: str | os.PathLike, vectors: WordVectors, license: str
) -> None:
  """Writes vectors.md, the card of a run's vectors.txt, if it has changed.

  Without config.json it is not known what the vectors are made from.

  Args:
    workdir: the work directory.
    vectors: all vectors of the run.
    license: as the user says, or 'unspecified'.
  """
  workdir = pathlib.Path(workdir).resolve()
  if not (workdir / "config.json").exists():
    return
  text = page(workdir, vectors, workdir.name, license)
  write_beside(workdir / "vectors.txt", text)


def page(
  workdir: str | os.PathLike,
  vectors: WordVectors,
  name: str,
  license: str,
  **changes: object,
) -> str:
  """The card of a finished run.

  It names files, not folders, and no dates: equal runs have equal cards.

  Args:
    workdir: the work directory.
    vectors: of the run, as they are written.
    name: of the model.
    license: as the user says, or 'unspecified'.
    **changes: what was changed in the vectors after they were evaluated.

  Raises:
    FileNotFoundError: there is no run in the folder.
    ValueError: a file of the run is damaged.
  """
  workdir = pathlib.Path(workdir)
  record = atomic.read_json(workdir / "config.json")
  results = workdir / "evaluation.json"
  if results.exists() and not (
    stages.is_as_written(workdir, "evaluate", results.name)
  ):
    raise atomic.damaged(results, "it is not as it was written")
  try:
    return card.page(
      name,
      {
        "Vectors": card.facts_of(vectors) | _changed(changes),
        "Text": _text(workdir, record["settings"]),
        "Training": _training(record["settings"]),
        "Versions": record["versions"],
      },
      license or card.UNSPECIFIED,
      atomic.read_json(results) if results.exists() else None,
    )
  except (KeyError, TypeError, AttributeError, IndexError) as error:
    raise atomic.damaged(workdir, error) from error


def write_beside(path: str | os.PathLike, text: str) -> pathlib.Path | None:
  """Writes a card beside a file of vectors: vectors.txt.gz has vectors.md.

  A page of that name that is no model card of ours stays.

  Returns:
    Where the card is, or None if it was not written.
  """
  path = pathlib.Path(path).expanduser()
  if path.suffix.lower() in PACKED:
    path = path.with_suffix("")
  output = path.with_suffix(".md")
  old = output.read_text(errors="replace") if output.is_file() else ""
  if old and not card.is_card(old):
    return None
  if old != text:
    atomic.write_text(output, text)
  return output


def _changed(changes: dict[str, object]) -> dict[str, str]:
  listed = ", ".join(f"{name} = {value}" for name, value in changes.items())
  return {"changed after the evaluation below": listed} if listed else {}


def _text(workdir: pathlib.Path, settings: dict) -> dict[str, object]:
  facts: dict[str, object] = {
    "corpus": ", ".join(map(_base, settings["corpus"])) or "none"
  }
  notes = stages.read_notes(workdir).get("vocab", {"paths": [], "inputs": []})
  files = list(zip(map(_base, notes["paths"]), notes["inputs"], strict=True))
  if len(files) > _MANY:
    files = [(f"{len(files)} files", atomic.fingerprint(notes["inputs"], 32))]
  facts |= {f"XXH3 of {name}": digest for name, digest in files}
  if (workdir / "vocab.txt").exists():  # not in a point of a sweep
    words = vocab.read_vocab(workdir / "vocab.txt")
    facts["vocabulary"] = f"{len(words.words):,} words"
    facts["occurrences of these words"] = f"{int(words.counts.sum()):,}"
  if (workdir / "counts" / "manifest.json").exists():
    size = column_files.read_manifest(workdir / "counts")["size"]
    facts["co-occurring pairs"] = f"{size:,}"
  return facts


def _training(settings: dict) -> dict[str, object]:
  """The objective, and every setting that is not the default."""
  objective = (
    "GloVe (Pennington et al., 2014), f(x) = min(1, x / "
    f"{settings['x_max']:g})^{settings['alpha']:g}"
  )
  if settings.get("missing"):
    objective += f", and pairs that never occur by {settings['missing']:g}"
  facts = {"objective": objective, "dimensions": settings["dim"]}
  usual = configs.all_settings(Config())
  changed = {
    name: value
    for name, value in settings.items()
    if name in usual and name not in _APART and value != _plain(usual[name])
  }
  return facts | {f"`--{name}`": _shown(v) for name, v in changed.items()}


_APART = ("corpus", "dim", "license")  # these have lines of their own


def _plain(value):
  return list(value) if isinstance(value, tuple) else value


def _shown(value) -> str:
  return ",".join(map(_base, value)) if isinstance(value, list) else str(value)


def _base(path: str) -> str:
  return os.path.basename(str(path).rstrip("/")) or str(path)
