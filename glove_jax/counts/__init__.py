"""Ids -> X_ij, the weighted co-occurrence counts."""
