"""Blocks on a ring of devices: where they are, and how they end."""

import functools

import jax
import numpy as np
import optax
import pytest
from several_devices import (
  SIZE,
  Killed,
  compiled_text,
  kill,
  settings,
  start,
  train_on,
)

from benchmarks import collectives
from glove_jax import model
from glove_jax.training import drawing, loop, preparation, starts
from glove_jax.training.tiles import codec, cutting, layout, ring
from glove_jax.training.tiles.cutting import cut_settings
from glove_jax.training.tiles.grouping import DeviceSettings
from glove_jax.training.tiles.programs import Hyper


def cut(counts, folder, num_parts):
  """All blocks, dealt as the engine deals them."""
  made = cutting.build(counts, folder, cut_settings(settings()))
  return layout.deal(made, num_parts)


@pytest.mark.parametrize(
  "optimizer, rate, meshes", [("adagrad", 0.2, (2, 4, 8)), ("adam", 0.02, [2])]
)
def test_split_blocks_train_as_well_as_one_device(
  counts, optimizer, rate, meshes
):
  run = functools.partial(
    train_on,
    counts,
    epochs=4,
    optimizer=optimizer,
    learning_rate=rate,
    bias_init="fit",
  )
  _, costs = run(mesh=1)
  batch = model.Batch(counts.row, counts.col, counts.count, 1.0)
  for mesh in meshes:
    params, split_costs = run(mesh=mesh)
    assert split_costs[-1] < 0.6 * split_costs[3]
    np.testing.assert_allclose(split_costs[-1], costs[-1], rtol=0.05)
    # Words are where they belong: these vectors cost what was reported.
    cost = model.loss(params, batch, x_max=10.0) / len(counts.row)
    assert cost < split_costs[-1]


@pytest.mark.parametrize("engine, placement", [
  ("rows", "dim"), ("blocked", "blocks"),
])  # fmt: skip
def test_held_words_stay_on_several_devices(counts, engine, placement):
  init = starts.from_vectors(np.ones((SIZE, 8)) * np.arange(8), exact=True)
  init.word[::3] = init.context[::3] = np.nan
  how = settings(
    engine=engine, placement=placement, mesh=4, freeze=True, growth=[]
  )
  got = loop.train(counts, how, init=init, tx=optax.adam(0.1))
  given = ~np.isnan(init.word)
  np.testing.assert_array_equal(np.asarray(got.word)[given], init.word[given])
  assert (np.abs(np.asarray(got.word)[~given]) > 0.5 / 8).any()


