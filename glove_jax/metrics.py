"""What a run reports while it runs: JSON lines and progress bars."""

import contextlib
import contextvars
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

from glove_jax import atomic, lazy

if "ipykernel" in sys.modules:  # in a notebook, which has bars of its own
  from tqdm.auto import tqdm
else:
  from tqdm import tqdm  # loads half as much

_ALWAYS = ("epoch", "cost", "seconds")  # in every line
_shown = contextvars.ContextVar("shown", default=True)


@contextlib.contextmanager
def progress_bars(shown: bool) -> Iterator[None]:
  """Shows no progress bars in the block if `shown` is False."""
  token = _shown.set(shown and _shown.get())
  try:
    yield
  finally:
    _shown.reset(token)


def progress(
  description: str,
  total: int | None = None,
  unit: str = "it",
  enabled: bool = True,
):
  """A progress bar with rate and remaining time.

  It shows on a terminal and in a notebook only.

  Args:
    description: stands before the bar.
    total: the number of units, if known.
    unit: the name of a unit.
    enabled: False shows nothing, as for all but one of several processes.

  Returns:
    A `tqdm` bar that appears after the first second and then vanishes.
  """
  return tqdm(
    desc=description,
    total=total,
    unit=unit,
    unit_scale=True,
    delay=1,
    disable=not (enabled and _shown.get() and _is_watched()),
    leave=False,
    dynamic_ncols=True,
  )


def _is_watched() -> bool:
  """Whether a person can see a bar: on a terminal, or in a notebook."""
  on_terminal = hasattr(sys.stderr, "isatty") and sys.stderr.isatty()
  return on_terminal or "ipykernel" in sys.modules


class MetricsWriter:
  """Appends one JSON object a line to a file, from a given epoch on."""

  def __init__(self, path: str | os.PathLike, first_epoch: int = 0):
    """Opens the file, without the lines that a resumed run will write again.

    Args:
      path: the file; it is made where it is missing.
      first_epoch: lines of an `epoch` beyond this one are dropped.
    """
    self._path = pathlib.Path(path)
    old = read_metrics(path) if self._path.exists() else []
    kept = [line for line in old if line["epoch"] <= first_epoch]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    atomic.write_text(self._path, text)

  def write(self, **values) -> None:
    with self._path.open("a") as file:
      file.write(json.dumps(values) + "\n")


def read_metrics(path: str | os.PathLike) -> list[dict]:
  """Reads a metrics file up to its end, or to a damaged line.

  A kill may cut the last line short. Each line that is returned has the numbers
  that `MetricsWriter` is given for every epoch: `epoch`, `cost`, `seconds`.

  Raises:
    FileNotFoundError: there is no such file.
  """
  lines = []
  for text in pathlib.Path(path).read_bytes().splitlines():
    try:
      line = json.loads(text)
    except (ValueError, RecursionError):
      break
    if not _is_line(line):
      break
    lines.append(line)
  return lines


def _is_line(line: object) -> bool:
  return isinstance(line, dict) and all(
    type(line.get(name)) in (int, float) for name in _ALWAYS
  )


def write_tensorboard(
  folder: str | os.PathLike, lines: list[dict], settings: dict, scores: dict
) -> None:
  """Writes a run for TensorBoard: scalars of each epoch, and hparams.

  Args:
    folder: of the run; what it held is replaced.
    lines: as `read_metrics` gives them.
    settings: the run's settings (numbers and text).
    scores: the run's scores.

  Raises:
    ModuleNotFoundError: tensorboardX is not installed.
  """
  with lazy.needed(
    "TensorBoard's files need tensorboardX: pip install tensorboardX."
  ):
    from tensorboardX import SummaryWriter, summary
  shutil.rmtree(folder, ignore_errors=True)
  with SummaryWriter(os.fspath(folder)) as writer:
    for line in lines:
      for name in line.keys() - {"step", "epoch"}:
        writer.add_scalar(f"train/{name}", line[name], line["epoch"])
    # add_hparams would make another run of them, beside the scalars.
    for part in summary.hparams(settings, scores):
      writer.file_writer.add_summary(part)
    for name, score in scores.items():
      writer.add_scalar(name, score)
