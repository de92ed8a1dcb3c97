"""Compares standard errors from counts with a bootstrap over documents.

  python benchmarks/standard_errors.py --corpus=sotu --draws=20 --dim=25

The text is drawn anew --draws times, by documents with replacement, and trained
with the same settings, seed and vocabulary. For pairs of a word and one of its
nearest neighbours, the table has the median standard deviation of the cosine
over the draws, the median standard error that the first run gives it, and how
often the first run's 95% interval holds a draw's cosine. Words are grouped by
how often they occur; `few` are those with fewer contexts than dimensions.
With --unit=count, single pairs of words are drawn instead of documents: each
count is drawn from a Poisson distribution with its mean. With --unit=seed, the
text stays as it is, and only the start of the training differs.
"""

import pathlib
import sys
import tempfile

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from glove_jax import config as configs
from glove_jax.counts import triplets
from glove_jax.text import datasets
from glove_jax.vectors import standard_errors
from glove_jax.workdir import artifacts, pipeline

flags.DEFINE_string("corpus", "sotu", "a named corpus, or a file")
flags.DEFINE_integer("draws", 20, "resamples of the text")
flags.DEFINE_integer("dim", 25, "dimensions")
flags.DEFINE_integer("pairs", 100, "pairs of each group of words")
flags.DEFINE_enum(
  "unit", "document", ("document", "count", "seed"), "what is drawn"
)
FLAGS = flags.FLAGS
_GROUPS = ((5, 10), (10, 30), (30, 100), (100, 1000), (1000, 10**9))


def settings(corpus, **more) -> configs.Config:
  return configs.make_config(
    corpus=corpus, dim=FLAGS.dim, missing=0, growth=(), epochs=15, analogies=(),
    similarity=(), **more,
  )  # fmt: skip


def train(config, workdir):
  """The vectors of a run, with counts and standard errors."""
  pipeline.Pipeline(config, workdir, say=lambda line: None).run()
  return artifacts.read_vectors(workdir, config.vectors)


def choose_pairs(vectors, rng):
  """(group, word, neighbour), for words of each group of frequencies."""
  pairs = []
  for low, high in _GROUPS:
    counts = vectors.counts
    rows = np.flatnonzero((counts >= low) & (counts < high))
    rows = rng.permutation(rows)[: FLAGS.pairs]
    words = [vectors.words[row] for row in rows]
    for word, found in zip(
      words, vectors.neighbors_of_each(words, 5), strict=True
    ):
      pairs.append((f"{low}+", word, found[rng.integers(len(found))][0]))
  return pairs


def draw_documents(lines, folder, rng):
  """A text of as many documents, drawn with replacement."""
  path = folder / "text.txt"
  chosen = rng.integers(len(lines), size=len(lines))
  path.write_text("".join(lines[i] for i in chosen))
  return path


def draw_counts(folder, output, config, rng):
  """Writes counts that are drawn around those of a run."""
  counts = artifacts.read_counts(folder)
  upper = counts.row <= counts.col
  row, col = counts.row[upper], counts.col[upper]
  # a count is a sum of 1/d, on average 0.29 for each pair of words in a window
  unit = np.mean(1 / np.arange(1, config.count.window + 1))
  drawn = rng.poisson(counts.count[upper] / unit) * unit
  row, col, drawn = row[drawn > 0], col[drawn > 0], drawn[drawn > 0]
  other = row != col
  both = triplets.Triplets(
    np.concatenate([row, col[other]]), np.concatenate([col, row[other]]),
    np.concatenate([drawn, drawn[other]]).astype(np.float32), counts.vocab_size,
  )  # fmt: skip
  triplets.write_triplets(both, output)


def retrain(words, counts, output, config):
  """The vectors of a training on a folder of counts."""
  params = pipeline.train(counts, config.train, output, say=lambda line: None)
  return artifacts.make_vectors(words, params, config.vectors)


def main(_):
  rng = np.random.default_rng(0)
  path = pathlib.Path(
    datasets.load_corpus(FLAGS.corpus)
    if FLAGS.corpus in datasets.corpora()
    else FLAGS.corpus
  )
  lines = path.read_text().splitlines(keepends=True)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    config = settings((str(path),))
    first = train(config, folder / "first")
    pairs = choose_pairs(first, rng)
    drawn = []
    for i in range(FLAGS.draws):
      output = folder / str(i)
      output.mkdir()
      words, counts = first.words, output / "counts"
      if FLAGS.unit == "count":
        draw_counts(folder / "first", counts, config, rng)
        other = retrain(words, counts, output, config)
      elif FLAGS.unit == "seed":
        more = settings((str(path),), seed=i + 1)
        other = retrain(words, folder / "first" / "counts", output, more)
      else:
        text = draw_documents(lines, output, rng)
        more = settings((str(text),), vocab=str(folder / "first" / "vocab.txt"))
        other = train(more, output / "run")
      drawn.append([other.similarity(a, b) for _, a, b in pairs])
      print(f"draw {i + 1} of {FLAGS.draws}", file=sys.stderr, flush=True)
    report(first, pairs, np.array(drawn))


def report(first, pairs, drawn) -> None:
  print("| occurrences | cosine | drawn | error | ratio | inside |")
  print("|---|---|---|---|---|---|")
  found = [
    standard_errors.cosine_error(
      first._standard_errors, {a: first[a], b: first[b]}, {a: 1.0}, b
    )
    for _, a, b in pairs
  ]
  cosine, error = np.array(found).T
  ends = np.array([standard_errors.interval(*pair) for pair in found])
  groups = np.array([group for group, _, _ in pairs])
  inside = (drawn >= ends[:, 0]) & (drawn <= ends[:, 1])
  for group in dict.fromkeys(groups):
    some = groups == group
    spread = np.std(drawn[:, some], axis=0, ddof=1)
    print(
      f"| {group} | {np.median(cosine[some]):.3f} | {np.median(spread):.3f} | "
      f"{np.median(error[some]):.3f} | "
      f"{np.median(error[some] / spread):.2f} | {inside[:, some].mean():.2f} |"
    )


if __name__ == "__main__":
  app.run(main)
