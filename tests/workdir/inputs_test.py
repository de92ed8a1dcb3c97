"""Which files a run reads."""

import io
import json
import os
import types

import pytest

from glove_jax import config as configs
from glove_jax.text import compiled, vocab
from glove_jax.workdir import artifacts, inputs, pipeline


def find(folder, *names, **settings):
  """The paths of a corpus, and what is said."""
  config = configs.make_config(corpus=names, **settings).corpus
  workdir = folder / "run"
  workdir.mkdir(exist_ok=True)
  inputs.check(config, workdir)
  lines = []
  return inputs.corpus_paths(config, workdir, lines.append), lines


def write_records(path, *texts):
  path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
  return str(path)


def test_a_file_wins_over_a_named_corpus(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "text8").write_text("a b\n")
  paths, lines = find(tmp_path, "text8")
  assert paths == ["text8"]
  assert lines == [
    "Corpus 'text8' is the file of this name, not the named corpus."
  ]


def test_what_is_in_the_workdir_is_no_corpus(tmp_path):
  (tmp_path / "a.txt").write_text("a b\n")
  (tmp_path / "run").mkdir()
  (tmp_path / "run" / "vocab.txt").write_text("a 1\n")
  paths, lines = find(tmp_path, str(tmp_path))
  assert paths == [f"{tmp_path}/a.txt"] and len(lines) == 1
  with pytest.raises(ValueError, match="name another workdir, or the files"):
    find(tmp_path, f"{tmp_path}/run")
  assert find(tmp_path, f"{tmp_path}/run/vocab.txt")[0]


def test_standard_input_is_kept_and_an_empty_one_wipes_nothing(
  tmp_path, monkeypatch
):
  def give(data):
    stdin = types.SimpleNamespace(buffer=io.BytesIO(data))
    monkeypatch.setattr("sys.stdin", stdin)

  give(b"a b\n")
  (path,), _ = find(tmp_path, "-")
  give(b"")
  with pytest.raises(ValueError, match="Standard input is empty"):
    find(tmp_path, "-")
  with open(path) as file:
    assert file.read() == "a b\n"


def test_a_field_is_extracted_anew_if_its_records_change(tmp_path):
  path = write_records(tmp_path / "a.jsonl", "one two", "three")
  (text,), lines = find(tmp_path, path, text_field="text")
  assert lines == [f"{path}: 2 texts are in its field 'text'."]
  assert compiled.count_words(compiled.Text([text])).keys() == {
    "one", "two", "three"
  }  # fmt: skip
  assert find(tmp_path, path, text_field="text") == ([text], [])
  state = os.stat(path)
  write_records(tmp_path / "a.jsonl", "one six", "three")  # of the same size
  os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
  assert find(tmp_path, path, text_field="text")[1]
  assert "six" in compiled.count_words(compiled.Text([text]))
  with open(text, "a") as file:
    file.write("spoilt")
  assert find(tmp_path, path, text_field="text")[1]
  assert "spoilt" not in compiled.count_words(compiled.Text([text]))


def test_records_without_the_field_are_named(tmp_path):
  path = write_records(tmp_path / "a.jsonl", "one two")
  with pytest.raises(ValueError, match=r"line 1 has no field 'body'"):
    find(tmp_path, path, text_field="body")
  with pytest.raises(ValueError, match="text_field"):
    find(tmp_path, path)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"corpus": "gone.txt"}, "Corpus 'gone.txt': no such file"),
    ({"corpus": "*.gone"}, "no such file, folder or glob match"),
    ({"vocab": "gone.txt"}, "Vocabulary 'gone.txt': no such file"),
    ({"records": "c.bin"}, "records needs records_vocab"),
    ({"records": "c.bin", "records_vocab": "v.txt"}, "no file 'c.bin'"),
    ({"add_to": "gone"}, "no finished counts in gone"),
    ({"add_to": ("gone", "./gone")}, "add_to names gone twice"),
    ({"add_to": "run"}, "cannot be added to itself"),
    ({"add_to": "./run/../run"}, "cannot be added to itself"),
  ],
)
def test_mistakes_are_found_before_anything_is_written(
  tmp_path, monkeypatch, settings, message
):
  monkeypatch.chdir(tmp_path)
  vocab.write_vocab(vocab.Vocab(("a",), [1]), "v.txt")
  config = configs.make_config(**settings).corpus
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    inputs.check(config, tmp_path / "run")
  assert os.listdir(tmp_path) == ["v.txt"]


def test_damaged_counts_are_neither_added_nor_read(tmp_path):
  (tmp_path / "a.txt").write_text("a b c a b c\n" * 9)
  settings = {"corpus": tmp_path / "a.txt", "window": 2, "threads": 1}
  run = pipeline.Pipeline(
    configs.make_config(**settings), tmp_path / "a", print
  )
  run.count()
  path = tmp_path / "a" / "counts" / "count.npy"
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  with pytest.raises(ValueError, match=r"count\.npy differs from what was"):
    artifacts.read_counts(tmp_path / "a")
  added = configs.make_config(**settings, add_to=(str(tmp_path / "a"),))
  with pytest.raises(ValueError, match=r"count\.npy differs from what was"):
    pipeline.Pipeline(added, tmp_path / "b", print).count()
  assert not (tmp_path / "b").exists()
