"""Settings that have no effect are refused, on both doors."""

import pytest
from run_py import run, sentence

import glove_jax
from glove_jax import config, effects, presets

COUNTS = glove_jax.from_matrix([[0, 3, 1], [3, 0, 3], [1, 3, 0]], list("abc"))
ROWS = {"engine": "rows", "dim": 3, "epochs": 1, "quiet": True}


def test_the_table_names_settings():
  names = {field.name for field in config.fields()}
  for name, needs in effects.NEEDS.items():
    assert {name, *needs} - {"loss"} <= names


@pytest.mark.parametrize("settings, message", [
  ({"core": 64}, "core has no effect with engine=rows: leave it out."),
  ({"growth": ["8:1"]}, "growth has no effect with engine=rows"),
  ({"missing_count": 2.0}, "missing_count has no effect with missing=0"),
  ({"engine": "blocked", "missing": 0, "core": 9}, "core has .* missing=0"),
  ({"engine": "blocked", "core": 0, "fit_passes": 2}, "fit_passes .* core=0"),
  ({"engine": "blocked", "batch_size": 9}, "batch_size .* engine=blocked"),
  ({"clip": 3}, "clip has no effect with optimizer=adagrad"),
  ({"optimizer": "adam", "keep": 0.5}, "keep has .* optimizer=adam"),
  ({"loss": glove_jax.loss, "x_max": 3}, "x_max .* with a loss of your own"),
  ({"vectors": "word", "context_weight": 0.5}, "context_weight .*=word"),
])  # fmt: skip
def test_an_argument_without_effect_is_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    glove_jax.fit(COUNTS, **ROWS | settings)


def test_stanfords_rule_names_the_engine_that_it_is_for():
  with pytest.raises(ValueError, match=r"=stanford .* engine=rows"):
    glove_jax.fit(COUNTS, optimizer="stanford", quiet=True)
  assert len(glove_jax.fit(COUNTS, optimizer="stanford", **ROWS)) == 3


def test_what_says_how_it_is_anyway_is_accepted():
  vectors = glove_jax.fit(
    COUNTS, core=0, growth=(), missing=0, keep=1, optimizer="adam", **ROWS
  )
  assert len(vectors) == 3
  params = glove_jax.train(COUNTS, preset="fast", **ROWS)  # it has growth
  with pytest.raises(ValueError, match="context_weight has no effect"):
    COUNTS.vectors(params, vectors="context", context_weight=0.5)


def test_a_sweep_may_vary_whether_a_setting_has_an_effect():
  options = ROWS | {"evaluate": len, "batch_size": [9, 8]}
  frame = glove_jax.sweep(
    COUNTS, missing=[0, 0.1], missing_count=2.0, **options
  )
  assert len(frame) == 4 and frame["score"].tolist() == [3] * 4
  with pytest.raises(ValueError, match="clip has no effect"):
    glove_jax.sweep(COUNTS, clip=[1, 2], **options)


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_every_setting_of_a_preset_has_an_effect(preset):
  recipe = presets.PRESETS[preset]
  effects.check([config.all_settings(config.make_config(**recipe))], recipe)


def test_a_flag_without_effect_is_refused():
  sentence(run("--engine=rows", "--core=64"), "--core has no effect with --eng")
  flags = ["--corpus=x", "--sweep=clip=1,2"]
  sentence(run(*flags), "--clip has no effect with --optimizer=adagrad")
  sentence(
    run("--add_vocab=fixed"), "--add_vocab has no effect without --add_t"
  )
  sentence(run("--sweep=x_max=1,2", "--missing=0", "--core=9"), "--core has no")
