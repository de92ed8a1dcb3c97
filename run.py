"""GloVe from raw text to evaluated word vectors: `python run.py --help`."""

from glove_jax.commands import main

if __name__ == "__main__":
  main()