@pytest.mark.parametrize("mesh", [2, 4, 8])
def test_split_blocks_only_hand_their_contexts_on(counts, mesh):
  made, state, _, place = start(counts, mesh=mesh)
  programs = ring.make_programs(settings(), place)
  hyper = Hyper(*np.float32([10, 0.75, 0.2, 0, 1]))
  seen = {}
  for stack, counted in made.stacks(4):
    if type(stack) not in seen:
      text = compiled_text(
        programs[type(stack)], state, hyper, None, stack,
        np.ones(len(counted), np.float32),
      )  # fmt: skip
      seen[type(stack)] = collectives.transfers(text)
  assert not seen[layout.Tiles] and not seen[layout.LineBatches]
  size = -(-SIZE // (8 * mesh))  # blocks of 8 contexts on a device
  contexts = [f"f32[{size},8,8]", f"f32[{size},8]"]
  assert sorted(seen[ring.Turn]) == sorted(
    [("collective-permute", [shape]) for shape in contexts] * 2
  )


def test_a_device_holds_its_share_of_the_state(counts):
  for mesh in (2, 4, 8):
    _, state, *_ = start(counts, mesh=mesh)
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    held = collectives.bytes_by_device(state)
    assert list(held.values()) == [whole // mesh] * mesh
    size = -(-SIZE // (8 * mesh))  # blocks of 8 words on a device
    numbers = 2 * size * 8 * (8 + 1)  # words and contexts, with their biases
    assert whole == mesh * numbers * 4 * 2  # parameters and Adagrad's sums

    _, state, *_ = start(counts, engine="rows", placement="dim", mesh=mesh)
    vectors = 4 * SIZE * 8 * 4 // mesh  # parameters and Adagrad's sums
    held = collectives.bytes_by_device(state)
    assert list(held.values()) == [vectors + 4 * SIZE * 4] * mesh


def test_state_stays_in_its_place(counts):
  """A step or a pass later each device holds what it held, no more."""
  for changes in ({}, {"engine": "rows", "placement": "dim"}):
    engine, state, *_ = start(counts, mesh=4, **changes)
    before = collectives.bytes_by_device(state)
    for epoch in (1, 2):
      state, _ = loop.run_epoch(engine, settings(**changes), state, epoch)
    assert collectives.bytes_by_device(state) == before


def test_contexts_go_round_and_come_home(counts, tmp_path):
  _, state, _, place = start(counts, mesh=4)
  parts = cut(counts, tmp_path, 4)
  turn = ring.make_programs(settings(), place)[ring.Turn]
  want = np.asarray(state.params.vectors)
  half = parts.local.num_blocks
  for turns in range(1, 5):
    rates = np.ones(4, np.float32)
    state, _ = turn(state, None, None, ring.Turn(), rates)
    got = np.asarray(state.params.vectors)
    np.testing.assert_array_equal(got[:, :half], want[:, :half])
    moved = np.roll(want[:, half:], -turns, axis=0)
    np.testing.assert_array_equal(got[:, half:], moved)


def test_words_are_dealt_and_gathered_again(counts, tmp_path):
  _, _, tx, place = start(counts, mesh=8)
  parts = cut(counts, tmp_path, 8)
  params = model.init_params(jax.random.key(3), SIZE, 8)
  state = ring.init_state(parts, place, tx, params)
  for a, b in zip(ring.table_params(parts, state), params, strict=True):
    np.testing.assert_array_equal(a, b)


def test_no_table_of_all_words_is_drawn(counts, monkeypatch):
  """Each device draws the rows that it holds: those of the table of all."""
  draw, drawn = drawing._draw_rows, []

  def spy(key, rows, *rest):
    drawn.append(len(rows))
    return draw(key, rows, *rest)

  monkeypatch.setattr(drawing, "_draw_rows", spy)
  engine, state = preparation.prepare(counts, settings(mesh=4))
  assert sum(drawn) == 4 * SIZE and max(drawn) == 5 * 8  # blocks of 8 words
  want = drawing.random_params(SIZE, settings())
  for a, b in zip(engine.params(state), want, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_device_may_have_no_words(counts):
  """As 150 words are five blocks of 32."""
  how = settings(mesh=8, tile_size=64)
  engine, state = preparation.prepare(counts, how)
  want = drawing.random_params(SIZE, how)
  for a, b in zip(engine.params(state), want, strict=True):
    np.testing.assert_array_equal(a, b)


def codes_by_count(parts, stacks):
  """The codes in tiles, in lines by row and by column, and in which turn.

  Each is {(word, context): code}, found one by one.
  """
  num_parts, tile_size = parts.num_parts, parts.local.tile_size
  half = parts.local.num_blocks * tile_size
  word_at = {
    part * half + position: word
    for part in range(num_parts)
    for word, position in zip(*parts.words(part), strict=True)
  }
  tiles, rows, cols = {}, {}, {}
  turn = 0

  def note(found, device, word, context, code):
    key = (
      word_at[device * half + word],
      word_at[(device + turn) % num_parts * half + context - half],
    )
    assert key not in found
    found[key] = code

  for stack, _ in stacks:
    if isinstance(stack, ring.Turn):
      turn += 1
      continue
    stack = type(stack)(*map(np.asarray, stack))
    for index in zip(*np.nonzero(stack.code), strict=True):
      device = index[0] // (len(stack.code) // num_parts)
      code = stack.code[index]
      if isinstance(stack, layout.Tiles):
        first, second = stack.pair[index[:2]] * tile_size
        note(tiles, device, first + index[2], second + index[3], code)
        continue
      own = stack.trained[index[0], stack.index[index[:2]]]
      if own < half:
        note(rows, device, own, stack.fixed[index], code)
      else:
        note(cols, device, stack.fixed[index], own, code)
  assert turn == num_parts
  return tiles, rows, cols


@pytest.mark.parametrize("mesh, min_fill", [
  (2, 0.5), (4, 0.5), (8, 0.5), (8, 0.65),
])  # fmt: skip
def test_a_pass_visits_every_count_where_it_may(
  counts, tmp_path, mesh, min_fill
):
  """Tiles and lines hold all counts, none of a row of another device.

  With a fill of 0.65 the pairs of two rounds of blocks are all tiles or none.
  """
  engine, *_ = start(counts, mesh=mesh, min_fill=min_fill)
  parts = cut(counts, tmp_path, mesh)
  tiles, rows, cols = codes_by_count(parts, engine.stacks(4))
  assert rows == cols and tiles and rows
  want = {
    (row, col): codec.encode(count)
    for row, col, count in zip(*counts[:3], strict=True)
  }
  assert tiles | rows == want and not tiles.keys() & rows.keys()


@pytest.mark.parametrize("mesh", [2, 8])
def test_a_pass_has_few_shapes_and_the_steps_that_it_tells(counts, mesh):
  engine, *_ = start(counts, mesh=mesh)
  for epoch in (1, 4):
    stacks = list(engine.stacks(epoch))
    counted = sum(int(number.sum()) for _, number in stacks)
    assert counted == engine.epochs[epoch - 1].num_steps
  shapes = {(type(s), *(a.shape for a in s)) for s, _ in stacks}
  assert len(shapes) == 3  # tiles, lines and turns


def test_tiles_that_stay_on_devices_train_as_those_that_are_read(
  counts, monkeypatch
):
  ends = []
  for resident in (False, True):
    device = DeviceSettings(resident, 2, 4, line_cells=1 << 10)
    monkeypatch.setattr(
      "glove_jax.training.tiles.engine.device_settings",
      lambda *_, chosen=device: chosen,
    )
    ends.append(train_on(counts, mesh=4))
  for a, b in zip(*(params for params, _ in ends), strict=True):
    np.testing.assert_array_equal(a, b)
  assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize("changes", [
  {}, {"engine": "rows"}, {"engine": "rows", "placement": "dim"},
])  # fmt: skip
def test_a_stopped_run_ends_with_the_same_bytes(counts, tmp_path, changes):
  how = settings(mesh=4, **changes)
  whole = loop.train(counts, how, workdir=tmp_path / "whole")
  stopped = tmp_path / "stopped"
  with pytest.raises(Killed):
    loop.train(counts, how, workdir=stopped, on_epoch=kill)
  resumed = loop.train(counts, how, workdir=stopped)
  for a, b in zip(whole, resumed, strict=True):
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("before, after", [(1, 2), (2, 1), (2, 4)])
def test_split_blocks_do_not_resume_on_other_meshes(
  counts, tmp_path, before, after
):
  with pytest.raises(Killed):
    loop.train(counts, settings(mesh=before), workdir=tmp_path, on_epoch=kill)
  with pytest.raises(ValueError, match="with the mesh of before"):
    loop.train(counts, settings(mesh=after), workdir=tmp_path)
