"""Decoders without a network: fitted at once, run bin by bin."""

import abc
import collections
from typing import Any
from typing import Self

import numpy as np

from keras_seqattn.decoding.costs import Costs
from keras_seqattn.decoding.count_bins import CountScale
from keras_seqattn.decoding.count_bins import window_batches
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.decoding.score import Score


class SimpleDecoder(abc.ABC):
    """A decoder without a network.

    It is fitted to `DecodingData`, and takes its choices on the validation
    part. `predict` decodes a part of it, `push` one bin after another: raw
    counts in, movement in the recording's unit out, the same numbers.

    To write one: `fit`, `predict`, `push`, `reset`, and `costs` if known.
    """

    has_window = True
    """Whether the decoder sees `timesteps` bins, and no more."""

    @abc.abstractmethod
    def fit(self, data: DecodingData, timesteps: int | None = None) -> Self:
        """Fit to the training part, and choose on the validation part.

        Args:
            data: A `DecodingData`.
            timesteps: Window length in bins. Default: the longest of `data`.

        Returns:
            The decoder itself.
        """

    @abc.abstractmethod
    def predict(self, data: DecodingData, part: str = "test") -> np.ndarray:
        """Decode the bins at which the windows of a part end.

        Args:
            data: A `DecodingData` of the same units.
            part: `"train"`, `"validation"` or `"test"`.

        Returns:
            Array `(windows, axes)`, in the unit of the recording.
        """

    @abc.abstractmethod
    def push(self, counts: Any) -> np.ndarray:
        """Decode the next bin.

        Args:
            counts: Spike counts `(units,)` of one bin, or `None`, if the bin
                is missing.

        Returns:
            Array `(axes,)`, in the unit of the recording.
        """

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget all bins pushed, as at a seam of a recording."""

    @property
    def costs(self) -> Costs | None:
        """What a bin costs, or `None`, if nobody has counted."""
        return None

    def score(self, data: DecodingData, part: str = "test") -> Score:
        """Score on a part of `data`."""
        return score(data, part, self.predict(data, part))


def score(data: DecodingData, part: str, decoded: np.ndarray) -> Score:
    """Score movement in the unit of the recording."""
    return data.score(part, data.movement_standardizer.transform(decoded))


def check_fitted(decoder: SimpleDecoder, attribute: str) -> None:
    """Raise unless `fit` has set an attribute."""
    if not hasattr(decoder, attribute):
        raise ValueError(
            f"`{type(decoder).__name__}` must be fitted first: call "
            "`fit(data)`."
        )


class WindowDecoder(SimpleDecoder):
    """A `SimpleDecoder` of the newest `timesteps` bins.

    A bin that is missing, be it before the first or `push(None)`, counts as
    the training mean of every unit.
    """

    timesteps: int
    scale: CountScale

    @abc.abstractmethod
    def decode(self, windows: np.ndarray) -> np.ndarray:
        """From scaled windows `(windows, timesteps * units)` to movement."""

    def predict(self, data: DecodingData, part: str = "test") -> np.ndarray:
        check_fitted(self, "scale")
        self.scale.check_units(data)
        batches = window_batches(data, part, self.scale, self.timesteps)
        return np.concatenate([self.decode(windows) for windows, _ in batches])

    def push(self, counts: Any) -> np.ndarray:
        check_fitted(self, "scale")
        self._bins.append(self.scale.one_bin(counts))
        return self.decode(np.concatenate(self._bins)[None])[0]

    def reset(self) -> None:
        check_fitted(self, "scale")
        mean = self.scale.one_bin(None)
        self._bins = collections.deque(
            [mean] * self.timesteps, maxlen=self.timesteps
        )
