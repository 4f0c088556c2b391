import functools
import json
import pathlib
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from keras_seqattn.learning_rules.sequences import data

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/burst_prop_network.py"
QUICK = ["--trials", "1", "--seeds", "0", "--epochs", "1", "--hidden", "5"]


def check(output, features, outputs, metric):
    numbers = json.loads((output / "report.json").read_text())
    assert numbers["units"] == [features, 5, outputs]
    (history,) = numbers["results"]["burstprop"]["histories"]
    assert len(history[metric]) == 1
    assert 0 <= history["layer_0/angle_to_backprop"][0] <= 180
    for name in ("learning.png", "bursts.png"):
        image = (output / name).read_bytes()
        assert image[:4] == b"\x89PNG" and len(image) > 20_000
    return numbers, keras.saving.load_model(output / "network.keras")


def test_digits(tmp_path):
    output = tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), *QUICK, "--output", str(output)),
            *("--methods", "backpropagation", "burstprop"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    head = next(x for x in done.stdout.splitlines() if " digits, 8x8," in x)
    assert head.split()[:7] == [
        *("digits,", "8x8,", "64-5-10", "test", "error,", "%", "median"),
    ]
    assert "differs by at most" in done.stdout
    assert (output / "network_saved_model").is_dir()
    numbers, network = check(output, 64, 10, "accuracy")
    assert network.predict(np.ones((3, 64)), verbose=0).shape == (3, 10)
    assert 0.8 < numbers["baselines"]["chance"] < 1
    assert list(numbers["results"]) == ["backpropagation", "burstprop"]


def test_mnist_file(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    file = tmp_path / "mnist.npz"
    y = np.arange(50) % 10
    x = random.integers(256, size=(50, 3, 4))
    np.savez(file, x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    arguments = [
        *("--data", str(file), "--methods", "burstprop"),
        *("--output", str(tmp_path)),
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *QUICK, *arguments])
    # Tested above.
    monkeypatch.setattr(ks.export, "export_saved_model", lambda *_: 0.0)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    _, network = check(tmp_path, 12, 10, "accuracy")
    assert network.predict(np.ones((3, 12)), verbose=0).shape == (3, 10)


@pytest.mark.parametrize("task", ["sinusoids", "xor"])
def test_in_time(task, tmp_path, monkeypatch):
    # The tasks as they are, but short.
    for name, settings in (
        ("Sinusoids", {"inputs": 10, "steps": 1000}),
        ("XorSequences", {"steps": 1000}),
    ):
        short = functools.partial(getattr(data, name), **settings)
        monkeypatch.setattr(data, name, short)
    arguments = ["--task", task, "--methods", "burstprop"]
    arguments += ["--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *QUICK, *arguments])
    monkeypatch.setattr(ks.export, "export_saved_model", lambda *_: 0.0)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    numbers, network = check(tmp_path, 10, 3, "mse")
    assert {"mean", "linear"} <= set(numbers["levels"])
    assert network.predict(np.ones((2, 7, 10)), verbose=0).shape == (2, 7, 3)
