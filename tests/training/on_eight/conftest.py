"""Tests of eight devices; `sharding_test` runs them in one process with eight.

By themselves: XLA_FLAGS=--xla_force_host_platform_device_count=8 pytest -n0
tests/training/on_eight
"""

import os

import pytest
import worker_process

if "device_count=8" not in os.environ.get("XLA_FLAGS", ""):
  collect_ignore_glob = ["*_test.py"]


@pytest.fixture(scope="session")
def counts():
  return worker_process.make_counts()
