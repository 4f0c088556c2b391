import importlib.util
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def run_python():
    """Run a fresh Python, return what it printed."""

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.fixture
def without(monkeypatch):
    """Let a package seem not to be installed."""

    def hide(missing):
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name: None if name == missing else find(name),
        )

    return hide
