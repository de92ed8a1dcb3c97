"""Settings: defaults, ranges, and clear refusals."""

import dataclasses

import pytest

from glove_jax import config


def test_every_field_has_a_help_and_a_name_of_its_own():
  names = [field.name for field in config.fields()]
  assert len(set(names)) == len(names)
  assert all(len(field.metadata["help"]) > 10 for field in config.fields())


def test_defaults_suit_raw_text():
  made = config.make_config()
  assert made.corpus.tokenizer == "word" and made.corpus.lowercase
  assert (made.count.window, made.vocab.min_count) == (10, 5)
  assert (made.train.dim, made.train.x_max, made.train.alpha) == (
    100, 10.0, 0.75
  )  # fmt: skip


def test_a_value_lands_in_its_stage():
  made = config.make_config(x_max=100, corpus=["a", "b"], unk=True)
  assert made.train.x_max == 100.0 and isinstance(made.train.x_max, float)
  assert made.corpus.corpus == ("a", "b")
  assert made.vectors.unk


@pytest.mark.parametrize("name", sorted(config.PRESETS))
def test_presets_are_valid(name):
  made = config.make_config(**config.PRESETS[name])
  flat = {k: v for p in dataclasses.asdict(made).values() for k, v in p.items()}
  assert config.PRESETS[name].items() <= flat.items()


@pytest.mark.parametrize(
  "name, value, message",
  [
    ("x_max", -1.0, "--x_max must be greater than 0, got -1.0"),
    ("x_max", float("nan"), "--x_max must be greater than 0"),
    ("dim", 0, "--dim must be at least 1, got 0"),
    ("dim", 2.5, "--dim must be of type int, got 2.5"),
    ("dim", True, "--dim must be of type int, got True"),
    ("lowercase", 1, "--lowercase must be of type bool"),
    ("corpus", "a.txt", "--corpus must be of type tuple"),
    ("context", "both", "--context must be one of symmetric, left, right"),
    ("min_count", 0, "--min_count must be at least 1"),
    ("nonesuch", 1, "There is no setting 'nonesuch'"),
  ],
)
def test_refusals(name, value, message):
  with pytest.raises(ValueError) as caught:
    config.make_config(**{name: value})
  assert message in str(caught.value)
