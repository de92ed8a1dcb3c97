"""Where a sweep keeps its points, and what their folders say.

counts/<hash>/        a vocabulary and its counts, shared by many points
points/<name>/        config.json, metrics.jsonl, training.json,
                      answers.npz, and last evaluation.json: a point that
                      has it is done; error.txt of a point that failed
"""

import pathlib
import traceback
from collections.abc import Sequence

from glove_jax import atomic
from glove_jax import config as configs
from glove_jax.sweeps import grid
from glove_jax.sweeps.grid import Point
from glove_jax.workdir import fingerprints

ANSWERS = "answers.npz"
Failures = dict[str, str]  # what went wrong, by the name of the point

_MEASURED = ("training.json", "metrics.jsonl", "evaluation.json")
_CHECKSUMS = ".checksums.json"  # of the files that a report reads
_ERROR = "error.txt"


def counts_folder(
  workdir: pathlib.Path, config: configs.Config
) -> pathlib.Path:
  """The work directory with the counts of this config."""
  name = atomic.fingerprint(grid.counts_settings(config))
  return pathlib.Path(workdir, "counts", name)


def point_folder(workdir: pathlib.Path, point: Point) -> pathlib.Path:
  return pathlib.Path(workdir, "points", point.name)


def is_done(workdir: pathlib.Path, point: Point) -> bool:
  return (point_folder(workdir, point) / "evaluation.json").exists()


def adopt(points: Sequence[Point], workdir: pathlib.Path) -> None:
  """Takes over the finished points of an earlier sweep in a work directory.

  A point of the same settings is renamed if it was named by others of them, as
  `x_max=1` is `x_max=1_seed=0` with --seeds. Points of other settings are
  refused, since the report would lose them.

  Raises:
    ValueError: there are points of other settings; the message names one.
  """
  folder = pathlib.Path(workdir, "points")
  names = {_settings_of(point.name): point.name for point in points}
  done = sorted(path.parent for path in folder.glob("*/evaluation.json"))
  for path in done:
    if _settings_of(path.name) not in names:
      raise ValueError(
        f"{workdir} has results of another sweep, such as points/{path.name}, "
        "which its report would lose: name another workdir."
      )
  for path in done:
    name = names[_settings_of(path.name)]
    if not (folder / name).exists():
      path.rename(folder / name)


def check_known(points: Sequence[Point], workdir: pathlib.Path) -> None:
  """Refuses a report that would be empty though there are finished points.

  Raises:
    ValueError: all finished points are of other settings.
  """
  done = any(pathlib.Path(workdir, "points").glob("*/evaluation.json"))
  if done and not any(is_done(workdir, point) for point in points):
    raise ValueError(
      f"The points in {workdir} were trained with other defaults than those of "
      "today: write their report with the version that trained them."
    )


def _settings_of(name: str) -> str:
  """The part of a point's name that is a fingerprint of its settings."""
  return name.rpartition("-")[2]


def damage(folder: pathlib.Path) -> str | None:
  """What is not as it was written in the folder of a finished point, if any."""
  path = folder / _CHECKSUMS
  if not path.exists():  # of a point that is not finished
    return None
  try:
    known, found = atomic.read_json(path), _checksums(folder)
  except (ValueError, OSError) as error:
    return str(error).rstrip(".")
  if known == found:
    return None
  names = known if isinstance(known, dict) else {}
  changed = [
    name for name in names | found if names.get(name) != found.get(name)
  ]
  return f"{folder / (changed or [_CHECKSUMS])[0]} is not as it was written"


def write_checksums(folder: pathlib.Path) -> None:
  """Records the files of a finished point, which `damage` compares."""
  atomic.write_json(folder / _CHECKSUMS, _checksums(folder))


def _checksums(folder: pathlib.Path) -> dict[str, str]:
  names = list(_MEASURED)
  if (folder / ANSWERS).exists():
    names.append(ANSWERS)
  return {name: fingerprints.hash_file(folder / name) for name in names}


def write_error(folder: pathlib.Path, error: Exception) -> str:
  """Writes why a point failed, and the traceback; returns the sentence."""
  lines = str(error).strip().splitlines()
  sentence = lines[0] if lines else type(error).__name__
  text = "".join(traceback.format_exception(error))
  folder.mkdir(parents=True, exist_ok=True)
  atomic.write_text(folder / _ERROR, f"{sentence}\n\n{text}")
  return sentence


def clear_error(folder: pathlib.Path) -> None:
  (folder / _ERROR).unlink(missing_ok=True)


def read_failures(points: Sequence[Point], workdir: pathlib.Path) -> Failures:
  """The sentence of each point that has failed and is not done since."""
  failed = {}
  for point in points:
    path = point_folder(workdir, point) / _ERROR
    if path.exists() and not is_done(workdir, point):
      lines = path.read_text().strip().splitlines() or ["unknown"]
      by_itself = not lines[0].startswith("Traceback")  # else an old file
      failed[point.name] = lines[0 if by_itself else -1]
  return failed
