"""The files of a corpus: which they are, and the text in them.

What a file is shows in its first bytes, never in its name (`content`). Packed
files (gzip, bzip2, xz, Zstandard, zip) and files with a byte-order mark (UTF-8,
UTF-16, UTF-32) are read as the UTF-8 text in them (`streams`). Files that are
no text are refused, each with one sentence. Everything is streamed.
"""

import contextlib
import glob
import io
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, NamedTuple

from glove_jax import atomic
from glove_jax.text import content, streams
from glove_jax.text.pipes import STDIN, is_pipe

_COPY_BYTES = 1 << 20
_RUN_FILES = ("config.json", "stages.json")  # of every work directory

Path = str | os.PathLike


def open_text(path: Path) -> BinaryIO:
  """Opens a file as the UTF-8 text in it.

  >>> import gzip, pathlib, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = pathlib.Path(folder, "corpus")
  ...   _ = path.write_bytes(gzip.compress("naïve".encode("utf-16")))
  ...   with open_text(path) as file:
  ...     file.read().decode()
  'naïve'

  The text members of a zip archive follow one another with an empty line
  between them. Hidden members, and members that are no text, are left out.

  Args:
    path: the file, or `-` for standard input, which stays open.

  Returns:
    A file of bytes, for a `with` statement. It can be read, and sought in
    forwards (in both directions if `is_plain`).

  Raises:
    ValueError: the file is no text; also while it is read, if it is not valid
      in the encoding that its byte-order mark names.
    OSError: the file is missing, cannot be read, or is damaged; also while it
      is read.
    ImportError: the file is packed with Zstandard and no package reads that.
  """
  return streams.open_stream(path, content.why_no_text)


def is_plain(path: Path) -> bool:
  """Whether the bytes of a file are its text, so that one can seek in them.

  Raises:
    OSError: the file is missing or cannot be read.
  """
  if is_pipe(path):
    return False
  with open(path, "rb") as file:
    head = file.read(16)
  return not content.packing(head) and not content.byte_order_mark(head)[1]


class _Unchanged(Exception):
  """The content is what the file has already."""


def keep(path: Path, folder: Path) -> str:
  """Copies what can be read only once to a file, which can be read again.

  Args:
    path: a pipe (`is_pipe`), or `-` for standard input.
    folder: where the file goes.

  Returns:
    The path of the file, always the same for one `path`. It is written whole or
    not at all. If it has the same content already, it is not touched.

  Raises:
    ValueError: the pipe is empty; the file of an earlier call stays.
    OSError: the pipe cannot be read, or the file cannot be written.
  """
  path = os.path.expanduser(os.fspath(path))
  name = "Standard input" if path in STDIN else path
  kept = os.path.join(folder, _kept_name(path))
  with contextlib.ExitStack() as stack:
    source = sys.stdin.buffer
    if path not in STDIN:
      source = stack.enter_context(open(path, "rb"))
    stack.enter_context(contextlib.suppress(_Unchanged))
    output = stack.enter_context(atomic.write_whole(kept))
    old = io.BytesIO()
    if os.path.exists(kept):
      old = stack.enter_context(open(kept, "rb"))
    size, same = 0, True
    while chunk := source.read(_COPY_BYTES):
      same = same and old.read(len(chunk)) == chunk
      size += len(chunk)
      output.write(chunk)
    if not size:
      raise ValueError(f"{name} is empty: there is no corpus to read.")
    if same and not old.read(1):
      raise _Unchanged
  return kept


def _kept_name(path: str) -> str:
  """A name for what is kept; different paths have different names."""
  if path in STDIN:
    return "stdin.txt"
  name = os.path.abspath(path).strip(os.sep)
  return f"pipe-{name.replace('_', '__').replace(os.sep, '_')}.txt"


class _Search(NamedTuple):
  """What `resolve` looks for."""

  excluded: frozenset[str]  # real paths
  why_not: streams.WhyNot
  say: Callable[[str], object]
  doubtful: list[str]  # texts that are likely not UTF-8


def resolve(
  patterns: Path | Sequence[Path],
  *,
  exclude: Iterable[Path] = (),
  records: bool = False,
  say: Callable[[str], object] = lambda line: None,
) -> list[str]:
  """Lists the files that paths, globs and folders name, each file once.

  A folder stands for the text files in it, at any depth, sorted. Neither
  folders nor globs include hidden files or the work directories of runs.

  Args:
    patterns: files, folders, globs (sorted; `**` matches any depth) or `-` for
      standard input; a `~` at the start is the home folder. Several names of
      one file (links, `./a.txt`) count once.
    exclude: files and folders that neither folders nor globs include, with all
      that is in them. A file that is named itself is never excluded.
    records: list files of JSON and Parquet, for `records.extract_field`,
      instead of text.
    say: called with a line about what was left out because it is no text, and
      about text that is likely not UTF-8.

  Returns:
    Paths in the order of the patterns.

  Raises:
    FileNotFoundError: a pattern matches no file.
    ValueError: a file is no text, or a folder holds none, or only that of runs.
    OSError, ImportError: as for `open_text`.
  """
  if isinstance(patterns, str | bytes | os.PathLike):
    patterns = [os.fsdecode(patterns)]
  search = _Search(
    frozenset(os.path.realpath(path) for path in exclude),
    content.why_no_records if records else content.why_no_text,
    say,
    [],
  )
  paths: dict[object, str] = {}  # by identity
  for pattern in patterns:
    for path in _find(os.path.expanduser(os.fspath(pattern)), search):
      paths.setdefault(_identity(path), path)
  if not paths:
    raise FileNotFoundError("No corpus was named: give a file, a folder or -.")
  if search.doubtful and not records:
    more = len(search.doubtful) - 1
    say(
      f"{search.doubtful[0]}{f' and {more} more' * bool(more)}: some bytes "
      "are not UTF-8, and are not read as letters. If the text is in another "
      "encoding, such as Latin-1, save it as UTF-8."
    )
  return list(paths.values())


