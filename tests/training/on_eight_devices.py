"""Training on 1, 2, 4 and 8 devices; `sharding_test` runs this with eight.

By itself: XLA_FLAGS=--xla_force_host_platform_device_count=8 pytest
tests/training/on_eight_devices.py
"""

import functools
import itertools

import jax
import numpy as np
import optax
import pytest
import worker_process

from benchmarks import collectives
from glove_jax import config, model
from glove_jax.training import (
  biases,
  checks,
  loop,
  optimizers,
  preparation,
  sharding,
  starts,
)
from glove_jax.training.biases import fit_biases, initial_params
from glove_jax.training.rows import make_run_steps
from glove_jax.training.tiles import (
  codec,
  cutting,
  layout,
  ring,
  ring_jobs,
  strips,
)
from glove_jax.training.tiles.cutting import cut_settings
from glove_jax.training.tiles.grouping import DeviceSettings
from glove_jax.training.tiles.programs import Hyper

SIZE = worker_process.SIZE


@pytest.fixture(scope="module")
def counts():
  return worker_process.make_counts()


def settings(**changes) -> config.TrainConfig:
  small = {"dim": 8, "epochs": 2, "batch_size": 500, "growth": ["64:3"]}
  tiles = {"tile_size": 8, "min_fill": 0.5, "bias_init": "random"}
  tiles |= {"missing": 0.0, "x_max": 10.0}
  return config.make_config(**{**small, **tiles, **changes}).train


def train_on(counts, **changes):
  lines = []
  params = loop.train(counts, settings(**changes), on_epoch=lines.append)
  return params, [line["cost"] for line in lines]


SPLIT_BATCHES = [
  ("rows", "batch", "adagrad"),
  ("rows", "batch", "stanford"),
  ("rows", "dim", "stanford"),
  ("dense", "batch", "adagrad"),
  ("dense", "dim", "adagrad"),
]


