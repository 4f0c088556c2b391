"""From eight files of an app to the labels of a ninth, and to a device."""

import csv
import dataclasses
import functools
import json

import numpy as np

import keras_seqattn as ks
from keras_seqattn import activity
from keras_seqattn.activity import __main__ as command_line
from tests.activity import phone_files

PERSON = r"(p\d)_\w+\.csv"


def test_eight_files_and_a_ninth_recording(tmp_path, capsys):
    known, new = tmp_path / "known", tmp_path / "new"
    known.mkdir()
    new.mkdir()
    phone_files.write_phone_files(known, what=phone_files.moved)
    phone_files.write_phone_files(
        new, 1, 1, labelled=False, first=9, what=phone_files.moved
    )
    assert len(list(known.iterdir())) == 8

    windows = activity.load_recordings(known, subject_from=PERSON, seconds=1)
    build = functools.partial(
        ks.models.build_activity_classifier, units=8, stem_filters=(8,)
    )
    recipe = dataclasses.replace(
        activity.RECIPE, epochs=25, batch_size=16, learning_rate=1e-2
    )
    report = activity.classify_recordings(
        windows, build, recipe, cells=("lstm",), folds=2, seeds=(0,), verbose=0
    )
    assert report.scores("lstm")[0].accuracy > 0.9
    model = activity.train_final(
        windows, functools.partial(build, cell="lstm"), recipe, verbose=0
    )
    model.save(tmp_path / "classifier.keras")
    loss = ks.export.export_litert(
        model,
        tmp_path / "classifier.tflite",
        quantize="int8",
        representative=windows.x,
        labels=windows.y,
    )
    assert loss <= 0.01
    text = (tmp_path / "classifier.tflite.json").read_text()
    assert json.loads(text)["classes"] == list(windows.classes)

    files = [str(path) for path in sorted(new.iterdir())]
    command_line.main(
        [
            *("predict", str(tmp_path / "classifier.keras"), *files),
            *("--output", str(tmp_path / "labels.csv")),
        ]
    )
    assert "walk" in capsys.readouterr().out
    with open(tmp_path / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    times = np.array([float(row["time"]) for row in rows])
    label = np.array([row["label"] for row in rows])
    far = np.abs(times - phone_files.SWITCH) > 0.6
    assert np.mean((label == phone_files.label(times))[far]) > 0.95
    assert len(rows) > 550
