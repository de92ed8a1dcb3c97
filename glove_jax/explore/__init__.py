"""A local page on which vectors are explored: `server` and its `answers`."""
