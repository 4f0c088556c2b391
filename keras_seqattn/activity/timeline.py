"""What was recognized in a recording, sample by sample."""

import csv
import dataclasses
import importlib
import itertools
import os
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_seqattn.activity.score import Score
from keras_seqattn.windows.labels import class_codes

# Rows of a CSV file that are text at once.
ROWS = 10_000


class Bout(NamedTuple):
    """One stretch of one activity, in seconds of the recording's clock."""

    start: float
    stop: float
    label: str


@dataclasses.dataclass(frozen=True, eq=False)
class ActivityTimeline:
    """What was recognized in a recording, sample by sample.

    Attributes:
        times: Array `(samples,)`, seconds on the recording's clock.
        label: Text `(samples,)`, the likeliest class; `""` where there is
            none: in segments shorter than a window.
        probabilities: Float array `(samples, classes)`, rows that sum to 1,
            or NaN where there is no label.
        segment: Integers `(samples,)`; a change of value is a seam.
        classes: Names of the classes.
        rate: Samples in a second.
        subject: Who was recorded, or `None`.
        source: Where the recording came from.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.activity import ActivityTimeline

    timeline = ActivityTimeline(
        times=np.arange(6) / 2,
        label=np.array(["rest", "rest", "walk", "walk", "walk", "walk"]),
        probabilities=np.eye(2)[[0, 0, 1, 1, 1, 1]],
        segment=np.array([0, 0, 0, 0, 1, 1]),
        classes=("rest", "walk"),
        rate=2,
    )
    for bout in timeline.segments():
        print(bout)
    # Bout(start=0.0, stop=1.0, label='rest')
    # Bout(start=1.0, stop=2.0, label='walk')
    # Bout(start=2.0, stop=3.0, label='walk')
    ```
    """

    times: np.ndarray
    label: np.ndarray
    probabilities: np.ndarray
    segment: np.ndarray
    classes: tuple[str, ...]
    rate: float
    subject: int | str | None = None
    source: str = "recording"

    def segments(self) -> list[Bout]:
        """Return each stretch of one activity, broken at seams.

        It stops one sample's length after its last sample. What has no label
        is left out.
        """
        return [
            Bout(
                float(self.times[first]),
                float(self.times[last] + 1 / self.rate),
                str(self.label[first]),
            )
            for first, last in runs(self.label, self.segment)
            if self.label[first]
        ]

    def score(self, true_labels: Any) -> Score:
        """Score the samples that have a label, true and recognized.

        Args:
            true_labels: Names in `classes`, or indices into them, of shape
                `(samples,)`, such as a recording's `label`. `""`, -1, `None`
                and NaN: not known.

        Raises:
            ValueError: Labels that are no classes, another number of them, or
                none to score.
        """
        true, predicted = self.codes(true_labels)
        both = (true >= 0) & (predicted >= 0)
        if not both.any():
            raise ValueError(
                "There must be a sample with a true and a recognized label. "
                f"Received: {np.sum(true >= 0)} true and "
                f"{np.sum(predicted >= 0)} recognized ones of {len(true)}"
            )
        return Score.of(true[both], predicted[both], len(self.classes))

    def codes(self, true_labels: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return true and recognized labels as indices, -1 for none.

        Args:
            true_labels: As of `score`.
        """
        true, _ = class_codes(
            true_labels, self.classes, "drop", name="true_labels"
        )
        if len(true) != len(self.label):
            raise ValueError(
                f"`true_labels` must hold one label a sample, "
                f"{len(self.label)} of them. Received: {len(true)}"
            )
        predicted = np.full(len(true), -1)
        for code, name in enumerate(self.classes):
            predicted[self.label == name] = code
        return true, predicted

    def to_frame(self) -> Any:
        """Return a pandas frame: time, label, and a column a class.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "A frame needs pandas: pip install keras_seqattn[activity]"
            ) from error
        columns = [self.times, self.label, *self.probabilities.T]
        # By place: a class may be called "time".
        frame = pandas.DataFrame(dict(enumerate(columns)))
        frame.columns = self.head()
        return frame

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file: time, label, and a column a class."""
        write_csv(path, [self])

    def head(self) -> list[str]:
        """Return the names of the columns."""
        return ["time", "label", *self.classes]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the table, a block of numbers at a time."""
        for first in range(0, len(self.times), ROWS):
            part = slice(first, first + ROWS)
            # As short as a probability needs, and empty for none.
            numbers = np.char.mod("%.6g", self.probabilities[part])
            numbers[self.label[part] == ""] = ""
            yield from (
                (time, label, *row)
                for time, label, row in zip(
                    # No 0.060000000000000005.
                    np.round(self.times[part], 9).tolist(),
                    self.label[part].tolist(),
                    numbers.tolist(),
                    strict=True,
                )
            )


def write_csv(
    path: str | os.PathLike[str], timelines: "list[ActivityTimeline]"
) -> None:
    """Write time lines of the same classes one below the other.

    Of several, the first columns tell the source and the subject.
    """
    several = len(timelines) > 1
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        head = timelines[0].head()
        writer.writerow(["source", "subject", *head] if several else head)
        for line in timelines:
            whose = (line.source, "" if line.subject is None else line.subject)
            for row in line.rows():
                writer.writerow((*whose, *row) if several else row)


def runs(label: np.ndarray, segment: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last sample of each run of equal labels.

    No run crosses a seam, a change of `segment`.
    """
    if not len(label):
        return []
    new = (label[1:] != label[:-1]) | (segment[1:] != segment[:-1])
    bounds = [0, *(np.flatnonzero(new) + 1).tolist(), len(label)]
    return [(first, stop - 1) for first, stop in itertools.pairwise(bounds)]
