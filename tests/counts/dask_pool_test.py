"""Counting by sections with workers of Dask, some of which die."""

import gzip
import os
import pathlib
import signal
import subprocess
import sys

import distributed
import numpy as np
import pytest
from distributed_test import count, make_config, same_bytes
from spaced_text import make_text

from glove_jax.counts import dask_pool
from glove_jax.counts import distributed as counting
from glove_jax.text import compiled, sections, vocab

REPO = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
  "dask", ["local", "local:0", "local:two", "host:8786", "tcp://host", "tcp://"]
)
def test_a_bad_address_is_one_sentence(dask):
  with pytest.raises(ValueError, match=f"dask={dask} is not a cluster: give"):
    dask_pool.Cluster(make_config(dask=dask))


def test_without_dask_the_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, "distributed", None)
  with pytest.raises(ImportError, match="pip install distributed"):
    dask_pool.Cluster(make_config(dask="tcp://127.0.0.1:8786"))
  dask_pool.Cluster(make_config(dask="local:2"))  # needs none of it


def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch):
  monkeypatch.setattr(dask_pool, "CONNECT_SECONDS", 1)
  workers = dask_pool.Cluster(make_config(dask="tcp://127.0.0.1:9"))
  with pytest.raises(OSError, match="no scheduler answers there"):
    list(workers.map(len, [1]))


def test_the_workers_here_share_threads_and_memory():
  own = make_config(dask="local:2", threads=4, memory_gb=3.0)
  assert dask_pool.Cluster(own)._resources == (2, 1.5)


# From here on with real workers.


@pytest.fixture(scope="module")
def workers():
  """Three worker processes, as (Dask's cluster, its client)."""
  with (
    distributed.LocalCluster(
      n_workers=3, threads_per_worker=1, dashboard_address=None,
      silence_logs=50,
    ) as started,
    distributed.Client(started, set_as_default=False) as client,
  ):  # fmt: skip
    yield started.scheduler_address, client


@pytest.fixture(scope="module")
def large(tmp_path_factory):
  """A text large enough that each section takes a while, words and counts."""
  folder = tmp_path_factory.mktemp("large")
  rng = np.random.default_rng(0)
  ids = rng.integers(0, 20_000, (25_000, 20))
  path = folder / "text.txt"
  path.write_text(
    "".join(" ".join(f"w{i}" for i in line) + "\n" for line in ids)
  )
  text = compiled.Text([str(path)], "whitespace")
  words = vocab.make_vocab(compiled.count_words(text))
  count(text, words, folder / "whole")
  return text, words, folder / "whole"


SECTION_BYTES = 200_000


def count_large(large, folder, run):
  text, words, _ = large
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sections, "SECTION_BYTES", SECTION_BYTES)
    counting.count_corpus(
      text, words, folder, make_config(), source={}, run=run,
      progress=lambda number: None,
    )  # fmt: skip


def test_a_worker_killed_at_work(workers, large, tmp_path):
  address, client = workers
  pids = client.run(os.getpid)
  killed = []

  def kill_one(task, items):
    for result in job.map(task, items):
      yield result
      busy = [worker for worker, keys in client.processing().items() if keys]
      if not killed and isinstance(result, counting.Counted) and busy:
        killed.append(pids[busy[0]])
        os.kill(killed[0], signal.SIGKILL)

  with dask_pool.Cluster(make_config(dask=address)) as job:
    count_large(large, tmp_path / "counts", kill_one)
  assert same_bytes(large[2], tmp_path / "counts")
  assert killed and killed[0] not in client.run(os.getpid).values()


CHILD = """
import sys, time
from glove_jax import config
from glove_jax.counts import dask_pool, distributed
from glove_jax.text import compiled, sections, vocab
path, folder, address, size = sys.argv[1:]
sections.SECTION_BYTES = int(size)
text = compiled.Text([path], "whitespace")
words = vocab.make_vocab(compiled.count_words(text))
own = config.make_config(window=6, memory_gb=2.0, dask=address).count

def hang(number):
  print("counted", flush=True)
  time.sleep(1000)

distributed.count_corpus(
  text, words, folder, own, source={}, run=dask_pool.Cluster(own).map,
  progress=hang,
)
"""


def test_a_client_that_was_killed_goes_on(workers, large, tmp_path):
  address, _ = workers
  folder = tmp_path / "counts"
  child = subprocess.Popen(
    [
      sys.executable, "-c", CHILD, large[0].paths[0], str(folder), address,
      str(SECTION_BYTES),
    ],
    cwd=REPO, stdout=subprocess.PIPE, text=True,
  )  # fmt: skip
  assert child.stdout.readline() == "counted\n"
  child.kill()
  child.communicate()
  before = _made(tmp_path.glob("counts.parts/*/section-*/run-000000.json"))
  found = {}

  def watched(task, items):
    for result in job.map(task, items):
      if isinstance(result, counting.Counted):
        found.update(_made(run.file("json") for run in result.runs))
      yield result

  with dask_pool.Cluster(make_config(dask=address)) as job:
    count_large(large, folder, watched)
  assert before and before.items() <= found.items()
  assert same_bytes(large[2], folder)


def _made(paths):
  return {path: path.stat().st_mtime_ns for path in paths}


def test_errors_of_workers_are_the_library_s(workers, large, tmp_path):
  address, _ = workers
  text, words, _ = large
  arguments = text, words, tmp_path / "counts"
  own = make_config(dask=address, memory_gb=0.1)
  options = {"source": {}, "progress": lambda number: None}
  with dask_pool.Cluster(own) as job:
    with pytest.raises(ValueError, match=r"^memory_gb=.* is too small"):
      counting.count_corpus(*arguments, own, run=job.map, **options)
    gone = pathlib.Path(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"^Worker tcp://.* on .*nowhere.* All "):
      list(job.map(_read, [gone]))


def _read(path, resources):
  return path.read_text()


def test_run_py(tmp_path):
  (tmp_path / "a.txt").write_text(make_text(0))
  with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
    file.write(make_text(1))
  for name, options in (("here", []), ("dask", ["--dask=local:2"])):
    done = subprocess.run(
      [
        sys.executable, REPO / "run.py", "count", "--memory_gb=4",
        "--corpus=a.txt,b.txt.gz", f"--workdir={name}", *options,
      ],
      cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == 4
  here, dask = tmp_path / "here", tmp_path / "dask"
  assert (here / "vocab.txt").read_bytes() == (dask / "vocab.txt").read_bytes()
  assert same_bytes(here / "counts", dask / "counts")
  # Which hashes are remembered depends on how old the files are.
  names = [
    {path.name for path in folder.iterdir()} - {"fingerprints.json"}
    for folder in (here, dask)
  ]
  assert names[0] == names[1]
