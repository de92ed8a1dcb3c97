"""Settings: defaults, ranges, and clear refusals."""

import dataclasses
import pathlib

import numpy as np
import pytest

from glove_jax import atomic, config, presets, settings
from glove_jax.config import TrainConfig
from glove_jax.run_flags import ProcessFlags, RunFlags
from glove_jax.sweeps.options import SweepConfig
from glove_jax.text import sampling
from glove_jax.training import following, loop
from glove_jax.training.preparation import make_engine
from glove_jax.vectors import evaluate
from glove_jax.workdir import artifacts, pipeline


def test_every_field_has_a_help_and_a_name_of_its_own():
  fields = [*config.fields(), *dataclasses.fields(SweepConfig)]
  names = [field.name for field in fields]
  assert len(set(names)) == len(names)
  assert all(len(field.metadata["help"]) > 10 for field in fields)


def test_every_number_has_a_range():
  for field in [
    *config.fields(),
    *dataclasses.fields(SweepConfig),
    *dataclasses.fields(RunFlags),
    *dataclasses.fields(ProcessFlags),
  ]:
    if settings.kind(field) in (int, float):
      rule = field.metadata
      assert (rule["low"], rule["above"]) != (None, None), field.name
      assert rule["high"] is not None, field.name


def test_the_default_rate_is_that_of_the_optimizer():
  rates = [
    TrainConfig(optimizer=name).resolved.learning_rate
    for name in ("adagrad", "stanford")
  ]
  assert rates == [0.2, 0.05]
  given = TrainConfig(optimizer="stanford", learning_rate=0.2)
  assert given.resolved.learning_rate == 0.2


def test_defaults_suit_raw_text():
  parts = config.make_config()
  assert parts.corpus.tokenizer == "word" and parts.corpus.lowercase
  assert (parts.count.window, parts.vocab.min_count) == (10, 5)
  assert (parts.train.dim, parts.train.alpha) == (100, 0.75)


def test_a_value_lands_in_its_stage():
  parts = config.make_config(x_max=100, corpus=["a", "b"], unk=True)
  assert parts.train.x_max == 100.0 and isinstance(parts.train.x_max, float)
  assert parts.corpus.corpus == ("a", "b")
  assert parts.vectors.unk


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_presets_are_valid(name):
  parts = config.make_config(**presets.PRESETS[name])
  flat = {
    k: v for p in dataclasses.asdict(parts).values() for k, v in p.items()
  }
  assert presets.PRESETS[name].items() <= flat.items()


@pytest.mark.parametrize("engine", ["blocked", "rows", "dense"])
def test_every_way_to_name_an_engine_means_the_same(engine):
  train = config.make_config(engine=engine).train
  other = dataclasses.replace(TrainConfig(engine="dense"), engine=engine)
  assert TrainConfig(engine=engine) == train == other
  expected = {"blocked": (7, "linear", 0.2)}.get(engine, (15, "constant", 1.0))
  resolved = train.resolved
  assert (resolved.epochs, resolved.schedule, resolved.keep) == expected
  assert resolved.resolved == resolved
  assert config.settings(train) == config.settings(resolved)


@pytest.mark.parametrize(
  "given, missing, x_max, epochs",
  [
    ({}, 0.05, 30.0, 7),
    ({"missing": 0}, 0.0, 10.0, 5),
    ({"missing": 0.1, "epochs": 3}, 0.1, 30.0, 3),
    ({"engine": "rows"}, 0.0, 10.0, 15),
    ({"engine": "rows", "missing": 0.1}, 0.1, 30.0, 15),
  ],
)
def test_the_recipe_is_that_of_the_objective(given, missing, x_max, epochs):
  train = TrainConfig(**given).resolved
  assert (train.missing, train.x_max, train.epochs) == (missing, x_max, epochs)
  assert ("never occur" in train.objective) == (missing > 0)


@pytest.mark.parametrize(
  "given, joint",
  [
    ({}, 1),
    ({"epochs": 2}, 1),
    ({"epochs": 1}, 0),
    ({"epochs": 0}, 0),
    ({"missing": 0}, 0),
    ({"engine": "rows", "missing": 0.1}, 0),
    ({"joint_epochs": 4}, 4),
  ],
)
def test_joint_epochs_leave_a_first_one(given, joint):
  assert TrainConfig(**given).resolved.joint_epochs == joint


@pytest.mark.parametrize(
  "given, weight",
  [
    ({}, 0.3),
    ({"missing": 0}, 1.0),
    ({"preset": "glove"}, 1.0),
    ({"context_weight": 0.7}, 0.7),
  ],
)
def test_the_weight_of_contexts_suits_the_objective(given, weight):
  preset = presets.PRESETS.get(given.pop("preset", ""), {})
  vectors = config.make_config(**preset | given).vectors
  assert vectors.context_weight == vectors.resolved.context_weight == weight


def test_vectors_alone_are_the_papers_sum():
  assert config.VectorsConfig().resolved.context_weight == 1.0


