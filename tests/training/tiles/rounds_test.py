"""Rounds of blocks: their pairs are all tiles or none on several devices."""

import numpy as np
import pytest
from small_counts import build, make_triplets

from glove_jax import config
from glove_jax.training.tiles import layout, ring_jobs


def tiles_of(made):
  """[M, 2] the blocks of words and of contexts of each tile."""
  return made.pair - [0, made.num_blocks]


def by_device(made, n):
  """[n, n] the tiles of a turn on each device."""
  word_part, context_part = layout.deal(made, n).tile_part.T
  turn = (context_part - word_part) % n
  return np.bincount(turn * n + word_part, minlength=n * n).reshape(n, n)


@pytest.mark.parametrize("size, n, first_tier", [
  (64, 4, 32), (64, 8, 32), (70, 5, 128),
])  # fmt: skip
def test_pairs_of_rounds_are_all_tiles_or_none(tmp_path, size, n, first_tier):
  """By their mean fill, also where the last round has 3 blocks of 5."""
  counts, least = make_triplets(size, fill=0.4), 0.4 * 4**2
  how = {"tile_size": 4, "min_fill": 0.4, "first_tier": first_tier}
  made = build(counts, tmp_path / "rounds", round_size=n, **how)
  round_of = np.arange(made.num_blocks) // n
  row, col = made.position[np.stack(counts[:2])] // 4
  num_counts = np.zeros((made.num_blocks, made.num_blocks))
  np.add.at(num_counts, (row, col), 1)
  wanted = np.zeros(num_counts.shape, bool)
  for first, second in np.ndindex(round_of[-1] + 1, round_of[-1] + 1):
    pairs = np.ix_(round_of == first, round_of == second)
    wanted[pairs] = num_counts[pairs].mean() >= least
  assert 0 < wanted.sum() < wanted.size
  np.testing.assert_array_equal(tiles_of(made), np.argwhere(wanted))
  np.testing.assert_array_equal(made.num_counts, num_counts[wanted])
  assert made.num_counts.sum() + made.num_outside == len(counts.row)

  steps = by_device(made, n)
  if size % (4 * n) == 0:  # all rounds are full
    assert (steps == steps[0, 0]).all()
  alone = build(counts, tmp_path / "alone", **how)
  assert steps.max(axis=1).sum() < by_device(alone, n).max(axis=1).sum()


def test_pairs_are_tiles_alone_where_that_takes_fewer_steps(tmp_path):
  """Two devices have about as many anyway, and would have more in rounds."""
  counts = make_triplets(64, fill=0.4)
  how = {"tile_size": 4, "min_fill": 0.4}
  for name, n in (("alone", 1), ("rounds", 2)):
    made = build(counts, tmp_path / name, round_size=n, **how)
  assert by_device(made, 2).max(axis=1).sum() == 69  # of 38 pairs of rounds: 76
  files = [
    {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    for name in ("alone", "rounds")
  ]
  assert files[0] == files[1]


def test_the_first_tier_has_as_many_blocks_for_each_device():
  def settings(n, **changes):
    how = config.make_config(missing=0.0, **changes).train
    return ring_jobs.ring_settings(how, n, 400_000)

  assert [settings(n).first_tier for n in (2, 8, 64)] == [2048, 4096, 8192]
  assert settings(64).tile_size == 128  # 8,192 words train first
  assert settings(64, growth=[]).tile_size == 512
  with_missing = config.make_config(missing=0.1).train
  assert ring_jobs.ring_settings(with_missing, 64, 400_000).first_tier == 2048
