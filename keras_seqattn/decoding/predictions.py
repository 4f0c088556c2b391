"""What a decoder said of each bin, with its time."""

import csv
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn.decoding.score import Score
from keras_seqattn.windows.labels import group_labels
from keras_seqattn.windows.recording import Recording


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Decoded movement, bin by bin, beside the true one.

    Attributes:
        recording: The `Recording` that was decoded.
        bins: Integer array `(n,)`, the place of each decoded bin in it.
        decoded: Float array `(n, axes)`, in the recording's own unit.
    """

    recording: Recording
    bins: np.ndarray
    decoded: np.ndarray

    def __post_init__(self) -> None:
        bins = check_array("bins", self.bins, "(n,)", "iu")
        decoded = check_array("decoded", self.decoded, "(n, axes)")
        shape = (len(bins), self.recording.movement.shape[1])
        if decoded.shape != shape:
            raise ValueError(
                "`decoded` must have a row for each of `bins`, and the axes of "
                f"the movement: {shape}. Received: {decoded.shape}"
            )
        object.__setattr__(self, "bins", bins)
        object.__setattr__(self, "decoded", decoded)

    @property
    def times(self) -> np.ndarray:
        """Seconds `(n,)`: the end of each bin.

        Of the recording's own clock if it has `times`; else from its first
        bin on, as if there were no seam; bins, if it has no `bin_width`.
        """
        if self.recording.times is not None:
            return self.recording.times[self.bins]
        return (self.bins + 1) * (self.recording.bin_width or 1.0)

    @property
    def true(self) -> np.ndarray:
        """Float array `(n, axes)`, the recorded movement."""
        return self.recording.movement[self.bins]

    def score(self, where: np.ndarray | None = None) -> Score:
        """Score them all, or those where a mask `(n,)` is true.

        Bins that the recording does not score are left out.
        """
        scored = np.asarray(self.recording.scored)[self.bins]
        if where is not None:
            where = check_array("where", where, "(n,)", "b")
            if len(where) != len(scored):
                raise ValueError(
                    f"`where` must hold one boolean for each of {len(scored)} "
                    f"decoded bins. Received: {len(where)}"
                )
            scored = scored & where
        if not scored.any():
            raise ValueError("No bin is left to score.")
        return Score.of(
            self.true[scored],
            self.decoded[scored],
            self.recording.is_direction,
        )

    def score_by(self, labels: str | Sequence[Any]) -> dict[Any, Score]:
        """Score the bins of each label apart.

        Args:
            labels: `"condition"` or `"trial"`, of the recording; or one label
                for each of its bins.

        Returns:
            A `Score` by label, in order. A label with one bin has none.

        Raises:
            ValueError: The recording has no such labels, or too few.
        """
        values: Any = labels
        if isinstance(labels, str):
            values = getattr(self.recording, labels, None)
            if labels not in ("condition", "trial") or values is None:
                raise ValueError(
                    "`labels` must be 'condition' or 'trial', which the "
                    "recording must have, or one label a bin. Received: "
                    f"labels={labels!r}"
                )
        every = group_labels("labels", values)
        if len(every) != len(self.recording.spikes):
            raise ValueError(
                "`labels` must hold one label for each of the recording's "
                f"{len(self.recording.spikes)} bins. Received: {len(every)}"
            )
        found = every[self.bins]
        scored = np.asarray(self.recording.scored)[self.bins]
        return {
            label.item(): self.score(found == label)
            for label in np.unique(found)
            if np.sum(scored & (found == label)) > 1
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file: time, trial, condition, true and decoded axes.

        Where a bin is not to be scored, what is true is not known: NaN. A
        column tells what is `scored`, where not all is.
        """
        axes = range(self.decoded.shape[1])
        columns: dict[str, np.ndarray] = {"time": self.times, "bin": self.bins}
        for name in ("trial", "condition"):
            values = getattr(self.recording, name)
            if values is not None:
                columns[name] = values[self.bins]
        scored = np.asarray(self.recording.scored)[self.bins]
        if not scored.all():
            columns["scored"] = scored.astype(int)
        true = np.where(scored[:, None], self.true, np.nan)
        columns |= {f"true_{axis}": true[:, axis] for axis in axes}
        columns |= {f"decoded_{axis}": self.decoded[:, axis] for axis in axes}
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(
                zip(
                    *(column.tolist() for column in columns.values()),
                    strict=True,
                )
            )
