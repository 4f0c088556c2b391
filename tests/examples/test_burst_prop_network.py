import json
import pathlib
import runpy
import subprocess
import sys

import keras
import numpy as np

import keras_seqattn as ks

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/burst_prop_network.py"
QUICK = ["--trials", "1", "--seeds", "0", "--epochs", "1", "--hidden", "5"]


def check(output, pixels):
    numbers = json.loads((output / "digits.json").read_text())
    assert numbers["units"] == [pixels, 5, 10]
    assert 0.8 < numbers["baselines"]["chance"] < 1
    network = keras.saving.load_model(output / "network.keras")
    found = network.predict(np.ones((3, pixels)), verbose=0)
    assert found.shape == (3, 10) and np.isfinite(found).all()
    return numbers


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
    assert "| digits, 8x8, 64-5-10 | test error, % | median |" in done.stdout
    assert "differs by at most" in done.stdout
    assert (output / "network_saved_model").is_dir()
    numbers = check(output, 64)
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
    check(tmp_path, 12)
