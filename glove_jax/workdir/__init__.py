"""A run on disk: its stages and what they leave."""
