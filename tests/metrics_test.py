"""A file of metrics is read up to its first damaged line."""

import json

import pytest

from glove_jax import metrics

LINES = [{"epoch": n, "cost": 1 / n, "seconds": 0.5} for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("bad", [
  b"", b"\xff\xfe", b"3", b"[]", b'{"epoch": 3}', b"[" * 100_000, b"{" * 9,
  b'{"epoch": "3", "cost": 1, "seconds": 1}', b'{"epoch": 3, "cost": 0.5, ',
])  # fmt: skip
def test_lines_from_a_damaged_one_on_are_written_again(tmp_path, bad):
  path = tmp_path / "metrics.jsonl"
  good = [json.dumps(line).encode() for line in LINES]
  path.write_bytes(b"\n".join([*good[:2], bad, good[3]]) + b"\n")
  assert metrics.read_metrics(path) == LINES[:2]
  writer = metrics.MetricsWriter(path, first_epoch=1)
  writer.write(**LINES[1])
  assert metrics.read_metrics(path) == LINES[:2]
