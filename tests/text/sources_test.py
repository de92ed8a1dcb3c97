"""Which files make a corpus; standard input and pipes."""

import bz2
import gzip
import io
import os
import pathlib
import threading
import types

import pytest
from text_files import TEXT, read, written, zipped

from glove_jax.text import content, sources

# Standard input and pipes


@pytest.fixture
def stdin(monkeypatch):
  def put(data):
    fake = types.SimpleNamespace(buffer=io.BytesIO(data))
    monkeypatch.setattr("sys.stdin", fake)
    return fake.buffer

  return put


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_read_by_content_and_stays_open(stdin, pack):
  buffer = stdin(pack(TEXT))
  assert read("-") == TEXT
  assert not buffer.closed
  assert sources.resolve("-") == ["-"]
  assert not sources.is_plain("-")


def test_a_zip_on_standard_input_is_refused(stdin):
  stdin(zipped({"a": TEXT}))
  with pytest.raises(ValueError, match="read from its end: save it to a file"):
    sources.open_text("-")


def test_standard_input_is_kept_and_not_touched_if_it_is_the_same(
  tmp_path, stdin
):
  stdin(TEXT)
  kept = sources.keep("-", tmp_path)
  assert kept == str(tmp_path / "stdin.txt")
  os.utime(kept, ns=(5, 5))
  for data in (TEXT, TEXT):
    stdin(data)
    assert sources.keep("/dev/stdin", tmp_path) == kept
    assert os.stat(kept).st_mtime_ns == 5
  for data in (TEXT[:-1], TEXT + b"a", b"b" + TEXT[1:]):
    stdin(data)
    sources.keep("-", tmp_path)
    assert read(kept) == data
    assert os.stat(kept).st_mtime_ns != 5
  assert os.listdir(tmp_path) == ["stdin.txt"]


def test_an_empty_standard_input_wipes_nothing(tmp_path, stdin):
  stdin(TEXT)
  kept = sources.keep("-", tmp_path)
  stdin(b"")
  with pytest.raises(ValueError, match="Standard input is empty"):
    sources.keep("-", tmp_path)
  assert read(kept) == TEXT
  assert os.listdir(tmp_path) == ["stdin.txt"]


def feed(path, data):
  thread = threading.Thread(target=lambda: pathlib.Path(path).write_bytes(data))
  thread.start()
  return thread


def test_pipes_are_kept_under_names_of_their_own(tmp_path):
  kept = []
  for name in ("a_b/pipe", "a/b/pipe", "a/b_pipe"):
    pipe = tmp_path / name
    pipe.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(pipe)
    assert sources.is_pipe(pipe) and not sources.is_plain(pipe)
    assert sources.resolve(pipe) == [str(pipe)]  # is not opened
    thread = feed(pipe, gzip.compress(name.encode()))
    kept.append(sources.keep(pipe, tmp_path))
    thread.join()
    assert read(kept[-1]) == name.encode()
  assert len(set(kept)) == 3


def test_a_pipe_can_be_opened_once(tmp_path):
  pipe = tmp_path / "pipe"
  os.mkfifo(pipe)
  thread = feed(pipe, bz2.compress(TEXT))
  assert read(pipe) == TEXT
  thread.join()


def test_process_substitution_is_a_pipe():
  reading, writing = os.pipe()
  try:
    assert sources.is_pipe(f"/dev/fd/{reading}")
  finally:
    os.close(reading)
    os.close(writing)
  assert not sources.is_pipe(__file__)
  assert not sources.is_pipe(os.path.dirname(__file__))
  assert not sources.is_pipe("missing")


# Which files


