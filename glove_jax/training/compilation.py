"""The start of a device, and the programs that were compiled for it."""

import contextlib
import os
import pathlib
import threading
import warnings

import jax
from jax.experimental.compilation_cache import compilation_cache

from glove_jax.cache import cache_folder, kind_of_cpu, make_writable

# Environment variables by which a user may name a device that is not there.
_DEVICE_VARIABLES = (
  "JAX_PLATFORMS",
  "JAX_PLATFORM_NAME",
  "JAX_DEFAULT_DEVICE",
  "JAX_NUM_CPU_DEVICES",
)
_KEPT_BYTES = 1 << 30  # of programs; a run of its own settings has about 20


def keep_programs() -> None:
  """Keeps compiled programs in `jax` in the cache folder.

  A later process then reads them, which saves seconds of every start. They are
  where JAX's own setting `jax_compilation_cache_dir` says, if it is set.
  `JAX_ENABLE_COMPILATION_CACHE=0` keeps none. Nothing is kept where there is no
  folder to write to. A CPU's program may not run on another machine that shares
  the folder, so each kind of CPU has a folder of its own.
  """
  if jax.config.jax_compilation_cache_dir:
    return
  name = "jax"
  if jax.default_backend() == "cpu":
    kind = kind_of_cpu()
    if not kind:
      return
    name = f"jax-{kind}"
  try:
    folder = os.path.join(cache_folder(), name)
    make_writable(folder)
  except OSError:  # JAX would warn at each program
    return
  if jax.config.jax_compilation_cache_max_size < 0:  # JAX drops none
    with contextlib.suppress(OSError):  # another process may drop them as well
      _drop_old(folder)
  # A program that was cut off, as by a full disk, is compiled again.
  warnings.filterwarnings("ignore", ".*persistent compilation cache entry")
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  compilation_cache.reset_cache()  # programs may have been compiled before


def _drop_old(folder: str) -> None:
  """Removes the programs read longest ago, those beyond _KEPT_BYTES.

  JAX does so itself if `jax_compilation_cache_max_size` is set. But then each
  read takes a lock, and threads that compile wait for each other: 8 threads
  read 16 programs in .3 s instead of .01.
  """
  files = [path for path in pathlib.Path(folder).iterdir() if path.is_file()]
  programs = [(path.stat(), path) for path in files]
  size = 0
  for stat, path in sorted(programs, key=lambda one: -one[0].st_atime):
    size += stat.st_size
    if size > _KEPT_BYTES:
      path.unlink(missing_ok=True)


def options() -> dict[str, int | bool] | None:
  """Options of `jax.jit` with which products of matrices compile sooner.

  For a GPU, XLA would otherwise compile each product in many ways and keep the
  fastest of them. That takes seconds, and cuBLAS chooses as well by itself.
  """
  if jax.default_backend() != "gpu":
    return None
  return {"xla_gpu_autotune_level": 0, "xla_gpu_enable_triton_gemm": False}


def wake_device() -> None:
  """Starts the accelerator in the background, which takes a second or two."""

  def wake():
    with contextlib.suppress(Exception):  # the caller will meet it
      if jax.default_backend() != "cpu":
        jax.device_put(0.0)

  threading.Thread(target=wake, name="wake").start()


def why_no_device() -> str:
  """A sentence on why JAX cannot use its device; "" if it can.

  >>> why_no_device()
  ''
  """
  try:
    jax.device_put(0.0).block_until_ready()
    return ""
  except Exception as error:
    said = " ".join(str(error).split())
  given = [f"{x}={os.environ[x]}" for x in _DEVICE_VARIABLES if x in os.environ]
  named = f" with {' and '.join(given)}" if given else ""
  reason = f" ({said})" if said else ""
  advice = "correct or unset it" if given else "check how JAX is installed"
  return f"JAX has no device to compute on{named}: {advice}{reason}."
