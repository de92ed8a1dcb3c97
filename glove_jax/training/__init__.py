"""X -> Params: the training loop and its engines.

Read `loop`, then `rows`, the reference engines. `engine` says what an engine
is, and `tiles` has the fast ones.
"""
