"""The sets of a run: those of the standard suite, and a user's files.

Three sets of the suite come with gensim. The others are taken from a folder of
the user's if they are there, or else downloaded once, by pooch, into the folder
`evaluation` of the cache. The files on GitHub are pinned to a commit, and their
SHA-256 was computed from it; the SHA-1 of BATS is GluonNLP's
(`gluonnlp/data/word_embedding_evaluation.py`).
"""

import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from glove_jax import lazy
from glove_jax.cache import cache_folder, make_writable
from glove_jax.config import EvaluateConfig, check_type
from glove_jax.text import datasets
from glove_jax.vectors import sets

_PAIRS = (
  "https://raw.githubusercontent.com/mfaruqui/eval-word-vectors/"
  "94b3dd9fdbac7ed08dbee7179cd5ee464acf0594/data/word-sim/EN-"
)
_MSR = (
  "https://raw.githubusercontent.com/zhezhaoa/ngram2vec/"
  "e57c623a5dfe5df4ea0be3f04ad52045aaa6360f/testsets/analogy/msr.txt"
)
_BATS = "https://s3.amazonaws.com/blackbirdprojects/tut_vsm/BATS_3.0.zip"


class KnownSet(NamedTuple):
  """Where a set of the suite comes from.

  Attributes:
    kind: 'analogies' or 'similarity'.
    files: other names that its file goes by, see `standard_name`.
    url: of a text or a .zip file; empty for a set in gensim's wheel.
    known_hash: algorithm and digest of the file at `url`.
  """

  kind: str
  files: tuple[str, ...] = ()
  url: str = ""
  known_hash: str = ""


def _pairs(name: str, digest: str, *files: str) -> KnownSet:
  return KnownSet(
    "similarity", files, f"{_PAIRS}{name}.txt", f"sha256:{digest}"
  )


STANDARD = {
  "google": KnownSet("analogies", ("questionswords", "googleanalogytestset")),
  "msr": KnownSet(
    "analogies",
    ("wordrelationship",),
    _MSR,
    "sha256:6e8d8a1d83165250631e5d74689837ab11bd00b7547a1d5e7000fa8bb4e259ef",
  ),
  "bats": KnownSet(
    "analogies",
    ("bats30",),
    _BATS,
    "sha1:bf94d47884be9ea83af369beeea7499ed25dcf0d",
  ),
  "wordsim353": KnownSet("similarity", ("ws353", "ws353all")),
  "ws353_similarity": _pairs(
    "WS-353-SIM",
    "f1da938998863c94e53f72f984a5c6e215f0b46c323aae8f0f4930703a339107",
    "ws353sim",
    "wordsimsimilaritygoldstandard",
  ),
  "ws353_relatedness": _pairs(
    "WS-353-REL",
    "66a7c88100624d0a391605ff61ce84e11d11ee620d51ec0298da49592838f8fa",
    "ws353rel",
    "wordsimrelatednessgoldstandard",
  ),
  "simlex999": KnownSet("similarity", ("simlex",)),
  "simverb3500": _pairs(
    "SimVerb-3500",
    "9d84274e7ad029fd3cf69dd0516e9ade624bbef9bd4e2050f6cc1fa01471e0f5",
    "simverb",
  ),
  "men": _pairs(
    "MEN-TR-3k",
    "888b13580faa362c7b11da0a670258cf1b1eb4bf0ecbcd418918729a3bd3f43a",
    "mentr3k",
    "men3000",
    "mendatasetnaturalformfull",
    "mendatasetlemmaformfull",
  ),
  "rw": _pairs(
    "RW-STANFORD",
    "5108d54dfc746f44f9c3d7e31d2857c37cf71430bc1594175a61a3b89bb0ae1f",
    "rwstanford",
    "rareword",
    "rarewords",
  ),
  "rg65": _pairs(
    "RG-65",
    "c243f3a91c3f5d8cf67f21a67f6fb80bde8b6bb060851a6a48e6f2d68ec98c9f",
  ),
  "mc30": _pairs(
    "MC-30",
    "33ee05911496ff83d95cac351d0746c6f63b9181b605cb7d307f4daa8864511b",
  ),
  "mturk287": _pairs(
    "MTurk-287",
    "a9ae3a9decb75a9700fe0cf18b048c1344774d9f40e0196baf8e34d4cd9d1ce5",
    "mtruk",
  ),
  "mturk771": _pairs(
    "MTurk-771",
    "04dc297c9e86b6fa7cf8ef0e4ba2e2c8d3399ec68d92fb7a53c0b4aae27198b5",
  ),
  "yp130": _pairs(
    "YP-130",
    "7643fdbc6158c3424061e2cba450c71285767266ff9f3db947bfc1f1f5ce67ab",
  ),
  "verb143": _pairs(
    "VERB-143",
    "7259e19961c81912aa4c72de0102e480b2ad2bb9f4ce97d036fbde8e1a403001",
  ),
}


