"""The closed-form start against hand-worked values and a plain solver."""

import threading
from concurrent import futures

import numpy as np
import pytest

from glove_jax.counts.triplets import Triplets
from glove_jax.training import biases


def make_triplets(matrix):
  row, col = np.nonzero(matrix)
  return Triplets(
    row.astype(np.int32), col.astype(np.int32), matrix[row, col], len(matrix)
  )


def test_counts_that_are_a_product_are_fitted_exactly():
  left, right = np.array([1.0, 2.0, 5.0]), np.array([3.0, 0.5, 4.0])
  word, context = biases.fit_biases(make_triplets(np.outer(left, right)))
  np.testing.assert_allclose(
    word[:, None] + context, np.log(np.outer(left, right)), atol=1e-9
  )


def test_the_fit_is_the_least_squares_solution():
  rng = np.random.default_rng(0)
  matrix = rng.uniform(1, 50, (6, 6)) * (rng.random((6, 6)) < 0.8)
  triplets = make_triplets(matrix)
  word, context = biases.fit_biases(
    triplets, x_max=10.0, alpha=0.75, rounds=200
  )
  weight = np.minimum(1, (triplets.count / 10.0) ** 0.75)
  design = np.hstack([np.eye(6)[triplets.row], np.eye(6)[triplets.col]])
  root = np.sqrt(weight)
  want, *_ = np.linalg.lstsq(
    design * root[:, None], np.log(triplets.count) * root, rcond=None
  )
  got = word[triplets.row] + context[triplets.col]
  np.testing.assert_allclose(got, design @ want, atol=1e-6)


def test_values_that_share_a_slot_are_told_apart():
  """Two counts share the slot of their value in `_weigh`, row after row."""
  near = 4.0 + 1e-6  # less than a slot away
  assert int(near * biases._SPREAD) == int(4.0 * biases._SPREAD)
  left = np.ones(6)
  right = np.array([4.0, near, 4.0, near, 2.0, 4.0])
  word, context = biases.fit_biases(make_triplets(np.outer(left, right)))
  got = word[:, None] + context
  np.testing.assert_allclose(got, np.log(np.outer(left, right)), atol=1e-12)


def test_a_word_without_counts_gets_zero():
  matrix = np.zeros((3, 3))
  matrix[0, 1] = 4.0
  word, context = biases.fit_biases(make_triplets(matrix))
  assert word[1] == word[2] == context[0] == context[2] == 0
  np.testing.assert_allclose(word[0] + context[1], np.log(4.0))


def test_biases_do_not_depend_on_how_much_is_mapped(monkeypatch):
  monkeypatch.setattr(biases, "_CHUNK", 64)
  matrix = np.random.default_rng(0).lognormal(0, 2, (30, 30))
  matrix[7] = 0
  counts = make_triplets(matrix)
  want = biases.fit_biases(counts)
  for mapped in (1, 40):
    monkeypatch.setattr(biases, "_MAPPED", mapped)
    np.testing.assert_array_equal(biases.fit_biases(counts), want)


@pytest.mark.parametrize("num_processes", [2, 3, 7])
def test_biases_do_not_depend_on_the_number_of_processes(
  monkeypatch, num_processes
):
  """Processes are threads here, which sum arrays as `multihost` does."""
  monkeypatch.setattr(biases, "_CHUNK", 64)
  rng = np.random.default_rng(0)
  counts = make_triplets(rng.lognormal(0, 2, (30, 30)) * (rng.random(30) < 0.8))
  want = biases.fit_biases(counts)
  barrier = threading.Barrier(num_processes, timeout=60)
  shared = [None] * num_processes

  def fit(process):
    def reduce(array):
      shared[process] = array
      barrier.wait()
      total = np.stack(shared).sum(axis=0, dtype=array.dtype)
      barrier.wait()
      return total

    ends = np.arange(num_processes + 1) * len(counts.row) // num_processes
    rows = slice(*map(int, ends[process : process + 2]))
    return biases.fit_biases(counts, rows=rows, reduce=reduce)

  with futures.ThreadPoolExecutor(num_processes) as pool:
    for got in pool.map(fit, range(num_processes)):
      np.testing.assert_array_equal(got, want)
