"""GloVe word vectors in JAX: from raw text to evaluated vectors."""
