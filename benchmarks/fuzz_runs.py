"""Readers of counts, work directories and flags, for `fuzz.py`."""

import json

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from absl.testing import flagsaver

from benchmarks.fuzz_samples import Reader, Sample, files, members, of_folder
from glove_jax import atomic, command_line, metrics, run_flags
from glove_jax import config as configs
from glove_jax.counts import spill, stanford, triplets
from glove_jax.sweeps import grid, results, search
from glove_jax.training import checkpoint, checks
from glove_jax.training.tiles import cutting, layout, tile_files
from glove_jax.vectors.word_vectors import WordVectors
from glove_jax.workdir import (
  artifacts,
  fingerprints,
  inputs,
  model_card,
  stages,
)

SCORE = {"correct": 1, "seen": 2, "all": 4, "accuracy": 0.5, "coverage": 0.5}
GOOGLE = {"kind": "analogies", "method": "add", "sections": {"a": SCORE}}
GOOGLE |= dict.fromkeys(("semantic", "syntactic", "total"), SCORE)
PAIRS = {"kind": "similarity", "spearman": 0.5, "coverage": 1.0}
PAIRS |= {"seen": 2, "all": 2}


# Counts


def counts() -> triplets.Triplets:
  row, col = np.divmod(np.arange(12, dtype=np.int32), 4)
  count = np.linspace(0.5, 40, 12, dtype=np.float32)
  return triplets.Triplets(row, col, count, 4)


def read_counts(path) -> None:
  folder = path.parent
  triplets.verify_triplets(folder)
  triplets.check(triplets.read_triplets(folder))
  triplets.check_vocab(folder, "0" * 32)


def count_folders(folder) -> list[Sample]:
  triplets.write_triplets(counts(), folder, vocab="0" * 32)
  return of_folder(files(folder), {"manifest.json": without_checksum})


def without_checksum(data: bytes) -> bytes:
  """A damaged manifest that gets past its own checksum."""
  try:
    facts = json.loads(data)
    del facts["crc32"]
  except (ValueError, KeyError, TypeError, RecursionError):
    return data
  return json.dumps(facts).encode()


def run_folders(folder) -> list[Sample]:
  folder.mkdir()
  keys = np.arange(5, dtype=np.int64)
  for number in range(2):
    spill.write_run(folder, [(keys, keys + 1)], {"part": number}, number)
  return of_folder(files(folder))


def stanford_files(folder) -> list[Sample]:
  folder.mkdir()
  stanford.write_records(counts(), folder / "cooccur.bin")
  return of_folder(files(folder))


# Work directories


def read_config(path) -> None:
  configs.make_config(**artifacts.read_settings(path.parent))
  artifacts.write_config(configs.Config(), path.parent, "counts")


def config_files(folder) -> list[Sample]:
  folder.mkdir()
  artifacts.write_config(configs.Config(), folder)
  return of_folder(files(folder))


def read_notes(path) -> None:
  """The notes of a work directory, and of what it remembers of files."""
  folder = path.parent
  said = []
  for name in stages.STAGES:
    stages.is_valid(folder, name)
  notes = stages.Stages(folder, said.append)
  for name in ("vocab", "counts"):
    with notes.stage(name, {"window": 5}, [folder / "text.txt"]):
      (folder / "vocab.txt").write_text("a 1\n")
      (folder / "counts").mkdir(exist_ok=True)
  inputs._read_notes(path)
  fingerprints.Fingerprints(path).of(folder / "text.txt")


def note_files(folder) -> list[Sample]:
  folder.mkdir()
  (folder / "text.txt").write_text("a\n")
  notes = stages.Stages(folder, lambda line: None)
  for name in ("vocab", "counts"):
    with notes.stage(name, {"window": 5}, [folder / "text.txt"]):
      (folder / "vocab.txt").write_text("a 1\n")
      (folder / "counts").mkdir(exist_ok=True)
  known = {str(folder / "text.txt"): [2, 3, 4, 5, "0" * 32]}
  content = files(folder)
  content["fingerprints.json"] = json.dumps(known).encode()
  return [
    sample for sample in of_folder(content) if sample.name.endswith(".json")
  ]


def read_metrics(path) -> None:
  metrics.read_metrics(path)
  metrics.MetricsWriter(path, 3)
  assert all(line["epoch"] <= 3 for line in metrics.read_metrics(path))


def metric_files(folder) -> list[Sample]:
  line = {"step": 4, "epoch": 1, "cost": 0.5, "seconds": 0.1}
  lines = [json.dumps(line | {"epoch": n}) + "\n" for n in (1, 2, 3, 4)]
  return [Sample("metrics.jsonl", "".join(lines).encode())]


def read_card(path) -> None:
  folder = path.parent.parent if path.parent.name == "counts" else path.parent
  model_card.page(folder, WordVectors(["a", "b"], np.eye(2)), "name", "")


