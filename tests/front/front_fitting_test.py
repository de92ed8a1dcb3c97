"""The functions that a notebook calls: fit, count, train, load."""

import dataclasses
import gc
import inspect
import pathlib

import numpy as np
import optax
import pandas as pd
import pytest

import glove_jax
from glove_jax import config, loop, metrics
from glove_jax.vectors import a_la_carte

RNG = np.random.default_rng(0)
WORDS = np.array([f"w{i}" for i in range(30)])
DOCUMENTS = [
  RNG.choice(WORDS[10 * topic : 10 * topic + 10], 12).tolist()
  for topic in RNG.integers(0, 3, 80)
]
TEXTS = [" ".join(words) for words in DOCUMENTS]
COUNT = {"window": 3, "min_count": 2, "quiet": True}
TRAIN = {
  "dim": 4, "engine": "dense", "epochs": 2, "bias_init": "random",
  "quiet": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def counts():
  return glove_jax.count(DOCUMENTS, **COUNT)


@pytest.fixture(scope="module")
def params(counts):
  return glove_jax.train(counts, **TRAIN)


@pytest.fixture
def files(tmp_path):
  for name, part in (("a.txt", TEXTS[:30]), ("b.txt", TEXTS[30:])):
    (tmp_path / name).write_text("\n".join(part))
  return [str(tmp_path / "a.txt"), tmp_path / "b.txt"]


def same(a, b):
  pairs = zip(a.triplets(), b.triplets(), strict=True)
  return a.vocab == b.vocab and all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("given", [
  (words for words in DOCUMENTS),
  (text for text in TEXTS),
  pd.Series(TEXTS),
  [f"{text}\n" for text in TEXTS],
])  # fmt: skip
def test_the_same_text_in_other_forms_has_the_same_counts(counts, given):
  assert same(glove_jax.count(given, **COUNT), counts)


@pytest.mark.parametrize("streams", [False, True])
def test_a_dataset_of_hugging_face_has_the_same_counts(counts, streams):
  data = pytest.importorskip("datasets").Dataset.from_dict({"text": TEXTS})
  data = data.to_iterable_dataset() if streams else data.with_format("numpy")
  assert same(glove_jax.count(data, text_field="text", **COUNT), counts)
  assert same(glove_jax.count(data["text"], **COUNT), counts)
  with pytest.raises(ValueError, match="its fields are text: give the one"):
    glove_jax.count(data, **COUNT)


def test_files_and_fields_have_the_same_counts(counts, files):
  assert same(glove_jax.count(files, **COUNT), counts)
  folder = pathlib.Path(files[0]).parent
  assert same(glove_jax.count(folder, **COUNT), counts)
  rows = [{"text": text, "year": 1900} for text in TEXTS]
  assert same(glove_jax.count(rows, text_field="text", **COUNT), counts)


def test_the_files_of_counts_go_with_them(files):
  counts = glove_jax.count(files, **COUNT)
  column = counts.triplets().row
  folder = pathlib.Path(column.filename).parent.parent
  assert folder.exists()
  del counts, column
  gc.collect()
  assert not folder.exists()


def test_counting_has_the_settings_of_a_run(counts, tmp_path, files):
  wide = glove_jax.count(
    DOCUMENTS, window=5, min_count=2, count_dtype="float64"
  )
  assert wide.kind["window"] == 5 and wide.triplets().count.dtype == np.float64
  few = glove_jax.count(DOCUMENTS, max_vocab=np.int64(5), min_count=2)
  assert few.vocab.words == counts.vocab.words[:5]
  counts.save(tmp_path / "x")
  fixed = glove_jax.count(DOCUMENTS, vocab=tmp_path / "x/vocab.txt", window=3)
  assert same(fixed, counts)
  added = glove_jax.count(add_to=tmp_path / "x", window=3, quiet=True)
  assert same(added, counts)


def test_training_is_that_of_the_loop(counts):
  lines, steps = [], []
  params = glove_jax.train(
    counts, x_max=np.float32(5), on_epoch=lines.append, on_step=steps.append,
    **TRAIN,
  )  # fmt: skip
  settings = {k: v for k, v in TRAIN.items() if k != "quiet"} | {"x_max": 5.0}
  want = loop.train(counts.triplets(), config.TrainConfig(**settings))
  np.testing.assert_array_equal(params.word, want.word)
  assert [line["epoch"] for line in lines] == [1, 2]
  assert [step["step"] for step in steps] == [1, 2]
  num_counts = len(counts.triplets().count)
  assert steps[1]["cost"] == pytest.approx(lines[1]["cost"] * num_counts)


@pytest.mark.parametrize("form", ["words", "counts", "matrix", "rows", "table"])
def test_fit_is_count_then_train(counts, params, form):
  want = counts.vectors(params)
  if form == "words":
    got = glove_jax.fit(DOCUMENTS, **COUNT | TRAIN)
    assert got.counts.tolist() == counts.vocab.counts.tolist()
  elif form == "counts":
    got = glove_jax.fit(counts, **TRAIN)
  else:
    matrix = counts.matrix().astype(np.float32)
    if form == "rows":
      matrix = matrix.toarray().tolist()
    if form == "table":
      matrix = pd.DataFrame(matrix.toarray(), index=counts.vocab.words)
    words = counts.vocab.words if form != "table" else None
    got = glove_jax.fit(matrix, words, **TRAIN)
    assert got.counts is None
    want = want.subset(got.words)
    assert got.words == want.words  # in an order of their own
    return
  np.testing.assert_array_equal(got.vectors, want.vectors)
  assert got.words == want.words


def test_a_start_and_an_optimizer_of_ones_own(counts, params):
  vectors = counts.vectors(params).subset(counts.vocab.words[3:])
  held = glove_jax.fit(
    counts, init=vectors, freeze=True, optimizer=optax.sgd(0.1), **TRAIN
  )
  np.testing.assert_array_equal(
    held.subset(vectors.words).vectors, vectors.vectors
  )
  assert (held.vectors[:3] != counts.vectors(params).vectors[:3]).all()


def test_tables_larger_than_memory_are_a_sentence(counts):
  with pytest.raises(MemoryError, match="lower dim=1000000000 or max_vocab"):
    glove_jax.fit(counts, **TRAIN | {"dim": 10**9})


def test_a_preset_and_the_way_of_combining(counts):
  options = {"epochs": 1, "dim": 3, "quiet": True}
  vectors = glove_jax.fit(
    counts, preset="stanford_demo", vectors="concat", unk=True, **options
  )
  assert vectors.vectors.shape == (31, 6) and vectors.words[-1] == "<unk>"
  with pytest.raises(ValueError, match="no preset 'papre': use fast"):
    glove_jax.train(counts, preset="papre")


@pytest.mark.parametrize("call, message", [
  (lambda c: glove_jax.fit(c, dimm=3), "no setting 'dimm': did you mean dim?"),
  (lambda c: glove_jax.fit(c, vector_size=3), "did you mean dim?"),
  (lambda c: glove_jax.count(TEXTS, quite=1), "did you mean quiet?"),
  (lambda c: glove_jax.train(c, on_epocs=1), "did you mean on_epoch?"),
  (lambda c: glove_jax.count(TEXTS, dim=3), "count has no dim"),
  (lambda c: glove_jax.fit(TEXTS, corpus="a"), "fit has no corpus"),
  (lambda c: glove_jax.fit(c, workdir="a"), r"no workdir: .*Pipeline\(make"),
  (lambda c: glove_jax.fit(c, license="mit"), "license has no effect here"),
  (lambda c: glove_jax.fit(c, output="a"), r"fit has no output: .*save\("),
  (lambda c: glove_jax.fit(c, tx=1), "did you mean optimizer?"),
  (lambda c: glove_jax.fit(c, init=np.eye(3)), "init is of type ndarray: give"),
  (lambda c: glove_jax.fit(c, init="a.txt", init_from="b.txt"), "give one of"),
  (lambda c: glove_jax.fit([[1, 2], [3]], ["a", "b"]), "rows differ in length"),
  (lambda c: glove_jax.fit([[1, 2], [3, 1]]), "words is missing"),
  (lambda c: glove_jax.fit([[1, 2], [3]], min_count=1),
   "If its rows are sentences, give their words as strings"),
  (lambda c: glove_jax.from_matrix(np.eye(3), "abc"), "words must be a list"),
  (lambda c: glove_jax.from_matrix("abc", ["a"]), "matrix must be a table of"),
  (lambda c: glove_jax.load("a.txt", limit=0), "limit must be at least 1"),
  (lambda c: glove_jax.fit(c, window=3), "window is for counting, which is"),
  (lambda c: glove_jax.fit(c, words=["a"]), "words is for a matrix"),
  (lambda c: glove_jax.fit(c, dim="3"), "dim must be of type int, got '3'"),
  (lambda c: glove_jax.fit(DOCUMENTS, lowercase=False), "lowercase is for tex"),
  (lambda c: glove_jax.fit(c, on_epoch=3), "on_epoch must be a function, got"),
  (lambda c: glove_jax.sweep(c, evaluate="x"), "evaluate must be a function"),
  (lambda c: c.vectors(c), "params is of type Cooccurrences"),
  (lambda c: glove_jax.count(), "sentences is missing"),
  (lambda c: glove_jax.train(DOCUMENTS), "counts is of type list: give what"),
  (lambda c: glove_jax.fit(c.matrix()), "words is missing"),
  (lambda c: glove_jax.count([["a", "b"]]), "min_count=5 times"),
  (lambda c: glove_jax.count("nonesuch.txt"), "no such file"),
])  # fmt: skip
def test_mistakes_get_a_sentence_that_names_the_argument(counts, call, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
    call(counts)
  assert "--" not in str(caught.value)


def test_help_lists_every_setting():
  signature = inspect.signature(glove_jax.fit)
  for field in config.fields():
    is_there = field.name in signature.parameters
    unused = {
      f.name for f in config.parts()["evaluate"].__dataclass_fields__.values()
    }
    assert is_there == (field.name not in {"corpus", *unused})
    assert not is_there or f"\n    - `{field.name}`: " in glove_jax.fit.__doc__
  assert signature.parameters["dim"].default == 100
  assert "on_epoch" in signature.parameters
  assert "--" not in glove_jax.fit.__doc__


def test_quiet_shows_no_bars(monkeypatch):
  shown = []
  tqdm = metrics.tqdm
  monkeypatch.setattr(metrics, "_is_watched", lambda: True)
  monkeypatch.setattr(
    metrics, "tqdm", lambda **k: shown.append(not k["disable"]) or tqdm(**k)
  )
  glove_jax.count(DOCUMENTS, **COUNT)
  assert shown and not any(shown)
  with metrics.progress("counting"):
    assert shown.pop()


def test_vectors_of_fit_and_of_a_run_have_intervals(counts, tmp_path, files):
  vectors = glove_jax.fit(counts, **TRAIN)
  first, second = vectors.words[:2]
  low, high = vectors.interval(first, second)
  assert low < vectors.similarity(first, second) < high
  transform = a_la_carte.learn(vectors, counts, window=3)
  assert transform.induce("new", [f"{first} new"]).shape == (4,)
  other = glove_jax.fit(counts, loss=glove_jax.loss, **TRAIN)
  with pytest.raises(ValueError, match="have no standard errors"):
    other.interval(first, second)
  settings = config.make_config(
    corpus=files, min_count=2, window=3, dim=4, engine="dense", epochs=2,
    bias_init="random", analogies=(), similarity=(),
  )  # fmt: skip
  run = glove_jax.Pipeline(settings, tmp_path / "run", say=lambda line: None)
  expected = run.run().vectors.interval(first, second)
  assert glove_jax.load(tmp_path / "run").interval(first, second) == expected
  assert expected == pytest.approx((low, high), abs=1e-4)
  old = glove_jax.load(tmp_path / "run")
  asked = glove_jax.load(tmp_path / "run")
  assert asked.first(3).interval(first, second) == expected
  again = dataclasses.replace(
    settings, train=dataclasses.replace(settings.train, seed=1)
  )
  glove_jax.Pipeline(again, tmp_path / "run", say=lambda line: None).run()
  with pytest.raises(ValueError, match="run has trained again since these"):
    old.interval(first, second)
  # Tables are read once, for the vectors and all their subsets.
  assert asked.interval(first, second) == expected
  assert asked.subset([first, second]).interval(first, second) == expected


def test_load_reads_files_and_runs(tmp_path, files):
  settings = config.make_config(
    corpus=files, min_count=2, dim=4, engine="dense", epochs=1, analogies=(),
    similarity=(), bias_init="random",
  )  # fmt: skip
  run = glove_jax.Pipeline(settings, tmp_path / "run", say=lambda line: None)
  vectors = run.run().vectors
  loaded = glove_jax.load(tmp_path / "run")
  np.testing.assert_allclose(loaded.vectors, vectors.vectors)
  assert loaded.counts.sum() == 80 * 12
  assert len(glove_jax.load(str(tmp_path / "run"), limit=7)) == 7
  text = glove_jax.load(tmp_path / "run" / "vectors.txt", limit=7)
  assert text.words == loaded.words[:7]
  context = glove_jax.load(tmp_path / "run", vectors="context")
  assert not np.allclose(context.vectors, loaded.vectors)
  counts = glove_jax.Cooccurrences.load(tmp_path / "run")
  assert counts.vocab.words == loaded.words
  with pytest.raises(FileNotFoundError, match="no vector file"):
    glove_jax.load(tmp_path / "nonesuch")
