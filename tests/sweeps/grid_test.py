"""Sweeps: what the combinators make, and what is refused."""

import hypothesis
import pytest
from hypothesis import strategies as st

from glove_jax import config as configs
from glove_jax.sweeps import grid
from glove_jax.text import sampling


def test_param_and_product():
  sweep = grid.product(grid.param("x_max", 1, 10), grid.param("alpha", 0.5, 1))
  assert sweep == [
    {"x_max": 1, "alpha": 0.5},
    {"x_max": 1, "alpha": 1},
    {"x_max": 10, "alpha": 0.5},
    {"x_max": 10, "alpha": 1},
  ]


def test_zip_pairs_points_and_refuses_unequal_lengths():
  names, rates = grid.param("optimizer", "a", "b"), grid.param("dim", 1, 2)
  assert grid.zip(names, rates) == [
    {"optimizer": "a", "dim": 1},
    {"optimizer": "b", "dim": 2},
  ]
  with pytest.raises(ValueError):
    grid.zip(names, rates[:1])


def test_chain_keeps_each_point_once():
  assert grid.chain([{"dim": 1}], [{"dim": 2}, {"dim": 1}]) == [
    {"dim": 1},
    {"dim": 2},
  ]


def test_one_at_a_time():
  sweep = grid.one_at_a_time(
    {"dim": 50, "window": 5}, dim=[25, 50], window=[10]
  )
  assert sweep == [
    {"dim": 50, "window": 5},
    {"dim": 25, "window": 5},
    {"dim": 50, "window": 10},
  ]


def test_a_field_cannot_be_set_twice():
  with pytest.raises(ValueError, match="dim"):
    grid.product([{"dim": 1}], [{"dim": 2}])


@hypothesis.given(st.lists(st.integers(1, 4), max_size=3))
def test_a_product_has_as_many_points_as_its_factors_together(sizes):
  parts = [grid.param(f"f{i}", *range(n)) for i, n in enumerate(sizes)]
  sweep = grid.product(*parts)
  expected = 1
  for size in sizes:
    expected *= size
  assert len(sweep) == len(grid.chain(sweep)) == expected


def test_parse_reads_values_in_the_type_of_their_field():
  assert grid.parse("x_max=1,10; dim=5") == [
    {"x_max": 1.0, "dim": 5},
    {"x_max": 10.0, "dim": 5},
  ]
  assert grid.parse("growth=8:1+16:2,4:1;unk=true") == [
    {"growth": ("8:1", "16:2"), "unk": True},
    {"growth": ("4:1",), "unk": True},
  ]


@pytest.mark.parametrize(
  "text, message",
  [
    ("x_maxx=1", "x_maxx"),
    ("dim=a", "dim must be of type int"),
    ("dim=1.5", "dim must be of type int"),
    ("unk=perhaps", "unk must be of type bool"),
    ("dim", "field=value"),
    ("", "empty"),
  ],
)
def test_parse_says_what_is_wrong(text, message):
  with pytest.raises(ValueError, match=message):
    grid.parse(text)


@pytest.mark.parametrize(
  "point, message",
  [
    ({"x_maxx": 1}, r"Point 2 .*x_maxx=1.*There is no setting"),
    ({"dim": "a"}, r"Point 2 .*type int"),
    ({"dim": 0}, r"Point 2 .*at least 1"),
    ({"dim": 100}, "Points 1 and 2 .* are the same"),
  ],
)
def test_a_bad_point_is_named(point, message):
  with pytest.raises(ValueError, match=message):
    grid.make_points({}, [{"dim": 100}, point])


def test_points_are_named_by_their_whole_config():
  sweep = grid.param("x_max", 1, 10)
  names = [point.name for point in grid.make_points({"dim": 8}, sweep)]
  again = [point.name for point in grid.make_points({"dim": 8}, sweep)]
  other = [point.name for point in grid.make_points({"dim": 9}, sweep)]
  assert names == again and not set(names) & set(other)
  assert names[0].startswith("x_max=1-") and names[1].startswith("x_max=10-")


def test_a_label_names_a_point_and_sets_nothing():
  first, second = grid.make_points(
    {}, [{"label": "a / b"}, {"label": "c", "dim": 9}]
  )
  assert first.config == configs.make_config()
  assert second.config.train.dim == 9
  assert "/" not in first.name


def test_a_sample_is_a_part_of_a_larger_one(tmp_path):
  text = tmp_path / "text.txt"
  lines = [f"word{i} more" for i in range(400)]
  text.write_text("\n".join(lines))

  def sample(share):
    config = configs.make_config(share=share).corpus
    path = tmp_path / f"{share}.txt"
    sampling.write_sample([str(text)], config, path)
    return path.read_text().split("\n")[1:-1]

  quarter, half = sample(0.25), sample(0.5)
  assert set(quarter) < set(half) < set(lines)
  assert 70 < len(quarter) < 130 and 160 < len(half) < 240
  with pytest.raises(ValueError, match="keeps none"):
    sample(1e-9)


def test_what_a_point_is_done_with_is_not_in_its_name():
  def point(**base):
    return grid.make_points({"dim": 5} | base, [{"window": 3}])[0]

  one, other = point(), point(threads=1, memory_gb=2.0)
  assert one.name == other.name
  assert grid.counts_settings(one.config) == grid.counts_settings(other.config)
  assert one.name != point(min_count=2).name
