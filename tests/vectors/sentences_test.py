"""Vectors of sentences, and the models that other libraries open."""

import json

import numpy as np
import pytest

from glove_jax.text import tokenizers
from glove_jax.vectors import formats
from glove_jax.vectors.formats import model2vec
from glove_jax.vectors.word_vectors import WordVectors

TEXTS = [
  "The naïve cat, the CAT's café!",
  "ΟΔΟΣ ΣΑΣ: 3½ soft\u00adhyphen x_y",
  "e\u0301tude \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 中文",
  "",
  "nothing known",
]


@pytest.fixture
def vectors():
  split = tokenizers.make_tokenizer("word")
  words = sorted({w for text in TEXTS[:3] for w in split(text)})
  table = np.random.default_rng(0).normal(size=(len(words), 5))
  counts = np.arange(len(words), 0, -1)
  return WordVectors(words, table.astype(np.float32), counts)


def test_a_sentence_is_the_mean_of_its_words(vectors):
  got = vectors.encode(TEXTS)
  words = ["the", "naïve", "cat", "the", "cat", "s", "café"]
  np.testing.assert_allclose(got[0], vectors[words].mean(axis=0), rtol=1e-5)
  assert got.shape == (5, 5) and not got[3:].any()
  np.testing.assert_array_equal(vectors.encode(TEXTS[0]), got[0])
  assert vectors.encode([]).shape == (0, 5)


def test_sentences_are_texts(vectors):
  with pytest.raises(ValueError, match="give text, not its words"):
    vectors.encode([["the", "cat"]])
  with pytest.raises(ValueError, match="no list of sentences"):
    vectors.encode(7)
  with pytest.raises(ValueError, match="tokenizer is 'bpe'"):
    vectors.encode("the", tokenizer="bpe")


def test_weights_and_common_directions_are_those_of_sif(vectors):
  p = vectors.counts / vectors.counts.sum()
  scaled = vectors.vectors * (0.01 / (0.01 + p))[:, None]
  weighted = vectors.weighted(sif=0.01)
  np.testing.assert_allclose(weighted.vectors, scaled, rtol=1e-5)
  # The first right singular vector of the rows that p weights.
  common = np.linalg.svd(scaled * np.sqrt(p)[:, None])[2][0]
  without = vectors.weighted(sif=0.01, remove=1)
  np.testing.assert_allclose(
    without.vectors, scaled - np.outer(scaled @ common, common), atol=1e-6
  )
  assert without.counts is not None and without.vectors.dtype == np.float32
  # Removing a direction from the words removes it from the sentences.
  np.testing.assert_allclose(without.encode(TEXTS) @ common, 0, atol=1e-6)


def test_what_weights_need_is_said(vectors):
  with pytest.raises(ValueError, match="do not know how often"):
    WordVectors(vectors.words, vectors.vectors).weighted()
  with pytest.raises(ValueError, match="sif must be greater than 0"):
    vectors.weighted(sif=0)
  with pytest.raises(ValueError, match="remove must be from 0 to 4, got 5"):
    vectors.weighted(remove=5)


@pytest.mark.parametrize("tokenizer", ["word", "whitespace"])
def test_model2vec_gives_our_sentence_vectors(vectors, tmp_path, tokenizer):
  library = pytest.importorskip("model2vec")
  chosen = vectors.weighted(sif=0.01, remove=1)
  if tokenizer == "whitespace":
    words = dict.fromkeys(w for text in TEXTS[:3] for w in text.split())
    chosen = WordVectors(list(words), np.eye(len(words), dtype=np.float32))
  folder = tmp_path / "model"
  model2vec.write(chosen, folder, tokenizer=tokenizer, lowercase=None)
  model = library.StaticModel.from_pretrained(folder)
  assert model.normalize is False and model.max_length is None
  expected = chosen.encode(TEXTS, tokenizer=tokenizer)
  np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-6)
  long = " ".join(TEXTS[0] for _ in range(300))
  np.testing.assert_allclose(
    model.encode(long), chosen.encode(long, tokenizer=tokenizer), atol=1e-5
  )


def test_a_model_has_the_layout_of_sentence_transformers(vectors, tmp_path):
  """As documented; the library itself needs torch, so it is not run here."""
  safetensors = pytest.importorskip("safetensors.numpy")
  folder = tmp_path / "model"
  formats.write_vectors(vectors, folder, "model2vec")
  (module,) = json.loads((folder / "modules.json").read_text())
  assert module["type"] == "sentence_transformers.models.StaticEmbedding"
  place = folder / module["path"]
  table = safetensors.load_file(place / "model.safetensors")["embeddings"]
  vocab = json.loads((place / "tokenizer.json").read_text())["model"]["vocab"]
  assert sorted(vocab.values()) == list(range(len(table)))
  # Unknown words take part in its mean, and must not turn it.
  assert not table[vocab["<unk>"]].any()


def test_sentence_transformers_gives_our_sentence_vectors(vectors, tmp_path):
  """Run by hand, as it needs torch; its lengths differ by unknown words."""
  library = pytest.importorskip("sentence_transformers")
  chosen = vectors.weighted(sif=0.01, remove=1)
  formats.write_vectors(chosen, tmp_path / "model", "model2vec")
  model = library.SentenceTransformer(str(tmp_path / "model"), device="cpu")
  np.testing.assert_allclose(
    model.encode(TEXTS[:3]), chosen.encode(TEXTS[:3]), atol=1e-6
  )
  known, mixed = model.encode(["the cat", "the unheard of cat"])
  np.testing.assert_allclose(mixed, known / 2, atol=1e-6)


def test_a_model_is_read_back_and_replaced_whole(vectors, tmp_path):
  folder = tmp_path / "model"
  unk = WordVectors(
    [*vectors.words, "<unk>", "the"],
    np.concatenate([vectors.vectors, np.ones((2, 5), np.float32)]),
    [*vectors.counts, 0, 9],
  )
  formats.write_vectors(unk, folder, "model2vec")
  formats.write_vectors(unk, folder, "model2vec")
  read = formats.load_vectors(folder)
  assert read.words == vectors.words
  np.testing.assert_array_equal(read.vectors, vectors.vectors)
  assert read.counts.tolist() == vectors.counts.tolist()
  assert [path.name for path in tmp_path.iterdir()] == ["model"]
  (folder / "model.safetensors").write_bytes(b"no tensors")
  with pytest.raises(ValueError, match="cannot be read"):
    formats.load_vectors(folder)


def test_a_folder_of_something_else_stays(vectors, tmp_path):
  (tmp_path / "notes").mkdir()
  with pytest.raises(FileExistsError, match="no static embedding model"):
    formats.write_vectors(vectors, tmp_path / "notes", "model2vec")
  with pytest.raises(ValueError, match=r"leave out \.gz"):
    formats.write_vectors(vectors, tmp_path / "model.gz", "model2vec")
