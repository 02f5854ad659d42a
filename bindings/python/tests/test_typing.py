"""The types of the package, of its tests and of its examples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def check(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy() -> None:
    check("mypy")


def test_the_stub_is_that_of_the_module() -> None:
    allow = "tests/stubtest.allow"
    check("mypy.stubtest", "disband", "--mypy-config-file", "pyproject.toml", "--allowlist", allow)
