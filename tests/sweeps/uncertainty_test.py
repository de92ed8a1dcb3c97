"""Intervals over questions and seeds, and comparisons with the best."""

import numpy as np
import pytest

from glove_jax.sweeps import command, grid, plots, results, scores, uncertainty
from glove_jax.sweeps.options import SweepConfig
from glove_jax.vectors import intervals


def answers(rng, accuracy, num=400):
  return {"set": (rng.random(num) < accuracy).astype(np.float32)}


def test_the_interval_of_one_seed_is_that_of_its_questions():
  rng = np.random.default_rng(0)
  given = answers(rng, 0.3)
  (judged,) = uncertainty.judge([[given]], "set")
  correct = int(given["set"].sum())
  expected = intervals.accuracy_interval(correct, 400)
  assert [judged.low, judged.high] == pytest.approx(expected, abs=0.01)


def test_the_interval_of_pairs_is_that_of_spearman():
  rng = np.random.default_rng(0)
  people = rng.random(100).astype(np.float32)
  cosine = people + rng.normal(size=100).astype(np.float32)
  given = {"ws": cosine, "ws" + scores.PEOPLE: people}
  (judged,) = uncertainty.judge([[given]], "ws")
  expected = intervals.spearman_interval(cosine, people)
  assert [judged.low, judged.high] == pytest.approx(expected, abs=1e-3)


def test_seeds_that_differ_widen_the_interval():
  """Seeds that answer all or nothing: their mean has their deviation."""
  right, wrong = np.ones(50, np.float32), np.zeros(50, np.float32)
  (judged,) = uncertainty.judge([[{"s": right}] * 5 + [{"s": wrong}] * 5], "s")
  sd = np.std([1.0] * 5 + [0.0] * 5, ddof=1) / 10**0.5
  assert judged.high - judged.low == pytest.approx(2 * 1.96 * sd, rel=0.15)
  (same,) = uncertainty.judge([[{"s": right}] * 3], "s")
  assert same.low == same.high == 1


def test_what_is_known_of_seeds_is_used_for_all_settings():
  rng = np.random.default_rng(0)
  few = {"s": (rng.random(300) < 0.5).astype(np.float32)}
  many = [answers(rng, accuracy, 300)["set"] for accuracy in (0.2, 0.5, 0.8)]
  (alone,) = uncertainty.judge([[few]], "s")
  known, _ = uncertainty.judge([[few], [{"s": m} for m in many]], "s")
  assert known.high - known.low > 3 * (alone.high - alone.low)


def test_differences_are_paired():
  """Twelve questions of 400, in one direction: no interval alone shows them."""
  rng = np.random.default_rng(0)
  first = {"set": np.float32(rng.permutation(np.arange(400) < 210))}
  worse = first["set"].copy()
  worse[np.flatnonzero(worse)[:12]] = 0
  other = {"set": np.float32(rng.permutation(np.arange(400) < 198))}
  best, paired, apart = uncertainty.judge(
    [[first], [{"set": worse}], [other]], "set"
  )
  assert best.is_best and best.low < paired.high
  assert paired.p < 0.01 < 0.05 < apart.p


def test_points_of_other_questions_are_not_compared():
  long, short = np.ones(9, np.float32), np.zeros(5, np.float32)
  _, other = uncertainty.judge([[{"s": long}], [{"s": short}]], "s")
  assert np.isnan(other.p) and other.high == 0
  assert uncertainty.judge([[{}]], "s") == [None]


def test_unseen_questions_are_left_out_of_a_comparison():
  seen = np.tile(np.float32([1, 0]), 50)
  half = seen.copy()
  half[50:] = np.nan
  one, other = uncertainty.judge([[{"s": seen}], [{"s": half}]], "s")
  assert other.p == 1.0 and one.high - one.low < other.high - other.low


@pytest.fixture
def three_points():
  rng = np.random.default_rng(0)
  rows, given = [], {}
  for name, accuracy in (("a", 0.5), ("b", 0.48), ("c", 0.1)):
    given[name] = answers(rng, accuracy)
    rows.append(
      {"point": name, "x_max": float(len(rows)), "seed": 0}
      | {"set": float(given[name]["set"].mean())}
      | {"set_n": 400, "set_coverage": 0.25, "cost": 1.0}
    )
  return rows, given


def test_a_table_marks_what_cannot_be_told_from_the_best(three_points):
  heads, cells = results.to_cells(three_points[0], ["x_max"], three_points[1])
  assert heads[:3] == ["x_max (count)", "set", "set, questions"]
  marks = [line[1].text.partition(") ")[2] for line in cells]
  assert sorted(marks) == ["", "best", "≈ best"] and marks[2] == ""
  assert all(line[1].is_low for line in cells)
  assert [line[2].text for line in cells] == ["400 (25.0%)"] * 3


def test_settings_that_follow_from_the_label_have_no_column():
  sweep = [
    {"label": label, "dim": dim, "epochs": epochs}
    for label, dim in (("a", 4), ("b", 8))
    for epochs in (1, 2)
  ]
  points = grid.make_points({}, sweep)
  assert results.varied_names(points) == ["label", "epochs"]
  assert results.varied_names(
    grid.make_points({}, grid.param("dim", 4, 8))
  ) == ["dim"]


@pytest.mark.parametrize("kind", ["lines", "bars", "scatter"])
def test_a_plot_shows_intervals_and_coverage(kind, three_points, tmp_path):
  plot = plots.Plot("p", "T", kind, x="cost" if kind == "scatter" else "x_max",
                    by="x_max", measures=("set",))  # fmt: skip
  rows, given = three_points
  assert plots.write(plot, rows, tmp_path, given) != plots.write(
    plot, rows, tmp_path
  )
  axis = plots.draw(plot, rows, given).axes[0]
  label = axis.get_xlabel() if kind == "bars" else axis.get_ylabel()
  assert label == "set\nn = 400, 25%"


def test_draws_of_documents_are_repeats_of_a_point(tmp_path):
  text, pairs = tmp_path / "text.txt", tmp_path / "pairs.tsv"
  text.write_text("a b c d e\nb c a d\ne d c b a\n" * 20)
  pairs.write_text("a\tb\t9\na\tc\t2\nd\te\t1\n")
  sweep = command.make_plan(
    SweepConfig(sweep="dim=2,3;bootstrap=1,2"),
    {"corpus": str(text), "analogies": (), "similarity": str(pairs),
     "engine": "rows", "epochs": 1, "window": 2},
  )  # fmt: skip
  assert command.run(sweep, SweepConfig(), tmp_path / "w", print) == 0
  rows = results.read_results(sweep.points, tmp_path / "w")
  assert [row["bootstrap"] for row in rows] == [1, 2, 1, 2]
  assert results.varied_names(sweep.points) == ["dim"]
  assert len({row["cost"] for row in rows if row["dim"] == 2}) == 2
  assert [r["num_points"] for r in results.mean_rows(rows, ["dim"])] == [2, 2]
