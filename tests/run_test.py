"""run.py as a user types it: every command, and every mistake."""

import gzip
import json
import re
import signal
import subprocess
import sys

import gensim.models
import numpy as np
import pytest
from run_py import REPO, run, sentence

QUESTIONS = ": gram1-test\nking queen man woman\nking queen man nonesuch\n"
PAIRS = "king\tqueen\t9.0\nman\twoman\t8.0\nking\tman\t3.0\nking\tzzz\t1\n"


def make_text(seed=0, lines=200):
  """Lines of 30 words, each line from one of four topics."""
  rng = np.random.default_rng(seed)
  words = np.array(
    ["king", "queen", "man", "woman", *(f"w{i}" for i in range(60))]
  )
  topics = words.reshape(4, 16)
  return "".join(
    " ".join(rng.choice(topics[rng.integers(4)], 30)) + "\n"
    for _ in range(lines)
  )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A finished run, as (folder of the text, arguments, process)."""
  folder = tmp_path_factory.mktemp("run")
  (folder / "a.txt").write_text(make_text(0))
  with gzip.open(folder / "b.txt.gz", "wt") as file:
    file.write(make_text(1))
  (folder / "questions.txt").write_text(QUESTIONS)
  (folder / "pairs.tsv").write_text(PAIRS)
  arguments = [
    f"--corpus={folder}/a.txt,{folder}/b.txt.gz",
    f"--workdir={folder}/run", "--dim=6", "--epochs=3", "--window=4",
    "--growth=", "--learning_rate=0.05",
    f"--analogies={folder}/questions.txt",
    f"--similarity={folder}/pairs.tsv",
  ]  # fmt: skip
  return folder, arguments, run(*arguments)


def test_train_leaves_everything_in_the_workdir(trained):
  folder, _, done = trained
  assert done.returncode == 0, done.stderr
  assert "Traceback" not in done.stderr and "\r" not in done.stderr
  workdir = folder / "run"
  names = {path.name for path in workdir.iterdir()}
  assert {
    "config.json", "vocab.txt", "counts", "checkpoints", "metrics.jsonl",
    "vectors.txt", "tables.npz", "evaluation.json",
  } <= names  # fmt: skip
  record = json.loads((workdir / "config.json").read_text())
  assert record["settings"]["dim"] == 6 and record["settings"]["seed"] == 0
  assert record["devices"] and "jax" in record["versions"]
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  costs = [json.loads(line)["cost"] for line in lines]
  assert len(costs) == 3 and costs[-1] < costs[0]
  assert len((workdir / "vectors.txt").read_text().splitlines()) == 64
  results = json.loads((workdir / "evaluation.json").read_text())
  assert len(results) == 2
  assert "nearest neighbours" in done.stdout


def test_a_second_run_does_nothing_again(trained):
  folder, arguments, _ = trained
  before = (folder / "run" / "vectors.txt").stat().st_mtime_ns
  again = run(*arguments)
  assert again.returncode == 0 and "again" not in again.stdout
  assert "pass   1" not in again.stdout
  assert (folder / "run" / "vectors.txt").stat().st_mtime_ns == before


def test_vectors_have_a_model_card_that_changes_nothing_else(trained):
  folder, arguments, _ = trained
  workdir = folder / "run"
  card, vectors = workdir / "vectors.md", workdir / "vectors.txt"
  text, table = card.read_text(), vectors.read_bytes()
  assert "# run\n" in text and "| licence | unspecified |" in text
  assert "| corpus | a.txt, b.txt.gz |" in text and str(folder) not in text
  assert "| `--dim` |" not in text and "| `--window` | 4 |" in text
  assert "| pairs (Spearman) |" in text and "3 of 4 | 75.0%" in text
  done = run(*arguments, "--license=cc-by-4.0")
  assert done.returncode == 0 and "again" not in done.stdout
  licensed = text.replace("unspecified", "cc-by-4.0")
  head, _, rest = card.read_text().partition('license: "cc-by-4.0"\n')
  assert head + rest == licensed and vectors.read_bytes() == table
  assert run(*arguments).returncode == 0 and card.read_text() == text


def test_an_export_has_a_card_beside_it_but_replaces_no_page(trained, tmp_path):
  workdir, output = f"--workdir={trained[0]}/run", tmp_path / "v.vec.gz"
  done = run("export", workdir, f"--output={output}", "--license=mit")
  assert f"its model card in {tmp_path}/v.md" in done.stdout
  assert 'license: "mit"' in (tmp_path / "v.md").read_text()
  (tmp_path / "v.md").write_text("# My page\n")
  done = run("export", workdir, f"--output={tmp_path}/v.npz")
  assert done.returncode == 0 and "model card" not in done.stdout
  assert (tmp_path / "v.md").read_text() == "# My page\n"
  own = trained[0] / "run" / "tables.npz"
  tables = own.read_bytes()
  done = run("export", workdir, f"--output={own}")
  assert done.returncode == 1 and f"{own} belongs to the run" in done.stderr
  assert own.read_bytes() == tables


def test_a_static_embedding_model_is_exported(trained, tmp_path):
  workdir, output = f"--workdir={trained[0]}/run", tmp_path / "model"
  done = run(
    "export", workdir, f"--output={output}", "--format=model2vec",
    "--sif=1e-3", "--remove=1",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "sif = 0.001, remove = 1 |" in (output / "README.md").read_text()
  done = run("neighbors", f"--input={output}", "king", "--k=1")
  assert done.returncode == 0, done.stderr


def test_neighbors_and_analogy(trained):
  workdir = f"--workdir={trained[0]}/run"
  done = run("neighbors", workdir, "king", "queen", "--k=3")
  assert done.returncode == 0, done.stderr
  assert len(re.findall(r"^  .\d\.\d{3}  \w+$", done.stdout, re.M)) == 6
  done = run("analogy", workdir, "man", "king", "woman", "--k=2")
  assert done.returncode == 0, done.stderr
  answers = re.findall(r"\d\.\d{3}  (\w+)", done.stdout)
  assert len(answers) == 2 and not {"man", "king", "woman"} & set(answers)


def test_evaluate(trained):
  folder = trained[0]
  done = run(
    "evaluate", f"--workdir={folder}/run",
    f"--analogies={folder}/questions.txt", f"--similarity={folder}/pairs.tsv",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "1/2" in done.stdout  # questions seen / all
  assert "3/4" in done.stdout  # pairs seen / all


@pytest.mark.parametrize(
  "form, load",
  [
    ("stanford_text", {"no_header": True}),
    ("word2vec", {}),
    ("word2vec_binary", {"binary": True}),
  ],
)
def test_exported_vectors_load_in_gensim(trained, tmp_path, form, load):
  folder = trained[0]
  output = tmp_path / "vectors"
  done = run(
    "export", f"--workdir={folder}/run", f"--format={form}",
    f"--output={output}",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  vectors = gensim.models.KeyedVectors.load_word2vec_format(output, **load)
  assert vectors.vectors.shape == (64, 6)
  done = run("neighbors", f"--input={output}", "king", "--k=1")
  nearest, cosine = vectors.most_similar("king", topn=1)[0]
  assert f"{cosine:6.3f}  {nearest}" in done.stdout


def test_counts_equal_stanfords(parity, tmp_path):
  workdir = f"--workdir={tmp_path}/run"
  done = run(
    "count", f"--corpus={parity}/corpus.txt", workdir,
    "--tokenizer=whitespace", "--nolowercase", "--min_count=3", "--window=5",
    "--context=symmetric", "--distance_weighting=inverse",
    "--count_dtype=float64",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert (tmp_path / "run/vocab.txt").read_bytes() == (
    parity / "vocab.txt"
  ).read_bytes()
  output = tmp_path / "counts.bin"
  run("export", workdir, "--format=stanford_records", f"--output={output}")
  record = np.dtype([("ids", "<i4", 2), ("count", "<f8")])
  got = np.fromfile(output, record)
  want = np.fromfile(parity / "cooccur_symmetric.bin", record)
  np.testing.assert_array_equal(got["ids"], want["ids"])
  # Ours are exact; the C program's sums of thousands of 1/d are not.
  np.testing.assert_allclose(got["count"], want["count"], rtol=1e-13)


def test_stanfords_records_are_trained_on_and_written_again(parity, tmp_path):
  workdir = f"--workdir={tmp_path}/run"
  records = parity / "shuffled.bin"
  arguments = [
    f"--records={records}", f"--records_vocab={parity}/vocab.txt", workdir,
    "--window=5", "--count_dtype=float64",
  ]  # fmt: skip
  done = run(
    *arguments, "--dim=4", "--growth=", "--epochs=1", "--analogies=",
    "--similarity=",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "pass   1" in done.stdout
  output = tmp_path / "counts.bin"
  run("export", workdir, "--format=stanford_records", f"--output={output}")
  assert output.read_bytes() == records.read_bytes()
  run("export", workdir, "--format=stanford_shuffled", f"--output={output}")
  record = np.dtype([("ids", "<i4", 2), ("count", "<f8")])
  new, old = np.fromfile(output, record), np.fromfile(records, record)
  assert (new != old).any()
  np.testing.assert_array_equal(np.sort(new), np.sort(old))
  done = run("count", f"--records={records}", f"--workdir={tmp_path}/other")
  sentence(done, "--records needs --records_vocab")


def test_text_is_added_to_counts(tmp_path):
  texts = [make_text(0), make_text(1) + "new words\n" * 6]
  for name, text in zip("ab", texts, strict=True):
    (tmp_path / f"{name}.txt").write_text(text)
  common = ["--window=3", "--count_dtype=float64"]

  def count(name, *arguments):
    done = run("count", f"--workdir={tmp_path}/{name}", *common, *arguments)
    assert done.returncode == 0, done.stderr

  files = [f"{tmp_path}/{name}.txt" for name in "ab"]
  count("both", f"--corpus={','.join(files)}")
  count("a", f"--corpus={files[0]}")
  count("b", f"--corpus={files[1]}")
  count("grown", f"--corpus={files[1]}", f"--add_to={tmp_path}/a")
  count("merged", "--corpus=", f"--add_to={tmp_path}/a,{tmp_path}/b")
  for name in ("vocab.txt", "counts/row.npy", "counts/count.npy"):
    expected = (tmp_path / "both" / name).read_bytes()
    assert (tmp_path / "grown" / name).read_bytes() == expected
    assert (tmp_path / "merged" / name).read_bytes() == expected
  count(
    "fixed", f"--corpus={files[1]}", f"--add_to={tmp_path}/a",
    "--add_vocab=fixed",
  )  # fmt: skip
  words = (tmp_path / "fixed/vocab.txt").read_text().split()[::2]
  assert set(words) == set((tmp_path / "a/vocab.txt").read_text().split()[::2])
  done = run(
    "count", f"--workdir={tmp_path}/c", "--corpus=", "--window=4",
    f"--add_to={tmp_path}/a",
  )  # fmt: skip
  sentence(done, "cannot be added: their window is 3, not 4")


def test_standard_input(tmp_path):
  done = run(
    "count", "--corpus=-", f"--workdir={tmp_path}/run", "--min_count=1",
    "--window=1", stdin="I like deep learning\n",
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert "6 counts of 4 words" in done.stdout


def test_a_changed_setting_names_what_it_invalidates(tmp_path):
  (tmp_path / "a.txt").write_text(make_text())
  arguments = [
    f"--corpus={tmp_path}/a.txt", f"--workdir={tmp_path}/run", "--dim=4",
    "--engine=rows", "--window=2", "--analogies=", "--similarity=",
  ]  # fmt: skip
  assert run(*arguments, "--epochs=1").returncode == 0
  counts = tmp_path / "run/counts/manifest.json"
  before = counts.stat().st_mtime_ns
  done = run(*arguments, "--epochs=2")
  assert (
    "train (and so vectors, evaluate) again: epochs was 1 and is now 2"
    in (done.stdout)
  )
  assert counts.stat().st_mtime_ns == before
  assert "pass   1" not in done.stdout and "pass   2" in done.stdout
  done = run(*arguments, "--epochs=2", "--window=3")
  assert "counts (and so train, vectors, evaluate) again: window was 2" in (
    done.stdout
  )
  assert "pass   1" in done.stdout


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path):
  (tmp_path / "a.txt").write_text(make_text())
  arguments = [
    f"--corpus={tmp_path}/a.txt", "--dim=8", "--epochs=5", "--tile_size=8",
    "--growth=32:40", "--analogies=", "--similarity=",
  ]  # fmt: skip
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  assert run(*arguments, f"--workdir={whole}").returncode == 0
  command = [
    sys.executable, REPO / "run.py", *arguments, f"--workdir={killed}"
  ]  # fmt: skip
  with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
    for line in process.stdout:
      if line.startswith("pass  12"):
        process.send_signal(signal.SIGKILL)
        break
  assert process.returncode == -signal.SIGKILL
  assert not (killed / "tables.npz").exists()
  again = run(*arguments, f"--workdir={killed}")
  assert again.returncode == 0, again.stderr
  assert "pass   1 " not in again.stdout and "pass  45" in again.stdout
  for name in ("tables.npz", "vectors.txt"):
    assert (whole / name).read_bytes() == (killed / name).read_bytes()


def test_help_shows_each_flag_with_its_meaning():
  done = run("--help")
  for text in (
    "--x_max",
    "--[no]lowercase",
    "the count from which",
    "default: 30, or 10",
    "default: 0.75",
  ):
    assert text in done.stdout


@pytest.fixture
def text(tmp_path):
  path = tmp_path / "text.txt"
  path.write_text("a b a b a b a b a b a b\n")
  return path


@pytest.mark.parametrize(
  "flag, parts",
  [
    ("--nonesuch=1", ["Unknown command line flag 'nonesuch'"]),
    ("--dim=ten", ["--dim", "ten"]),
    ("--x_max=-1", ["--x_max must be greater than 0, got -1.0"]),
    ("--context=both", ["--context", "both", "symmetric"]),
    ("--epochs=-1", ["--epochs must be at least 0"]),
    ("--vectors=average", ["--vectors", "average", "concat"]),
    ("--sweep=dim=0", ["Point 1", "(dim=0): --dim must be at least 1"]),
    ("--optimizer=nonesuch", ["There is no optimizer 'nonesuch'"]),
    ("--corpus=missing.txt", ["missing.txt"]),
    ("--min_count=100", ["min_count=100", "lower"]),
    ("--max_vocab=1", ["vocabulary of 1 word"]),
    ("--workdir=/proc/nonesuch/run", ["/proc/nonesuch"]),
    ("--analogies=missing.txt", ["missing.txt"]),
  ],
)
def test_a_bad_flag_is_one_sentence(text, tmp_path, flag, parts):
  done = run(
    f"--corpus={text}", f"--workdir={tmp_path}/run", "--epochs=1", flag
  )
  sentence(done, *parts)


@pytest.mark.parametrize(
  "flag, parts",
  [
    ("--growth=8192", ["words:passes", "8192"]),
    ("--mesh=99", ["--mesh=99", "devices"]),
    ("--optimizer=nonesuch", ["nonesuch", "adagrad"]),
    ("--dtype=float64", ["float32", "--engine=rows"]),
    ("--add_to=nowhere", ["nowhere", "count there first"]),
  ],
)
def test_what_cannot_train_is_said_before_anything_is_counted(
  text, tmp_path, flag, parts
):
  done = run(f"--corpus={text}", f"--workdir={tmp_path}/run", flag)
  sentence(done, *parts)
  assert not (tmp_path / "run" / "vocab.txt").exists()


@pytest.mark.parametrize(
  "arguments, parts",
  [
    (["trian"], ["There is no command 'trian'", "train"]),
    (["neighbors"], ["neighbors needs one word or more"]),
    (["neighbors", "nonesuch"], ["nonesuch"]),
    (["analogy", "king"], ["three words"]),
    (["export"], ["--output"]),
    (["neighbors", "king", "--workdir=nowhere"], ["no run in nowhere"]),
    (["neighbors", "king", "--input=missing.txt"], ["missing.txt"]),
  ],
)
def test_a_bad_command_is_one_sentence(trained, arguments, parts):
  sentence(run(f"--workdir={trained[0]}/run", *arguments), *parts)
