import fractions
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glove_jax.counts import cooccur, stanford
from glove_jax.text import reading, vocab

ME, LIKE, DEEP, LEARNING = range(4)  # "I like deep learning"


def slow_count(documents, vocab_size, window, context, distance_weighting):
  """Counts by the definition, in exact fractions: [V, V] lists."""
  zero = fractions.Fraction(0)
  matrix = [[zero] * vocab_size for _ in range(vocab_size)]
  for document in documents:
    for here, word in enumerate(document):
      for there, other in enumerate(document):
        distance = abs(here - there)
        if distance == 0 or distance > window or word < 0 or other < 0:
          continue
        if context == "left" and there > here:
          continue
        if context == "right" and there < here:
          continue
        inverse = distance_weighting == "inverse"
        matrix[word][other] += fractions.Fraction(1, distance if inverse else 1)
  return matrix


def dense(counts):
  return counts.matrix().toarray().tolist()


def test_hand_worked_window_of_one():
  counts = cooccur.count([[ME, LIKE, DEEP, LEARNING]], 4, window=1)
  assert dense(counts) == [
    [0, 1, 0, 0],
    [1, 0, 1, 0],
    [0, 1, 0, 1],
    [0, 0, 1, 0],
  ]
  assert counts.unit == 1


def test_hand_worked_window_of_three():
  documents = [[ME, LIKE, DEEP, LEARNING]]
  right = cooccur.count(documents, 4, window=3, context="right")
  assert right.unit == 6  # lcm(1, 2, 3)
  assert right.units.toarray().tolist() == [
    [0, 6, 3, 2],
    [0, 0, 6, 3],
    [0, 0, 0, 6],
    [0, 0, 0, 0],
  ]
  left = cooccur.count(documents, 4, window=3, context="left")
  assert left.units.toarray().tolist() == right.units.T.toarray().tolist()
  both = cooccur.count(documents, 4, window=3)
  assert (both.units != right.units + left.units).nnz == 0


def test_hand_worked_counts_of_three_and_six():
  documents = [[ME, LIKE]] * 3 + [[LIKE, DEEP]] * 6
  x = cooccur.count(documents, 4, window=1).matrix()
  assert x[LIKE, ME] == 3 and x[LIKE, DEEP] == 6
  assert math.log(x[LIKE, ME]) == pytest.approx(1.099, abs=5e-4)
  assert math.log(x[LIKE, DEEP]) == pytest.approx(1.792, abs=5e-4)
  ratio = x[LIKE, ME] / x[LIKE, DEEP]
  assert math.log(ratio) == pytest.approx(-0.693, abs=5e-4)


def test_a_word_near_itself_is_counted_from_both_sides():
  assert dense(cooccur.count([[0, 0]], 2, window=1))[0][0] == 2
  assert dense(cooccur.count([[0, 0]], 2, window=1, context="left"))[0][0] == 1


def test_words_dropped_and_words_whose_places_are_kept():
  made = vocab.Vocab(("a", "b"), [1, 1])
  dropped = vocab.encode([["a", "x", "b"]], made)
  assert dense(cooccur.count(dropped, 2, window=2))[0][1] == 1
  kept = vocab.encode([["a", "x", "b"]], made, keep_places=True)
  assert dense(cooccur.count(kept, 2, window=2))[0][1] == 0.5


