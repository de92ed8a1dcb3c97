"""The whole in a few lines: count, train, ask, and sweep.

`fitting` has `fit`, `count`, `train` and `load`, `cooccurrences` the counts
with their words, and `sweeping` many runs as a data frame. `keywords` makes
every setting of a run a keyword of the functions that use it.
"""
