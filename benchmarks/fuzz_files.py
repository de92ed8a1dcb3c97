"""Readers of texts, vocabularies, vectors and question sets, for `fuzz.py`."""

import functools
import gzip
import json

import jax.numpy as jnp
import numpy as np
import pyarrow

from benchmarks.fuzz_samples import (
  Reader,
  Sample,
  files,
  members,
  of_folder,
  packed,
  tarred,
  to_parquet,
  zipped,
)
from glove_jax.config import DOCUMENTS, TOKENIZERS
from glove_jax.model import Params
from glove_jax.text import compiled, reading, records, vocab
from glove_jax.vectors import formats, sets
from glove_jax.vectors.word_vectors import WordVectors

TEXT = """I like deep learning.\nI like NLP!\n\nDonaudampfschiff, naïve café
Ἀθῆναι и Москва 東京 नमस्ते ab\tcd  ef\r\nto be or not to be\n"""
PLAIN = TEXT.encode()
LINES = b'{"text": "I like NLP.", "id": 1}\n{"text": null}\n{"text": "b"}\n'


# Corpora


def read_corpus(path) -> None:
  """Both ways to read a text, which must agree."""
  for tokenizer in TOKENIZERS:
    for documents in DOCUMENTS:
      found = vocab.count_words(
        reading.read_documents(path, tokenizer=tokenizer, documents=documents)
      )
      text = compiled.Text([str(path)], tokenizer, documents=documents)
      assert found == compiled.count_words(text), "the two readers differ"


def corpora(folder) -> list[Sample]:
  return [Sample("a.txt", PLAIN), Sample("a", PLAIN.lower())]


def packed_corpora(folder) -> list[Sample]:
  two = functools.partial(zipped, others=[("b/b.txt", PLAIN), ("c.png", b"\0")])
  return [
    *packed("a.txt", PLAIN),
    Sample("two.zip", PLAIN, two),
    Sample("plain", gzip.compress(PLAIN) + gzip.compress(PLAIN)),
    Sample("a.tgz", PLAIN, tarred, is_refused=True),
  ]


def encoded_corpora(folder) -> list[Sample]:
  found = []
  for encoding in ("utf-8-sig", "utf-16", "utf-32"):
    text = TEXT.encode(encoding)
    found.append(Sample(f"{encoding}.txt", text))
    found.append(Sample(f"{encoding}.gz", text, gzip.compress))
    found.append(Sample(f"{encoding}.zip", text, zipped))
  return found


def read_records(path) -> None:
  records.extract_field(path, "text", path.parent / "output.txt")
  (path.parent / "output.txt").unlink()


def record_files(folder) -> list[Sample]:
  array = json.dumps([{"text": "I like"}, {"text": "NLP", "n": [1]}]).encode()
  table = pyarrow.table({"text": ["I like", None, "NLP"], "n": [1, 2, 3]})
  return [
    Sample("a.jsonl", LINES),
    Sample("a.json", array),
    Sample("a.jsonl.gz", LINES, gzip.compress),
    Sample("a.parquet", to_parquet(table)),
  ]


def read_vocab(path) -> None:
  words = vocab.read_vocab(path)
  vocab.write_vocab(words, path.parent / "again.txt")
  again = vocab.read_vocab(path.parent / "again.txt")
  assert words == again, "it is not read back"


def vocabularies(folder) -> list[Sample]:
  return [
    Sample("vocab.txt", "the 18\nnew york 9\nnaïve 5\n<unk> 1\n".encode())
  ]


# Vectors


def vectors() -> WordVectors:
  words = ["the", "new york", "naïve", "7th", "queen"]
  table = np.arange(15).reshape(5, 3) / 7 - 1
  return WordVectors(words, table, [9, 8, 7, 6, 5])


def written(folder, form: str, name: str) -> bytes:
  folder.mkdir(exist_ok=True)
  words = vectors()
  if form == "word2vec_binary":
    words = WordVectors(["a", "b", "é", "d", "e"], words.vectors)
  formats.write_vectors(words, folder / name, form)
  return (folder / name).read_bytes()


def read_vectors(path) -> None:
  for skip in (False, True):
    found = formats.load_vectors(path, limit=4, skip_bad_lines=skip)
    assert len(found.words) == len(found.vectors) <= 4
  found = formats.load_vectors(path)
  assert found.vectors.shape == (len(found.words), found.vector_size)


