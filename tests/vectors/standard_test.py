"""Which sets a run has: names, folders, the suite, downloads."""

import functools
import hashlib
import http.server
import pathlib
import sys
import threading
import zipfile

import pytest

from glove_jax import config
from glove_jax.text import datasets
from glove_jax.vectors import sets, standard
from glove_jax.vectors.sets import Pair, Relation

NOTHING = {"analogies": [], "similarity": []}


def find(**settings) -> list[standard.Entry]:
  return standard.find_sets(config.make_config(**(NOTHING | settings)).evaluate)


def write(path: pathlib.Path, text: str = "a b 1\n") -> str:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  return str(path)


def test_named_sets_and_files(tmp_path):
  entries = standard.find_sets(config.EvaluateConfig())
  assert [entry.name for entry in entries] == [
    "google",
    "wordsim353",
    "simlex999",
  ]
  entries = find(similarity=[write(tmp_path / "my.v2.tsv")])
  assert [entry.name for entry in entries] == ["my.v2"]
  with pytest.raises(FileNotFoundError, match="no evaluation file nowhere"):
    find(similarity=["nowhere"])
  with pytest.raises(FileNotFoundError, match="no evaluation file nowhere"):
    find(sets="nowhere")


def test_files_of_one_name_are_told_apart(tmp_path):
  paths = [
    write(tmp_path / "a" / "set.txt"),
    write(tmp_path / "b" / "set.txt"),
    write(tmp_path / "b" / "set.csv"),
    write(tmp_path / "c" / "pairs.txt"),
    write(tmp_path / "google.txt"),
  ]
  entries = find(analogies=["google"], similarity=[*paths, paths[0]])
  assert [entry.name for entry in entries] == [
    "google",
    "a/set.txt",
    "b/set.txt",
    "set.csv",
    "pairs",
    "google.txt",
  ]


@pytest.mark.parametrize(
  "file, name",
  [
    ("EN-MEN-TR-3k.txt", "men"),
    ("MEN_dataset_natural_form_full", "men"),
    ("SimLex-999.txt", "simlex999"),
    ("questions-words.txt", "google"),
    ("word_relationship.questions", "msr"),
    ("EN-WS-353-SIM.txt", "ws353_similarity"),
    ("wordsim_relatedness_goldstandard.txt", "ws353_relatedness"),
    ("rw.txt", "rw"),
    ("MTURK-771.csv", "mturk771"),
    ("mine.txt", ""),
  ],
)
def test_names_of_published_files(file, name):
  assert standard.standard_name(pathlib.Path(file)) == name


def test_a_folder_of_sets(tmp_path):
  write(tmp_path / "RG-65.txt")
  write(tmp_path / "EN-RG-65.txt")
  write(tmp_path / "README.md", "what these are")
  write(tmp_path / ".hidden", "nothing")
  write(tmp_path / "more" / "mine.csv", "a,b,1\n")
  write(tmp_path / "msr.questions", "good better JJ_JJR rough\n")
  write(tmp_path / "msr.answers", "rougher\n")
  for letter in "IDEL":
    write(tmp_path / "BATS_3.0" / letter / f"{letter}01 [x].txt", "a\tb/c\n")
  entries = find(sets=str(tmp_path))
  assert sorted(entry.name for entry in entries) == [
    "RG-65",
    "bats",
    "mine",
    "msr",
    "rg65",
  ]
  contents = {entry.name: entry.read() for entry in entries}
  assert contents["mine"] == [Pair("a", "b", 1.0)]
  assert contents["msr"] == {"JJ_JJR": [("good", "better", "rough", "rougher")]}
  assert contents["bats"]["E01 [x]"] == [Relation("a", ("b", "c"))]
  alone = find(sets=str(tmp_path / "BATS_3.0"))
  assert [entry.name for entry in alone] == ["bats"]


