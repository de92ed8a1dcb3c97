"""What the page asks: functions of vectors and a query, which return JSON.

A query is what a URL says, `{"q": "king - man + woman", "k": "5"}`. An answer
is a dict; what cannot be answered is `{"error": a sentence, "near": {unknown
word: words of similar spelling}}`.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping

from glove_jax.explore import flat
from glove_jax.vectors import queries
from glove_jax.vectors.word_vectors import WordVectors

Query = Mapping[str, str]
MOST_ANSWERS = 100
MOST_WORDS = 5000  # on the map
_FREQUENT = 20_000  # words that are compared: by spelling, or of two runs
_MOST_SPELLINGS = 5  # of a word that is unknown
_LONGEST = 50  # characters of a word that is compared


def about(vectors: WordVectors) -> dict:
  """How many words and dimensions there are, and what can be asked."""
  ranks = {rank * len(vectors) // 40 for rank in range(1, 6)}
  return {
    "examples": [vectors.words[rank] for rank in sorted(ranks)],
    "words": len(vectors),
    "dim": vectors.vector_size,
    "intervals": vectors.errors is not None,
    "methods": flat.methods(),
  }


def neighbors(vectors: WordVectors, query: Query) -> dict:
  """The neighbours of a word or of a sum, `q`.

  Args:
    vectors: the vectors.
    query: `q`, such as "king" or "king - man + woman"; `k`, how many; and
      `intervals`, "1" for the 95% interval of each cosine.

  Returns:
    {"words": those of the query, "answers": [{"word", "cosine", "count" if it
    is known, "interval" if asked for}]}. If there can be no intervals, "note"
    says why.

  >>> import numpy as np
  >>> vectors = WordVectors(["up", "high", "down"], np.eye(3)[[0, 0, 1]])
  >>> neighbors(vectors, {"q": "up", "k": "1"})["answers"]
  [{'word': 'high', 'cosine': 1.0}]
  >>> neighbors(vectors, {"q": "hihg"})["near"]
  {'hihg': ['high']}
  """
  text = _text(query, "q")
  ((_, positive, negative),) = queries.questions([text], vectors)
  if error := _unknown(vectors, [*positive, *negative]):
    return error
  k = _number(query, "k", 10, MOST_ANSWERS)
  if positive == [text]:
    found = vectors.neighbors(text, k)
  else:
    found = vectors.most_similar(positive, negative, k)
  return _answers(vectors, query, positive, negative, found)


def analogy(vectors: WordVectors, query: Query) -> dict:
  """The words d for which "`a` is to `b` as `c` is to d", as `neighbors`."""
  a, b, c = (_text(query, name) for name in "abc")
  if error := _unknown(vectors, [a, b, c]):
    return error
  found = vectors.analogy(a, b, c, _number(query, "k", 10, MOST_ANSWERS))
  return _answers(vectors, query, [b, c], [a], found)


def similarity(vectors: WordVectors, query: Query) -> dict:
  """The cosine of two words, `a` and `b`, as `neighbors`."""
  a, b = (_text(query, name) for name in "ab")
  if error := _unknown(vectors, [a, b]):
    return error
  found = [(b, vectors.similarity(a, b))]
  return _answers(vectors, query, [a], [], found)


def picture(vectors: WordVectors, query: Query) -> dict:
  """A map of the first words, which are the most frequent.

  Args:
    vectors: the vectors.
    query: `num`, how many words; `method`, one of `flat.methods()`.

  Returns:
    {"words": N words, "x": [N], "y": [N]}, places between -1 and 1.
  """
  num = _number(query, "num", 1000, MOST_WORDS)
  method = query.get("method") or flat.methods()[0]
  places = flat.positions(vectors.unit[:num], method).round(4)
  return {
    "words": vectors.words[:num],
    "x": places[:, 0].tolist(),
    "y": places[:, 1].tolist(),
  }


QUESTIONS: dict[str, Callable[[WordVectors, Query], dict]] = {
  "neighbors": neighbors,
  "analogy": analogy,
  "similarity": similarity,
  "map": picture,
}


def changes(first: WordVectors, second: WordVectors, query: Query) -> dict:
  """The frequent words whose neighbours two vectors agree on least.

  Both are asked about the most frequent 20,000 words that they share.

  Args:
    first: the vectors that say which words are frequent.
    second: others.
    query: `num`, how many words are asked about, and `k`, how many neighbours
      of each.

  Returns:
    {"shared": how many words that is, "mean": the mean share of common
    neighbours, "k", "words": [{"word", "common"}], the least first}.
  """
  both = [word for word in first.words if word in second.index]
  both = both[:_FREQUENT]
  k = min(_number(query, "k", 10, MOST_ANSWERS), len(both) - 1)
  if k < 1:
    return {"error": "These two share too few words to compare.", "near": {}}
  asked = both[: _number(query, "num", 1000, MOST_WORDS)]
  ours, theirs = (
    some.subset(both).neighbors_of_each(asked, k) for some in (first, second)
  )
  common = [
    len({word for word, _ in a} & {word for word, _ in b})
    for a, b in zip(ours, theirs, strict=True)
  ]
  order = sorted(range(len(asked)), key=lambda i: common[i])
  return {
    "shared": len(both),
    "mean": sum(common) / len(common) / k,
    "k": k,
    "words": [{"word": asked[i], "common": common[i]} for i in order],
  }


def spellings(word: str, vectors: WordVectors) -> list[str]:
  """Known words that are spelt much as an unknown one, the nearest first."""
  if len(word) > _LONGEST:
    return []
  cases = [word.lower(), word.upper(), word.capitalize()]
  near = [case for case in dict.fromkeys(cases) if case in vectors]
  frequent = (w for w in vectors.words[:_FREQUENT] if len(w) <= _LONGEST)
  near += difflib.get_close_matches(
    word.lower(), frequent, _MOST_SPELLINGS, 0.7
  )
  return list(dict.fromkeys(near))[:_MOST_SPELLINGS]


def _unknown(vectors: WordVectors, words: Iterable[str]) -> dict | None:
  """What is said of words that have no vector; None if all have one."""
  lost = [word for word in dict.fromkeys(words) if word not in vectors]
  if not lost:
    return None
  names = ", ".join(f'"{word}"' for word in lost)
  verb = "is" if len(lost) == 1 else "are"
  return {
    "error": f"{names} {verb} not among the {len(vectors):,} words.",
    "near": {word: spellings(word, vectors) for word in lost},
  }


def _answers(vectors, query, positive, negative, found) -> dict:
  answers, note = [], ""
  for word, cosine in found:
    answer = {"word": word, "cosine": round(float(cosine), 4)}
    if vectors.counts is not None:
      answer["count"] = int(vectors.counts[vectors.index[word]])
    if query.get("intervals") == "1" and not note:
      try:
        ends = vectors.interval(positive, word, negative)
        answer["interval"] = [round(end, 4) for end in ends]
      except (ValueError, OSError) as error:
        note = str(error)  # such as a run without its counts
    answers.append(answer)
  out = {"words": [*positive, *negative], "answers": answers}
  return out | {"note": note} if note else out


def _text(query: Query, name: str) -> str:
  text = query.get(name, "")
  if not text.strip():
    raise ValueError("Type a word.")
  return text.strip()


def _number(query: Query, name: str, default: int, most: int) -> int:
  """A whole number from 1 to `most` in a query."""
  text = query.get(name) or str(default)
  is_number = text.isascii() and text.isdigit() and len(text) < 10
  if not is_number or not 1 <= int(text) <= most:
    raise ValueError(f"{name} must be a whole number from 1 to {most}.")
  return int(text)
