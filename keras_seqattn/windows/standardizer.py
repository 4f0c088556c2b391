"""Mean and scale of a feature, from training data alone."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import to_float32


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
        data = check_array("data", data, copy=False).astype(np.float64)
        if not data.size or not np.isfinite(data).all():
            raise ValueError(
                "`data` must hold finite numbers to take a mean and a "
                f"deviation of. Received: data.shape={data.shape}, of which "
                f"{(~np.isfinite(data)).sum()} are NaN or infinite"
            )
        deviation = data.std(axis=axis)
        # Relative to its own size: 1e-7 V is alive.
        alive = deviation > 1e-6 * np.abs(data).max(axis=axis)
        return cls(data.mean(axis=axis), np.where(alive, deviation, 1.0))

    def transform(self, data: np.ndarray) -> np.ndarray:
        return _to_float32((data - self.mean) / self.scale)

    def inverse(self, data: np.ndarray) -> np.ndarray:
        return _to_float32(data * self.scale + self.mean)

    def layer(self, name: str, invert: bool = False) -> keras.layers.Layer:
        """Return the same, or its inverse, as a layer for a saved model."""
        return Standardize(
            self.mean.tolist(),
            self.scale.tolist(),
            invert,
            dtype="float32",
            name=name,
        )


def _to_float32(data: np.ndarray) -> np.ndarray:
    found = to_float32(data)
    if np.isinf(found).any():
        raise ValueError(
            "Numbers must stay finite in float32 when they are standardized. "
            f"Received: {np.isinf(found).sum()} that do not"
        )
    return found


@keras.saving.register_keras_serializable(package="keras_seqattn")
class Standardize(keras.layers.Layer):
    """Takes off a mean and divides by a scale, feature by feature.

    `keras.layers.Normalization` holds each deviation above 1e-7, so that a
    magnetic field in tesla would come out as 0.

    Args:
        mean: One number a feature, the last axis.
        scale: The same, none of them 0.
        invert: Whether to multiply by the scale and add the mean instead.
    """

    def __init__(
        self,
        mean: Sequence[float],
        scale: Sequence[float],
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mean, self.scale, self.invert = list(mean), list(scale), invert
        self.built = True

    def call(self, inputs: Any) -> Any:
        mean, scale = (
            keras.ops.convert_to_tensor(np.array(values), self.compute_dtype)
            for values in (self.mean, self.scale)
        )
        if self.invert:
            return inputs * scale + mean
        return (inputs - mean) / scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mean": self.mean,
            "scale": self.scale,
            "invert": self.invert,
        }
