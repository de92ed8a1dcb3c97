"""The start of an accelerator, and the programs that it compiled."""

import contextlib
import os
import threading

import jax
from jax.experimental.compilation_cache import compilation_cache


def keep_programs() -> None:
  """Keeps compiled programs in `~/.cache/glove_jax/jax`.

  A later process then reads them, which saves seconds of every start. They are
  in `$GLOVE_JAX_CACHE/jax` if that is set, or where JAX's own setting
  `jax_compilation_cache_dir` says. `JAX_ENABLE_COMPILATION_CACHE=0` keeps none.
  Nothing is kept for a CPU, since such a program may not run on another machine
  that shares the folder, nor where there is no folder to write to.
  """
  if jax.default_backend() == "cpu" or jax.config.jax_compilation_cache_dir:
    return
  cache = os.environ.get("GLOVE_JAX_CACHE") or "~/.cache/glove_jax"
  folder = os.path.join(os.path.expanduser(cache), "jax")
  if not _is_writable(folder):  # JAX would warn at each program
    return
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  compilation_cache.reset_cache()  # programs may have been compiled before


def _is_writable(folder: str) -> bool:
  """Whether files can be created in a folder, which is created if missing."""
  if folder.startswith("~"):  # the user has no home
    return False
  with contextlib.suppress(OSError):
    os.makedirs(folder, exist_ok=True)
  return os.access(folder, os.W_OK | os.X_OK)


def wake_device() -> None:
  """Starts the accelerator in the background, which takes a second or two."""

  def wake():
    with contextlib.suppress(Exception):  # the caller will meet it
      if jax.default_backend() != "cpu":
        jax.device_put(0.0)

  threading.Thread(target=wake, name="wake").start()
