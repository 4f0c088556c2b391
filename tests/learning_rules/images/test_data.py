import gzip
import struct

import numpy as np
import pytest

from keras_seqattn import learning_rules
from keras_seqattn.learning_rules import LabelledImages
from tests.learning_rules.images.cases import LABELS
from tests.learning_rules.images.cases import X


def test_digits():
    digits = learning_rules.load_digits()
    assert digits.x_train.shape == (1437, 64) and digits.x_test.shape[0] == 360
    assert digits.classes == 10 and digits.pixels == 64
    assert digits.x_train.min() == 0 and digits.x_train.max() == 1
    both = np.concatenate([digits.x_train, digits.x_test])
    from sklearn.datasets import load_digits

    original = load_digits().data / 16
    np.testing.assert_array_equal(
        np.sort(both.sum(axis=1)), np.sort(original.astype("f4").sum(axis=1))
    )
    again = learning_rules.load_digits()
    np.testing.assert_array_equal(digits.y_test, again.y_test)
    # The commonest class is right on about a tenth.
    assert 0.85 < digits.chance < 0.95


def test_hold_out_is_cut_from_the_training_images():
    x = np.arange(50)[:, None] / 50
    whole = LabelledImages(x, np.arange(50) % 2, x[:3], [0, 1, 1])
    part = whole.hold_out()
    assert (len(part.x_train), len(part.x_test)) == (40, 10)
    found = np.concatenate([part.x_train, part.x_test])
    np.testing.assert_array_equal(np.sort(found, axis=0), whole.x_train)
    labels = np.concatenate([part.y_train, part.y_test])
    np.testing.assert_array_equal(np.round(50 * found[:, 0]) % 2, labels)
    assert whole.chance == 2 / 3
    with pytest.raises(ValueError, match="`share` must lie in"):
        whole.hold_out(1.0)


def write_idx(path, values):
    data = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    data += values.astype("uint8").tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_mnist_files(tmp_path):
    random = np.random.default_rng(2)
    x = {part: random.integers(256, size=(10, 4, 3)) for part in "ab"}
    y = {part: random.integers(10, size=10) for part in "ab"}
    np.savez(
        tmp_path / "mnist.npz",
        x_train=x["a"],
        y_train=y["a"],
        x_test=x["b"],
        y_test=y["b"],
    )
    from_npz = learning_rules.load_mnist(tmp_path / "mnist.npz")
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", x["b"])
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", y["b"])
    one_pair = learning_rules.load_mnist(tmp_path)
    assert one_pair.x_train.shape == (8, 12) and len(one_pair.x_test) == 2
    found = np.concatenate([one_pair.x_train, one_pair.x_test])
    np.testing.assert_allclose(
        np.sort(found, axis=0),
        np.sort(x["b"].reshape(10, 12) / 255, axis=0),
        rtol=1e-6,
    )
    write_idx(tmp_path / "train-images-idx3-ubyte", x["a"])
    write_idx(tmp_path / "train-labels-idx1-ubyte", y["a"])
    from_folder = learning_rules.load_mnist(str(tmp_path))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(
            getattr(from_npz, name), getattr(from_folder, name)
        )
    np.testing.assert_allclose(
        from_npz.x_train, x["a"].reshape(10, 12) / 255, rtol=1e-6
    )


def test_pixels_that_lie_in_0_to_1_already(tmp_path):
    x = np.random.default_rng(0).uniform(size=(8, 12))
    y = np.arange(8) % 2
    path = tmp_path / "mnist.npz"
    for scale in (1, 255):
        np.savez(path, x_train=scale * x, y_train=y, x_test=x[:4], y_test=y[:4])
        found = learning_rules.load_mnist(path)
        np.testing.assert_allclose(found.x_train, x, rtol=1e-6)
        np.testing.assert_allclose(found.x_test, x[:4], rtol=1e-6)
    y[3] = 10**9
    np.savez(path, x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    with pytest.raises(ValueError, match=r"images, 12\. .*class 1000000000"):
        learning_rules.load_mnist(path)


def test_pixels_of_0_and_1_are_read_as_they_are(tmp_path):
    """Black and white, as integers."""
    x, y = np.arange(32).reshape(8, 2, 2) % 3 % 2, np.arange(8) % 2
    path = tmp_path / "mnist.npz"
    for kind in ("uint8", "int64", "float32"):
        given = x.astype(kind)
        np.savez(path, x_train=given, y_train=y, x_test=given, y_test=y)
        found = learning_rules.load_mnist(path)
        np.testing.assert_array_equal(found.x_train, x.reshape(8, 4))
    np.savez(path, x_train=x, y_train=y, x_test=1, y_test=y)
    with pytest.raises(ValueError, match="rank 2 or 3 or 4"):
        learning_rules.load_mnist(path)


def test_broken_mnist_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no MNIST at"):
        learning_rules.load_mnist(tmp_path / "nothing.npz")
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        learning_rules.load_mnist(tmp_path)
    np.savez(tmp_path / "a.npz", x_train=X, y_train=LABELS)
    with pytest.raises(ValueError, match=r"lacks \['x_test', 'y_test'\]"):
        learning_rules.load_mnist(tmp_path / "a.npz")
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS)
    file = tmp_path / "train-images-idx3-ubyte"
    for images in (len(LABELS) + 1, len(LABELS) - 1):
        write_idx(file, np.zeros((images, 2, 2)))
        with pytest.raises(ValueError, match="must be equally many"):
            learning_rules.load_mnist(tmp_path)
    write_idx(file, np.zeros((8, 2, 2)))
    whole = file.read_bytes()
    for broken in (whole[:-1], whole[:9], b"", b"\0\0\x0d" + whole[3:]):
        file.write_bytes(broken)
        with pytest.raises(ValueError, match="An IDX file must begin with"):
            learning_rules.load_mnist(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"x_train": X[0]}, "`x_train` and `y_train` must have the shapes"),
        ({"y_test": LABELS[:3]}, "`x_test` and `y_test` must have the shapes"),
        ({"x_train": 2 * X}, r"`x_train` must lie in \[0, 1\]"),
        ({"x_test": X * np.nan}, r"`x_test` must lie in \[0, 1\]"),
        ({"y_train": LABELS / 2}, "`y_train` must hold integers"),
        ({"y_train": LABELS - 5}, "`y_train` must hold integers"),
        ({"y_train": 0 * LABELS, "y_test": 0 * LABELS}, "at least two classes"),
        ({"x_test": X[:, :4]}, "must have as many pixels. Received: 6 and 4"),
    ],
)
def test_image_checks(change, message):
    good = {"x_train": X, "y_train": LABELS, "x_test": X, "y_test": LABELS}
    with pytest.raises(ValueError, match=message):
        LabelledImages(**{**good, **change})
