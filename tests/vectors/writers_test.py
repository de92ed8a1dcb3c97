"""Each format is opened by the program it is for, and files are whole."""

import bz2
import gzip
import lzma
import re
import zipfile

import gensim
import numpy as np
import pyarrow.parquet
import pytest
import safetensors
import safetensors.numpy
import zstandard
from word_vectors_test import random_vectors

from glove_jax import config
from glove_jax.vectors import formats
from glove_jax.vectors.word_vectors import WordVectors


def test_the_command_line_offers_every_format():
  assert tuple(formats.FORMATS) == config.FORMATS


def made(counts=True) -> WordVectors:
  vectors = random_vectors(vocab_size=20, dim=3)
  words = ["naïve", "深い", *vectors.words[2:]]
  numbers = range(20, 0, -1) if counts else None
  return WordVectors(words, vectors.vectors.astype("f4"), numbers)


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2"])
@pytest.mark.parametrize("name", ["v.vec", "v.bin"])
def test_gensim_opens_word2vec_files_plain_and_packed(name, ending, tmp_path):
  path = str(tmp_path / (name + ending))
  formats.write_vectors(made(), path)
  keyed = gensim.models.KeyedVectors.load_word2vec_format(
    path, binary="bin" in name
  )
  assert tuple(keyed.index_to_key) == made().words
  np.testing.assert_allclose(keyed.vectors, made().vectors, atol=1e-6)


def test_safetensors_opens_its_file(tmp_path):
  path = tmp_path / "v.safetensors"
  formats.write_vectors(made(), path)
  with safetensors.safe_open(path, "np") as file:
    assert file.metadata()["vocab_size"] == "20"
    np.testing.assert_array_equal(file.get_tensor("embeddings"), made().vectors)
    words = bytes(file.get_tensor("words")).decode().split("\n")
  assert tuple(words) == made().words
  assert formats.load_vectors(path).counts.tolist() == list(range(20, 0, -1))
  safetensors.numpy.save_file({"other": np.zeros(3)}, path)
  with pytest.raises(ValueError, match="holds the tensors other: it needs"):
    formats.load_vectors(path)


def test_pyarrow_opens_parquet(tmp_path):
  path = tmp_path / "v.parquet"
  formats.write_vectors(made(), path)
  table = pyarrow.parquet.read_table(path)
  assert table.column_names == ["word", "vector", "count"]
  assert tuple(table["word"].to_pylist()) == made().words
  np.testing.assert_array_equal(
    np.array(table["vector"].to_pylist(), "f4"), made().vectors
  )


def test_parquet_with_a_column_for_each_dimension_is_read(tmp_path):
  frame = made(counts=False).to_dataframe().reset_index()
  frame.columns = frame.columns.map(str)
  frame.to_parquet(tmp_path / "v.parquet")
  found = formats.load_vectors(tmp_path / "v.parquet")
  assert found.words == made().words
  np.testing.assert_array_equal(found.vectors, made().vectors)


@pytest.mark.parametrize("counts", [True, False])
def test_the_folder_of_a_projector(counts, tmp_path):
  path = tmp_path / "projector"
  for _ in range(2):  # the second takes the place of the first
    formats.write_vectors(made(counts), path, "projector")
  config = (path / "projector_config.pbtxt").read_text()
  names = re.findall(r'(?:tensor|metadata)_path: "(.*)"', config)
  assert names == ["tensors.tsv", "metadata.tsv"]
  assert "tensor_shape: 20\n  tensor_shape: 3\n" in config
  np.testing.assert_allclose(
    np.loadtxt(path / names[0], delimiter="\t"), made().vectors, atol=1e-6
  )
  lines = (path / names[1]).read_text().splitlines()
  assert lines[counts:][:2] == (
    ["naïve\t20", "深い\t19"] if counts else ["naïve", "深い"]
  )
  found = formats.load_vectors(path)
  assert found.words == made().words
  assert (found.counts is not None) == counts
  assert [p.name for p in tmp_path.iterdir()] == ["projector"]
  (tmp_path / "mine").mkdir()
  with pytest.raises(FileExistsError, match="no folder of a projector"):
    formats.write_vectors(made(), tmp_path / "mine", "projector")


@pytest.mark.parametrize("vocab_size, dtype", [
  (9, "f4"), (9, "f8"), (4500, "f4"),
])  # fmt: skip
def test_numbers_of_a_projector_have_6_decimals(vocab_size, dtype, tmp_path):
  table = random_vectors(vocab_size, dim=30).vectors.astype(dtype)
  table[:3, 0] = -0.0, 5e-7, 1e20  # some are too long for the compiled writer
  words = [f"w{i}" for i in range(vocab_size)]
  formats.write_vectors(WordVectors(words, table), tmp_path / "p", "projector")
  expected = ["\t".join(f"{x:.6f}" for x in row) for row in table.tolist()]
  found = (tmp_path / "p" / "tensors.tsv").read_text()
  assert found == "\n".join(expected) + "\n"


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin", "v.npz"])
def test_equal_vectors_are_equal_bytes_whatever_packs_them(name, tmp_path):
  plain = tmp_path / name
  formats.write_vectors(made(), plain)
  unpack = {
    ".gz": lambda p: gzip.decompress(p.read_bytes()),
    ".bz2": lambda p: bz2.decompress(p.read_bytes()),
    ".xz": lambda p: lzma.decompress(p.read_bytes()),
    ".zst": lambda p: (
      zstandard.ZstdDecompressor().decompressobj().decompress(p.read_bytes())
    ),
    ".zip": lambda p: zipfile.ZipFile(p).read(name),
  }
  for ending, read in unpack.items():
    path = tmp_path / (name + ending)
    formats.write_vectors(made(), path)
    first = path.read_bytes()
    formats.write_vectors(made(), path)
    assert path.read_bytes() == first
    assert read(path) == plain.read_bytes()
    assert formats.load_vectors(path).words == made().words


@pytest.mark.parametrize("form", formats.FORMATS)
def test_every_format_is_read_back(form, tmp_path):
  path = tmp_path / "v"
  formats.write_vectors(made(), path, form)
  found = formats.load_vectors(path)
  assert found.words == made().words
  np.testing.assert_allclose(found.vectors, made().vectors, atol=1e-6)


@pytest.mark.parametrize("form", formats.FORMATS)
def test_what_fails_leaves_the_old_file_and_no_part(form, tmp_path):
  path = tmp_path / "v.gz"
  path.write_text("old")
  bad = WordVectors(["a\nb", "\udcff"], np.eye(2))
  with pytest.raises((ValueError, FileExistsError)):
    formats.write_vectors(bad, path, form)
  assert path.read_text() == "old"
  assert [p.name for p in tmp_path.iterdir()] == ["v.gz"]


def test_unknown_formats_are_one_sentence(tmp_path):
  with pytest.raises(ValueError, match="names no format: give format, one of"):
    formats.write_vectors(made(), tmp_path / "v.docx")
  with pytest.raises(ValueError, match="There is no format 'word'"):
    formats.write_vectors(made(), tmp_path / "v", "word")


def test_tables_are_combined_only_if_there_are_tables(tmp_path):
  formats.write_vectors(made(), tmp_path / "v.txt")
  with pytest.raises(ValueError, match="leave out vectors=word"):
    formats.load_vectors(tmp_path / "v.txt", "word")


def test_a_mark_at_the_start_of_the_first_word_is_not_written(tmp_path):
  bad = WordVectors(["\ufeffthe", "a"], np.eye(2))
  with pytest.raises(ValueError, match="cannot be written"):
    formats.write_vectors(bad, tmp_path / "v.txt")
