"""Mean and scale of a feature, from training data alone."""

import dataclasses

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Standardizer:
    """Mean and scale per feature, from training data alone.

    A feature that does not vary (a dead channel) gets scale 1, so that it
    stays finite whatever it does later.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows.standardizer import Standardizer

    standardizer = Standardizer.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    print(standardizer.transform(np.array([[3.0, 5.0]])))  # [[1. 0.]]
    ```
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(
        cls, data: np.ndarray, axis: int | tuple[int, ...] = 0
    ) -> "Standardizer":
        """Take mean and population deviation.

        Args:
            data: Array of training data.
            axis: The axes to take them over. Default: the first. For windows
                (windows, timesteps, channels) `(0, 1)`: one mean a channel.
        """
        data = np.asarray(data, dtype=np.float64)
        deviation = data.std(axis=axis)
        # Relative to its own size: 1e-7 V is alive.
        alive = deviation > 1e-6 * np.abs(data).max(axis=axis)
        return cls(data.mean(axis=axis), np.where(alive, deviation, 1.0))

    def transform(self, data: np.ndarray) -> np.ndarray:
        return ((data - self.mean) / self.scale).astype("float32")

    def inverse(self, data: np.ndarray) -> np.ndarray:
        return (data * self.scale + self.mean).astype("float32")

    def layer(self, name: str, invert: bool = False) -> keras.layers.Layer:
        """Return the same, or its inverse, as a layer for a saved model."""
        return keras.layers.Normalization(
            mean=self.mean,
            variance=self.scale**2,
            invert=invert,
            dtype="float32",
            name=name,
        )
