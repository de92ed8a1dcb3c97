"""X -> Params: the training loop and its engines.

Read `loop` first, then `rows`, the reference engines. `engine` defines what an
engine is, and `tiles` has the fast ones. `together` trains several sweep points
at once, and `multihost` connects several processes.
"""