class Entry(NamedTuple):
  """One set of a run."""

  name: str
  kind: str  # 'analogies', 'similarity', or '' if the content decides
  path: pathlib.Path | None  # None if the set is missing
  reason: str = ""  # why it is missing

  def read(self) -> sets.Content:
    """The content of the set; see the readers of `sets` for errors."""
    readers = {"analogies": sets.read_analogies}
    readers |= {"similarity": sets.read_similarity, "": sets.read_set}
    return readers[self.kind](self.path)


def find_sets(config: EvaluateConfig) -> list[Entry]:
  """The sets that a config names, in order, each under a name of its own.

  First come `config.analogies` and `config.similarity`, then the files of the
  folder `config.sets`, then what is left of the standard suite. A set is
  called after its file. Files of one name, such as a/set.txt and b/set.txt,
  are told apart by their folders.

  Returns:
    One entry for each set; sets of the suite that cannot be had are entries
    with a reason and no path.

  Raises:
    FileNotFoundError: a file or folder that the config names does not exist, or
      there is no folder for the suite.
    ValueError: the config is not an `EvaluateConfig`.
  """
  check_type(config, EvaluateConfig)
  found: list[tuple[str, str, pathlib.Path]] = []
  for kind in ("analogies", "similarity"):
    for name in getattr(config, kind):
      if name in datasets.evaluation_sets():
        path = pathlib.Path(datasets.evaluation_set(name))
        found.append((name, kind, path))
      else:
        found.append(("", kind, _existing(name)))
  if config.sets:
    known = {path.resolve() for _, _, path in found}
    named = {name for name, _, _ in found}
    for path in _files_in(_existing(config.sets)):
      name = standard_name(path)
      if path.resolve() in known:
        continue
      found.append(("" if name in named else name, "", path))
      named.add(name)
  entries = _with_names(list(dict.fromkeys(found)))
  if config.suite == "standard":
    entries += _rest_of_suite({entry.name for entry in entries})
  return entries


def standard_name(path: pathlib.Path) -> str:
  """The name in the suite of the set that a file is called after, or "".

  Case, punctuation and a leading "EN-" do not matter.

  >>> standard_name(pathlib.Path("EN-MTurk-771.txt"))
  'mturk771'
  """
  stem = path.name if path.is_dir() else path.stem
  plain = re.sub(r"[^a-z0-9]", "", stem.lower())
  for name, source in STANDARD.items():
    names = {name.replace("_", ""), *source.files}
    if plain in names or plain.removeprefix("en") in names:
      return name
  return ""


def fetch(name: str) -> pathlib.Path:
  """Downloads a set of the suite, or finds it where it was downloaded before.

  Returns:
    A file, or for BATS a folder.

  Raises:
    ModuleNotFoundError: pooch is not installed.
    OSError: the network or the server cannot be reached, or the cache cannot
      be written to.
    ValueError: the file at the address is not the one that was published.
  """
  with lazy.needed(
    "Downloading needs pooch: pip install pooch, or name a folder that has the "
    "set by sets=FOLDER."
  ):
    import pooch  # here, since only downloads need it
  source, path = STANDARD[name], _cached(name)
  if not path.exists():
    make_writable(path.parent)
  packed = source.url.endswith(".zip")
  unpack = pooch.Unzip(extract_dir=name) if packed else None
  pooch.get_logger().setLevel("WARNING")
  pooch.retrieve(
    source.url,
    source.known_hash,
    fname=name + pathlib.PurePosixPath(source.url).suffix,
    path=path.parent,
    processor=unpack,
  )
  return path


