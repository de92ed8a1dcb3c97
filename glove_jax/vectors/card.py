"""Model cards: a page on vectors, for people and for the Hugging Face Hub.

The head of a page is YAML as `huggingface_hub.ModelCardData` reads it. JSON is
YAML too, so that each value is written as JSON.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from glove_jax.vectors import intervals
from glove_jax.vectors.word_vectors import WordVectors

UNSPECIFIED = "unspecified"
LIBRARY = "glove_jax"
_TAGS = ("word-embeddings", "static-embeddings", "glove")
_FIELLER = 1.03  # Fieller et al. (1957): of Spearman's rho, after Fisher's z
_TASKS = {"analogies": "word analogies", "similarity": "word similarity"}


def page(
  name: str,
  sections: Mapping[str, Mapping[str, object] | str],
  license: str = UNSPECIFIED,
  results: Mapping[str, Mapping] | None = None,
) -> str:
  """A model card.

  Args:
    name: of the model.
    sections: facts by their names, or text, by the title of a section.
    license: an identifier of the Hub such as 'mit', or 'unspecified'.
    results: as `evaluate.evaluate_vectors` returns them.

  Returns:
    Markdown with a YAML head.

  >>> print(page("tiny", {"Vectors": {"words": 3}}, license="mit"))
  ---
  library_name: "glove_jax"
  tags: ["word-embeddings", "static-embeddings", "glove"]
  license: "mit"
  ---
  <BLANKLINE>
  # tiny
  <BLANKLINE>
  ## Vectors
  <BLANKLINE>
  | | |
  |---|---|
  | words | 3 |
  | licence | mit |
  <BLANKLINE>
  """
  head: dict[str, object] = {"library_name": LIBRARY, "tags": _TAGS}
  if license != UNSPECIFIED:
    head["license"] = license
  if measured := list(_measured(results or {})):
    head["model-index"] = [{"name": name, "results": measured}]
  lines = ["---", *(f"{k}: {json.dumps(v)}" for k, v in head.items()), "---"]
  lines += ["", f"# {name}", ""]
  for i, (title, facts) in enumerate(sections.items()):
    lines += [f"## {title}", ""]
    if isinstance(facts, str):
      lines += [facts, ""]
      continue
    facts = facts if i else {**facts, "licence": license}
    lines += ["| | |", "|---|---|", *map(_row, facts.items()), ""]
  if results:
    lines += ["## Evaluation", "", *_table(results), ""]
  return "\n".join(lines)


def of_vectors(vectors: WordVectors, name: str, **options) -> str:
  """The card of vectors of which no more is known.

  Args:
    vectors: the vectors.
    name: of the model.
    **options: further arguments of `page`.
  """
  return page(name, {"Vectors": facts_of(vectors)}, **options)


def facts_of(vectors: WordVectors) -> dict[str, object]:
  """What vectors themselves say: their numbers, type and commonest words."""
  facts = {
    "words": f"{len(vectors):,}",
    "dimensions": vectors.vector_size,
    "type": vectors.vectors.dtype,
    "first words": ", ".join(vectors.words[:10]),
  }
  if vectors.counts is not None:
    facts["occurrences of these words"] = f"{int(vectors.counts.sum()):,}"
  return facts


def is_card(text: str) -> bool:
  """Whether a page is a model card of ours."""
  return text.startswith(f'---\nlibrary_name: "{LIBRARY}"\n')


def _row(cells: Sequence[object]) -> str:
  texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
  return f"| {' | '.join(texts)} |"


def _scores(results: Mapping) -> Iterator[tuple[str, str, dict, float]]:
  """Yields (set, kind, score with its interval, value) of each set seen."""
  for name, result in results.items():
    is_analogies = result["kind"] == "analogies"
    score = result["total"] if is_analogies else result
    value = score["accuracy" if is_analogies else "spearman"]
    if value is not None:
      yield name, result["kind"], score | {"interval": _interval(score)}, value


def _interval(score: Mapping) -> list[float] | None:
  """The 95% interval of a score: as evaluated, or from its numbers."""
  if "interval" in score:
    return score["interval"]
  if "correct" in score:
    return intervals.accuracy_interval(score["correct"], score["seen"])
  rho, seen = score["spearman"], score["seen"]
  if seen < 4 or abs(rho) == 1:
    return None
  reach = 1.96 * _FIELLER / math.sqrt(seen - 3)
  return [math.tanh(math.atanh(rho) + sign * reach) for sign in (-1, 1)]


def _measured(results: Mapping) -> Iterator[dict]:
  """The results as the Hub's model-index has them."""
  for name, kind, score, value in _scores(results):
    metric = "accuracy" if kind == "analogies" else "spearman"
    coverage = {
      "type": "coverage", "value": score["coverage"], "name": "coverage"
    }  # fmt: skip
    yield {
      "task": {"type": kind, "name": _TASKS[kind]},
      "dataset": {"type": name, "name": name},
      "metrics": [{"type": metric, "value": value, "name": metric}, coverage],
    }


def _table(results: Mapping) -> list[str]:
  rows = [("set", "score", "95% interval", "seen", "coverage"), ["---"] * 5]
  for name, kind, score, value in _scores(results):
    form = "{:.2%}" if kind == "analogies" else "{:.4f}"
    low_high = score["interval"] or []
    rows.append((
      f"{name} ({'accuracy' if kind == 'analogies' else 'Spearman'})",
      form.format(value),
      " to ".join(map(form.format, low_high)),
      f"{score['seen']} of {score['all']}",
      f"{score['coverage']:.1%}",
    ))  # fmt: skip
  return list(map(_row, rows))