def _identity(path: str) -> object:
  if path == "-":
    return path
  state = os.stat(path)
  return state.st_dev, state.st_ino


def _find(pattern: str, search: _Search) -> list[str]:
  """The files of one pattern."""
  if pattern == "-" or is_pipe(pattern):
    return [pattern]
  in_runs = 0  # how many files or folders belong to runs
  if os.path.isdir(pattern):
    paths, in_runs = _walk(pattern, search.excluded)
    found = _keep_text(pattern, paths, search)
  else:
    found = [pattern]
    if not os.path.exists(pattern):
      found, in_runs = _glob(pattern, search.excluded)
    for path in found:
      members = _check(path, search)
      _say_left_out(path, members, search.say)
  if not found and in_runs:
    raise ValueError(
      f"Corpus {pattern!r} lies in the work directory of a run, and what a run "
      "writes is no corpus: name another workdir, or the files themselves."
    )
  if not found:
    raise FileNotFoundError(
      f"Corpus {pattern!r}: no such file, folder or glob match."
    )
  if in_runs:
    search.say(f"{pattern}: what runs wrote there is left out of the corpus.")
  return found


def _glob(pattern: str, excluded: frozenset[str]) -> tuple[list[str], int]:
  """The files that match, and how many others belong to runs."""
  top = os.path.dirname(re.split(r"[*?\[]", pattern, maxsplit=1)[0])
  paths = sorted(glob.glob(pattern, recursive=True))
  paths = [path for path in paths if os.path.isfile(path)]
  folders = {os.path.dirname(path) for path in paths}
  in_runs = {f for f in folders if _belongs_to_run(f, top, excluded)}
  found = [
    path
    for path in paths
    if os.path.dirname(path) not in in_runs
    and os.path.realpath(path) not in excluded
  ]
  return found, len(paths) - len(found)


def _walk(top: str, excluded: frozenset[str]) -> tuple[list[str], int]:
  """The files in a folder, and the number of work directories in it."""

  def fail(error: OSError):
    raise error

  found, in_runs = [], 0
  for folder, subfolders, names in os.walk(top, onerror=fail):
    if _belongs_to_run(folder, folder, excluded):
      subfolders.clear()
      in_runs += 1
      continue
    subfolders[:] = sorted(n for n in subfolders if not n.startswith("."))
    names += [n for n in subfolders if os.path.islink(f"{folder}/{n}")]
    real = os.path.realpath(folder)
    found += [
      os.path.join(folder, name)
      for name in sorted(names)
      if not name.startswith(".") and os.path.join(real, name) not in excluded
    ]
  return found, in_runs


def _belongs_to_run(folder: str, top: str, excluded: frozenset[str]) -> bool:
  """Whether a folder is excluded, or is in a work directory below `top`."""
  real = pathlib.Path(os.path.realpath(folder))
  top = os.path.realpath(top)
  return any(
    str(parent) in excluded
    or (
      parent.is_relative_to(top)
      and all((parent / name).is_file() for name in _RUN_FILES)
    )
    for parent in (real, *real.parents)
  )


def _keep_text(folder: str, paths: list[str], search: _Search) -> list[str]:
  """The files of a folder that are text."""
  found, left_out = [], []
  for path in paths:
    if os.path.isdir(path):
      left_out.append(f"{path} is a link to a folder: name that folder too.")
    elif not os.path.isfile(path):
      left_out.append(f"{path} is a pipe, a device or a broken link.")
    else:
      try:
        left_out += _check(path, search)
        found.append(path)
      except ValueError as error:
        left_out.append(str(error))
  if left_out and not found:
    raise ValueError(f"Corpus {folder!r} holds no text: {left_out[0]}")
  _say_left_out(folder, left_out, search.say)
  return found


def _check(path: str, search: _Search) -> list[str]:
  """As `streams.check_file`; notes a text that is likely not UTF-8."""

  def why_not(head: bytes) -> str | None:
    why = search.why_not(head)
    is_known = path in search.doubtful[-1:]  # by another member of an archive
    if not (why or is_known) and content.is_other_encoding(head):
      search.doubtful.append(path)
    return why

  return streams.check_file(path, why_not)


def _say_left_out(name: str, whys: list[str], say) -> None:
  if whys:
    what = "1 file is" if len(whys) == 1 else f"{len(whys)} files are"
    say(f"{name}: {what} left out of the corpus: {whys[0]}")