@pytest.fixture
def tree(tmp_path):
  for name in ("b.txt", "a.txt", "c.csv", "sub/d.txt", ".hidden", "sub/.e"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{path.stem} word\n")
  return tmp_path


def names(paths, folder):
  return [os.path.relpath(path, folder) for path in paths]


def test_resolve_keeps_the_order_of_the_patterns(tree):
  found = sources.resolve([tree / "c.csv", f"{tree}/*.txt", "-"])
  assert found == [f"{tree}/{n}" for n in ("c.csv", "a.txt", "b.txt")] + ["-"]


def test_resolve_walks_folders_sorted_without_hidden_files(tree):
  expected = ["a.txt", "b.txt", "c.csv", "sub/d.txt"]
  assert names(sources.resolve(tree), tree) == expected
  deep = sources.resolve(f"{tree}/**/*.txt")
  assert names(deep, tree) == ["a.txt", "b.txt", "sub/d.txt"]


def test_resolve_names_each_file_once_whatever_its_path(tree, monkeypatch):
  monkeypatch.chdir(tree)
  (tree / "link.txt").symlink_to("a.txt")
  os.link("b.txt", "sub/hard.txt")
  patterns = ["./a.txt", "a.txt", tree / "a.txt", "link.txt", "sub/hard.txt"]
  assert sources.resolve([*patterns, "."]) == [
    "./a.txt", "sub/hard.txt", "./c.csv", "./sub/d.txt"
  ]  # fmt: skip


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
  path = written(tmp_path, b"x", "a[1].txt")
  written(tmp_path, b"y", "a1.txt")
  assert sources.resolve(path) == [str(path)]


def test_resolve_expands_the_home_folder(tree, monkeypatch):
  monkeypatch.setenv("HOME", str(tree))
  for pattern in ("~/a.txt", pathlib.Path("~/a.txt"), "~/a.*"):
    assert sources.resolve(pattern) == [f"{tree}/a.txt"]


@pytest.mark.parametrize("pattern", ["missing.txt", "*.nothing", "empty"])
def test_resolve_names_what_is_missing(tmp_path, pattern):
  (tmp_path / "empty").mkdir()
  match = r"Corpus .*no such file, folder or glob match"
  with pytest.raises(FileNotFoundError, match=match):
    sources.resolve(tmp_path / pattern)
  with pytest.raises(FileNotFoundError, match="No corpus was named"):
    sources.resolve([])


def test_what_is_no_text_in_a_folder_is_left_out_and_counted(tree):
  written(tree, b"\x89PNG\r\n\x1a\n", "picture")
  written(tree, b'{"a": 1}', "sub/z.json")
  (tree / "broken").symlink_to("nowhere")
  (tree / "linked").symlink_to("sub")
  os.mkfifo(tree / "pipe")
  lines = []
  found = sources.resolve(tree, say=lines.append)
  assert names(found, tree) == ["a.txt", "b.txt", "c.csv", "sub/d.txt"]
  assert len(lines) == 1
  assert "5 files are left out of the corpus" in lines[0]
  for path in (tree / "a.txt", tree / "b.txt", tree / "c.csv"):
    path.unlink()
  (tree / "sub/d.txt").unlink()
  with pytest.raises(ValueError, match=r"holds no text: .* broken link"):
    sources.resolve(tree)


def test_a_damaged_file_in_a_folder_is_an_error_not_left_out(tree):
  written(tree, gzip.compress(TEXT)[:-20], "sub/damaged")
  with pytest.raises(OSError, match="damaged: cannot be read to its end"):
    sources.resolve(tree)


def a_run(folder):
  folder.mkdir(parents=True, exist_ok=True)
  for name in ("config.json", "stages.json"):
    (folder / name).write_text("{}")
  (folder / "vocab.txt").write_text("word 7\n")
  (folder / "counts").mkdir()
  (folder / "counts" / "notes.txt").write_text("deeper\n")


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.txt", "/*/*.txt"])
def test_work_directories_of_runs_are_no_corpus(tree, pattern):
  a_run(tree / "runs" / "x")
  lines = []
  found = sources.resolve(f"{tree}{pattern}", say=lines.append)
  assert not [path for path in found if "/runs/x" in path]
  assert f"{tree}/sub/d.txt" in found
  assert any("what runs wrote" in line for line in lines) != (
    pattern == "/*/*.txt"  # which reaches none
  )


def test_a_run_is_named_if_the_corpus_lies_in_it(tree):
  a_run(tree)
  match = "lies in the work directory of a run"
  for pattern in (tree, f"{tree}/*.txt", f"{tree}/**/*.txt"):
    with pytest.raises(ValueError, match=match):
      sources.resolve(pattern)
  path = str(tree / "a.txt")
  assert sources.resolve(path) == [path]  # which is named itself


def test_what_is_excluded_is_left_out_unless_it_is_named(tree, monkeypatch):
  monkeypatch.chdir(tree)
  exclude = ["sub", tree / "a.txt"]
  for pattern in (".", "**/*.*"):
    found = sources.resolve(pattern, exclude=exclude)
    assert names(found, tree) == ["b.txt", "c.csv"]
  with pytest.raises(ValueError, match="lies in the work directory"):
    sources.resolve("sub", exclude=exclude)
  (tree / "sub" / "deep").mkdir()
  written(tree, b"x", "sub/deep/x.txt")
  with pytest.raises(ValueError, match="lies in the work directory"):
    sources.resolve("sub/deep", exclude=exclude)
  assert sources.resolve("sub/d.txt", exclude=exclude) == ["sub/d.txt"]


def test_records_are_listed_instead_of_text(tree):
  path = written(tree, b'{"text": "hello"}\n', "sub/z.jsonl")
  assert sources.resolve(tree, records=True) == [str(path)]
  with pytest.raises(ValueError, match="neither JSON nor Parquet"):
    sources.resolve(tree / "a.txt", records=True)


def test_a_folder_cannot_be_opened_nor_what_is_missing(tmp_path):
  with pytest.raises(IsADirectoryError, match="name its files"):
    sources.open_text(tmp_path)
  with pytest.raises(FileNotFoundError, match=r"Corpus .*gone.*no such file"):
    sources.open_text(tmp_path / "gone")


@pytest.mark.parametrize("data, is_said", [
  ("un café près du marché\n".encode("latin-1"), True),
  ("привет мир\n".encode("cp1251") * 9, True),
  ("un café près du marché\n".encode(), False),
  (b"caf\xe9 " + b"the text is in UTF-8 " * 100, False),  # a slip
  (b"a" + ("é" * content.HEAD_BYTES).encode(), False),  # cut by the head
])  # fmt: skip
def test_text_in_another_encoding_is_said_to_be(tmp_path, data, is_said):
  path, lines = tmp_path / "a.txt", []
  path.write_bytes(data)
  assert sources.resolve(tmp_path, say=lines.append) == [str(path)]
  assert [line[: len(str(path))] for line in lines] == [str(path)] * is_said
