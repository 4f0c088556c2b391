import pathlib
import re
import subprocess
import sys

import pytest

from tests.backend import BACKEND

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/data_parallel.py"
LINE = r"{}: ([\d.]+) on 1 device, ([\d.]+) on 2, difference"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_devices_train_as_one():
    done = run()
    assert done.returncode == 0, done.stderr
    assert f"Loss after 20 steps on {BACKEND}, batches of 32" in done.stdout
    for name, untrained in (
        ("LARNN classifier", 0.69),
        ("BurstPropNetwork", 1),
    ):
        one, two = re.search(LINE.format(name), done.stdout).groups()
        assert float(one) == pytest.approx(float(two), abs=1e-5)
        assert float(one) < untrained


def test_batches_that_devices_cannot_share():
    done = run("--devices", "3")
    assert done.returncode == 2
    assert "3 devices cannot share a batch of 32 equally" in done.stderr
