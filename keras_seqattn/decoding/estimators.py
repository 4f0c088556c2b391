"""A regression of one's own, such as scikit-learn's, as a decoder."""

import copy
from typing import Any
from typing import Self

import numpy as np

from keras_seqattn.decoding.count_bins import CountScale
from keras_seqattn.decoding.count_bins import window_batches
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.simple_decoder import WindowDecoder


class EstimatorDecoder(WindowDecoder):
    """An estimator with `fit` and `predict` as a decoder of windows.

    Its rows are windows of standardized counts, `(windows, timesteps *
    units)`, oldest bin first, in float32; its targets the standardized
    movement, `(windows, axes)`, or `(windows,)` if there is one axis. Of a
    scikit-learn estimator that can fit but one output, each axis gets a copy.
    The validation part is not used.

    Args:
        estimator: An object with `fit(X, y)` and `predict(X)`. It is copied,
            and stays as it is.
        name: Its name, for messages.
    """

    def __init__(self, estimator: Any, name: str = "estimator") -> None:
        self.estimator = estimator
        self.name = name

    def fit(self, data: DecodingData, timesteps: int | None = None) -> Self:
        self.timesteps = data.timesteps if timesteps is None else timesteps
        self.scale = CountScale.of(data, data.transform)
        self.movement_scale = data.movement_standardizer
        batches = [
            (windows.astype("float32"), self.movement_scale.transform(movement))
            for windows, movement in window_batches(
                data, "train", self.scale, self.timesteps
            )
        ]
        x = np.concatenate([windows for windows, _ in batches])
        y = np.concatenate([movement for _, movement in batches])
        self.axes = y.shape[1]
        targets = list(y.T) if _has_one_output(self.estimator) else [y]
        if self.axes == 1:
            targets = [y[:, 0]]
        self.fitted = [copy.deepcopy(self.estimator) for _ in targets]
        for estimator, target in zip(self.fitted, targets, strict=True):
            estimator.fit(x, target)
        self.reset()
        return self

    def decode(self, windows: np.ndarray) -> np.ndarray:
        windows = windows.astype("float32")
        decoded = np.concatenate(
            [
                np.asarray(estimator.predict(windows)).reshape(len(windows), -1)
                for estimator in self.fitted
            ],
            axis=1,
        )
        if decoded.shape[1] != self.axes:
            raise ValueError(
                f"`predict` of {self.name!r} must give {self.axes} values a "
                f"window. Received: {decoded.shape[1]}"
            )
        return decoded * self.movement_scale.scale + self.movement_scale.mean


def _has_one_output(estimator: Any) -> bool:
    """Whether a scikit-learn estimator says that it fits one output."""
    tags = getattr(estimator, "__sklearn_tags__", None)
    if tags is None:
        return False
    target = tags().target_tags
    return bool(target.single_output and not target.multi_output)
