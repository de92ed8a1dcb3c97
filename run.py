"""GloVe from raw text to evaluated word vectors: `python run.py --help`."""

import signal

if __name__ == "__main__":
  # Ctrl-C ends the imports, which take seconds, without a traceback.
  signal.signal(signal.SIGINT, signal.SIG_DFL)

from glove_jax.commands import main

if __name__ == "__main__":
  main()