def test_a_file_named_by_two_flags_is_one_set(tmp_path):
  path = write(tmp_path / "mine.txt")
  entries = find(similarity=[path], sets=str(tmp_path))
  assert [entry.name for entry in entries] == ["mine"]


# The suite.


@pytest.fixture
def server(tmp_path, monkeypatch):
  """A web server that has three sets; the rest of the suite is not there."""
  root = tmp_path / "www"
  write(root / "men.txt", "sun moon 5\n")
  write(root / "rw.txt", "changed since\n")
  with zipfile.ZipFile(root / "bats.zip", "w") as archive:
    archive.writestr("BATS/1/I01 [x].txt", "cat\tcats\n")
    archive.writestr("BATS/2/E01 [y].txt", "cat\tkitten/kitty\n")
  handler = functools.partial(
    http.server.SimpleHTTPRequestHandler, directory=root
  )
  handler.log_message = lambda *_: None
  serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
  threading.Thread(target=serving.serve_forever, daemon=True).start()
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path / "cache"))
  for name, source in standard.STANDARD.items():
    file = f"{name}.zip" if name == "bats" else f"{name}.txt"
    known = ""
    if (root / file).exists() and name != "rw":
      known = hashlib.sha256((root / file).read_bytes()).hexdigest()
    address = f"http://127.0.0.1:{serving.server_port}/{file}"
    if source.url:
      monkeypatch.setitem(
        standard.STANDARD,
        name,
        source._replace(url=address, known_hash=f"sha256:{known or 'ab'}"),
      )
  yield serving
  serving.shutdown()
  serving.server_close()


def test_the_suite_downloads_once_what_it_can(server, tmp_path):
  pytest.importorskip("pooch")
  user = tmp_path / "mine"
  write(user / "RG-65.txt")
  entries = {e.name: e for e in find(suite="standard", sets=str(user))}
  assert entries.keys() == standard.STANDARD.keys()
  assert entries["rg65"].path == user / "RG-65.txt"
  assert entries["men"].read() == [Pair("sun", "moon", 5.0)]
  assert entries["bats"].read() == {
    "I01 [x]": [Relation("cat", ("cats",))],
    "E01 [y]": [Relation("cat", ("kitten", "kitty"))],
  }
  assert entries["google"].read().keys() == (
    sets.read_analogies(datasets.evaluation_set("google")).keys()
  )
  assert entries["rw"].path is None and "hash" in entries["rw"].reason
  assert "127.0.0.1" in entries["msr"].reason  # 404, and others were tried
  assert " does not hand it out (404 Client Err" in entries["msr"].reason
  assert entries["msr"].kind == "analogies"
  server.shutdown()
  server.server_close()
  again = {e.name: e for e in find(suite="standard", sets=str(user))}
  assert again["men"].path == entries["men"].path
  assert "cannot be reached" in again["mc30"].reason


def test_a_cache_that_cannot_be_written_is_not_called_the_network(
  server, tmp_path, monkeypatch
):
  pytest.importorskip("pooch")
  (tmp_path / "file").touch()
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path / "file"))
  entries = {e.name: e for e in find(suite="standard")}
  assert entries["google"].path and not entries["men"].path
  said = entries["men"].reason
  assert said.startswith("The cache cannot be written to") and "/file" in said
  assert said.endswith("set GLOVE_JAX_CACHE to a folder that can.")


def test_the_suite_without_pooch(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "pooch", None)
  monkeypatch.setenv("GLOVE_JAX_CACHE", str(tmp_path))
  entries = {e.name: e for e in find(suite="standard")}
  assert "pip install pooch" in entries["men"].reason
  assert entries["simlex999"].read()[0] == Pair("old", "new", 1.58)


def test_checksums_have_the_length_of_their_algorithm():
  for source in standard.STANDARD.values():
    if source.url:
      name, digest = source.known_hash.split(":")
      assert len(bytes.fromhex(digest)) == hashlib.new(name).digest_size
