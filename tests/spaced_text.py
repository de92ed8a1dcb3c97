"""Texts whose words stand between all kinds of blanks."""

import numpy as np

RARE_SPACES = ("  ", "\t", "\n", "\n\n", " \n \n", "\r\n", " \n\t")
SPACES = (" ",) * 60 + RARE_SPACES


def make_text(seed=0, words=2500, spaces=SPACES, size=400):
  rng = np.random.default_rng(seed)
  ids = np.minimum(rng.zipf(1.3, words), size)
  return "".join(f"é{i}{spaces[rng.integers(len(spaces))]}" for i in ids)