def cached_files() -> list[pathlib.Path]:
  """Where the sets of the suite are that need no download any more."""
  paths = [
    _cached(name) if source.url else pathlib.Path(datasets.evaluation_set(name))
    for name, source in STANDARD.items()
  ]
  return [path for path in paths if path.exists()]


def _cached(name: str) -> pathlib.Path:
  """Where a downloaded set is, or will be, as a file or a folder."""
  packed = STANDARD[name].url.endswith(".zip")
  folder = pathlib.Path(cache_folder(), "evaluation")
  return folder / (name if packed else f"{name}.txt")


def _rest_of_suite(present) -> list[Entry]:
  """The sets of the suite that are not present yet.

  After a first failure to download anything, only cached sets are used.
  """
  entries, no_download = [], ""
  for name, source in STANDARD.items():
    if name in present:
      continue
    path, reason = None, no_download
    is_cached = source.url and _cached(name).exists()
    try:
      if not source.url:
        path = pathlib.Path(datasets.evaluation_set(name))
      elif not no_download or is_cached:
        path, reason = fetch(name), ""
    except (OSError, ImportError, ValueError) as error:
      reason = _sentence(error, source)
      is_offline = isinstance(error, OSError) and not _is_answered(error)
      if is_offline and source.url:
        no_download = reason
    entries.append(Entry(name, source.kind, path, reason))
  return entries


def _sentence(error: Exception, source: KnownSet) -> str:
  if not hasattr(error, "response"):  # not of the network
    return " ".join(str(error).split())
  what = f"cannot be reached ({type(error).__name__}): check the network, or"
  if _is_answered(error):
    what = f"does not hand it out ({error}):"
  host = source.url.split("/")[2]
  return f"{host} {what} name a folder that has the set by sets=FOLDER."


def _is_answered(error: Exception) -> bool:
  """Whether the server answered, though with an error such as 404."""
  return getattr(error, "response", None) is not None


def _existing(name: str) -> pathlib.Path:
  path = pathlib.Path(name).expanduser()
  if not path.exists():
    raise FileNotFoundError(
      f"There is no evaluation file {path}: check the path, or name one of "
      f"{', '.join(datasets.evaluation_sets())}."
    )
  return path


def _files_in(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """The files that may be sets, and folders of relations as one set each."""
  if not folder.is_dir():
    yield folder
    return
  if _is_relations(folder):
    yield folder
    return
  for path in sorted(folder.iterdir()):
    is_note = path.stem.lower().startswith((".", "readme", "licen"))
    if not is_note and path.suffix != ".answers":
      yield from _files_in(path)


def _is_relations(folder: pathlib.Path) -> bool:
  """Whether all .txt files below a folder are relations, as those of BATS."""
  try:
    sections = sets.read_analogies(folder)
  except (ValueError, FileNotFoundError):
    return False
  return all(isinstance(items[0], sets.Relation) for items in sections.values())


def _with_names(found: Sequence[tuple[str, str, pathlib.Path]]) -> list[Entry]:
  """Entries named as given or after their files, each name once.

  a/set.txt, b/set.txt, b/pairs.csv -> a/set.txt, b/set.txt, pairs
  """
  taken = {name for name, _, _ in found if name}
  stems = [_stem(path) for name, _, path in found if not name]
  entries = []
  for name, kind, path in found:
    if not name:
      name = _stem(path)
      if name in taken or stems.count(name) > 1:
        name = _tail(path, [p for n, _, p in found if not n and p != path])
      taken.add(name)
    entries.append(Entry(name, kind, path))
  return entries


def _stem(path: pathlib.Path) -> str:
  return path.name if path.is_dir() else path.stem


def _tail(path: pathlib.Path, others: Sequence[pathlib.Path]) -> str:
  """The end of a path that no other path has: its file and some folders."""
  parts = path.resolve().parts
  for num in range(1, len(parts)):
    tail = parts[-num:]
    if all(other.resolve().parts[-num:] != tail for other in others):
      return os.path.join(*tail)
  return str(path)
