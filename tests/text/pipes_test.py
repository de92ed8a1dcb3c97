"""What is read more than once is no pipe."""

import os

import pytest

from glove_jax.text import pipes, vocab
from glove_jax.vectors import formats, sets


@pytest.mark.parametrize("read", [
  vocab.read_vocab, sets.read_set, sets.read_similarity, formats.load_vectors,
])  # fmt: skip
def test_a_pipe_is_refused_by_what_reads_twice(tmp_path, read):
  os.mkfifo(tmp_path / "pipe")
  for path in (tmp_path / "pipe", "/dev/stdin"):
    with pytest.raises(ValueError, match=r"only once.* save it to a file"):
      read(path)


def test_files_and_folders_are_no_pipes(tmp_path):
  pipes.refuse_pipe(__file__)
  pipes.refuse_pipe(tmp_path)
  pipes.refuse_pipe(tmp_path / "missing")
