"""Params -> answers: word vectors, their files and their evaluation."""
