"""Shuffled batches that depend on a seed and an epoch alone."""

from collections.abc import Callable

import keras
import numpy as np


class SeededBatches(keras.utils.PyDataset):
    """Shuffled batches that depend on a seed and an epoch alone.

    The last, smaller batch is left out: one shape, one compilation. Examples
    are shuffled anew in each epoch of `fit(..., shuffle=False)`.

    Args:
        x: Array of examples.
        y: Array of their targets.
        batch_size: Positive integer, at most the number of examples.
        seed: Integer, not negative.
        change: Optional function `change(x, y, rng)` that returns what is
            trained on in the place of a batch, with a NumPy generator that
            depends on seed, epoch and batch.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.seeded_batches import SeededBatches

    batches = SeededBatches(np.arange(5.0), np.arange(5), 2, seed=0)
    print(len(batches), batches[0][1])  # 2 [2 4]
    batches.on_epoch_end()
    print(batches[0][1])  # [1 4]
    ```
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int,
        seed: int,
        change: Callable[
            [np.ndarray, np.ndarray, np.random.Generator],
            tuple[np.ndarray, np.ndarray],
        ]
        | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y = x, y
        self.batch_size = batch_size
        self.seed = seed
        self.change = change
        self.epoch = -1
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        self.epoch += 1
        rng = np.random.default_rng((self.seed, self.epoch))
        self.order = rng.permutation(len(self.x))

    def __len__(self) -> int:
        return len(self.x) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        first = index * self.batch_size
        chosen = self.order[first : first + self.batch_size]
        x, y = self.x[chosen], self.y[chosen]
        if self.change is None:
            return x, y
        rng = np.random.default_rng((self.seed, self.epoch, index))
        return self.change(x, y, rng)
