"""The directions between rooms: what may import what."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import glove_jax

PACKAGE = pathlib.Path(glove_jax.__file__).parent
GROUND = {
  "atomic", "cache", "config", "effects", "interrupts", "lazy", "memory",
  "metrics", "model", "native", "presets", "settings", "threads",
  "train_config",
}  # fmt: skip
# What each room may import beside itself and the ground.
ROOMS = {
  "text": set(),
  "counts": {"text"},
  "training": {"counts.triplets"},
  "vectors": {
    "text.content",
    "text.datasets",
    "text.pipes",
    "text.streams",
    "text.symbols",
    "text.tokenizers",
  },  # content and streams: packed files are read in one way everywhere
  "workdir": {"text", "counts", "training", "vectors"},
  "sweeps": {"text", "counts", "training", "vectors", "workdir"},
  "explore": {"vectors"},
  "front": {"text", "counts", "training", "vectors", "workdir", "sweeps"},
  "command_help": set(),
  "command_line": {"command_help", "training"},
  "run_flags": {"command_line", "sweeps", "vectors", "workdir"},
  "commands": {
    "command_help", "command_line", "explore", "run_flags", "sweeps",
    "vectors", "workdir",
  },
}  # fmt: skip
# Modules that a reader meets first import little.
LEAVES = {
  "model": set(),
  "settings": set(),
  "train_config": {"settings"},
  "config": {"settings", "train_config"},
  "effects": set(),
  "presets": set(),
  "text.symbols": set(),
  "counts.column_files": {"atomic", "memory", "threads"},
  "counts.triplets": {"memory", "threads", "counts.column_files"},
  "training.connections": set(),
  "training.multihost": {"training.connections"},
  "training.tiles.codec": set(),
}
MODULES = sorted(
  ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
  for path in PACKAGE.rglob("*.py")
  if path.name not in ("__init__.py", "__main__.py")
)


def imports(module):
  """The modules of the package that a module imports, now or later."""
  path = PACKAGE / (module.replace(".", "/") + ".py")
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module:
      names = {f"{node.module}.{alias.name}" for alias in node.names}
      found |= {name if _is_module(name) else node.module for name in names}
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy.module":
      found.add(node.args[0].value)
  prefix = "glove_jax."
  return {name.removeprefix(prefix) for name in found if name[:10] == prefix}


def _is_module(name):
  path = PACKAGE.parent / name.replace(".", "/")
  return path.with_suffix(".py").exists() or path.is_dir()


def is_within(module, rooms):
  return any(module == room or module.startswith(f"{room}.") for room in rooms)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_those_above_it(module):
  room = module.split(".")[0]
  allowed = GROUND | ROOMS.get(room, set()) | {room}
  assert {m for m in imports(module) if not is_within(m, allowed)} == set()


@pytest.mark.parametrize("module", LEAVES)
def test_a_leaf_imports_little(module):
  assert imports(module) <= LEAVES[module]


def test_every_folder_and_file_is_in_the_map():
  rooms = {module.split(".")[0] for module in MODULES}
  assert rooms == GROUND | set(ROOMS)
  for room in rooms:
    assert f"`{room}`" in glove_jax.__doc__


def test_every_folder_is_installed():
  project = PACKAGE.parent / "pyproject.toml"
  setup = tomllib.loads(project.read_text())["tool"]["setuptools"]
  folders = {path.parent for path in PACKAGE.rglob("*.py")}
  names = {
    str(f.relative_to(PACKAGE.parent)).replace("/", ".") for f in folders
  }
  assert names | set(setup["package-dir"]) == set(setup["packages"])


def test_every_file_is_installed():
  project = PACKAGE.parent / "pyproject.toml"
  setup = tomllib.loads(project.read_text())["tool"]["setuptools"]
  kept = {
    path
    for name, patterns in setup["package-data"].items()
    for pattern in patterns
    for path in (PACKAGE.parent / name.replace(".", "/")).glob(pattern)
  }
  for path in PACKAGE.rglob("*"):
    is_code = path.suffix == ".py" or "__pycache__" in path.parts
    assert path.is_dir() or is_code or path in kept, path


# Only the command line has these.
FLAGS_ONLY = ("command_line", "commands", "run_flags", "training.multihost",
  "training.connections")  # fmt: skip


@pytest.mark.parametrize("module", [m for m in MODULES if m not in FLAGS_ONLY])
def test_errors_name_arguments(module):
  path = PACKAGE / (module.replace(".", "/") + ".py")
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Raise):
      texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
      flags = re.findall(r"--[a-z]\w+", " ".join(map(str, texts)))
      assert not flags, f"line {node.lineno} names a flag"


def test_editors_see_the_public_names():
  tree = ast.parse((PACKAGE / "__init__.py").read_text())
  seen = {
    alias.name: node.module
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom) and node.module != "typing"
    for alias in node.names
  }
  assert seen == {k: f"glove_jax.{v}" for k, v in glove_jax._PUBLIC.items()}


def test_public_names_are_found_and_unknown_ones_are_not():
  for name in glove_jax.__all__:
    assert getattr(glove_jax, name).__name__ == name
  for name, room in glove_jax._MODULES.items():
    assert getattr(glove_jax, name).__name__ == f"glove_jax.{room}.{name}"
  with pytest.raises(AttributeError, match="no attribute 'nothing'"):
    _ = glove_jax.nothing


@pytest.mark.parametrize("module, heavy", [
  ("text.reading", "jax numba scipy"),
  ("text.vocab", "jax numba scipy"),
  ("counts.triplets", "jax numba scipy"),
  ("vectors.evaluate", "jax numba"),
  ("config", "jax numba scipy"),
  ("workdir.pipeline", "jax optax scipy.sparse gensim glove_jax.vectors"),
  ("commands", "jax optax scipy.sparse gensim matplotlib glove_jax.vectors"),
])  # fmt: skip
def test_a_module_loads_without_what_it_does_not_need(module, heavy):
  code = f"import sys, glove_jax.{module}; print(*sys.modules)"
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert not set(heavy.split()) & set(done.stdout.split())
