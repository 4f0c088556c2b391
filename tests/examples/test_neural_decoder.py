import json
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_seqattn as ks
from tests.datasets import matlab_sessions
from tests.decoding import lab_files

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/neural_decoder.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", ["published session", "own npz"])
def test_a_recording(tmp_path, kind):
    recording = ks.tasks.simulated_reaching(bins=900, units=8, kernel_length=2)
    if kind == "own npz":
        source = ("--data", tmp_path / "recording.npz", "--behavior", "vel")
        np.savez(
            tmp_path / "recording.npz",
            spikes=recording.spikes,
            pos=recording.movement.cumsum(axis=0),
            vel=recording.movement,
            segment=recording.segment,
            dt=recording.bin_width,
        )
    else:
        source = ("--data", tmp_path / "session.mat", "--area", "M1")
        source += ("--effector", "finger", "--quantity", "velocity")
        matlab_sessions.session_of(tmp_path / "session.mat", recording)
    if kind == "own npz":
        found = ks.decoding.Recipe(epochs=9, optimizer="nadam", warmup=0.1)
        found.save(tmp_path / "recipe.json")
        source += ("--recipe", tmp_path / "recipe.json")
    done = run(
        *source,
        *("--timesteps", 4, "--seeds", 0, 1, "--units", 6, "--epochs", 2),
        *("--output", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert "900 bins, 8 units" in done.stdout
    assert re.search(r"\n Wiener filter +4 +", done.stdout)
    assert "differs by at most" in done.stdout
    output = tmp_path / "out"
    assert sorted(path.name for path in output.iterdir()) == [
        "decoder.keras",
        "decoder_saved_model",
        "decoder_saved_model.json",
        "neural_decoder.png",
        "predictions.csv",
        "report.json",
        "report.md",
    ]
    numbers = json.loads((output / "report.json").read_text())
    assert len(numbers["validation_r2"]["4"]) == 2
    settings = numbers["settings"]
    expected = ("adam", 64) if kind == "published session" else ("nadam", 64)
    assert (settings["optimizer"], settings["batch_size"]) == expected
    assert settings["epochs"] == 2
    best = numbers["recommended_timesteps"]
    decoder = keras.saving.load_model(output / "decoder.keras")
    assert decoder.input_shape == (None, best, 8)
    decoded = decoder.predict(np.ones((3, best, 8)), verbose=0)
    assert np.isfinite(decoded).all()
    image = (output / "neural_decoder.png").read_bytes()
    assert image[:4] == b"\x89PNG" and len(image) > 20_000


def test_bad_files_give_their_reason(tmp_path):
    np.savez(tmp_path / "empty.npz", rates=np.ones(3))
    done = run("--data", tmp_path / "empty.npz")
    assert done.returncode != 0
    assert "lacks ['spikes', 'movement']" in done.stderr


def test_a_file_is_listed_and_its_movement_named(tmp_path):
    path = lab_files.write_nwb(tmp_path / "session.nwb")
    done = run("--data", path, "--list")
    assert done.returncode == 0, done.stderr
    assert "units: 4 units, 2700 spikes" in done.stdout
    assert "processing/behavior/Position/hand: shape" in done.stdout
    assert not (tmp_path / "out").exists() and "bins" not in done.stdout
    done = run(
        *("--data", path, "--behavior", "hand_x", "hand_y"),
        *("--quantity", "velocity", "--bin-width", 0.05, "--lag", 0.1),
        *("--trials", "trials", "--condition", "condition"),
        *("--timesteps", 3, "--seeds", 0, "--units", 4, "--epochs", 1),
        *("--output", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    assert "320 bins, 4 units" in done.stdout
    assert (tmp_path / "out/decoder.keras").exists()


def test_variables_of_a_mat_are_named(tmp_path):
    path = lab_files.write_old_mat(tmp_path / "lab.mat")
    done = run("--data", path, "--bin-width", 0.05, "--fields", "times=t")
    assert done.returncode != 0
    assert "must be told: fields=" in done.stderr
    assert "units: 4x1 cells" in done.stderr