def test_without_missing_it_is_the_recipe_of_gloves_own_objective():
  train = config.make_config(**presets.PRESETS["glove"]).train.resolved
  assert train.growth == ("8192:10", "16384:6", "32768:5")
  assert (train.products, train.schedule) == ("float32", "linear")


def test_what_is_given_wins_over_the_engine():
  train = TrainConfig(engine="rows", epochs=3, keep=0.5).resolved
  assert (train.epochs, train.schedule, train.keep) == (3, "constant", 0.5)


def test_replacing_a_value_checks_it():
  with pytest.raises(ValueError, match="x_max must be greater than 0"):
    dataclasses.replace(TrainConfig(), x_max=-1.0)
  assert dataclasses.replace(TrainConfig(), x_max=3).x_max == 3.0


def test_numpy_scalars_paths_and_strings_are_accepted():
  parts = config.make_config(
    dim=np.int64(8), x_max=np.float32(2.5), lowercase=np.bool_(False),
    corpus=pathlib.Path("a", "b.txt"), analogies="questions.txt", growth="",
    add_to=[pathlib.Path("c")], records=pathlib.Path("d"),
  )  # fmt: skip
  assert (parts.train.dim, parts.train.x_max) == (8, 2.5)
  assert type(parts.train.dim) is int and parts.corpus.lowercase is False
  assert parts.corpus.corpus == ("a/b.txt",)
  assert parts.corpus == config.make_config(
    corpus="a/b.txt", lowercase=False, add_to=["c"], records="d"
  ).corpus  # fmt: skip
  assert parts.evaluate.analogies == ("questions.txt",)
  assert parts.train.growth == ()


@pytest.mark.parametrize(
  "name, value, message",
  [
    ("x_max", -1.0, "x_max must be greater than 0, got -1.0"),
    ("x_max", float("nan"), "x_max must be greater than 0"),
    ("x_max", float("inf"), "x_max must be a finite number"),
    ("dim", 0, "dim must be at least 1, got 0"),
    ("window", 10**9, "window must be at most 1,000,000, got 1,000,000,000"),
    ("threads", 10**6, "threads must be at most 1,024"),
    ("dim", 2.5, "dim must be of type int, got 2.5"),
    ("dim", True, "dim must be of type int, got True"),
    ("dim", None, "dim must be of type int, got None"),
    ("lowercase", 1, "lowercase must be of type bool"),
    ("corpus", 3, "corpus must be of type tuple"),
    ("corpus", [3], "corpus must be a list of strings"),
    ("context", "both", "context must be one of symmetric, left, right"),
    ("schedule", "both", "schedule must be one of constant, linear, cosine"),
    ("vectors", "average", "vectors must be one of sum, word, context, concat"),
    ("min_count", 0, "min_count must be at least 1"),
    ("epochs", -1, "epochs must be at least 0"),
    ("missing", 1e30, "missing must be at most 100, got 1e+30"),
    ("share", 2.0, "share must be at most 1, got 2"),
    ("min_fill", 2, "min_fill must be at most 1, got 2"),
    ("tile_size", 10**7, "tile_size must be at most 8,192, got 10,000,000"),
    ("seed", 2**32, "seed must be at most 4,294,967,295"),  # it would be 0
    ("nonesuch", 1, "There is no setting 'nonesuch'"),
  ],
)
def test_refusals(name, value, message):
  with pytest.raises(ValueError) as caught:
    config.make_config(**{name: value})
  assert str(caught.value).startswith(message)


def test_the_type_of_a_setting():
  kinds = {field.name: settings.kind(field) for field in config.fields()}
  assert kinds["epochs"] is int and kinds["keep"] is float
  assert kinds["growth"] is tuple and kinds["schedule"] is str


@pytest.mark.parametrize("call, message", [
  (lambda c: loop.train(None, c), "type TrainConfig, .* give config.train"),
  (lambda c: following.train_folder("", c, ""), "type TrainConfig"),
  (lambda c: make_engine(None, {"dim": 5}), "TrainConfig, not dict"),
  (lambda c: evaluate.evaluate_vectors(None, c), "give config.evaluate"),
  (lambda c: evaluate.check(c.train), "EvaluateConfig, not TrainConfig"),
  (lambda c: artifacts.make_vectors([], None, c), "give config.vectors"),
  (lambda c: sampling.write_sample([], c, ""), "give config.corpus"),
  (lambda c: pipeline.Pipeline(c.train, ""), r"make one by make_config\("),
])  # fmt: skip
def test_settings_of_another_part_are_one_sentence(call, message):
  with pytest.raises(ValueError, match=message):
    call(config.make_config())


def test_a_fingerprint_does_not_depend_on_the_order():
  one = atomic.fingerprint({"a": 1, "b": [2]})
  assert one == atomic.fingerprint({"b": [2], "a": 1}) and len(one) == 8
  assert one != atomic.fingerprint({"a": 1, "b": [3]})
