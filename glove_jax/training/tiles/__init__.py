"""The blocked engine: counts cut into tiles, trained by matrix products."""
