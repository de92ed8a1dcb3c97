"""A program that uses the public names, for mypy to check: see pyproject."""

import numpy as np
import optax

import glove_jax


def use(params: glove_jax.Params) -> None:
  vectors: glove_jax.WordVectors = glove_jax.fit([["a", "b"]], dim=50)
  near: list[tuple[str, float]] = vectors.most_similar("a", topn=5)
  row: np.ndarray = vectors["a"]
  counts: glove_jax.Cooccurrences = glove_jax.count("wiki.txt", window=5)
  trained: glove_jax.Params = glove_jax.train(
    counts, optimizer=optax.adam(1e-2), init=params, on_epoch=print
  )
  again: glove_jax.WordVectors = counts.vectors(trained)
  glove_jax.load("v.bin", limit=10).save("v.txt")
  items: glove_jax.Cooccurrences = glove_jax.from_matrix(row, ["a"])
  cost: float = glove_jax.sweep(items, x_max=[1, 10])["cost"].min()
  config: glove_jax.Config = glove_jax.make_config(dim=50)
  run: glove_jax.Pipeline = glove_jax.Pipeline(config, "runs/wiki")
  print(near, again, cost, run.run().vectors.counts)
