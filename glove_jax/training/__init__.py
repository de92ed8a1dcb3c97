"""X -> Params: engines, optimizers and the loop."""
