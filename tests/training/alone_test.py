"""Functions of data know nothing of processes: one of several may call them."""

import subprocess
import sys
import textwrap
import threading
from concurrent import futures

import numpy as np

from glove_jax.counts import triplets
from glove_jax.training import biases, sorting
from glove_jax.training.tiles import cutting


def make_counts(size=20):
  row, col = np.divmod(np.arange(size * size, dtype=np.int32), size)
  count = 1 + (row * col % 7).astype(np.float32)
  return triplets.Triplets(row, col, count, size)


def test_one_process_of_several_does_not_wait_for_the_others(tmp_path):
  """jax says that there are two processes, and the other never answers."""
  code = f"""
    import sys
    sys.path.insert(0, "tests/training")
    import jax
    from jax.experimental import multihost_utils
    import alone_test
    from glove_jax.counts import triplets
    from glove_jax.training import biases, multihost, sorting
    from glove_jax.training.tiles import cutting

    def wait_for_ever(*args, **kwargs):
      raise AssertionError("This would wait for the other process.")

    jax.distributed.is_initialized = lambda: True
    jax.process_count = lambda: 2
    multihost_utils.process_allgather = wait_for_ever
    assert multihost.several()
    counts = alone_test.make_counts()
    assert triplets.check(counts) is counts
    sorting.by_row(counts)
    biases.fit_biases(counts)
    cutting.cut(counts, {str(tmp_path)!r})
    print("done")
  """
  done = subprocess.run(
    [sys.executable, "-c", textwrap.dedent(code)],
    capture_output=True,
    text=True,
    timeout=200,
  )
  assert done.stdout == "done\n", done.stderr


def test_shares_of_triplets_add_up(monkeypatch):
  """Two shares give the same biases as all counts, however rows are split."""
  monkeypatch.setattr(biases, "_CHUNK", 64)
  counts = make_counts()
  want = biases.fit_biases(counts)
  starts = sorting.by_row(counts)[1]
  chunks = biases._chunks(starts, slice(None))
  assert len(chunks) > 3
  for middle in (0, 100, 200, 399):
    shares = [slice(0, middle), slice(middle, len(counts.row))]
    parts = [biases._chunks(starts, rows) for rows in shares]
    assert parts[0] + parts[1] == chunks
  got = biases.fit_biases(counts, rows=slice(0, len(counts.row)))
  for a, b in zip(got, want, strict=True):
    np.testing.assert_array_equal(a, b)


def test_blocks_of_two_processes_are_those_of_one(tmp_path):
  """Each, in a thread of its own, cuts half of the blocks."""
  counts = make_counts()
  settings = cutting.CutSettings(tile_size=4, min_fill=0.5, first_tier=4)
  whole, remainder = cutting.cut(counts, tmp_path / "whole", settings)
  shares = slice(0, 150), slice(150, len(counts.row))
  barrier, given = threading.Barrier(2, timeout=60), [None, None]

  def cut(process):
    def reduce(array):
      given[process] = array
      barrier.wait()
      total = given[0] + given[1]
      barrier.wait()
      return total

    return cutting.cut(
      counts,
      tmp_path / str(process),
      settings,
      rows=shares[process],
      local=lambda block: block % 2 == process,
      reduce=reduce,
    )

  with futures.ThreadPoolExecutor(2) as pool:
    blocks, parts = zip(*pool.map(cut, (0, 1)), strict=True)
  for one in blocks:
    np.testing.assert_array_equal(one.pair, whole.pair)
    np.testing.assert_array_equal(one.num_counts, whole.num_counts)
    assert one.num_outside == whole.num_outside
  assert sum(len(part.row) for part in parts) == len(remainder.row)
  assert whole.num_counts.sum() + whole.num_outside == len(counts.row)
