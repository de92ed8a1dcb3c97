"""What a run made, in the formats of other programs."""

import os
import pathlib

from glove_jax import config as configs
from glove_jax import lazy
from glove_jax.config import Config
from glove_jax.text.streams import PACKED
from glove_jax.workdir import artifacts

# What a help page does not need.
model = lazy.module("glove_jax.model")
stanford = lazy.module("glove_jax.counts.stanford")
formats = lazy.module("glove_jax.vectors.formats")
model2vec = lazy.module("glove_jax.vectors.formats.model2vec")
model_card = lazy.module("glove_jax.workdir.model_card")

# What `export` can write, and what of a run it writes.
EXPORTS = {
  **dict.fromkeys(configs.FORMATS, "vectors"),
  "npz": "tables",
  "stanford_records": "counts",
  "stanford_shuffled": "counts",
}


def export(
  workdir: str | os.PathLike,
  config: Config,
  form: str,
  output: str,
  limit: int | None = None,
  *,
  sif: float = 0.0,
  remove: int = 0,
) -> pathlib.Path | None:
  """Writes a run's counts, tables or vectors in the format of a program.

  Args:
    workdir: the work directory of the run.
    config: how vectors are combined; the seed of shuffled records.
    form: one of `EXPORTS`; 'npz' is all four tables.
    output: the file; vectors and tables are packed if its name ends in .gz,
      .bz2, .xz, .zst or .zip.
    limit: the most words of vectors or tables, from the most frequent one on.
    sif: a of the weights for sentences, see `WordVectors.weighted`; 0 for none.
    remove: how many common directions to remove from the vectors.

  Returns:
    The model card that was written beside the vectors, if one was.

  Raises:
    FileNotFoundError: the run has not got that far.
    ValueError: a word that the format cannot hold, or counts under the name of
      a packed file.
    OSError: the file cannot be written.
  """
  if EXPORTS[form] == "counts":
    _export_counts(workdir, config, form, output)
    return None
  params, words = formats.read_tables(artifacts.tables_path(workdir))
  vectors = artifacts.run_vectors(workdir, words, params, config.vectors)
  vectors = vectors.first(limit or len(vectors))
  if sif or remove:
    vectors = vectors.weighted(sif or None, remove)
  run = artifacts.read_settings(workdir)
  changes = {
    name: value
    for name, value in configs.settings(config.vectors).items()
    if run.get(name, value) != value
  } | {"max_vocab": limit, "sif": sif, "remove": remove}
  text = model_card.page(
    workdir, vectors, pathlib.Path(output).name, config.vectors.license,
    **{name: value for name, value in changes.items() if value},
  )  # fmt: skip
  if form == "model2vec":
    rules = config.corpus.tokenizer, config.corpus.lowercase
    model2vec.write(
      vectors, output, tokenizer=rules[0], lowercase=rules[1], readme=text
    )
    return pathlib.Path(output, "README.md")
  if form == "npz":
    params = model.Params(*(table[:limit] for table in params))
    formats.write_tables(output, params, words[:limit])
  else:
    formats.write_vectors(vectors, output, form)
  return model_card.write_beside(output, text)


def _export_counts(workdir, config: Config, form: str, output: str) -> None:
  if pathlib.Path(output).suffix.lower() in PACKED:
    raise ValueError(f"{form} is not packed: name a file without {output}.")
  counts = artifacts.read_counts(workdir)
  if form == "stanford_records":
    stanford.write_records(counts, output)
  else:
    stanford.write_shuffled_records(counts, output, seed=config.train.seed)
