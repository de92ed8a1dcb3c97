"""With a core, tiles and strips hold the counts of all pairs with the core."""

import numpy as np
import pytest
from small_counts import build, make_triplets

from glove_jax.training.tiles import codec, fitting, layout, strips


def test_every_cell_of_the_core_is_in_a_tile(tmp_path):
  counts = make_triplets(fill=0.05)
  made = build(counts, tmp_path, tile_size=16, first_tier=16, core=30)
  assert made.num_blocks == 5 and made.strips.core_blocks == 2
  assert (made.pair - [0, 5]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
  assert not made.lines and not made.num_outside


def test_a_core_of_all_words_leaves_no_strips(tmp_path):
  made = build(make_triplets(), tmp_path, tile_size=16, core=70)
  assert made.strips is None and len(made.pair) == 25


@pytest.mark.parametrize("piece_words", [16, 2048])
def test_strips_hold_the_counts_of_others_with_the_core(
  tmp_path, piece_words, monkeypatch
):
  monkeypatch.setattr(strips, "_PIECE_WORDS", piece_words)
  counts = make_triplets()
  made = build(counts, tmp_path, tile_size=16, first_tier=16, core=32)
  assert made.strips.piece_blocks == min(2, piece_words // 16)
  position, matrix = made.position, np.zeros((80, 80), int)
  codes = codec.encode(counts.count)
  matrix[position[counts.row], position[counts.col]] = codes
  assert made.strips.num_strips == 6
  (plan,) = fitting.plan_fit(1, 1, keep=1.0, seed=0)
  for strip in range(6):
    stack = strips.read_strip(made.strips, plan, strip)
    is_context, block = divmod(int(stack.block[0, 0]), 5)
    rows = slice(16 * block, 16 * block + 16)
    want = matrix[:32, rows].T if is_context else matrix[rows, :32]
    np.testing.assert_array_equal(np.hstack(stack.code[0, :, 0]), want)
    tiles = layout.read_strip_tiles(made.strips, strip)
    for code, (word, context) in zip(
      tiles.code[:, 0], tiles.pair[:, 0] - [0, 5], strict=True
    ):
      assert min(word, context) < 2 and max(word, context) == block
      tile = matrix[16 * word :][:16, 16 * context :][:, :16]
      np.testing.assert_array_equal(code, tile)
  others = np.count_nonzero(matrix[:32, 32:])
  others += np.count_nonzero(matrix[32:, :32])
  assert made.strips.start[-1] == len(made.strips.code) == others
