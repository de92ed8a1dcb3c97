"""What is said when memory is full."""

from glove_jax import memory


def test_the_sentence_has_one_line_and_is_not_repeated():
  jax_error = RuntimeError("RESOURCE_EXHAUSTED: Out of memory\n  allocating 9")
  error = memory.too_little(jax_error)
  assert str(error) == (
    "There is too little memory for these settings: lower dim, max_vocab or "
    "batch_size (RESOURCE_EXHAUSTED: Out of memory allocating 9)."
  )
  assert memory.too_little(error, lower="--dim") is error
  python = memory.too_little(MemoryError("no room"), lower="--dim")
  assert str(python).endswith("settings: lower --dim (no room).")
