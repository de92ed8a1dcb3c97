"""`python -m glove_jax` does what `python run.py` and `glove-jax` do."""

from glove_jax.commands import main

if __name__ == "__main__":
  main()
