"""Names of work directories that are not given: no two runs share one.

| corpus                   | folder                                           |
|--------------------------|--------------------------------------------------|
| wiki.en.txt, wiki.txt.gz | runs/wiki.en, runs/wiki                          |
| enwiki_sample, sotu      | runs/enwiki_sample+sotu                          |
| a glob, or several files | runs/NAME-HASH, the hash of the list             |
| of a name that is taken  | runs/NAME-HASH                                   |
| --sweep=...              | runs/sweep-HASH, the hash of points and settings |
"""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.config import CorpusConfig
from glove_jax.text import datasets
from glove_jax.text.streams import PACKED

_ROOT = pathlib.Path("runs")
_TEXTS = (".txt", ".text", ".json", ".jsonl", ".ndjson", ".parquet", ".bin")
_WILDCARDS = re.compile(r"[*?\[\]]")


def default_workdir(corpus: CorpusConfig) -> pathlib.Path:
  """The work directory of a run that names none.

  >>> default_workdir(CorpusConfig(corpus="texts/wiki.en.txt.gz")).as_posix()
  'runs/wiki.en'
  """
  sources = _sources(corpus)
  if not sources:
    return _ROOT / "run"
  name, is_exact = _readable(sources[0])
  if all(source in datasets.corpora() for source in sources):
    name = "+".join(sources)
  elif len(sources) > 1:
    is_exact = False
  folder = _ROOT / name
  if is_exact and _is_free(folder, sources):
    return folder
  return _ROOT / f"{name}-{atomic.fingerprint(sources)}"


def sweep_workdir(
  experiment: str, sweep: str, settings: Mapping[str, Any]
) -> pathlib.Path:
  """The work directory of an experiment, or of a sweep without a file.

  Args:
    experiment: the name of an experiment, or "".
    sweep: the points of a sweep, or "".
    settings: those that all points share. Settings that change only how a
      point runs do not count.
  """
  if experiment and not sweep:
    return _ROOT / experiment
  resources = {f.name for f in configs.fields() if f.metadata["resource"]}
  shared = {k: v for k, v in settings.items() if k not in resources}
  digits = atomic.fingerprint([experiment, sweep, shared])
  return _ROOT / f"{experiment or 'sweep'}-{digits}"


def _sources(corpus: CorpusConfig) -> list[str]:
  """Everything that is counted, as names or absolute paths."""
  names = [corpus.records] if corpus.records else list(corpus.corpus)
  names += corpus.add_to
  return [_absolute(name) for name in names]


def _absolute(name: str) -> str:
  if name == "-" or name in datasets.corpora():
    return name
  return os.path.abspath(os.path.expanduser(name))


def _readable(source: str) -> tuple[str, bool]:
  """A name for a folder, and whether it says exactly what the source is."""
  if source == "-":
    return "stdin", True
  path = pathlib.PurePath(source)
  if path.is_relative_to("/dev") or path.is_relative_to("/proc"):
    return "pipe", True
  name = path.name
  for endings in (PACKED, _TEXTS):
    stem, ending = os.path.splitext(name)
    if ending.lower() in endings and not os.path.isdir(source):
      name = stem
  is_glob = _WILDCARDS.search(source) and not os.path.exists(source)
  if is_glob:
    names = (_WILDCARDS.sub("", x) for x in (name, path.parent.name))
    name = next(filter(None, (x.strip("._-") for x in names)), "")
  safe = re.sub(r"[^\w.+-]+", "_", name).strip(".") or "run"
  return safe, safe == name and not is_glob


def _is_free(folder: pathlib.Path, sources: Sequence[str]) -> bool:
  """Whether there is no run of another corpus in a folder."""
  try:
    settings = atomic.read_json(folder / "config.json")["settings"]
    names = {f.name for f in configs.fields()} & settings.keys()
    old = configs.make_config(**{name: settings[name] for name in names})
  except (OSError, ValueError, KeyError, TypeError):
    return True
  return _sources(old.corpus) == list(sources)
