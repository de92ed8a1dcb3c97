"""run.py as a user types it, in a process that need not import it first.

Most of the time of a short command goes into imports. A server does them once,
and forks a process for each command. That process runs the file run.py, with
flags, devices and an exit code of its own.
"""

import functools
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).parent.parent
TIMEOUT = 300  # seconds


def run(*arguments, stdin="", cwd=None):
  """Runs run.py and returns the finished process."""
  with tempfile.TemporaryDirectory() as folder:
    streams = [pathlib.Path(folder, name) for name in ("in", "out", "err")]
    for path, text in zip(streams, (stdin, "", ""), strict=True):
      path.write_text(text)
    command = [str(REPO / "run.py"), *map(str, arguments)]
    request = {
      "argv": command,
      "cwd": str(cwd or pathlib.Path.cwd()),
      "streams": [str(path) for path in streams],
    }
    server = _server()
    print(json.dumps(request), file=server.stdin, flush=True)
    code = int(server.stdout.readline())
    out, err = (path.read_text() for path in streams[1:])
  return subprocess.CompletedProcess(command, code, out, err)


def sentence(done, *parts):
  """Checks that a run failed with one clear sentence and no traceback."""
  assert done.returncode != 0
  lines = done.stderr.strip().splitlines()
  assert len(lines) == 1, done.stderr
  for part in parts:
    assert part in lines[0]


@functools.cache
def _server():
  """The server of this process, with which it ends: its input closes then."""
  return subprocess.Popen(
    [sys.executable, __file__], cwd=REPO, text=True,
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
  )  # fmt: skip


def _serve():
  """Runs each command that comes from the input; answers with exit codes."""
  sys.path.insert(0, str(REPO))
  import glove_jax

  for module in pkgutil.walk_packages(glove_jax.__path__, "glove_jax."):
    if module.name != "glove_jax.__main__":
      importlib.import_module(module.name)
  for line in sys.stdin:
    child = os.fork()
    if not child:
      _become(**json.loads(line))
      return  # and end as any process
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


def _become(argv, cwd, streams):
  """Runs run.py in this process, with these files as standard streams."""
  for number, path in enumerate(streams):
    os.dup2(os.open(path, os.O_RDWR), number)
  os.chdir(cwd)
  signal.alarm(TIMEOUT)
  sys.argv = argv
  runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
  _serve()
