import json
import pathlib
import runpy
import subprocess
import sys

import keras
import numpy as np

import keras_seqattn as ks
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/activity_classifier.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_ucihar_in_its_archive_and_its_folder(tmp_path, monkeypatch, capsys):
    root = tmp_path / "UCI HAR Dataset"
    written = write_uci_har(root)
    archive = zip_folder(root, tmp_path / "UCI HAR Dataset.zip")
    output = tmp_path / "out"
    arguments = [
        *("--data", archive, "--test", root, "--folds", 3, "--patience", 1),
        *("--units", 8, "--epochs", 2, "--batch-size", 8, "--output", output),
    ]
    monkeypatch.setattr(sys, "argv", [*map(str, (SCRIPT, *arguments))])
    exports = []
    monkeypatch.setattr(
        ks.export,
        "export_saved_model",
        # Tested in tests/models.
        lambda model, path: exports.append((model, path)) or 0.0,
    )
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "36 windows of 16 samples at 50 Hz, 9 channels" in printed
    for row in ("most frequent class", "logistic regression", "larnn", "lstm"):
        assert f"\n {row}" in printed
        assert f"| {row}" in (output / "report.md").read_text()
    assert "differs by at most 0.0e+00" in printed
    assert sorted(path.name for path in output.iterdir()) == [
        "activity_classifier.png",
        "attention.png",
        "classifier.keras",
        "report.json",
        "report.md",
        "test.json",
    ]
    image = (output / "activity_classifier.png").read_bytes()
    assert image[:4] == b"\x89PNG" and len(image) > 20_000
    report = json.loads((output / "report.json").read_text())
    recipe = {
        name: report["settings"][name]
        for name in ("epochs", "batch_size", "patience", "augmentation")
    }
    assert recipe == {
        "epochs": 2,
        "batch_size": 8,
        "patience": 1,
        "augmentation": {"name": "rotate_and_scale"},
    }
    assert set(report["results"]) == {"larnn", "lstm"}
    assert np.sum(report["results"]["lstm"][0]["final"]["confusion"]) == 36
    # The score that was printed is the one of the file, on the test part.
    classifier = keras.saving.load_model(output / "classifier.keras")
    x, y, _ = written["test"]
    ((exported, path),) = exports
    assert path == output / "classifier_saved_model"
    np.testing.assert_allclose(
        exported.predict(x, verbose=0),
        classifier.predict(x, verbose=0),
        atol=1e-6,
    )
    accuracy = (classifier.predict(x, verbose=0).argmax(axis=1) == y).mean()
    score = json.loads((output / "test.json").read_text())
    assert abs(score["accuracy"] - accuracy) < 1e-9


def test_bad_files_give_their_reason(tmp_path):
    np.savez(tmp_path / "empty.npz", rates=np.ones(3))
    done = run("--data", tmp_path / "empty.npz")
    assert done.returncode != 0
    assert "lacks ['y', 'subject'" in done.stderr
