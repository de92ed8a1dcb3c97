"""Files -> words -> ids."""
