import zipfile

import numpy as np
import pytest

from keras_seqattn import datasets
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn.activity import load_recordings
from keras_seqattn.datasets.uci_har import reader
from tests.datasets.original_files import UCI_HAR_CHANNELS
from tests.datasets.original_files import UCI_HAR_CLASSES
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder


@pytest.fixture
def root(tmp_path):
    return tmp_path / "UCI HAR Dataset"


def read_windows(path, split="train"):
    with FileTree(path) as tree:
        return reader.read_windows(tree, split)


@pytest.mark.parametrize("split", reader.SPLITS)
def test_what_was_written_is_read(root, split, caplog):
    written = write_uci_har(root)
    archive = zip_folder(root, root.parent.parent / "uci.zip")
    x, y, subject = written[split]
    for path in (root, root.parent, archive):
        for found in (
            read_windows(path, split),
            load_recordings(path, part=split),
        ):
            np.testing.assert_array_equal(found.x, x)
            np.testing.assert_array_equal(found.y, y)
            np.testing.assert_array_equal(found.subject, subject)
            assert found.classes == UCI_HAR_CLASSES and found.rate == 50
            assert found.channels == UCI_HAR_CHANNELS
    published = {"train": 7352, "test": 2947}[split]
    assert f"has {published} windows, this one 36" in caplog.text
    assert reader.CLASSES == UCI_HAR_CLASSES


def test_each_number_in_its_place(root):
    x = np.zeros((2, 128, 9), "float32")
    x[0, 5, 4] = -1.2345678e-4  # window 0, sample 5, body_gyro_y
    x[1, 127, 6] = 1.0128170  # window 1, last sample, total_acc_x
    arrays = (x, np.array([5, 0]), np.array([30, 1]))
    write_uci_har(root, {"train": arrays, "test": arrays})
    line = (root / "train/Inertial Signals/body_gyro_y_train.txt").read_text()
    assert line[16 * 5 : 16 * 6] == " -1.2345678e-004"
    found = datasets.load("uci_har", "train", path=root)
    assert found["signal"][0, 5, 4] == np.float32(-1.2345678e-4)
    assert found["signal"][1, 127, 6] == np.float32(1.0128170)
    assert np.count_nonzero(found["signal"]) == 2
    assert found["label"].tolist() == [5, 0]
    assert found["subject"].tolist() == [30, 1]


def test_plain_decimals_and_other_blanks(root):
    write_uci_har(root)
    file = root / "test/Inertial Signals/total_acc_z_test.txt"
    numbers = np.arange(36 * 16).reshape(36, 16) / 4
    file.write_text(
        "\r\n".join("\t".join(map(str, row)) for row in numbers) + "\r\n\r\n"
    )
    found = read_windows(root, "test")
    np.testing.assert_array_equal(found.x[..., 8], numbers)


def test_bad_files(root):
    write_uci_har(root)
    signal = root / "train" / "Inertial Signals" / "body_gyro_y_train.txt"
    text = signal.read_text()
    lines = text.splitlines(keepends=True)
    number = lines[2].split()[1]
    for bad, message in (
        ("".join(lines[:-1]), "equally many windows of one length"),
        (text.replace(number, "NaN"), r"y_train\.txt' must hold finite numbers"
         r".*1 that are not, the first in row 3, column 2"),
        (text.replace(number, "1,5"), r"y_train.*'1,5'.*row 2, column 2"),
        ("".join([*lines[:4], lines[4][:32], "\n"]), "rows of one length"),
        ("", r"body_gyro_y_train\.txt' must hold numbers"),
    ):  # fmt: skip
        signal.write_text(bad)
        with pytest.raises(ValueError, match=message):
            read_windows(root)
    signal.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks.*body_gyro_y_train"):
        read_windows(root)
    signal.write_text(text)
    (root / "train/y_train.txt").write_text("7\n" * 36)
    with pytest.raises(ValueError, match=r"`y` must be in 0 .. 5"):
        read_windows(root)
    (root / "train/y_train.txt").write_text("1\n" * 35)
    with pytest.raises(ValueError, match="one entry a window, 36"):
        read_windows(root)
    with pytest.raises(ValueError, match="`split` must be one of"):
        read_windows(root, "validation")


def test_the_set_has_windows_of_128_samples_and_its_classes(root):
    write_uci_har(root)
    with pytest.raises(ValueError, match=r"of 128 samples.*Received: 16"):
        datasets.load("uci_har", path=root)
    write_uci_har(root.parent / "whole", uci_har_arrays(timesteps=128))
    labels = root.parent / "whole" / "activity_labels.txt"
    labels.write_text(labels.read_text().replace("LAYING", "LYING"))
    with pytest.raises(ValueError, match=r"the classes.*LYING"):
        datasets.load("uci_har", path=root.parent / "whole")


def test_labels_are_taken_by_number(root):
    x, y, _ = write_uci_har(root, uci_har_arrays(timesteps=128))["train"]
    labels = root / "activity_labels.txt"
    rows = labels.read_text().splitlines()
    labels.write_text("\n".join([*rows[3:], "", *rows[:3]]))
    found = read_windows(root)
    assert found.classes == UCI_HAR_CLASSES
    np.testing.assert_array_equal(found.y, y)
    # And so for the set, which has an order of its own.
    loaded = datasets.load("uci_har", path=root)
    np.testing.assert_array_equal(loaded["label"], y)
    np.testing.assert_array_equal(loaded["signal"], x)
    # Beyond 9 the order of numbers is not that of text.
    more = [f"{number} MORE_{number}" for number in range(7, 13)]
    labels.write_text("\n".join([*more[::-1], *rows]))
    assert read_windows(root).classes == (
        *UCI_HAR_CLASSES,
        *(f"MORE_{number}" for number in range(7, 13)),
    )
    for bad in (
        rows[1:],
        [*rows, rows[0]],
        [*rows[:5], "5 LAYING"],
        [*rows[:5], "six LAYING"],
        [*rows[:5], "6"],
        [*rows[:5], "6 LYING DOWN"],
        UCI_HAR_CLASSES,
    ):
        labels.write_text("\n".join(bad))
        with pytest.raises(ValueError, match=r"labels\.txt' must have a row"):
            read_windows(root)


def test_an_archive_is_opened_once(root, tmp_path, monkeypatch):
    """To tell its kind, and to read it."""
    x, _, _ = write_uci_har(root)["train"]
    inner = tmp_path / "inner"
    inner.mkdir()
    zip_folder(root, inner / "UCI HAR Dataset.zip")
    outer = zip_folder(inner, tmp_path / "outer.zip")
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, file, *arguments, **options):
            opened.append(file)
            super().__init__(file, *arguments, **options)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    np.testing.assert_array_equal(load_recordings(outer).x, x)
    assert len(opened) == 2 and opened[0] == str(outer)


def test_what_is_unpacked_comes_before_its_archive(root):
    """Also where the archive was looked through for another set's files."""
    x, _, _ = write_uci_har(root)["train"]
    zip_folder(root, root.parent / "UCI HAR Dataset.zip")
    np.testing.assert_array_equal(load_recordings(root.parent).x, x)