@pytest.mark.parametrize("engine, placement, optimizer", SPLIT_BATCHES)
def test_split_batches_and_dimensions_equal_one_device(
  counts, engine, placement, optimizer
):
  run = functools.partial(
    train_on,
    counts,
    engine=engine,
    placement=placement,
    optimizer=optimizer,
    learning_rate=0.05,
  )
  want, costs = run(mesh=1)
  for mesh in (2, 4, 8):
    got, split_costs = run(mesh=mesh)
    np.testing.assert_allclose(split_costs, costs, rtol=1e-6)
    for a, b in zip(got, want, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_padding_moves_no_word_that_the_batch_does_not_name(counts):
  """Adam moves every word of a batch, even where its gradient is 0."""
  run = functools.partial(train_on, counts, engine="rows", optimizer="adam")
  _, costs = run(mesh=1)
  _, split_costs = run(mesh=8)
  np.testing.assert_allclose(split_costs, costs, rtol=1e-4)


def test_a_loss_of_ones_own_is_split(counts):
  def squares(params, batch):
    residual = model.predict(params, batch.row, batch.col) - batch.count
    return 1e-3 * (batch.mask * residual**2).sum()

  ends = [
    loop.train(counts, settings(engine="rows", mesh=mesh), loss=squares)
    for mesh in (1, 8)
  ]
  np.testing.assert_allclose(ends[1].word, ends[0].word, rtol=1e-4, atol=1e-5)


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


def start(counts, **changes):
  """An engine, the state that it starts from, its optimizer, its placement."""
  how = settings(**changes)
  engine = preparation.make_engine(counts, how)
  fit = functools.partial(fit_biases, counts)
  params = initial_params(counts.vocab_size, how, fit)
  state = sharding.put_state(engine.placement, engine.init(params))
  tx = optimizers.make_optimizer(how.optimizer)
  return engine, state, tx, sharding.make_placement(how)


def cut(counts, folder, num_parts):
  """All blocks, dealt as the engine deals them."""
  made = cutting.build(counts, folder, cut_settings(settings()))
  return layout.deal(made, num_parts)


def compiled_text(run, *arguments):
  return run.lower(*arguments).compile().as_text()


@pytest.mark.parametrize("mesh", [2, 4, 8])
@pytest.mark.parametrize("engine, placement", [
  ("rows", "batch"), ("dense", "batch"), ("rows", "dim"), ("dense", "dim"),
])  # fmt: skip
def test_a_step_on_batches_has_one_sum_over_devices(
  counts, engine, placement, mesh
):
  made, state, tx, place = start(
    counts, engine=engine, placement=placement, mesh=mesh
  )
  run = make_run_steps(engine, model.loss, tx, place)
  stack, _ = next(made.stacks(1))
  calls, size = stack.row.shape
  text = compiled_text(run, state, stack, np.ones(calls, np.float32))
  found = collectives.transfers(text)
  gathers = [t.shapes for t in found if t.kind == "all-gather"]
  batches = [f"{of}[{calls},{size}]" for of in ("s32", "s32", "f32", "f32")]
  gathered = list(itertools.chain(*gathers))
  assert sorted(gathered) == sorted(batches)  # once for all steps
  (transfer,) = [t for t in found if t.kind != "all-gather"]
  assert transfer.kind == "all-reduce"
  if placement == "dim":
    assert transfer.shapes == [f"f32[{size}]"]
    return
  rows = size if engine == "rows" else SIZE
  gradients = [f"f32[{rows},8]"] * 2 + [f"f32[{rows}]"] * 2
  assert sorted(transfer.shapes) == sorted([*gradients, "f32[]"])


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
  assert not seen[layout.Tiles] and not seen[layout.Lines]
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
  draw, drawn = biases._draw_rows, []

  def spy(key, high, *rest):
    drawn.append(len(high))
    return draw(key, high, *rest)

  monkeypatch.setattr(biases, "_draw_rows", spy)
  engine, state = preparation.prepare(counts, settings(mesh=4))
  assert sum(drawn) == 2 * SIZE and max(drawn) == 5 * 8  # blocks of 8 words
  want = biases.random_params(SIZE, settings())
  for a, b in zip(engine.params(state), want, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_device_may_have_no_words(counts):
  """As 150 words are five blocks of 32."""
  how = settings(mesh=8, tile_size=64)
  engine, state = preparation.prepare(counts, how)
  want = biases.random_params(SIZE, how)
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
      elif stack.trained[index[:2]] < half:
        note(rows, device, stack.trained[index[:2]], stack.fixed[index], code)
      else:
        note(cols, device, stack.fixed[index], stack.trained[index[:2]], code)
  assert turn == num_parts
  return tiles, rows, cols


@pytest.mark.parametrize("mesh", [2, 4, 8])
def test_a_pass_visits_every_count_where_it_may(counts, tmp_path, mesh):
  """Tiles and lines hold all counts, none of a row of another device."""
  engine, *_ = start(counts, mesh=mesh)
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
  widths = {s.code.shape[-1] for s, _ in stacks if isinstance(s, layout.Lines)}
  shapes = {(type(s), *(a.shape for a in s)) for s, _ in stacks}
  assert len(shapes) == len(widths) + 2  # tiles, and turns


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


class Killed(Exception):
  pass


def kill(line):
  if line["epoch"] == 2:
    raise Killed


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


@pytest.mark.parametrize("before, after", [(1, 4), (4, 2), (2, 1)])
@pytest.mark.parametrize("placement", ["batch", "dim"])
def test_batches_and_dimensions_resume_on_other_meshes(
  counts, tmp_path, placement, before, after
):
  how = functools.partial(settings, engine="rows", placement=placement)
  want = loop.train(counts, how(mesh=1))
  with pytest.raises(Killed):
    loop.train(counts, how(mesh=before), workdir=tmp_path, on_epoch=kill)
  got = loop.train(counts, how(mesh=after), workdir=tmp_path)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("before, after", [(1, 2), (2, 1), (2, 4)])
def test_split_blocks_do_not_resume_on_other_meshes(
  counts, tmp_path, before, after
):
  with pytest.raises(Killed):
    loop.train(counts, settings(mesh=before), workdir=tmp_path, on_epoch=kill)
  with pytest.raises(ValueError, match="with the mesh of before"):
    loop.train(counts, settings(mesh=after), workdir=tmp_path)


def test_dimensions_that_cannot_be_split_evenly_are_refused():
  how = settings(engine="rows", placement="dim", dim=10, mesh=4)
  with pytest.raises(ValueError, match="dim=10 cannot be split evenly"):
    sharding.make_placement(how)


def test_missing_is_refused_on_several_devices_by_rows(counts):
  how = settings(engine="rows", missing=0.1, mesh=4)
  for refused in (checks.check_config, functools.partial(loop.train, counts)):
    with pytest.raises(ValueError, match=r"missing=0\.1 on one device, not 4"):
      refused(how)
  checks.check_config(settings(engine="rows", missing=0.1, mesh=1))


@pytest.mark.parametrize("placement", ["batch", "dim"])
def test_dense_counts_missing_pairs_once_on_several_devices(counts, placement):
  run = functools.partial(
    train_on, counts, engine="dense", placement=placement, missing=0.1
  )
  want, costs = run(mesh=1)
  got, split_costs = run(mesh=4)
  np.testing.assert_allclose(split_costs, costs, rtol=1e-5)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def core_cost(counts, params, core):
  """J and the missing cost of all pairs of which one is in the core."""
  matrix = np.zeros((SIZE, SIZE))
  matrix[counts.row, counts.col] = counts.count
  rank = np.argsort(-np.bincount(counts.row, minlength=SIZE), kind="stable")
  inside = np.isin(np.arange(SIZE), rank[:core])
  pairs = inside[:, None] | inside
  row, col = np.nonzero(pairs & (matrix > 0))
  batch = model.Batch(row, col, matrix[row, col], 1.0)
  others = model.predict(params, *np.nonzero(pairs & (matrix == 0)))
  constants = {"missing": 0.1, "missing_count": 1.0}
  return model.loss(params, batch, x_max=10.0) + model.missing_loss(
    others, **constants
  )


@pytest.mark.parametrize("core", [64, 0])
def test_missing_trains_on_a_ring_as_well_as_on_one_device(
  counts, core, monkeypatch
):
  """With a core of 64 words, the others are fitted to it turn by turn."""
  monkeypatch.setattr(strips, "_PIECE_WORDS", 8)  # as many steps on any ring
  run = functools.partial(
    train_on, counts, epochs=8, missing=0.1, core=core, fit_passes=4,
    bias_init="fit",
  )  # fmt: skip
  want, costs = run(mesh=1)
  for mesh in (2, 3, 8):
    params, split_costs = run(mesh=mesh)
    np.testing.assert_allclose(split_costs[-1], costs[-1], rtol=0.05)
    if 64 % (8 * mesh) == 0:  # the core is the same
      size = core or SIZE
      np.testing.assert_allclose(
        core_cost(counts, params, size),
        core_cost(counts, want, size),
        rtol=0.05,
      )


def test_no_device_is_idle_in_passes_over_the_core(counts, monkeypatch):
  """Blocks of 64 words would leave 7 of 8 devices without any."""
  monkeypatch.setattr(ring_jobs, "_SMALLEST_TILE", 8)
  made, *_ = start(
    counts, mesh=8, missing=0.1, core=128, tile_size=64, epochs=3
  )
  for epoch, num_tiles in ((1, 64), (4, 256)):  # of 64 words, and of the core
    stacks = [n for s, n in made.stacks(epoch) if isinstance(s, layout.Tiles)]
    assert np.concatenate(stacks).tolist() == [1] * num_tiles


def test_strips_are_trained_in_groups_as_alone(counts, monkeypatch):
  """Groups of two strips, of which the last are padded: a device has three."""
  run = functools.partial(
    train_on, counts, mesh=4, missing=0.1, core=64, joint_epochs=0, epochs=1,
    growth=[],
  )  # fmt: skip
  (alone, costs), (grouped, group_costs) = (
    (monkeypatch.setattr(ring_jobs, "_STRIP_WORDS", words), run())[1]
    for words in (8, 16)
  )
  np.testing.assert_allclose(group_costs, costs, rtol=1e-5)
  for a, b in zip(grouped, alone, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_joint_pass_counts_the_strips_of_a_group(counts, monkeypatch):
  monkeypatch.setattr(ring_jobs, "_STRIP_WORDS", 16)
  made, *_ = start(counts, mesh=4, missing=0.1, core=64)
  for stack, num_steps in made.stacks(len(made.epochs)):
    if isinstance(stack, layout.Tiles):
      is_tile = np.asarray(stack.pair)[:, 0, 0] < layout.OUTSIDE
      np.testing.assert_array_equal(num_steps, is_tile)


def test_a_strip_is_fitted_without_words_of_other_devices(counts):
  made, state, _, place = start(counts, mesh=4, missing=0.1, core=64)
  programs = ring.make_programs(settings(missing=0.1), place)
  hyper = Hyper(*np.float32([10, 0.75, 0.2, 0.1, 1]))
  epoch = len(made.epochs) - settings(missing=0.1).resolved.joint_epochs
  last = list(made.stacks(epoch))
  stack, counted = next(one for one in last if isinstance(one[0], strips.Strip))
  text = compiled_text(
    programs[strips.Strip], state, hyper, None, stack,
    np.ones(len(counted), np.float32),
  )  # fmt: skip
  assert not collectives.transfers(text)
  turns = sum(isinstance(stack, ring.Turn) for stack, _ in last)
  assert turns == 4 + 4 * settings().fit_passes
  assert sum(n.sum() for _, n in last) == made.epochs[epoch - 1].num_steps


def test_a_joint_epoch_adds_the_tiles_of_all_strips(counts):
  made, *_ = start(counts, mesh=4, missing=0.1, core=64)
  first, joint = (sum(n.sum() for _, n in made.stacks(e)) for e in (4, 5))
  others = 4 * made._parts.local.num_blocks - 64 // 8
  assert first == (64 // 8) ** 2 + 2 * others
  assert joint == (64 // 8) ** 2 + 2 * others * 64 // 8


def test_all_devices_are_the_default():
  assert sharding.make_placement(settings()).num_devices == 8
