"""Constants of words and ids; imports nothing."""

UNK = "<unk>"  # the name of unknown words in vector files; never a word
UNKNOWN = -1  # among ids: a word outside the vocabulary
END = -2  # among ids: the end of a document
MAX_TOKEN_BYTES = 999  # of UTF-8; longer tokens are cut, as in Stanford's code