documents_strategy = st.lists(
  st.lists(st.integers(-1, 5), max_size=30), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(
  documents=documents_strategy,
  window=st.integers(1, 23),
  context=st.sampled_from(cooccur.CONTEXTS),
  distance_weighting=st.sampled_from(cooccur.DISTANCE_WEIGHTINGS),
  keep_places=st.booleans(),
  max_words=st.integers(8, 60),
  threads=st.integers(1, 3),
)
def test_equals_the_definition(
  documents,
  window,
  context,
  distance_weighting,
  keep_places,
  max_words,
  threads,
):
  if not keep_places:
    documents = [[word for word in d if word >= 0] for d in documents]
  counts = cooccur.count(
    [np.array(d, np.int32) for d in documents],
    6,
    window=window,
    context=context,
    distance_weighting=distance_weighting,
    threads=threads,
    max_words=max_words,
  )
  expected = slow_count(documents, 6, window, context, distance_weighting)
  unit = fractions.Fraction(1, counts.unit)
  found = [[n * unit for n in row] for row in counts.units.toarray().tolist()]
  if window <= cooccur.MAX_EXACT_WINDOW or distance_weighting == "none":
    assert found == expected
  else:
    np.testing.assert_allclose(
      np.array(found, float), np.array(expected, float), atol=30 * 2e-10
    )
  _check_canonical(counts.units)


def _check_canonical(units):
  assert units.dtype == np.int64
  assert (units.data > 0).all()
  for start, stop in zip(units.indptr, units.indptr[1:], strict=False):
    assert (np.diff(units.indices[start:stop]) > 0).all()


@settings(deadline=None)
@given(a=documents_strategy, b=documents_strategy, window=st.integers(1, 30))
def test_counts_of_parts_add_up_to_those_of_the_whole(a, b, window):
  whole = cooccur.count(a + b, 6, window=window)
  parts = cooccur.count(a, 6, window=window) + cooccur.count(
    b, 6, window=window
  )
  assert parts.unit == whole.unit
  assert (parts.units != whole.units).nnz == 0
  _check_canonical(parts.units)


def test_threads_and_memory_change_no_bit():
  rng = np.random.default_rng(0)
  documents = [rng.zipf(1.3, n) % 300 for n in rng.integers(0, 3000, 30)]
  results = [
    cooccur.count(documents, 300, threads=threads, max_words=max_words)
    for threads, max_words in [(1, 1 << 26), (1, 500), (4, 9000), (3, 1 << 20)]
  ]
  for result in results[1:]:
    np.testing.assert_array_equal(result.units.data, results[0].units.data)
    np.testing.assert_array_equal(
      result.units.indices, results[0].units.indices
    )
    np.testing.assert_array_equal(result.units.indptr, results[0].units.indptr)


@pytest.fixture(scope="session")
def parity_documents(parity):
  documents = reading.read_documents(
    [str(parity / "corpus.txt")], tokenizer="whitespace", lowercase=False
  )
  return list(vocab.encode(documents, vocab.read_vocab(parity / "vocab.txt")))


@pytest.mark.parametrize(
  ("name", "options"),
  [
    ("symmetric", {}),
    ("left", {"context": "right"}),
    ("unweighted", {"distance_weighting": "none"}),
  ],
)
def test_equals_stanfords_counts(parity, parity_documents, name, options):
  theirs = stanford.read_records(parity / f"cooccur_{name}.bin", 599)
  counts = cooccur.count(parity_documents, 599, window=5, **options)
  ours = counts.triplets()
  np.testing.assert_array_equal(ours.row, theirs.row)
  np.testing.assert_array_equal(ours.col, theirs.col)
  # Each entry is a float64 sum of n terms there, rounded n - 1 times at least
  # half a unit in the last place; each term and our one division are rounded
  # once. Unweighted terms are whole, so nothing is rounded.
  options = {**options, "distance_weighting": "none"}
  counts = cooccur.count(parity_documents, 599, window=5, **options)
  terms = counts.triplets().count
  bound = 0 if name == "unweighted" else (terms + 1) * 2.0**-53
  relative = np.abs(ours.count - theirs.count) / ours.count
  assert (relative <= bound).all()


def test_stanfords_order_of_summation_explains_its_last_bits(
  parity, parity_documents
):
  theirs = stanford.read_records(parity / "cooccur_left.bin", 599)
  sums = np.zeros((599, 599))
  for document in parity_documents:
    for here, word in enumerate(document):
      for distance in range(1, min(5, here) + 1):
        sums[document[here - distance], word] += 1.0 / distance
  np.testing.assert_allclose(
    sums[theirs.row, theirs.col], theirs.count, rtol=2.0**-52
  )


def test_matrix_is_the_nearest_float(parity_documents):
  counts = cooccur.count(parity_documents, 599, window=5)
  exact = [
    float(fractions.Fraction(n, counts.unit))
    for n in counts.units.data[:2000].tolist()
  ]
  assert counts.matrix().data[:2000].tolist() == exact


def test_units_of_a_distance():
  assert cooccur.distance_units(4, "inverse").tolist() == [12, 12, 6, 4, 3]
  assert cooccur.distance_units(4, "none").tolist() == [1] * 5
  exact = cooccur.distance_units(22, "inverse")
  assert all(exact[0] % d == 0 for d in range(1, 23))
  long = cooccur.distance_units(100, "inverse")
  d = np.arange(1, 101)
  assert np.abs(long[1:] / long[0] - 1 / d).max() < 2e-10
  assert (long[1:23] * d[:22] == long[0]).all()


def test_progress_counts_every_token_once():
  seen = []
  documents = [np.arange(7) % 3, np.arange(100) % 3, np.arange(0)]
  cooccur.count(documents, 3, window=4, max_words=30, progress=seen.append)
  assert sum(seen) == 107 and len(seen) > 2


def test_nothing_to_count():
  for documents in ([], [[]], [[0]], [[-1, -1, 0]]):
    assert cooccur.count(documents, 2).units.nnz == 0


@pytest.mark.parametrize(
  ("documents", "options", "message"),
  [
    ([[0, 3]], {}, "Document 0 holds the id 3, outside 0..2"),
    ([[0], [1, -2]], {}, "Document 1 holds the id -2, outside 0..2"),
    ([["a", "b"]], {}, "not a list of ids"),
    ([[0.5, 1.0]], {}, "not a list of ids"),
    ([], {"vocab_size": 1}, "A vocabulary of 1 word has no pairs to count"),
    ([], {"window": 0}, "window is 0, but must be at least 1"),
    ([], {"threads": 0}, "threads is 0, but must be at least 1"),
    ([], {"context": "both"}, "context is 'both', but must be one of symm"),
    ([], {"distance_weighting": "x"}, "distance_weighting is 'x', but must"),
    ([[0, 1]], {"vocab_size": 2**31}, "does not fit into 64-bit keys"),
  ],
)
def test_bad_input_to_count(documents, options, message):
  with pytest.raises(ValueError, match=message):
    cooccur.count(documents, **{"vocab_size": 3, **options})


def test_counts_that_do_not_belong_together():
  counts = cooccur.count([[0, 1]], 2, window=2)
  with pytest.raises(ValueError, match="over 2 and over 3 words"):
    counts + cooccur.count([[0, 1]], 3, window=2)
  with pytest.raises(ValueError, match="with 2 and with 6 units"):
    counts + cooccur.count([[0, 1]], 2, window=3)
  with pytest.raises(TypeError):
    counts + 1


def test_a_count_that_outgrows_64_bits_is_an_error():
  counts = cooccur.count([[0, 1]], 2, window=1)
  huge = cooccur.Counts(counts.units * (2**62), 1)
  with pytest.raises(OverflowError, match="exceeds 64 bits"):
    huge + huge
