"""Runs that start from files: what is read, and what makes a run train anew."""

import re

import numpy as np
import pytest

from glove_jax import config
from glove_jax.model import Params
from glove_jax.training import checkpoint, starts
from glove_jax.vectors import formats
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import pipeline, starting

WORDS = ("a", "b", "c", "d")
D = 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
  rng = np.random.default_rng(0)
  path = tmp_path_factory.mktemp("text") / "text.txt"
  path.write_text(" ".join(rng.choice([*"abcdefgh"], 2000)))
  return path


def settings(**changes):
  small = {"dim": D, "epochs": 2, "growth": [], "min_count": 1, "tile_size": 8}
  small |= {"analogies": (), "similarity": (), "missing": 0}
  return config.make_config(**{**small, **changes})


def run(corpus, folder, **changes):
  """Runs a pipeline; returns the tables and what it said."""
  said = []
  how = settings(corpus=corpus, **changes)
  pipeline.Pipeline(how, folder, said.append).run()
  params, words = formats.read_tables(folder / "tables.npz")
  return starts.align(params, words, sorted(words)), said


def write_vectors(path, words="abxy", dim=D, seed=0):
  table = np.random.default_rng(seed).normal(size=(len(words), dim))
  formats.write_vectors(WordVectors(words, table), path)
  return formats.load_vectors(path)


@pytest.mark.parametrize("name", ["v.txt.gz", "v.bin", "v.npz"])
def test_vectors_of_any_format_start_the_words_in_common(
  tmp_path, corpus, name
):
  vectors = write_vectors(tmp_path / name)
  params, said = run(
    corpus, tmp_path / "run", init_from=tmp_path / name, freeze=True
  )
  assert f"2 of 8 words start from {tmp_path / name}." in said
  total = params.word + params.context
  np.testing.assert_allclose(total[:2], vectors[["a", "b"]], rtol=1e-6)


def test_a_changed_file_trains_anew_and_the_same_one_does_not(tmp_path, corpus):
  path = tmp_path / "v.txt"
  write_vectors(path)
  run(corpus, tmp_path / "run", init_from=path)
  _, said = run(corpus, tmp_path / "run", init_from=path)
  assert not any("train" in line for line in said)
  write_vectors(path, seed=1)
  first, said = run(corpus, tmp_path / "run", init_from=path)
  assert any(re.match("train .*again: .*v.txt has changed", x) for x in said)
  second, _ = run(corpus, tmp_path / "other", init_from=path)
  np.testing.assert_array_equal(first.word, second.word)


def test_a_run_does_not_resume_what_another_version_began(
  tmp_path, corpus, monkeypatch
):
  """A version that trains equal settings in other passes."""
  monkeypatch.setattr(checkpoint, "RECIPE", 1)
  run(corpus, tmp_path / "run", epochs=1, schedule="constant")
  monkeypatch.undo()
  params, said = run(corpus, tmp_path / "run", epochs=2, schedule="constant")
  assert (
    "Training starts anew, and the checkpoint of pass 1 is removed: another "
    "version of glove_jax began it." in said
  )
  want, _ = run(corpus, tmp_path / "other", epochs=2, schedule="constant")
  np.testing.assert_array_equal(params.word, want.word)


@pytest.mark.parametrize("engine", ["rows", "blocked"])
@pytest.mark.parametrize("optimizer", ["adagrad", "stanford"])
def test_a_run_goes_on_from_the_tables_and_sums_of_another(
  tmp_path, corpus, engine, optimizer
):
  """Two epochs, and one epoch that goes on after one, in one batch each."""
  how = {"engine": engine, "optimizer": optimizer, "schedule": "constant"}
  how |= {"tile_size": 8} if engine == "blocked" else {}
  # The biases of Stanford's rule take steps as large as the whole gradient.
  biases = "random" if optimizer == "adagrad" else "fit"
  how |= {"keep": 1.0, "learning_rate": 0.1, "bias_init": biases}
  want, _ = run(corpus, tmp_path / "two", epochs=2, **how)
  run(corpus, tmp_path / "one", epochs=1, **how)
  paths = {"init_from": tmp_path / "one", "init_gradsq": tmp_path / "one"}
  got, _ = run(corpus, tmp_path / "more", epochs=1, **paths, **how)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)
  del paths["init_gradsq"]
  other, _ = run(corpus, tmp_path / "fresh", epochs=1, **paths, **how)
  error, difference = (
    np.abs(one.word_bias - want.word_bias).max() for one in (got, other)
  )
  assert difference > 10 * error