def text_vectors(folder) -> list[Sample]:
  plain = written(folder, "stanford_text", "a.txt")
  header = written(folder, "word2vec", "b.txt")
  return [
    Sample("v.txt", plain),
    Sample("v.vec", header),
    Sample("tabs.tsv", plain.replace(b" ", b"\t")),
    Sample("quoted.csv", b'word,a,b\n"king, a",0.5,1\nqueen,1,2\n'),
    Sample("commas.txt", plain.replace(b".", b",").replace(b"\n", b"\r\n")),
    Sample("v.bin", written(folder, "word2vec_binary", "c.bin")),
  ]


def packed_vectors(folder) -> list[Sample]:
  plain = written(folder, "stanford_text", "a.txt")
  binary = written(folder, "word2vec_binary", "c.bin")
  return [*packed("v.txt", plain), *packed("v.bin", binary)]


def array_vectors(folder) -> list[Sample]:
  return [
    Sample("v.npz", written(folder, "npz", "a.npz")),
    *members(written(folder, "npz", "a.npz"), "v.npz"),
    Sample("v.safetensors", written(folder, "safetensors", "a.safetensors")),
    Sample("v.parquet", written(folder, "parquet", "a.parquet")),
    Sample("wide.parquet", to_parquet(wide())),
  ]


def wide() -> pyarrow.Table:
  return pyarrow.table({"w": ["a", "b"], "x": [0.5, 1], "y": [2.0, 3.0]})


def tables(folder) -> list[Sample]:
  folder.mkdir()
  table = jnp.arange(8.0).reshape(4, 2)
  params = Params(table, table + 1, table[:, 0], table[:, 1])
  formats.write_tables(folder / "tables.npz", params, ["a", "b", "c", "d"])
  content = (folder / "tables.npz").read_bytes()
  return [Sample("tables.npz", content), *members(content, "tables.npz")]


def projectors(folder) -> list[Sample]:
  folder.mkdir()
  formats.write_vectors(vectors(), folder / "p", "projector")
  return of_folder(files(folder))


def read_folder(path) -> None:
  formats.load_vectors(path.parent)


def models(folder) -> list[Sample]:
  folder.mkdir()
  formats.write_vectors(vectors(), folder / "m", "model2vec")
  return [
    sample
    for sample in of_folder(files(folder))
    if sample.name.endswith((".json", ".safetensors"))
  ]


# Evaluation sets


def read_sets(path) -> None:
  errors = []
  for read in (sets.read_set, sets.read_analogies, sets.read_similarity):
    try:
      read(path)
    except ValueError as error:
      errors.append(error)
  if len(errors) == 3:
    raise errors[0]


def evaluation_sets(folder) -> list[Sample]:
  msr = b"good better rough JJ_JJR\nbig bigger old JJ_JJR\n"
  answers = {"msr.answers": b"JJ_JJR rougher\nJJ_JJR older\n"}
  return [
    Sample("q.txt", b": family\nking queen man woman\na b c d\n// no\n"),
    Sample("bats.txt", b"man\twoman/lady\nking\tqueen\n"),
    Sample("five.txt", b"good better rough rougher JJ_JJR\na b c d JJ_JJR\n"),
    Sample("msr.questions", msr, others=answers),
    Sample("pairs.tsv", b"# pairs\nking\tqueen\t9.0\nman\twoman\t8,5\n"),
    Sample("ws.csv", b"Word 1,Word 2,Human (mean)\nlove,sex,6.77\na,b,1\n"),
    Sample("utf16.txt", "king queen 9\nman woman 8\n".encode("utf-16")),
    Sample("men.txt", b"sun-n moon-n 9\nrun-v walk-v 8\n"),
  ]


PACKAGED = (ValueError, OSError, ImportError)
READERS = [
  Reader("corpus", read_corpus, corpora),
  Reader("packed", read_corpus, packed_corpora, PACKAGED),
  Reader("encoded", read_corpus, encoded_corpora),
  Reader("records", read_records, record_files),
  Reader("vocab", read_vocab, vocabularies),
  Reader("text_vectors", read_vectors, text_vectors),
  Reader("packed_vectors", read_vectors, packed_vectors, PACKAGED),
  Reader("array_vectors", read_vectors, array_vectors),
  Reader("tables", formats.read_tables, tables),
  Reader("projector", read_folder, projectors),
  Reader("model2vec", read_folder, models),
  Reader("sets", read_sets, evaluation_sets),
]
