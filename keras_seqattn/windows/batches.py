"""Batches of windows: shuffled by seed and epoch, standardized on the way."""

import copy
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn.windows.standardizer import Standardizer

Augment = Callable[
    [np.ndarray, np.ndarray, np.random.Generator],
    tuple[np.ndarray, np.ndarray],
]


class WindowBatches(keras.utils.PyDataset):
    """Batches of arrays in memory, for `fit` on every backend.

    Which windows a batch holds depends on `seed`, on `epoch` and on its
    number alone. `fit` moves `epoch` on; to resume a training, set it first.
    TensorFlow prepares batches ahead in `fit`, and JAX computes while the
    next batch is prepared.

    Args:
        x: Array of shape `(windows, ...)`.
        y: Array of shape `(windows, ...)`.
        batch_size: Windows in a batch.
        shuffle: If true, each epoch has its own order. Pass `shuffle=False`
            to `fit` all the same, or Keras shuffles the batches once more.
        seed: Integer from 0.
        standardizer: A `Standardizer` of the training windows, applied to
            `x`. Default: `x` as it is.
        augment: Optional function `augment(x, y, rng)` that returns a changed
            copy of a batch, before it is standardized; `rng` is a NumPy
            generator, another for each batch. Integers in `x` become float32
            first.
        drop_remainder: If true, the last, smaller batch is left out.

    Raises:
        ValueError: Arrays of different lengths, or no batch.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import WindowBatches

    x, y = np.arange(10.0)[:, None], np.arange(10)
    batches = WindowBatches(x, y, batch_size=4, shuffle=True)
    print([len(labels) for _, labels in batches])  # [4, 4, 2]
    before = batches[0][1].tolist()
    batches.epoch += 1
    print(batches[0][1].tolist() == before)  # False
    ```
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        seed: int = 0,
        standardizer: Standardizer | None = None,
        augment: Augment | None = None,
        drop_remainder: bool = False,
    ) -> None:
        super().__init__()
        # They may fill the memory: no copies.
        self.x = check_array("x", x, copy=False)
        self.y = check_array("y", y, copy=False)
        self.batch_size = check_positive_integer("batch_size", batch_size)
        self.shuffle = check_flag("shuffle", shuffle)
        self.seed = check_non_negative_integer("seed", seed)
        self.standardizer = standardizer
        self.augment = augment
        self.drop_remainder = check_flag("drop_remainder", drop_remainder)
        if not self.x.ndim or self.x.shape[:1] != self.y.shape[:1]:
            raise ValueError(
                "`x` and `y` must have equally many windows. Received: shapes "
                f"{self.x.shape} and {self.y.shape}"
            )
        # In parts: a flag for each number is a quarter of the memory.
        for name, array in (("x", self.x), ("y", self.y)):
            for first in range(0, len(array), 1024):
                if not np.isfinite(array[first : first + 1024]).all():
                    raise ValueError(
                        f"`{name}` must hold finite numbers. Received: others "
                        f"in the windows from {first} on"
                    )
        if not len(self):
            raise ValueError(
                "`x` and `y` must have enough windows for a batch. Received: "
                f"{len(self.x)}, batch_size={batch_size}, "
                f"drop_remainder={drop_remainder}"
            )
        self._running = False
        self.epoch = 0

    @property
    def epoch(self) -> int:
        """Number of the epoch that runs or ran last, from 0.

        An epoch counts as run when its last batch was read. Before training,
        Keras begins and ends one just to look at its first batch, or, on JAX,
        its first two: with so few batches, build the model first, or that
        look counts. `steps_per_epoch` must divide the number of batches.
        """
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch = check_non_negative_integer("epoch", epoch)
        self._passed = False
        self._order = np.arange(len(self.x))
        if self.shuffle:
            rng = np.random.default_rng((self.seed, epoch))
            self._order = rng.permutation(len(self.x))

    def on_epoch_begin(self) -> None:
        if self._passed:
            self.epoch += 1
        self._running = True

    def on_epoch_end(self) -> None:
        self._running = False

    def __len__(self) -> int:
        extra = 0 if self.drop_remainder else self.batch_size - 1
        return (len(self.x) + extra) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self._running and index == len(self) - 1:
            self._passed = True
        first = index * self.batch_size
        chosen = self._order[first : first + self.batch_size]
        x, y = self.x[chosen], self.y[chosen]
        if self.augment is not None:
            if x.dtype.kind != "f":
                x = x.astype("float32")
            rng = np.random.default_rng((self.seed, self.epoch, index))
            changed, y = self.augment(x, y, rng)
            x, y = changed.astype(x.dtype), y.astype(self.y.dtype)
        if self.standardizer is not None:
            x = self.standardizer.transform(x)
        return x, y

    def to_tensorflow(self) -> Any:
        """Return the same batches as a `tf.data.Dataset`, prepared ahead.

        Each pass over it is an epoch, the first `epoch`; from then on it
        counts for itself, as `epoch` does in `fit`: a pass is over when its
        last batch was prepared. With fewer than four batches, or with the
        `class_weight` of `fit`, for which Keras prepares more of them ahead,
        its look at the first one may count as a pass.
        """
        import tensorflow as tf

        batches = copy.copy(self)
        batches.epoch = self.epoch

        def one_epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            batches.on_epoch_begin()
            for index in range(len(batches)):
                yield batches[index]

        x, y = self[0]
        size = self.batch_size if self.drop_remainder else None
        dataset = tf.data.Dataset.from_generator(
            one_epoch,
            output_signature=tuple(
                tf.TensorSpec((size, *array.shape[1:]), array.dtype)
                for array in (x, y)
            ),
        )
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(len(self))
        )
        # No more, or a look at the first batch would read the last one.
        return dataset.prefetch(1)


def class_weights(y: np.ndarray) -> dict[int, float]:
    """Weigh the classes equally: for the `class_weight` of `fit`.

    Args:
        y: Integer array of shape `(windows,)`, the training labels.

    Returns:
        For each label `windows / (classes * windows of this class)`, so that
        the mean over the windows is 1.

    Raises:
        ValueError: Labels that are no integers, such as one-hot ones.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import class_weights

    print(class_weights(np.array([0, 0, 0, 0, 1])))  # {0: 0.625, 1: 2.5}
    ```
    """
    y = check_array("y", y, "(windows,)", "iu")
    if not len(y):
        raise ValueError("`y` must hold labels. Received: none")
    labels, counts = np.unique(y, return_counts=True)
    return {
        int(label): float(len(y) / (len(labels) * count))
        for label, count in zip(labels, counts, strict=True)
    }
