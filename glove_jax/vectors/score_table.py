"""Results of an evaluation as a table of text."""

from collections.abc import Iterator, Mapping, Sequence

from glove_jax.vectors.analogy import NAMES

_KINDS = ("semantic", "syntactic")


class Scores(dict):
  """Results by the name of their set, which show as a table."""

  def __repr__(self) -> str:
    return format_table(self)


def format_table(results: Mapping[str, Mapping]) -> str:
  """A text table of results by the name of their set.

  Accuracies and coverages are in percent; a correlation is as it is. Results
  with intervals give the long table: one line for each set and method, and
  the comparison if there is one.

  Args:
    results: as `evaluate_vectors` returns them.
  """
  if any(
    "interval" in r.get("total", r) or "missing" in r for r in results.values()
  ):
    return _long_table(results)
  rows = [("", "score", "seen/all", "coverage")]
  for name, result in results.items():
    if result["kind"] == "similarity":
      rows.append(_row(name, result, result["spearman"], "{:.4f}"))
      continue
    totals = {n: result[n] for n in (*_KINDS, "total")}
    rows.append((f"{name} ({NAMES[result['method']]})", "", "", ""))
    for part, score in (result["sections"] | totals).items():
      rows.append(_row(f"  {part}", score, score["accuracy"], "{:.2%}"))
  return _align(rows)


def _long_table(results: Mapping[str, Mapping]) -> str:
  """Analogies, similarities, what is missing, and who wins."""
  head = ["", "score", "95% interval", "seen/all", "coverage"]
  present = {n: r for n, r in results.items() if "missing" not in r}
  scores = [result.get("total", result) for result in present.values()]
  compared = [score["against"] for score in scores if "against" in score]
  if compared:
    head += ["other", "difference", "95% interval", "p"]
  rows = [tuple(head)]
  for name, result in present.items():
    if result["kind"] == "analogies":
      rows += _analogy_rows(name, result)
  for name, result in present.items():
    if result["kind"] == "similarity":
      rows.append(_long_row(name, result, result["spearman"], "{:.4f}"))
  lines = [_align(rows)]
  for name, result in results.items():
    if "missing" in result:
      lines.append(f"{name} is missing: {result['missing']}")
  if compared:
    lines.append(_verdict(compared))
  return "\n".join(lines)


def _analogy_rows(name: str, result: Mapping) -> Iterator[tuple[str, ...]]:
  for method, score in result["methods"].items():
    label = f"{name} ({NAMES[method]})"
    yield _long_row(label, score, score["accuracy"], "{:.2%}")
    if method != result["method"]:
      continue
    for kind in _KINDS:
      if 0 < result[kind]["all"] < result["total"]["all"]:
        accuracy = result[kind]["accuracy"]
        yield _long_row(f"  {kind}", result[kind], accuracy, "{:.2%}")


def _verdict(compared: Sequence[Mapping]) -> str:
  known = [x for x in compared if x["difference"] is not None]
  higher = [x for x in known if x["difference"] > 0]
  lower = [x for x in known if x["difference"] < 0]
  counts = [sum(x["p"] < 0.05 for x in part) for part in (higher, lower)]
  return (
    f"Higher than the other vectors on {len(higher)} of {len(known)} sets "
    f"({counts[0]} with p < 0.05), lower on {len(lower)} ({counts[1]} with "
    "p < 0.05)."
  )


def _long_row(name, score, value, form) -> tuple[str, ...]:
  row = _row(name, score, value, form)
  row = (*row[:2], _interval(score["interval"], form), *row[2:])
  if "against" not in score:
    return row
  other = score["against"]
  signed = form.replace(":", ":+")
  return (
    *row,
    _cell(other["score"], form),
    _cell(other["difference"], signed),
    _interval(other["interval"], signed),
    _p_value(other["p"]),
  )


def _row(name, score, value, form) -> tuple[str, ...]:
  return (
    name,
    _cell(value, form),
    f"{score['seen']}/{score['all']}",
    _cell(score["coverage"], "{:.1%}"),
  )


def _cell(value: float | None, form: str) -> str:
  return "-" if value is None else form.format(value)


def _interval(interval: Sequence[float] | None, form: str) -> str:
  if interval is None:
    return "-"
  return f"[{', '.join(form.format(x) for x in interval)}]"


def _p_value(p: float | None) -> str:
  if p is None:
    return "-"
  return "<0.001" if p < 0.001 else f"{p:.3f}"


def _align(rows: Sequence[tuple[str, ...]]) -> str:
  """Rows of one length as lines, the first column to the left."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return "\n".join(
    "  ".join(
      [row[0].ljust(widths[0])]
      + [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
    ).rstrip()
    for row in rows
  )