def write_stanford(path, params):
  """Lines of glove.c with -model 0, or of its -save-gradsq."""
  with path.open("w") as file:
    for i, word in enumerate(WORDS):
      line = [*params.word[i], params.word_bias[i]]
      line += [*params.context[i], params.context_bias[i]]
      file.write(word + "".join(f" {x:f}" for x in line) + "\n")


def stanford_files(folder):
  rng = np.random.default_rng(0)
  shapes = [(4, D), (4, D), 4, 4]
  params = Params(*(rng.normal(size=shape) for shape in shapes))
  gradsq = Params(*(rng.uniform(1, 2, size=shape) for shape in shapes))
  write_stanford(folder / "vectors.txt", params)
  write_stanford(folder / "gradsq.txt", gradsq)
  return params, gradsq


def test_all_parameters_and_sums_of_stanfords_files(tmp_path):
  params, gradsq = stanford_files(tmp_path)
  how = settings(
    optimizer="stanford", learning_rate=0.05,
    init_from=tmp_path / "vectors.txt", init_gradsq=tmp_path / "gradsq.txt",
  ).train  # fmt: skip
  said = []
  start = starting.read(how, ["c", "new", "a"], said.append)
  assert said == [f"2 of 3 words start from {tmp_path / 'vectors.txt'}."]
  # The file has sums of (eta g)^2 for vectors, and of g^2 for biases.
  scaled = gradsq._replace(word=400 * gradsq.word, context=400 * gradsq.context)
  pairs = [*zip(start.params, params, strict=True)]
  pairs += zip(start.sums, scaled, strict=True)
  for got, want in pairs:
    np.testing.assert_allclose(got[[2, 0]], want[[0, 2]], atol=4e-4)
    assert np.isnan(got[1]).all()


def test_two_vectors_a_word_are_its_two_sides():
  vectors = WordVectors(WORDS, np.arange(24.0).reshape(4, 6))
  with pytest.warns(match="init has 6 numbers a word, .* give dim=6"):
    start = starting.start_of(vectors, WORDS, settings().train)
  np.testing.assert_array_equal(start.params.word[0], [0, 1, 2])
  np.testing.assert_array_equal(start.params.context[0], [3, 4, 5])


@pytest.mark.parametrize(
  "changes, message",
  [({"init_from": "no.txt"}, "There is no vector file no.txt"),
   ({"init_from": "{}"}, "no trained tables in"),
   ({"init_from": "{}/run"}, "cannot start from itself"),
   ({"init_from": "{}/run/vectors.txt"}, "cannot start from itself"),
   ({"init_from": "{}/v.txt", "dim": 5}, "have 3 dimensions and dim is 5"),
   ({"init_from": "{}/other.txt"}, "has none of the 8 words"),
   ({"init_from": "{}/nan.txt"}, "vector of 'a' in .* is not finite"),
   ({"init_from": "{}/v.txt", "init_gradsq": "{}/v.txt"}, "-save-gradsq"),
   ({"init_gradsq": "{}/v.txt"}, "init_gradsq needs init_from"),
   ({"freeze": True}, "freeze needs init_from"),
   ({"retrofit": 0.1}, "retrofit needs init_from")],
)  # fmt: skip
def test_starts_that_do_not_fit(tmp_path, corpus, changes, message):
  write_vectors(tmp_path / "v.txt")
  write_vectors(tmp_path / "other.txt", words="xyz")
  (tmp_path / "nan.txt").write_text("a nan 1 2\nb 1 2 3\n")
  changes = {
    name: value.format(tmp_path) if isinstance(value, str) else value
    for name, value in changes.items()
  }
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    run(corpus, tmp_path / "run", **changes)


def test_an_optimizer_of_ones_own_is_a_setting_of_training(
  tmp_path, corpus, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  code = "import optax\ndef make(learning_rate): return optax.adam({})\n"
  (tmp_path / "own_a.py").write_text(code.format("learning_rate"))
  (tmp_path / "own_b.py").write_text(code.format("2 * learning_rate"))
  how = {"optimizer": "own_a:make", "learning_rate": 0.01}
  first, _ = run(corpus, tmp_path / "run", **how)
  named = {"optimizer": "adam", "learning_rate": 0.01}
  want, _ = run(corpus, tmp_path / "named", **named)
  np.testing.assert_allclose(first.word, want.word, rtol=1e-6)
  _, said = run(corpus, tmp_path / "run", **how)
  assert not any("train" in line for line in said)
  how["optimizer"] = "own_b:make"
  other, said = run(corpus, tmp_path / "run", **how)
  assert any("optimizer was own_a:make (" in line for line in said)
  assert not np.allclose(first.word, other.word)
