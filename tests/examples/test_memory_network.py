import json
import pathlib
import runpy
import subprocess
import sys

import keras
import numpy as np

import keras_seqattn as ks

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/memory_network.py"
QUICK = [
    *("--seeds", "0", "--batch-size", "4"),
    *("--epochs", "1", "--steps-per-epoch", "2"),
]


def check(output, chance, features):
    assert {path.name for path in output.iterdir()} >= {
        "network.keras",
        "report.json",
        "scores.png",
        "sequence.png",
    }
    numbers = json.loads((output / "report.json").read_text())
    assert numbers["chance"] == chance
    network = keras.saving.load_model(output / "network.keras")
    found = network.predict(np.ones((3, 11, features)), verbose=0)
    assert np.isfinite(found).all()
    for name in ("scores.png", "sequence.png"):
        image = (output / name).read_bytes()
        assert image[:4] == b"\x89PNG" and len(image) > 20_000


def test_association(tmp_path):
    output = tmp_path / "out"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), *QUICK, "--preset", "association"),
            *("--keys", "5", "--values", "4", "--pairs", "3"),
            *("--distractors", "0.2", "--test-sequences", "60"),
            *("--output", str(output)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\n cue copied, mean response  " in done.stdout
    assert "\n network, seed 0  " in done.stdout
    assert "differs by at most" in done.stdout
    assert (output / "network_saved_model").is_dir()
    check(output, 1 / 4, 9)


def test_one_neuron(tmp_path, monkeypatch):
    arguments = ["--preset", "one_neuron_adaptive", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *QUICK, *arguments])
    # Tested above.
    monkeypatch.setattr(ks.export, "export_saved_model", lambda *_: 0.0)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    check(tmp_path, 1 / 2, 1)
