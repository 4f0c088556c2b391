import numpy as np
import pytest

from keras_seqattn import datasets
from keras_seqattn.activity import load_activity
from keras_seqattn.datasets.uci_har import reader
from tests.datasets.original_files import UCI_HAR_CHANNELS
from tests.datasets.original_files import UCI_HAR_CLASSES
from tests.datasets.original_files import uci_har_arrays
from tests.datasets.original_files import write_uci_har
from tests.datasets.original_files import zip_folder


@pytest.fixture
def root(tmp_path):
    return tmp_path / "UCI HAR Dataset"


@pytest.mark.parametrize("split", reader.SPLITS)
def test_what_was_written_is_read(root, split, caplog):
    written = write_uci_har(root)
    archive = zip_folder(root, root.parent.parent / "uci.zip")
    x, y, subject = written[split]
    for path in (root, root.parent, archive):
        for found in (
            reader.read_windows(path, split),
            load_activity(path, split),
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
    found = reader.read_windows(root, "test")
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
            reader.read_windows(root)
    signal.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks.*body_gyro_y_train"):
        reader.read_windows(root)
    signal.write_text(text)
    (root / "train/y_train.txt").write_text("7\n" * 36)
    with pytest.raises(ValueError, match=r"`y` must be in 0 .. 5"):
        reader.read_windows(root)
    (root / "train/y_train.txt").write_text("1\n" * 35)
    with pytest.raises(ValueError, match="one integer a window, 36"):
        reader.read_windows(root)
    with pytest.raises(ValueError, match="`split` must be one of"):
        reader.read_windows(root, "validation")


def test_the_set_has_windows_of_128_samples_and_its_classes(root):
    write_uci_har(root)
    with pytest.raises(ValueError, match=r"of 128 samples.*Received: 16"):
        datasets.load("uci_har", path=root)
    write_uci_har(root.parent / "whole", uci_har_arrays(timesteps=128))
    labels = root.parent / "whole" / "activity_labels.txt"
    labels.write_text(labels.read_text().replace("LAYING", "LYING"))
    with pytest.raises(ValueError, match=r"the classes.*LYING"):
        datasets.load("uci_har", path=root.parent / "whole")
