"""Tiles and lines hold every count; their steps are steps on J."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_counts import as_coded, build, init_table, make_triplets

from glove_jax import config, memory, model
from glove_jax.counts import triplets
from glove_jax.training import loop, optimizers, preparation
from glove_jax.training.engine import TrainState
from glove_jax.training.rows import dense_step
from glove_jax.training.sorting import by_row
from glove_jax.training.tiles import (
  block_pairs,
  codec,
  cutting,
  filling,
  layout,
  lines,
  steps,
  tile_files,
)
from glove_jax.training.tiles.grouping import DeviceSettings
from glove_jax.training.tiles.jobs import make_line_jobs


def jitted(function, **fixed):
  return jax.jit(functools.partial(function, **fixed))


def one_pass(made, plan, at_once=1, cells=0, seed=0):
  """The stacks of tiles and of lines that a pass visits."""
  rng = np.random.default_rng(seed)
  groups = layout.disjoint_groups(made, plan.tiles, at_once, rng)
  tiles = [
    layout.read_tiles(made, part) for part in layout.stack_groups(groups, 3)
  ]
  jobs = make_line_jobs(made.lines, cells) if plan.with_lines else []
  return tiles, [(job.load(), job.num_steps) for job in jobs]


def matrix_of(made, stacks):
  """The counts in tiles, and those in lines by row and by column: [V, V]."""
  half = made.num_blocks * made.tile_size
  tiles, rows, cols = np.zeros((3, half, half), int)
  for stack in stacks:
    if isinstance(stack, layout.Tiles):
      codes = stack.code.reshape(-1, made.tile_size, made.tile_size)
      pairs = stack.pair.reshape(-1, 2).astype(int)
      for code, (first, second) in zip(codes, pairs, strict=True):
        i, j = np.nonzero(code)
        i, j = i + first * made.tile_size, j + second * made.tile_size - half
        tiles[i, j] += code[code > 0]
      continue
    own = np.take_along_axis(stack.trained, stack.index, axis=1)
    changes = (np.diff(own) != 0).sum(axis=1)
    assert [len(np.unique(x)) for x in own] == (changes + 1).tolist()
    own, other = np.broadcast_arrays(own[..., None], stack.fixed)
    real = stack.code > 0
    is_row = real & (own < half)
    np.add.at(rows, (own[is_row], other[is_row] - half), stack.code[is_row])
    is_col = real & (own >= half)
    np.add.at(cols, (other[is_col], own[is_col] - half), stack.code[is_col])
  order = np.ix_(made.position, made.position)
  return [table[order] for table in (tiles, rows, cols)]


@settings(max_examples=25, deadline=None)
@given(
  st.integers(2, 70),
  st.integers(1, 40),
  st.sampled_from([0.0, 0.2, 0.5, 2.0]),
  st.integers(0, 3),
  st.integers(1, 5),
  st.sampled_from([0, 1 << 16]),
)
def test_a_pass_visits_every_count_once(
  tmp_path_factory, size, tile_size, min_fill, seed, at_once, cells
):
  counts = make_triplets(size, seed=seed)
  if not len(counts.row):
    return
  made = build(
    counts,
    tmp_path_factory.mktemp("blocks"),
    tile_size=tile_size,
    min_fill=min_fill,
    first_tier=16,
    seed=seed,
  )
  plan = layout.plan_pass(made)
  tile_stacks, line_stacks = one_pass(made, plan, at_once, cells, seed)
  stacks = tile_stacks + [stack for stack, _ in line_stacks]
  tiles, rows, cols = matrix_of(made, stacks)
  np.testing.assert_array_equal(rows, cols)
  want = np.zeros((size, size), int)
  want[counts.row, counts.col] = codec.encode(counts.count)
  np.testing.assert_array_equal(tiles + rows, want)
  assert not (tiles.astype(bool) & rows.astype(bool)).any()
  num_steps = sum(number.sum() for _, number in line_stacks)
  cells = made.lines.code.size if made.lines else 0
  assert num_steps == -(-cells // lines.BATCH_CELLS)
  assert plan.num_triplets == len(counts.row)


def test_a_row_may_be_trained_in_two_batches_and_once_in_each():
  """Rows 3, 4 and 6 with 5, 1 and 9 lines, in batches of 4 lines."""
  row = np.repeat(np.array([3, 4, 6], np.int32), [5, 1, 9])
  code = np.arange(1, 31, dtype=np.uint16).reshape(15, 2)
  made = layout.Lines(row, code.astype(np.int32), code)
  shape = lines.Shape(stacks=2, batches=2, rows=4, width=2)
  stacks = [lines.stack_lines(made, shape, i) for i in range(2)]
  trained = np.concatenate([stack.trained for stack in stacks])
  assert [x[x < layout.OUTSIDE].tolist() for x in trained] == [
    [3], [3, 4, 6], [6], [6]
  ]  # fmt: skip
  codes = np.concatenate([stack.code.reshape(-1, 2) for stack in stacks])
  np.testing.assert_array_equal(codes[:15], code)
  assert not codes[15:].any()


@given(st.integers(1, 10**6), st.sampled_from(lines.WIDTHS.tolist()))
def test_stacks_of_lines_have_room_for_all_and_little_padding(number, width):
  for cells in (0, 1 << 20):
    shape = lines.stack_shape(number, width, cells)
    room = shape.stacks * shape.batches * shape.rows
    assert number <= room < number + (shape.stacks + 1) * shape.rows
    steps = shape.num_steps(np.array([number, 0, 1]))
    assert steps.shape == (3, shape.stacks, shape.batches)
    if lines.BATCH_CELLS // width <= shape.rows:
      assert steps[0].sum() == -(-number * width // lines.BATCH_CELLS)
    assert steps[1].sum() == 0 and steps[2].sum() == 1


def test_min_fill_decides_what_is_dense(tmp_path):
  counts = make_triplets()
  all_lines = build(counts, tmp_path / "a", tile_size=16, min_fill=2.0)
  all_tiles = build(counts, tmp_path / "b", tile_size=16, min_fill=0.0)
  assert not len(all_lines.pair) and not all_tiles.lines
  some = build(
    counts, tmp_path / "c", tile_size=16, min_fill=0.3, first_tier=16
  )
  assert len(some.pair) and some.lines
  assert (some.num_counts >= 0.3 * 16**2).all()


@pytest.mark.parametrize("core", [None, 20])
def test_chunks_and_threads_do_not_change_what_is_cut(
  tmp_path, monkeypatch, core
):
  """All files have the bytes that one thread cuts from one chunk.

  It writes whole tiles; the other threads 2 rows of 9 tiles, or more of fewer.
  """
  counts = make_triplets()

  def cut(threads, chunk, buffer):
    for module in (filling, block_pairs):
      monkeypatch.setattr(module, "default_threads", lambda: threads)
    monkeypatch.setattr(block_pairs, "CHUNK", chunk)
    monkeypatch.setattr(filling, "_BUFFER", buffer)
    build(counts, tmp_path, tile_size=8, core=core)
    return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

  files = cut(1, 1 << 22, 1 << 25)
  tiles = 9 if core else len(np.load(tmp_path / "filled.npy"))
  assert len(files["tiles.bin"]) == 2 * 8 * 8 * tiles
  assert cut(3, 50, 2 * 2 * 9 * 8) == files
  assert tile_files.is_complete(tmp_path)
  (tmp_path / "tiles.bin").write_bytes(files["tiles.bin"][:-1])
  assert not tile_files.is_complete(tmp_path)


def test_counts_of_blocks_are_sparse_and_release_what_they_read(monkeypatch):
  counts, released = make_triplets(), []
  monkeypatch.setattr(block_pairs, "CHUNK", 130)
  monkeypatch.setattr(memory, "release", lambda *a: released.append(a))
  _, starts = by_row(counts)
  released.clear()
  position = np.arange(counts.vocab_size, dtype=np.int32)
  source = block_pairs.BlockRows(
    counts, starts, position, position, tile_size=8
  )
  settings = cutting.CutSettings(tile_size=8, min_fill=0.5)
  sizes = cutting.block_sizes(counts.vocab_size, settings)
  kinds = functools.partial(cutting._kinds, settings, sizes)
  found = block_pairs.count_blocks(source, [0, 3, 8], kinds)
  assert len(released) == 2  # after blocks 0 and 3
  block = counts.row // 8, counts.col // 8
  want = np.zeros((9, 9), int)
  np.add.at(want, block, 1)
  for number, one in found.items():
    is_tile = want[number] >= 0.5 * 64
    np.testing.assert_array_equal(one.tiles, np.flatnonzero(is_tile))
    np.testing.assert_array_equal(one.num_counts, want[number][is_tile])
    assert one.remains == want[number][~is_tile].sum()
    assert one.total == want[number].sum()
  assert len(found[0].tiles) and not len(found[8].tiles)


def test_unsorted_counts_make_the_same_blocks(tmp_path):
  counts = make_triplets()
  order = np.random.default_rng(1).permutation(len(counts.row))
  mixed = triplets.Triplets(*(c[order] for c in counts[:3]), 70)
  for name, given_counts in (("a", counts), ("b", mixed)):
    build(given_counts, tmp_path / name, tile_size=16, min_fill=0.3)
  a, b = ((tmp_path / name / "tiles.bin").read_bytes() for name in "ab")
  assert a == b and len(a)


def test_a_pass_over_the_most_frequent_words(tmp_path):
  counts = make_triplets()
  made = build(counts, tmp_path, tile_size=8, min_fill=0.0, first_tier=16)
  plan = layout.plan_pass(made, words=32)
  stacks, lines = one_pass(made, plan)
  tiles, rows, _ = matrix_of(made, stacks)
  assert not lines
  rank = np.argsort(-np.bincount(counts.row, minlength=70), kind="stable")
  chosen = np.isin(np.arange(70), rank[:32])
  assert not rows.any()
  assert not tiles[~chosen].any() and not tiles[:, ~chosen].any()
  inside = chosen[counts.row] & chosen[counts.col]
  assert np.count_nonzero(tiles) == inside.sum() == plan.num_triplets


def test_orders_keep_to_their_tiers():
  position = cutting.tiered_order(100, 16, np.random.default_rng(0))
  np.testing.assert_array_equal(np.sort(position), np.arange(100))
  for start, stop in [(0, 16), (16, 32), (32, 64), (64, 100)]:
    tier = position[start:stop]
    assert tier.min() == start and tier.max() == stop - 1
    assert not np.array_equal(tier, np.arange(start, stop))


@pytest.mark.parametrize("name", ["adagrad", "stanford", "adam"])
def test_a_tile_step_is_a_dense_step_on_its_counts(tmp_path, name):
  counts = make_triplets(24)
  made = build(counts, tmp_path, tile_size=24, min_fill=0.0)
  ((tiles,), _) = one_pass(made, layout.plan_pass(made))
  tx = optimizers.make_optimizer(name, learning_rate=0.05)
  params = model.init_params(jax.random.key(0), 24, 5)
  constants = {"x_max": 10.0, "alpha": 0.75}
  batch = model.Batch(counts.row, counts.col, as_coded(counts.count), 1.0)
  loss = functools.partial(model.loss, **constants)
  want, want_cost = jitted(dense_step, loss=loss, tx=tx)(
    TrainState(params, tx.init(params)), batch
  )
  predict = steps.make_predict(jnp.float32)
  loss = functools.partial(steps.tiles_loss, predict=predict, **constants)
  state, cost = jitted(steps.tiles_step, loss=loss, tx=tx)(
    init_table(params, made, tx), tiles.code[0], tiles.pair[0]
  )
  np.testing.assert_allclose(cost, want_cost, rtol=1e-5)
  got = jitted(steps.table_params, position=made.position)(state.params)
  for a, b in zip(got, want.params, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_lines_have_the_gradient_of_the_loss(tmp_path):
  """A step of gradient descent on each side, the other held as it was."""
  counts = make_triplets(40)
  made = build(counts, tmp_path, tile_size=16, min_fill=2.0)
  params = model.init_params(jax.random.key(0), 40, 5)
  constants = {"x_max": 10.0, "alpha": 0.75}
  loss = functools.partial(model.loss, **constants)
  batch = model.Batch(counts.row, counts.col, as_coded(counts.count), 1.0)
  cost, grads = jitted(jax.value_and_grad(loss))(params, batch)
  tx = optimizers.make_optimizer("sgd", learning_rate=1.0)
  start = init_table(params, made, tx)
  lines_loss = functools.partial(steps.lines_loss, **constants)
  step = jitted(steps.lines_step, loss=lines_loss, tx=tx)
  params_of = jitted(steps.table_params, position=made.position)
  total, moved = 0.0, [np.zeros_like(table) for table in params]
  for stack, _ in one_pass(made, layout.plan_pass(made))[1]:
    for batch in zip(*stack, strict=True):
      state, part = step(start, *batch)
      total += float(part)
      for sums, new, old in zip(
        moved, params_of(state.params), params, strict=True
      ):
        sums += np.asarray(old) - np.asarray(new)
  np.testing.assert_allclose(total, cost, rtol=1e-5)
  for got, want in zip(moved, grads, strict=True):
    scale = np.abs(want).max()
    np.testing.assert_allclose(got, want, atol=1e-4 * scale)


def test_the_blocked_engine_learns_as_the_dense_one():
  counts = make_triplets(70, fill=0.5)
  costs = {}
  for engine in ("dense", "blocked"):
    settings = config.make_config(
      engine=engine, missing=0, dim=8, epochs=30, growth=[], tile_size=16,
      min_fill=0.3, batch_size=128, learning_rate=0.1,
    ).train  # fmt: skip
    lines = []
    params = loop.train(counts, settings, on_epoch=lines.append)
    costs[engine] = lines[-1]["cost"]
    batch = model.Batch(counts.row, counts.col, counts.count, 1.0)
    left = model.loss(params, batch, x_max=10.0) / len(counts.row)
    assert float(left) < 1.1 * costs[engine]
  assert costs["blocked"] < 1.2 * costs["dense"]


def test_tiles_of_a_group_share_no_block(tmp_path):
  counts = make_triplets()
  made = build(counts, tmp_path, tile_size=8, min_fill=0.2, first_tier=16)
  plan = layout.plan_pass(made)
  order = [
    layout.disjoint_groups(made, plan.tiles, 4, np.random.default_rng(seed))
    for seed in (0, 1)
  ]
  for groups in order:
    real = groups.tile < len(made.pair)
    np.testing.assert_array_equal(
      np.sort(groups.tile[real]), np.arange(len(made.pair))
    )
    for number in groups.tile:
      row, col = made.pair[number[number < len(made.pair)]].T
      assert len(set(row)) == len(set(col)) == len(row) > 0
  assert (real.sum(axis=1) > 1).any()
  assert not np.array_equal(order[0].tile[:9], order[1].tile[:9])


def test_a_step_on_a_group_is_a_step_on_each_of_its_tiles(tmp_path):
  made = build(
    make_triplets(), tmp_path, tile_size=8, min_fill=0.2, first_tier=16
  )
  groups = layout.disjoint_groups(
    made, np.arange(len(made.pair)), 4, np.random.default_rng(0)
  )
  tiles = layout.read_tiles(made, groups)
  tx = optimizers.make_optimizer("adagrad", learning_rate=0.1)
  loss = functools.partial(
    steps.tiles_loss,
    predict=steps.make_predict(jnp.float32),
    x_max=10.0,
    alpha=0.75,
  )
  step = jitted(steps.tiles_step, loss=loss, tx=tx)
  params = model.init_params(jax.random.key(0), 70, 5)
  grouped = apart = init_table(params, made, tx)
  for code, pair in zip(*tiles, strict=True):
    grouped, cost = step(grouped, code, pair)
    costs = []
    for one in range(4):
      apart, part = step(apart, code[one : one + 1], pair[one : one + 1])
      costs.append(part)
    np.testing.assert_allclose(cost, sum(costs), rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    grouped,
    apart,
  )
  assert not np.allclose(grouped.params.vectors[0, 0, 0], params.word[0])


DEVICES = {
  "streamed in groups": DeviceSettings(False, 4, 3, 1 << 16),
  "resident": DeviceSettings(True, 4, 3, 1 << 16),
}


@pytest.mark.parametrize("name", DEVICES)
def test_layouts_end_alike(name, monkeypatch):
  """What an accelerator does, on the CPU."""
  counts = make_triplets(150)
  settings = config.make_config(
    dim=8, epochs=10, growth=["64:2"], tile_size=16, min_fill=0.3
  ).train
  lines, others = [], []
  loop.train(counts, settings, on_epoch=lines.append)
  monkeypatch.setattr(
    "glove_jax.training.tiles.engine.device_settings",
    lambda blocks: DEVICES[name],
  )
  loop.train(counts, settings, on_epoch=others.append)
  assert [line["step"] for line in lines] == [line["step"] for line in others]
  np.testing.assert_allclose(
    [line["cost"] for line in lines], [line["cost"] for line in others], 0.03
  )


@pytest.mark.parametrize("stage", ["8192", "a:b", "8192:", "1:2:3", "-1:2"])
def test_a_bad_growth_is_refused(stage):
  settings = config.make_config(growth=[stage]).train
  with pytest.raises(ValueError, match="growth takes words:passes"):
    preparation.make_engine(make_triplets(), settings)


@pytest.mark.parametrize(
  "changes, loss, message",
  [({"dtype": "float64"}, None, "float32"), ({}, model.loss, "loss of")],
)
def test_what_the_blocked_engine_lacks_is_said(changes, loss, message):
  settings = config.make_config(**changes).train
  with pytest.raises(ValueError, match=message):
    loop.train(make_triplets(), settings, loss=loss)
