"""Static embedding models: the folders of model2vec and sentence-transformers.

Such a model turns a text into the mean of the vectors of its words, as
`WordVectors.encode` does. The folder holds

    model.safetensors   embeddings [V, D] and, if known, counts [V]
    tokenizer.json      how text becomes words, for the package tokenizers
    config.json         for `model2vec.StaticModel.from_pretrained(folder)`
    modules.json        for `sentence_transformers.SentenceTransformer(folder)`
    README.md           a model card

Unknown words become `<unk>`, which model2vec leaves out of the mean. In
sentence-transformers it takes part, so its vector is zero: the mean is shorter
then, but has the same direction.
"""

import json
import os
import pathlib

import numpy as np

from glove_jax import atomic
from glove_jax.text import tokenizers
from glove_jax.text.symbols import UNK
from glove_jax.vectors import card
from glove_jax.vectors.formats import arrays, opening, text
from glove_jax.vectors.word_vectors import WordVectors

TOKENIZER, TENSORS = "tokenizer.json", "model.safetensors"
_STATIC = "sentence_transformers.models.StaticEmbedding"


def write(
  vectors: WordVectors,
  path: str | os.PathLike,
  *,
  tokenizer: str = "word",
  lowercase: bool | None = None,
  readme: str | None = None,
) -> None:
  """Writes a folder that both libraries open, whole or not at all.

  Args:
    vectors: the vectors, see `WordVectors.weighted` for better ones.
    path: the folder; one that was written before is replaced.
    tokenizer: 'word' or 'whitespace', as in training.
    lowercase: whether text is lowercased; by default unless the words keep
      their capitals.
    readme: the model card; by default a short one.

  Raises:
    ValueError: a word is not valid UTF-8, or the name is of a packed file.
    FileExistsError: there is another file or folder of this name.
    ImportError: safetensors is not installed.
  """
  path = pathlib.Path(path)
  text.refuse_words(vectors.words, "[\ud800-\udfff]", path)
  lowercase = not vectors.is_cased if lowercase is None else lowercase
  words, tensors = _tensors(vectors)
  config = {
    "model_type": "model2vec",
    "architectures": ["StaticModel"],
    "hidden_dim": vectors.vector_size,
    "embedding_dtype": "float32",
    "normalize": False,
    "max_length": None,
  }
  modules = [{"idx": 0, "name": "0", "path": ".", "type": _STATIC}]
  with opening.write_folder(path, is_model, "static embedding model") as folder:
    data = arrays.import_safetensors().save(tensors)
    (folder / TENSORS).write_bytes(data)
    rules = _tokenizer(words, tokenizer, lowercase)
    (folder / TOKENIZER).write_text(json.dumps(rules), encoding="utf-8")
    atomic.write_json(folder / "config.json", config)
    atomic.write_json(folder / "modules.json", modules)
    readme = readme or card.of_vectors(vectors, path.name)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def is_model(path: str | os.PathLike) -> bool:
  """Whether a folder holds a static embedding model."""
  path = pathlib.Path(path)
  return (path / TOKENIZER).is_file() and (path / TENSORS).is_file()


def read(path: str | os.PathLike) -> WordVectors:
  """Reads a model of whole words, `<unk>` left out.

  Raises:
    ValueError: the files are damaged, or the model is one of word pieces.
    ImportError: safetensors is not installed.
  """
  path = pathlib.Path(path)
  load = arrays.import_safetensors().load
  try:
    model = json.loads((path / TOKENIZER).read_text(encoding="utf-8"))["model"]
    tensors = load((path / TENSORS).read_bytes())
    if model["type"] != "WordLevel":
      raise ValueError(f"its tokens are those of {model['type']}, not words")
    names = [name for name in _NAMES if name in tensors]
    table = tensors[(names or _NAMES)[0]]
    ids = {word: i for word, i in model["vocab"].items() if word != UNK}
    rows = np.array(list(ids.values()))
    counts = tensors.get("counts")
    return WordVectors(
      tuple(ids), table[rows], None if counts is None else counts[rows]
    )
  except OSError:  # it may not be read
    raise
  except Exception as error:  # SafetensorError, KeyError, IndexError and more
    raise arrays.damaged(str(path), error) from error


_NAMES = ("embeddings", "embedding.weight")  # model2vec, sentence-transformers


def _tensors(vectors: WordVectors) -> tuple[list[str], dict[str, np.ndarray]]:
  """The words without repetitions and with `<unk>` last, and their arrays."""
  kept = [row for word, row in vectors.index.items() if word != UNK]
  rows = np.sort(np.array(kept, np.int64))
  words = [*(vectors.words[row] for row in rows), UNK]
  table = vectors.vectors[rows].astype(np.float32)
  table = np.concatenate([table, np.zeros_like(table[:1])])
  tensors = {"embeddings": table}
  if vectors.counts is not None:
    tensors["counts"] = np.append(vectors.counts[rows], 0)
  return words, tensors


def _tokenizer(words: list[str], tokenizer: str, lowercase: bool) -> dict:
  """The content of tokenizer.json: our rules in the terms of that package.

  It lowercases letter by letter, while a capital sigma at the end of a word is
  another letter in Greek. Words of Unicode later than this Python's may differ.
  """
  tokenizers.check_choice("tokenizer", tokenizer, tokenizers.TOKENIZERS)
  normalizers = []
  if lowercase:
    final_sigma = r"(?<=[\p{L}\p{M}])\u03a3(?![\p{M}'.:\u00b7\u2019]*\p{L})"
    normalizers = [_replace(final_sigma, "\u03c2"), {"type": "Lowercase"}]
  if tokenizer == "word":
    normalizers.append(_replace(f"[{tokenizers.INVISIBLE}]", ""))
    pattern = (
      r"[\p{L}\p{N}]+"
      rf"(?:[{tokenizers.JOINERS}]*[\p{{L}}\p{{N}}\p{{M}}]+)*"
    )
  else:
    normalizers.append(_replace("[\r\ufeff]", ""))
    pattern = "[^ \t\n]+"
  return {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "Sequence", "normalizers": normalizers},
    "pre_tokenizer": {
      "type": "Split",
      "pattern": {"Regex": pattern},
      "behavior": "Removed",
      "invert": True,
    },
    "post_processor": None,
    "decoder": None,
    "model": {
      "type": "WordLevel",
      "vocab": {word: i for i, word in enumerate(words)},
      "unk_token": UNK,
    },
  }


def _replace(pattern: str, content: str) -> dict:
  return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}
