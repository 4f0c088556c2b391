"""Small labelled images: scikit-learn's digits, MNIST."""

import dataclasses
import gzip
import importlib
import math
import os
import pathlib

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import to_float32
from keras_seqattn._files.array_file import REAL
from keras_seqattn._files.array_file import ArrayFile

_TEST_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images as rows of pixels in [0, 1], each with a class.

    Args:
        x_train: Array of shape `(images, pixels)`.
        y_train: Integer array of shape `(images,)`, classes from 0 on.
        x_test, y_test: The same, of images that no choice may look at.
        name: What they are, for tables.

    Raises:
        ValueError: Shapes that do not fit each other, pixels out of [0, 1],
            labels that are no integers from 0 on, or one class alone.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.learning_rules import LabelledImages

    x = np.random.default_rng(0).uniform(size=(9, 4))
    images = LabelledImages(x[:6], [0, 1, 2, 0, 1, 2], x[6:], [2, 1, 0])
    print(images.classes, images.x_train.dtype)  # 3 float32
    ```
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str = "images"

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            x = to_float32(check_array(f"x_{part}", getattr(self, f"x_{part}")))
            y = check_array(f"y_{part}", getattr(self, f"y_{part}"))
            if x.ndim != 2 or y.shape != x.shape[:1] or 0 in x.shape:
                raise ValueError(
                    f"`x_{part}` and `y_{part}` must have the shapes (images, "
                    "pixels) and (images,), without a 0. "
                    f"Received: shapes {x.shape} and {y.shape}"
                )
            # `not`, so that NaN is refused too.
            if not (x.min() >= 0 and x.max() <= 1):
                raise ValueError(
                    f"`x_{part}` must lie in [0, 1]. "
                    f"Received: values {x.min()} .. {x.max()}"
                )
            if y.dtype.kind not in "ui" or y.min() < 0:
                raise ValueError(
                    f"`y_{part}` must hold integers, classes from 0 on. "
                    f"Received: dtype {y.dtype}, smallest {y.min()}"
                )
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y.astype("int64"))
        if self.x_train.shape[1] != self.x_test.shape[1]:
            raise ValueError(
                "`x_train` and `x_test` must have as many pixels. "
                f"Received: {self.x_train.shape[1]} and {self.x_test.shape[1]}"
            )

        images = len(self.y_train) + len(self.y_test)
        if self.classes > images:
            raise ValueError(
                "`y_train` and `y_test` must hold classes from 0 on, not more "
                f"than there are images, {images}. "
                f"Received: class {self.classes - 1}"
            )
        if self.classes < 2:
            raise ValueError(
                "`y_train` and `y_test` must hold at least two classes. "
                "Received: 0 alone"
            )

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return self.x_train.shape[1]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    @property
    def chance(self) -> float:
        """Test error, in 0 .. 1, of always naming the commonest class."""
        commonest = np.bincount(self.y_train).argmax()
        return float(np.mean(self.y_test != commonest))

    def hold_out(self, share: float = _TEST_SHARE) -> "LabelledImages":
        """Cut a validation part from the training part, for all choices.

        Args:
            share: Share of the training images, in (0, 1), rounded to whole
                images. Which ones is fixed.

        Returns:
            A `LabelledImages` whose test part is that validation part.
        """
        return _split(self.x_train, self.y_train, share, self.name, seed=1)


def load_digits() -> LabelledImages:
    """Load scikit-learn's 1797 digits of 8x8 pixels, without a download.

    Returns:
        A `LabelledImages`, 1437 for training and 360 for the test; which ones
        is fixed.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise ImportError(
            "The digits come with scikit-learn: pip install scikit-learn"
        ) from error
    x, y = datasets.load_digits(return_X_y=True)
    return _split(x / 16, y, 360 / 1797, "digits, 8x8", seed=0)


def load_mnist(path: str | os.PathLike[str]) -> LabelledImages:
    """Load MNIST from files.

    Args:
        path: A folder with the four original files
            (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same
            with `t10k`; as they are or with `.gz`). With one of the two pairs
            alone a fixed fifth of it is the test part. Or an `.npz` file with
            `x_train`, `y_train`, `x_test` and `y_test`, which is how Keras
            keeps it (`keras.datasets.mnist`).

    Returns:
        A `LabelledImages`.

    Raises:
        FileNotFoundError: No such file, or none of them in the folder.
        ValueError: A file that is no IDX file, or of another length than it
            says, or an `.npz` file without these arrays.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        pairs = [
            pair
            for part in ("train", "t10k")
            if (pair := _idx_pair(path, part)) is not None
        ]
        if not pairs:
            raise FileNotFoundError(
                f"There is no `train-images-idx3-ubyte` or "
                f"`t10k-images-idx3-ubyte`, with labels, in {str(path)!r}."
            )
        if len(pairs) == 1:
            return _split(*pairs[0], _TEST_SHARE, "MNIST", seed=0)
        return LabelledImages(*pairs[0], *pairs[1], "MNIST")
    if not path.exists():
        raise FileNotFoundError(f"There is no MNIST at {str(path)!r}.")
    names = ("x_train", "y_train", "x_test", "y_test")
    with ArrayFile(path) as file:
        file.check_names(
            names, f"An `.npz` file of MNIST must hold {', '.join(names)}."
        )
        x_train, y_train, x_test, y_test = (
            file.read(name, REAL, (2, 3, 4) if name[0] == "x" else 1)
            for name in names
        )
    return LabelledImages(
        _rows(x_train), y_train, _rows(x_test), y_test, "MNIST"
    )


def _split(
    x: np.ndarray, y: np.ndarray, share: float, name: str, seed: int
) -> LabelledImages:
    """Images in a fixed random order, the last `share` of them for the test."""
    if not 0 < share < 1:
        raise ValueError(
            f"`share` must lie in (0, 1). Received: share={share!r}"
        )
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = np.split(order, [len(x) - round(share * len(x))])
    return LabelledImages(x[train], y[train], x[test], y[test], name)


def _rows(images: np.ndarray) -> np.ndarray:
    """Return images as rows of pixels in [0, 1], as they may be already."""
    rows = np.reshape(images, (len(images), math.prod(images.shape[1:])))
    return rows / np.float32(255 if rows.max(initial=0) > 1 else 1)


def _idx_pair(
    folder: pathlib.Path, part: str
) -> tuple[np.ndarray, np.ndarray] | None:
    found = []
    for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
        for file in (folder / name, folder / f"{name}.gz"):
            if file.exists():
                found.append(_read_idx(file))
                break
    if len(found) < 2:
        return None
    images, labels = found
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"The images and labels of {part!r} in {str(folder)!r} must be "
            f"equally many. Received: shapes {images.shape}, {labels.shape}"
        )
    return _rows(images), labels


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """IDX: 2 zero bytes, type (8: bytes), rank, sizes, values."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    start = 4 + 4 * data[3] if len(data) > 3 else 0
    if data[:3] == b"\0\0\x08" and len(data) >= start:
        shape = np.frombuffer(data[4:start], ">u4").tolist()
        if len(data) == start + math.prod(shape):
            return np.frombuffer(data, "uint8", offset=start).reshape(shape)
    raise ValueError(
        "An IDX file must begin with 0, 0, 8, its rank and its sizes, and "
        f"then hold as many bytes. Received: {str(path)!r}"
    )
