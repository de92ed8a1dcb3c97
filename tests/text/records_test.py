"""The text of a field of JSON and Parquet files."""

import gzip
import io
import json
import sys
import zipfile

import pytest

from glove_jax.text import content, reading, records, sources

ROWS = [
  {"id": 1, "text": "one\r\ntwo\n\nthree"},
  {"id": 2, "text": None},
  {"id": 3, "text": " \n"},
  {"id": 4, "text": '{"a": "naïve 日本"}'},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def extract(folder, data, field="text"):
  path, output = folder / "rows", folder / "rows.txt"
  path.write_bytes(data)
  number = records.extract_field(path, field, output)
  with sources.open_text(output) as file:
    return number, file.read().removeprefix(content.TEXT_MARK).decode()


def zipped(data):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    archive.writestr("rows.jsonl", data)
  return file.getvalue()


@pytest.mark.parametrize(
  "data",
  [
    LINES,
    b"\n" + LINES.replace(b"\n", b"\r\n\n") + b"null\n",
    b"\xef\xbb\xbf" + LINES,
    LINES.decode().encode("utf-16"),
    gzip.compress(LINES, mtime=0),
    zipped(LINES),
    json.dumps(ROWS).encode(),
    json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
  ],
)
def test_the_field_of_json(tmp_path, data):
  expected = 'one two  three\n\n{"a": "naïve 日本"}\n\n'
  assert extract(tmp_path, data) == (2, expected.replace("two  ", "two "))


def test_the_field_of_parquet(tmp_path):
  pyarrow = pytest.importorskip("pyarrow")
  from pyarrow import parquet

  parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "p")
  data = (tmp_path / "p").read_bytes()
  expected = 'one two three\n\n{"a": "naïve 日本"}\n\n'
  assert extract(tmp_path, data) == (2, expected)
  with pytest.raises(ValueError, match="no column 'body', but 'id', 'text'"):
    extract(tmp_path, data, "body")
  with pytest.raises(ValueError, match="'id' is of type int, not text"):
    extract(tmp_path, data, "id")
  with pytest.raises(ValueError, match="packed Parquet file: unpack it"):
    extract(tmp_path, gzip.compress(data))
  with pytest.raises(OSError, match="rows: cannot be read to its end"):
    extract(tmp_path, data[:-20])


def test_without_pyarrow_a_sentence_says_so(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "pyarrow", None)
  with pytest.raises(ImportError, match=r"install .*pip install pyarrow"):
    extract(tmp_path, b"PAR1")


@pytest.mark.parametrize("documents", reading.DOCUMENTS)
def test_a_record_is_a_document(tmp_path, documents):
  output = tmp_path / "texts.txt"
  assert records.write_texts(["a b\n\nc", None, "", "d"], output) == 2
  for tokenizer in ("word", "whitespace"):
    found = reading.read_documents(
      str(output), documents=documents, tokenizer=tokenizer
    )
    assert list(found) == [["a", "b", "c"], ["d"]]


@pytest.mark.parametrize(
  ("data", "match"),
  [
    (b'{"text": "a"}\n\n{"body": 1, "b": 2}\n', "line 3 .* 'body', 'b'"),
    (b'{"text": "a"}\n{"text": 7}\n', r"line 2: .* type int, not text"),
    (b'{"text": "a"}\n[1, 2]\n', r"record 1 is no JSON object"),
    (b'{"text": "a"}\n{"text": \n', r"line 2 is not valid JSON"),
    (b'{"text": "a"}\n' + b"[" * 99_999, r"array .* is not valid JSON"),
    (b'[{"text": "a"}, {"b": 1}]', r"record 2 has no field 'text', but 'b'"),
    (b'{"text": null}\n{"text": ""}\n', r"'text' is empty in all records"),
    (b'{\n "text": "a"\n}\n', r"line 1 is not valid JSON"),
    (b"plain text\n", r"neither JSON nor Parquet"),
  ],
)
def test_what_cannot_be_extracted_is_named(tmp_path, data, match):
  with pytest.raises(ValueError, match=match):
    extract(tmp_path, data)
  assert not (tmp_path / "rows.txt").exists()


def test_only_strings_are_texts(tmp_path):
  with pytest.raises(ValueError, match=r"type dict: {'text': 'a'}"):
    records.write_texts([{"text": "a"}], tmp_path / "t")
  with pytest.raises(ValueError, match="no texts"):
    records.write_texts([], tmp_path / "t")
  records.write_texts(["lone \ud800 surrogate"], tmp_path / "t")
  assert (tmp_path / "t").read_bytes().endswith(b"lone ? surrogate\n\n")
