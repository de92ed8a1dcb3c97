"""Named corpora and evaluation sets, and where each comes from.

Corpora are made once and kept as plain text in a cache folder:
`$GLOVE_JAX_CACHE`, or `~/.cache/glove_jax`.
"""

import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile

from tqdm import tqdm

from glove_jax import atomic


@dataclasses.dataclass(frozen=True)
class Corpus:
  """A corpus by name.

  Attributes:
    about: what it is, in a line.
    source: an address, or the name of a file in gensim's wheel.
    kind: `wiki_dump` (MediaWiki's XML, .bz2) or `zip` (of one text).
    sha256: of the file at `source`; empty where that changes with time.
  """

  about: str
  source: str
  kind: str
  sha256: str = ""


CORPORA = {
  "enwiki_sample": Corpus(
    "a slice of an English Wikipedia dump, from gensim's wheel",
    "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    "wiki_dump",
  ),
  "text8": Corpus(
    "100 MB of cleaned English Wikipedia of 2006, one line, 17 million words",
    "http://mattmahoney.net/dc/text8.zip",
    "zip",
    "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
  ),
  "simplewiki": Corpus(
    "the latest dump of Simple English Wikipedia",
    "https://dumps.wikimedia.org/simplewiki/latest/"
    "simplewiki-latest-pages-articles.xml.bz2",
    "wiki_dump",
  ),
}

EVALUATION_SETS = {
  "google": "questions-words.txt",
  "wordsim353": "wordsim353.tsv",
  "simlex999": "simlex999.txt",
}


def corpora() -> tuple[str, ...]:
  """The names that `load_corpus` knows."""
  return tuple(CORPORA)


def evaluation_sets() -> tuple[str, ...]:
  """The names that `evaluation_set` knows."""
  return tuple(EVALUATION_SETS)


def cache_folder() -> str:
  """Where corpora are kept: `$GLOVE_JAX_CACHE` or `~/.cache/glove_jax`."""
  named = os.environ.get("GLOVE_JAX_CACHE")
  return named or os.path.join(os.path.expanduser("~"), ".cache", "glove_jax")


def evaluation_set(name: str) -> str:
  """The path of an evaluation set in gensim's wheel.

  Raises:
    ValueError: an unknown name.
    FileNotFoundError: gensim, or the file in it, is missing.
  """
  if name not in EVALUATION_SETS:
    raise ValueError(
      f"evaluation set {name!r} is unknown: there are "
      f"{', '.join(EVALUATION_SETS)}, or name a file"
    )
  return _gensim_file(EVALUATION_SETS[name])


def load_corpus(name: str, cache_dir: str | None = None) -> str:
  """The path of a named corpus as plain text; made at the first call.

  Args:
    name: one of `corpora()`.
    cache_dir: where to keep it; `cache_folder()` by default.

  Returns:
    The path of a UTF-8 file, one document a line.

  Raises:
    ValueError: an unknown name, or a download that is not what it should be.
    OSError: no network, or the cache cannot be written.
  """
  if name not in CORPORA:
    raise ValueError(
      f"corpus {name!r} is unknown: there are {', '.join(CORPORA)}, or name a "
      "file"
    )
  corpus = CORPORA[name]
  folder = cache_dir or cache_folder()
  path = os.path.join(folder, f"{name}.txt")
  if os.path.exists(path):
    return path
  os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as workspace:
    if "://" in corpus.source:
      source = os.path.join(workspace, corpus.source.rpartition("/")[2])
      _download(name, corpus, source)
    else:
      source = _gensim_file(corpus.source)
    made = os.path.join(workspace, "corpus.txt")
    if corpus.kind == "zip":
      _unzip(source, made)
    else:
      _extract_in_subprocess(source, made)
    if not os.path.getsize(made):
      raise ValueError(f"corpus {name!r}: no text was found in {source}")
    os.replace(made, path)
  return path


def _gensim_file(name: str) -> str:
  spec = importlib.util.find_spec("gensim")  # without importing it
  if spec is None:
    raise FileNotFoundError(f"{name} comes with gensim: pip install gensim")
  folder = spec.submodule_search_locations[0]
  path = os.path.join(folder, "test", "test_data", name)
  if not os.path.exists(path):
    raise FileNotFoundError(f"{path} is missing: pip install gensim again")
  return path


def _download(name: str, corpus: Corpus, path: str) -> None:
  digest, size = hashlib.sha256(), 0
  try:
    with (
      urllib.request.urlopen(corpus.source, timeout=30) as response,
      open(path, "wb") as file,
      tqdm(
        desc=f"download {name}",
        total=int(response.headers.get("Content-Length") or 0) or None,
        unit="B",
        unit_scale=True,
        disable=None,  # quiet when stderr is no terminal
      ) as bar,
    ):
      while block := response.read(1 << 16):
        file.write(block)
        digest.update(block)
        size += len(block)
        bar.update(len(block))
      if size < (bar.total or 0):
        raise OSError(f"it ended after {size} of {bar.total} bytes")
  except OSError as error:
    reason = getattr(error, "reason", error)
    raise OSError(
      f"corpus {name!r}: cannot download {corpus.source} ({reason}): check the "
      "network, or name a file of your own"
    ) from error
  if corpus.sha256 and digest.hexdigest() != corpus.sha256:
    raise ValueError(
      f"corpus {name!r}: {corpus.source} has the SHA-256 {digest.hexdigest()}, "
      f"not {corpus.sha256}: it is damaged or has been changed"
    )


def _unzip(source: str, path: str) -> None:
  """The one text of a zip."""
  try:
    with zipfile.ZipFile(source) as archive:
      (member,) = archive.infolist()
      with archive.open(member) as text, open(path, "wb") as file:
        shutil.copyfileobj(text, file)
  except (zipfile.BadZipFile, ValueError) as error:
    raise ValueError(f"{source} is no zip of one text: {error}") from error


def _extract_in_subprocess(source: str, path: str) -> None:
  """`extract_wiki` in a process of its own.

  WikiCorpus forks worker processes, which is unsafe where threads run, and JAX
  starts threads.
  """
  package = str(pathlib.Path(__file__).resolve().parents[2])
  code = (
    f"import sys; sys.path.insert(0, {package!r}); "
    "from glove_jax.text import datasets; datasets.extract_wiki(*sys.argv[1:])"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, source, path],
    stdin=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    check=False,
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise OSError(f"cannot extract the text of {source}: {last}")


def extract_wiki(source: str, path: str) -> None:
  """Writes the articles of a MediaWiki dump as text, one a line.

  Markup is removed by `gensim.corpora.WikiCorpus`; words keep their case and
  punctuation, so that the tokenizer of the run is what decides. Redirects and
  stubs of fewer than 50 words are left out, as WikiCorpus does by default.

  Call it in a process of its own: it starts others, and changes gensim.
  """
  from gensim import utils
  from gensim.corpora import WikiCorpus

  # gensim's own reads ahead in a process, and where that fails, as on a damaged
  # dump, waits for it for ever.
  utils.chunkize = lambda texts, chunksize, maxsize: utils.chunkize_serial(
    texts, chunksize
  )
  articles = WikiCorpus(source, dictionary={}, tokenizer_func=split_article)
  with atomic.write_whole(path) as file:
    for tokens in articles.get_texts():
      file.write(" ".join(tokens).encode("utf-8", "replace") + b"\n")


def split_article(
  text: str, token_min_len: int, token_max_len: int, lower: bool
) -> list[str]:
  """WikiCorpus's tokenizer_func: all the text, split at spaces only."""
  del token_min_len, token_max_len, lower
  return text.split()