def cards(folder) -> list[Sample]:
  """What a card is made of."""
  triplets.write_triplets(counts(), folder / "counts")
  artifacts.write_config(configs.Config(), folder)
  (folder / "vocab.txt").write_text("a 2\nb 1\n")
  (folder / "evaluation.json").write_bytes(
    json.dumps({"pairs": PAIRS, "google": GOOGLE}).encode()
  )
  content = files(folder)
  note = {"settings": {}, "inputs": ["0"], "paths": ["a"], "output": "0"}
  content["stages.json"] = json.dumps({"vocab": note}).encode()
  del content["counts/row.npy"], content["counts/col.npy"]
  del content["counts/count.npy"]
  return of_folder(content)


STATE = {
  "a": jnp.arange(6.0).reshape(3, 2),
  "b": jnp.ones(()),
  "c": jnp.ones(2),
}


def read_checkpoint(path) -> None:
  folder = path.parent
  for epoch in checkpoint.epochs(folder):
    checkpoint.check(folder, epoch)
    saved = checkpoint.restore(folder, epoch, STATE)
    jax.tree.map(lambda leaf: leaf[...], saved)
  checkpoint.find_last(folder, 9, lambda line: None)


def checkpoints(folder) -> list[Sample]:
  for epoch in (1, 2):
    checkpoint.save(folder, epoch, STATE)
  content = files(folder)
  first, last = content.values()
  sealed = [
    sample._replace(others={"epoch_000001.npz": first})
    for sample in members(last, "epoch_000002.npz")
  ]
  return [*of_folder(content), *sealed]


def read_tiles(path) -> None:
  if tile_files.is_complete(path.parent):
    blocks = tile_files.read(path.parent)
    layout.map_tiles(blocks)
    layout.plan_pass(blocks)


def tile_folders(folder) -> list[Sample]:
  settings = cutting.CutSettings(tile_size=8, min_fill=0.5)
  cutting.build(counts(), folder, settings)
  return of_folder(files(folder))


def read_point(path) -> None:
  (point,) = grid.make_points({}, [{"dim": 5}])
  row = results.read_row(point, path.parent)
  results.to_csv([row])
  results.to_markdown([row], ["dim"])


def points(folder) -> list[Sample]:
  folder.mkdir()
  facts = {"vocab_size": 3, "num_counts": 9, "wall_seconds": 1.5, "together": 1}
  atomic.write_json(folder / "evaluation.json", {"google": GOOGLE, "p": PAIRS})
  atomic.write_json(folder / "training.json", facts)
  (folder / "metrics.jsonl").write_text(
    '{"epoch": 1, "cost": 1, "seconds": 2}\n'
  )
  return of_folder(files(folder))


# Flags


def read_flags(path) -> None:
  """Parses "name=value" lines as flags, and checks the settings."""
  text = path.read_text("utf-8", "surrogateescape").replace("\0", "")
  arguments = [f"--{line}" for line in text.splitlines() if line.strip()]
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    command_line.parse(["run.py", *arguments])
    config = configs.make_config(**command_line.given(configs.fields()))
    checks.check_config(config.train)
    run_flags.read_flags()


def flag_values(folder) -> list[Sample]:
  if not command_line._names:
    for cls in (*configs.parts().values(), run_flags.RunFlags):
      command_line.define_flags(cls)
  numbers = "dim=50\nx_max=10\nalpha=0.75\nwindow=5\nepochs=2\nmemory_gb=1\n"
  return [
    Sample("flags", numbers.encode()),
    Sample("flags", b"growth=8192:10,16384:6\nengine=rows\noptimizer=adam\n"),
    Sample(
      "flags", b"corpus=a,b\nnolowercase\nvectors=sum\nlearning_rate=.1\n"
    ),
  ]


def read_sweep(path) -> None:
  text = path.read_text("utf-8", "surrogateescape")
  search.read_space(text)
  if ".." not in text:
    grid.make_points({}, grid.parse(text)[:100])


def sweeps(folder) -> list[Sample]:
  return [
    Sample("sweep", b"x_max=1,10;alpha=0.5,0.75;dim=5"),
    Sample("sweep", b"growth=8192:10+16384:6,8192:5;lowercase=true,false"),
    Sample("sweep", b"x_max=1..100;dim=10..20;engine=rows,dense"),
  ]


READERS = [
  Reader("counts", read_counts, count_folders),
  Reader("runs", lambda path: spill.find_runs(path.parent), run_folders, ()),
  Reader("stanford", stanford.read_records, stanford_files),
  Reader("config", read_config, config_files),
  Reader("notes", read_notes, note_files),
  Reader("card", read_card, cards),
  Reader("metrics", read_metrics, metric_files),
  Reader("checkpoints", read_checkpoint, checkpoints, (ValueError,)),
  Reader("tiles", read_tiles, tile_folders, ()),
  Reader("points", read_point, points),
  Reader(
    "flags", read_flags, flag_values, (ValueError, flags.Error),
    names_file=False,
  ),
  Reader("sweep", read_sweep, sweeps, (ValueError,), names_file=False),
]  # fmt: skip
