"""Counts of single bins, scaled, and which bins a part of the data holds."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn.decoding.data import DecodingData
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.standardizer import Standardizer

# Windows at once: in float64 all of them may be more than the memory.
BATCH = 4096


@dataclasses.dataclass(frozen=True)
class CountScale:
    """From counts to numbers of mean 0 and variance 1, in float64."""

    transform: str | None
    standardizer: Standardizer

    @classmethod
    def of(cls, data: DecodingData, transform: str | None) -> "CountScale":
        """Take the scale of the training bins, transformed or not."""
        if transform == data.transform:
            return cls(transform, data.spike_standardizer)
        spikes = data.recording.spikes[data.bins("train")]
        if transform == "sqrt":
            spikes = np.sqrt(spikes)
        return cls(transform, Standardizer.fit(spikes))

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        counts = np.asarray(counts, dtype=np.float64)
        if self.transform == "sqrt":
            counts = np.sqrt(counts)
        return (counts - self.standardizer.mean) / self.standardizer.scale

    def check_units(self, data: DecodingData) -> None:
        """Raise unless `data` has as many units as the scale."""
        units, found = len(self.standardizer.mean), data.recording.spikes.shape
        if found[1] != units:
            raise ValueError(
                f"`data` must have the {units} units that the decoder was "
                f"fitted to. Received: {found[1]} units"
            )

    def one_bin(self, counts: Any) -> np.ndarray:
        """Check and scale the counts of one bin; a missing one is the mean."""
        units = len(self.standardizer.mean)
        if counts is None:
            return np.zeros(units)
        counts = check_array("counts", counts, "(units,)").astype(np.float64)
        if counts.shape != (units,):
            raise ValueError(
                f"`counts` must hold one number for each of {units} units. "
                f"Received: counts.shape={counts.shape}"
            )
        if not np.isfinite(counts).all():
            raise ValueError(
                "`counts` must be finite; push `None` for a missing bin. "
                "Received: NaN or infinity in unit "
                f"{np.flatnonzero(~np.isfinite(counts))[0]}"
            )
        if self.transform == "sqrt" and counts.min() < 0:
            raise ValueError(
                "`counts` must not be negative. Received: a minimum of "
                f"{counts.min()}"
            )
        return self(counts)


def runs_of(data: DecodingData, bins: np.ndarray) -> list[np.ndarray]:
    """Cut bins where they do not follow each other in one segment."""
    segment = np.asarray(data.recording.segment)[bins]
    breaks = (np.diff(bins) != 1) | (segment[1:] != segment[:-1])
    return np.split(bins, np.flatnonzero(breaks) + 1)


def window_batches(
    data: DecodingData, part: str, scale: CountScale, timesteps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield flat scaled windows of a part and their movement, in float64."""
    spikes = scale(data.recording.spikes)
    movement = data.recording.movement
    ends = data.ends[part]
    for start in range(0, len(ends), BATCH):
        some = ends[start : start + BATCH]
        windows = take_windows(spikes, some, timesteps)
        yield windows.reshape(len(some), -1), movement[some].astype("float64")
