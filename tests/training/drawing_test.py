"""Numbers that are drawn where they are read are those of the whole table."""

import jax
import numpy as np
import optax.contrib
import pytest

from glove_jax.config import TrainConfig
from glove_jax.training import drawing
from glove_jax.training.tiles import steps


def test_rows_that_are_drawn_alone_are_those_of_all():
  config = TrainConfig(dim=7, seed=5)
  whole = drawing.random_params(40, config)
  by_row, words = drawing.random_tables(40, config), np.array([3, 39, 0])
  for table, some in zip(whole, by_row, strict=True):
    np.testing.assert_array_equal(table[words], some[words])


def test_another_default_generator_draws_the_same():
  usual = drawing.random_params(9, TrainConfig(dim=3))
  with jax.default_prng_impl("rbg"):
    for draw in (drawing.random_params, drawing.random_tables):
      found = draw(9, TrainConfig(dim=3))
      np.testing.assert_array_equal(found.word[np.arange(9)], usual.word)


def test_given_biases_are_not_drawn():
  config, given = TrainConfig(dim=3), {"word_bias": np.ones(5)}
  for draw in (drawing.random_params, drawing.random_tables):
    usual, found = draw(5, config), draw(5, config, **given)
    assert found.word_bias is given["word_bias"]
    np.testing.assert_array_equal(found.context_bias, usual.context_bias)
    rows = np.arange(5)
    np.testing.assert_array_equal(found.context[rows], usual.context[rows])


def table(vocab_size, dim):
  return drawing.RandomTable(jax.random.key(1), 0, (vocab_size, dim), 1.0)


def test_rows_beyond_2_32_numbers_are_drawn():
  """A row of 12 numbers is 3 rows of 4, as are those on both sides of 2^32."""
  for row in (2**32 // 12, 2**31 // 3 - 1, 5):
    got = table(2**31 - 1, 12)[np.array([row])]
    want = table(2**31, 4)[3 * row + np.arange(3)]
    np.testing.assert_array_equal(got.ravel(), want.ravel())
    assert len(np.unique(got)) == 12


@pytest.mark.parametrize(
  "given", [{}, {"word_bias": np.ones(5), "context_bias": np.zeros(5)}]
)
def test_a_start_in_blocks_is_that_of_whole_tables(given):
  """Blocks of 4 words, with 3 rows of padding."""
  position = np.array([3, 0, 6, 1, 4])

  # Its state has a copy of the parameters.
  tx = optax.contrib.schedule_free(optax.sgd(0.1), 0.1)

  @jax.jit
  def init(params):
    return steps.init_table(params, position, 2, 4, tx, -9.0)

  draw = drawing.random_tables, drawing.random_params
  found, want = (init(x(5, TrainConfig(dim=3), **given)) for x in draw)
  jax.tree.map(np.testing.assert_array_equal, found, want)
