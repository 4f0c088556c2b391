import numpy as np
import pytest

from keras_seqattn import activity
from keras_seqattn import datasets
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.datasets.smartwatch_har import reader
from tests.datasets.original_files import SMARTWATCH_CHANNELS
from tests.datasets.original_files import SMARTWATCH_CLASSES
from tests.datasets.original_files import smartwatch_recordings
from tests.datasets.original_files import write_smartwatch_har
from tests.datasets.original_files import zip_folder


def read_windows(path, **options):
    with FileTree(path) as tree:
        return reader.read_windows(tree, **options)


def test_what_was_written_is_read_window_by_window(tmp_path):
    recordings = write_smartwatch_har(tmp_path / "set")
    # By subject and execution, whatever the order of the files.
    expected = [
        (signal[start : start + 100], label[start : start + 100], subject)
        for subject, _, signal, label, _ in recordings
        for start in range(0, len(signal) - 99, 50)
    ]
    archive = zip_folder(tmp_path / "set", tmp_path / "set.zip")
    for path in (tmp_path / "set", archive):
        found = datasets.load("smartwatch_har", path=path)
        assert len(found["signal"]) == len(expected) == 12
        for i, (signal, label, subject) in enumerate(expected):
            np.testing.assert_array_equal(found["signal"][i], signal)
            assert found["label"][i] == np.bincount(label).argmax()
            assert found["subject"][i] == subject
        windows = activity.load_recordings(path)
        np.testing.assert_array_equal(windows.x, found["signal"])
        assert windows.classes == SMARTWATCH_CLASSES and windows.rate == 100
        assert windows.channels == SMARTWATCH_CHANNELS


def test_an_incomplete_set_is_noticed(tmp_path, caplog):
    write_smartwatch_har(tmp_path)
    datasets.load("smartwatch_har", path=tmp_path)
    assert "Expected: 223 recordings" in caplog.text
    with pytest.raises(FileNotFoundError, match=r"Received: 3\. Fetch"):
        read_windows(tmp_path, complete=True)


def test_windows_of_other_lengths(tmp_path):
    recordings = write_smartwatch_har(tmp_path)
    options = {"seconds": 2.0, "overlap": 0.0}
    found = datasets.load("smartwatch_har", path=tmp_path, **options)
    np.testing.assert_array_equal(
        found["signal"], [signal[:200] for _, _, signal, _, _ in recordings]
    )


def test_columns_in_another_order(tmp_path):
    recordings = write_smartwatch_har(tmp_path)
    file = tmp_path / "DATA/s01/s01_01_sw.csv"
    rows = [line.split(",") for line in file.read_text().splitlines()]
    file.write_text("\n".join(",".join(row[::-1]) for row in rows))
    found = datasets.load("smartwatch_har", path=tmp_path)
    np.testing.assert_array_equal(found["signal"][0], recordings[0][2][:100])


def test_bad_files(tmp_path):
    write_smartwatch_har(tmp_path / "set")
    file = tmp_path / "set" / "DATA" / "s01" / "s01_02_sw.csv"
    text = file.read_text()
    lines = text.splitlines(keepends=True)
    number = lines[3].split(",")[1]
    for bad, message in (
        (text.replace(number, "nan"),
         r"s01_02_sw\.csv, column y_acc' must hold finite.*in row 4"),
        (text.replace(number, "fast"), r"'y_acc' of .*02_sw.*'fast'"),
        (text.replace("x_gyro", "x_mag"), "must have the columns.*x_mag"),
        (text.replace(",WALKING", ",RUNNING"), r"labels.*\['RUNNING'\]"),
        ("".join([*lines, "1,2\n"]), r"8 entries a row.*: 2 in row 212"),
        (lines[0], "hold a row more"),
        ("", "hold a row more"),
        ("".join(lines[:1] + lines[1::2]), "about 100 Hz.*step of 20.0 ms"),
    ):  # fmt: skip
        file.write_text(bad)
        with pytest.raises(ValueError, match=message):
            read_windows(tmp_path / "set")
    file.write_text(text)
    zip_folder(tmp_path / "set", tmp_path / "other.zip")
    write_smartwatch_har(tmp_path / "copy", smartwatch_recordings()[:1])
    with pytest.raises(ValueError, match="recordings more than once"):
        read_windows(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"s01_01_sw\.csv"):
        read_windows(tmp_path / "set" / "DATA" / "s01")
    with pytest.raises(ValueError, match="`split` must be one of"):
        datasets.load("smartwatch_har", "test", path=tmp_path / "set")
