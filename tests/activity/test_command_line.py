import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_seqattn import activity
from keras_seqattn.activity import __main__ as command_line
from keras_seqattn.activity import recordings
from tests.activity import classifiers
from tests.activity.classifiers import recording

ACC = np.repeat([0.0, 4.0, 8.0], 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A classifier, two recordings to read and one of another rate."""
    folder = tmp_path_factory.mktemp("files")
    classifiers.known_classifier().save(folder / "classifier.keras")
    for name in ("one.csv", "two.csv", "fast.csv", "short.csv"):
        (folder / name).write_text("read by the stand-in")
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    seen = []

    def read_recordings(source, **settings):
        assert settings.pop("options") is None
        seen.append(settings)
        found = []
        for path in source:
            acc = ACC[::-1] if "two" in path else ACC
            segment = np.repeat([0, 1], [57, 3]) if "short" in path else None
            rate = 20 if "fast" in path else 10
            found.append(
                recording(acc, segment, source=path, rate=rate, subject="eva")
            )
        return found

    monkeypatch.setattr(recordings, "read_recordings", read_recordings)

    def run(*arguments, code=0):
        del seen[:]
        text = [str(x) for x in arguments]
        if code:
            with pytest.raises(SystemExit) as stop:
                command_line.main(text)
            assert stop.value.code == code
        else:
            command_line.main(text)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out if not code else said.err.splitlines()

    run.seen = seen
    return run


def test_one_recording(run, folder, tmp_path):
    said = run("predict", folder / "classifier.keras", folder / "one.csv")
    output = folder / "one_labels.csv"
    assert said == (
        f"{folder / 'one.csv'}: sit 2.0 s, walk 2.0 s, run 2.0 s\n"
        f"In {output}.\n"
    )
    expected = activity.predict_recording(
        command_line.load_keras_file(folder / "classifier.keras"),
        recording(ACC),
    )
    expected.save(tmp_path / "expected.csv")
    assert output.read_text() == (tmp_path / "expected.csv").read_text()
    assert run.seen == [{"rate": 10}]


def test_several_recordings_and_a_figure(run, folder, tmp_path):
    output, figure = tmp_path / "labels.csv", tmp_path / "labels.png"
    run(
        *("predict", folder / "classifier.keras"),
        *(folder / "one.csv", folder / "two.csv"),
        *("--output", output, "--figure", figure, "--smoothing", "none"),
        *("--column", "acc=Accel X", "--time-unit", "ms"),
    )
    with open(output, newline="") as file:
        head, *rows = csv.reader(file)
    assert head[:4] == ["source", "subject", "time", "label"]
    assert {row[1] for row in rows} == {"eva"} and len(rows) == 120
    assert rows[0][0].endswith("one.csv") and rows[0][3] == "sit"
    assert rows[60][0].endswith("two.csv") and rows[60][3] == "run"
    assert figure.read_bytes()[:4] == b"\x89PNG"
    reading = {"columns": {"acc": "Accel X"}, "time_unit": "ms", "rate": 10}
    assert run.seen == [reading]


def test_warnings_are_lines(run, folder, tmp_path, capsys):
    command_line.main(
        [
            *("predict", str(folder / "classifier.keras")),
            *(str(folder / "short.csv"), "--output", str(tmp_path / "x.csv")),
        ]
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: 3 of 60 samples of ")


def test_what_is_wrong_is_a_line_and_an_exit_code(run, folder, tmp_path):
    model, one = folder / "classifier.keras", folder / "one.csv"
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(model.read_bytes()[:1000])
    for arguments, message in (
        ([model, folder / "none.csv"], "There is no recording at"),
        ([folder / "none.keras", one], "There is no file"),
        ([damaged, one], "is not a complete zip archive"),
        ([one, one], "is not a `.keras` file"),
        ([model, folder / "fast.csv"], "trained at another rate"),
        ([model, one, "--output", one], "must not be written"),
        ([model, one, "--output", tmp_path], "must be a file in a folder"),
        ([model, one, "--output", tmp_path / "no" / "x.csv"], "in a folder th"),
        ([model, one, "--overlap", 1], "`overlap` must be a number in"),
        ([model, one, "--import", "no_such_module"], "No module named"),
    ):
        (line,) = run("predict", *arguments, code=2)
        assert line.startswith("error: ") and message in line
    for arguments in (
        [],
        ["predict"],
        ["train"],
        ["predict", model, one, "--smoothing", "gauss"],
        ["predict", model, one, "--column", "acc"],
    ):
        assert "error: " in run(*arguments, code=2)[-1]
    assert sorted(x.name for x in tmp_path.iterdir()) == ["damaged.keras"]


def test_the_module_runs_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error::RuntimeWarning"),
            *("-m", "keras_seqattn.activity", "predict"),
            *("none.keras", "none.csv"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: There is no recording at 'none.csv'."
    )
    assert "Traceback" not in done.stderr
