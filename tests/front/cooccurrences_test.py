"""Counts with their words: matrices, files and vectors."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from glove_jax import Cooccurrences, from_matrix
from glove_jax.counts import triplets
from glove_jax.counts.triplets import Triplets
from glove_jax.front import fitting
from glove_jax.model import Params
from glove_jax.text import vocab

X = [[0.0, 3, 1], [3, 0, 3], [1, 3, 0]]
WORDS = ["a", "b", "c"]


def test_words_are_sorted_by_their_counts():
  counts = from_matrix(scipy.sparse.csr_matrix(X), WORDS)
  assert counts.vocab.words == ("b", "a", "c")
  table = counts.matrix().toarray()
  for i, a in enumerate(WORDS):
    for j, b in enumerate(WORDS):
      assert table[counts.vocab.id(a), counts.vocab.id(b)] == X[i][j]
  row, col, _, vocab_size = counts.triplets()
  keys = row.astype(int) * vocab_size + col
  assert (np.diff(keys) > 0).all() and row.dtype == col.dtype == np.int32


def test_a_change_of_the_matrix_does_not_reach_the_counts():
  counts = from_matrix(X, WORDS)
  for table in (counts.matrix(), counts.triplets().count):
    with pytest.raises(ValueError, match="read-only"):
      table *= 0
  changed = counts.matrix().copy()
  changed.data[:] = 0
  changed.eliminate_zeros()
  assert counts.matrix().sum() == np.sum(X)


def test_entries_of_a_cell_are_summed_and_zeros_dropped():
  entries = ([1, 2, 1, 0, 5], ([0, 0, 1, 1, 0], [1, 1, 0, 0, 0]))
  counts = from_matrix(
    scipy.sparse.coo_array(entries, shape=(2, 2)), ["a", "b"]
  )
  assert counts.matrix().toarray().tolist() == [[5, 3], [1, 0]]
  assert len(counts.triplets().count) == 3
  cancelled = scipy.sparse.coo_array(([1, -1, 2], ([0, 0, 1], [1, 1, 0])))
  assert len(from_matrix(cancelled.tocsr(), ["a", "b"]).triplets().count) == 1


def test_types_of_matrices():
  frame = pd.DataFrame(X, index=WORDS)
  assert from_matrix(frame).matrix().toarray().tolist() == (
    from_matrix(np.array(X, np.int8), WORDS).matrix().toarray().tolist()
  )
  shuffled = pd.DataFrame(X, WORDS, WORDS)[WORDS[::-1]]
  assert from_matrix(shuffled).matrix().toarray().tolist() == (
    from_matrix(frame).matrix().toarray().tolist()
  )
  numbered = pd.DataFrame(X, ["7", "5", "6"], [7, 5, 6])[[5, 6, 7]]
  assert from_matrix(numbered).matrix().toarray().tolist() == (
    from_matrix(frame).matrix().toarray().tolist()
  )
  named = pd.DataFrame(X, columns=WORDS)
  assert from_matrix(named, WORDS).vocab.words == from_matrix(frame).vocab.words
  with pytest.raises(ValueError, match="has other columns than rows"):
    from_matrix(pd.DataFrame(X, WORDS, [*WORDS[1:], "d"]))
  for dtype in (np.float32, np.float64):
    assert (
      from_matrix(np.array(X, dtype), WORDS).triplets().count.dtype == dtype
    )
  assert from_matrix(np.array(X) > 0, WORDS).triplets().count.tolist() == 6 * [
    1
  ]


@pytest.mark.parametrize("table", [
  np.array(X, np.float16), np.array(X, object), jnp.array(X, jnp.bfloat16),
  jnp.array(X), np.ma.array(X), pd.DataFrame(X).convert_dtypes(),
])  # fmt: skip
def test_counts_of_any_type_are_the_same(table):
  np.testing.assert_array_equal(
    from_matrix(table, WORDS).matrix().toarray(),
    from_matrix(X, WORDS).matrix().toarray(),
  )
  may_be_words = getattr(table, "dtype", None) == np.dtype(object)
  assert fitting._is_matrix(table) or may_be_words


@pytest.mark.parametrize("matrix, words, message", [
  (pd.DataFrame(X, WORDS), WORDS[::-1], "another order than the rows"),
  (pd.DataFrame(X, None, WORDS), WORDS[::-1], "order than the columns"),
  (np.ma.masked_equal(X, 3), WORDS, "has masked entries"),
  (pd.DataFrame([[1, None]] * 2, dtype="Int64"), ["a", "b"], "of numbers"),
  (X, None, "words is missing"),
  (X, ["a"], r"shape \(3, 3\) does not fit 1 words"),
  (X[:2], WORDS, r"shape \(2, 3\) does not fit 3 words"),
  (X, [1, 2, 3], "The word 1 is no string"),
  (X, ["a", "a", "b"], "holds 'a' more than once"),
  ([[0, -1], [1, 0]], ["a", "b"], "count of 'a' with 'b' is -1.0"),
  ([[0, 1], [np.nan, 0]], ["a", "b"], "count of 'b' with 'a' is nan"),
  (np.zeros((2, 2)), ["a", "b"], "has no counts"),
  ([["x", "y"]], ["a", "b"], "no matrix of numbers"),
  ([[1j, 1], [1, 1j]], ["a", "b"], "no matrix of numbers .they are complex"),
])  # fmt: skip
def test_a_bad_matrix_gets_a_sentence(matrix, words, message):
  with pytest.raises(ValueError, match=message):
    from_matrix(matrix, words)


def test_saved_counts_are_read_again(tmp_path):
  counts = from_matrix(X, ["a b", "é", "c"])
  counts.kind = {"window": 4}
  counts.save(tmp_path / "x")
  again = Cooccurrences.load(tmp_path / "x")
  again.save(tmp_path / "x")  # over the files that it maps
  again = Cooccurrences.load(str(tmp_path / "x"))
  assert again.vocab == counts.vocab and again.kind == {"window": 4}
  assert (again.matrix() != counts.matrix()).nnz == 0
  with pytest.raises(FileNotFoundError, match="no finished counts"):
    Cooccurrences.load(tmp_path)
  (tmp_path / "x" / "stages.json").write_text('{"counts": {}}')
  with pytest.raises(ValueError, match="belongs to a run"):
    counts.save(tmp_path / "x")


def test_counts_in_any_order_are_those_of_their_pairs(tmp_path):
  expected = from_matrix(X, WORDS)
  row, col, count, vocab_size = expected.triplets()
  order = np.random.default_rng(0).permutation(len(row))
  shuffled = Triplets(row[order], col[order], count[order], vocab_size)
  vocab.write_vocab(expected.vocab, tmp_path / "vocab.txt")
  triplets.write_triplets(shuffled, tmp_path / "counts")
  found = Cooccurrences.load(tmp_path)
  np.testing.assert_array_equal(found.triplets().row, row)
  np.testing.assert_array_equal(
    found.matrix().toarray(), expected.matrix().toarray()
  )
  assert found.ratios("a", "b", ["c"]) == expected.ratios("a", "b", ["c"])


def test_ratios_are_those_of_the_table_in_the_paper():
  counts = from_matrix(X, WORDS)
  np.testing.assert_allclose(counts.ratios("a", "b", ["c", "a"]), [0.5, 0])
  assert counts.ratios("a", "b", "c").tolist() == [0.5]
  with pytest.raises(ValueError, match="'d' is not among the 3 words"):
    counts.ratios("a", "d", ["c"])


def test_vectors_belong_to_the_words():
  counts = from_matrix(X, WORDS)
  table = np.arange(6.0).reshape(3, 2)
  params = Params(table, table + 1, np.zeros(3), np.zeros(3))
  assert counts.vectors(params)["b"].tolist() == [1, 3]
  assert counts.vectors(params, vectors="word", unk=True).words[-1] == "<unk>"
  assert counts.vectors(params).counts is None
  with pytest.raises(ValueError, match="no setting 'vector': did you mean"):
    counts.vectors(params, vector="sum")
  few = Params(*(column[:2] for column in params))
  with pytest.raises(ValueError, match=r"params has 2 words.* have 3"):
    counts.vectors(few)
