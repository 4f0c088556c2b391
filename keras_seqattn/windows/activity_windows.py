"""Labelled windows of several subjects, and folds that share no subject."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends


@dataclasses.dataclass(frozen=True)
class ActivityWindows:
    """Windows of a recorded signal, each with an activity and a subject.

    Args:
        x: Array of shape `(windows, timesteps, channels)`, the signal in its
            own units, oldest sample first.
        y: Integer array of shape `(windows,)`, the activity, an index into
            `classes`.
        subject: Integer array of shape `(windows,)`, who was recorded.
        classes: Names of the activities.
        channels: Names of the channels.
        rate: Samples in a second.

    Raises:
        ValueError: Arrays of the wrong rank or of different lengths, NaN or
            infinite values, labels out of range, or fewer than two classes.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.activity import ActivityWindows

    windows = ActivityWindows(
        x=np.random.default_rng(0).normal(size=(6, 50, 3)),
        y=[0, 1, 0, 1, 0, 1],
        subject=[1, 1, 2, 2, 3, 3],
        classes=("REST", "WALK"),
        channels=("x", "y", "z"),
        rate=50,
    )
    print(windows.x.shape, windows.x.dtype)  # (6, 50, 3) float32
    ```
    """

    x: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    rate: float

    def __post_init__(self) -> None:
        x = np.asarray(self.x)
        if x.ndim != 3 or 0 in x.shape or x.dtype.kind not in "uif":
            raise ValueError(
                "`x` must hold numbers in the shape (windows, timesteps, "
                "channels), none of them 0. "
                f"Received: x.shape={x.shape}, x.dtype={x.dtype}"
            )
        x = x.astype("float32")
        bad = ~np.isfinite(x).all(axis=(1, 2))
        if bad.any():
            raise ValueError(
                "`x` must be finite. Received: NaN or infinity in "
                f"{bad.sum()} of {len(x)} windows, the first is window "
                f"{np.flatnonzero(bad)[0]}"
            )
        classes = tuple(map(str, self.classes))
        if len(classes) < 2 or len(set(classes)) != len(classes):
            raise ValueError(
                "`classes` must name at least two activities, and none "
                f"twice. Received: classes={classes}"
            )
        channels = tuple(map(str, self.channels))
        if len(channels) != x.shape[2]:
            raise ValueError(
                f"`channels` must name the {x.shape[2]} channels of `x`. "
                f"Received: channels={channels}"
            )
        y = _integers("y", self.y, len(x))
        if y.min() < 0 or y.max() >= len(classes):
            raise ValueError(
                f"`y` must be in 0 .. {len(classes) - 1}, an index into "
                f"`classes`. Received: values {y.min()} .. {y.max()}"
            )
        fields = {
            "x": x,
            "y": y,
            "subject": _integers("subject", self.subject, len(x)),
            "classes": classes,
            "channels": channels,
            "rate": check_positive_number("rate", float(self.rate)),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def examples(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Number the windows and yield them one by one."""
        arrays = {"signal": self.x, "label": self.y, "subject": self.subject}
        for number in range(len(self.x)):
            yield number, {name: a[number] for name, a in arrays.items()}


def subject_folds(
    subject: np.ndarray, folds: int = 5, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide windows into folds, so that no subject is in two.

    Args:
        subject: Integer array of shape `(windows,)`, who was recorded.
        folds: Integer from 2, at most the number of subjects.
        seed: Integer, shuffles the subjects.

    Returns:
        For each fold the indices of the other windows, and of its own.

    Raises:
        ValueError: Fewer subjects than folds, or fewer than two folds.

    Example:
    ```python
    import numpy as np
    from keras_seqattn.windows import subject_folds

    for others, own in subject_folds(np.array([1, 1, 2, 3]), folds=3):
        print(others, own)
    # [2 3] [0 1]
    ```
    """
    folds = check_positive_integer("folds", folds)
    subject = np.asarray(subject)
    shuffled = np.unique(subject)
    if not 2 <= folds <= len(shuffled):
        raise ValueError(
            f"`folds` must be in 2 .. {len(shuffled)}, the number of "
            f"subjects. Received: folds={folds}"
        )
    np.random.default_rng(seed).shuffle(shuffled)
    own = [np.isin(subject, shuffled[i::folds]) for i in range(folds)]
    return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in own]


def _integers(name: str, value: object, length: int) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != (length,) or array.dtype.kind not in "ui":
        raise ValueError(
            f"`{name}` must hold one integer a window, {length} of them. "
            f"Received: {name}.shape={array.shape}, {name}.dtype={array.dtype}"
        )
    return array.astype("int64")


def cut_recordings(
    recordings: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    subject: np.ndarray,
    *,
    classes: Sequence[str],
    channels: Sequence[str],
    rate: float,
    seconds: float,
    overlap: float = 0.5,
) -> ActivityWindows:
    """Cut windows that lie inside one recording each.

    Args:
        recordings: Arrays of shape `(samples, channels)`.
        labels: For each recording an integer array of shape `(samples,)`. A
            window's label is the most frequent one, of equals the smallest.
        subject: Integer array of shape `(recordings,)`.
        classes: Names of the activities.
        channels: Names of the channels.
        rate: Samples in a second.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).

    Returns:
        An `ActivityWindows`.
    """
    rate = check_positive_number("rate", rate)
    overlap = check_rate("overlap", overlap)
    timesteps = round(check_positive_number("seconds", seconds) * rate)
    number = np.repeat(np.arange(len(recordings)), [*map(len, recordings)])
    ends = window_ends(
        number, max(timesteps, 1), max(round(timesteps * (1 - overlap)), 1)
    )
    label = take_windows(np.concatenate(labels)[:, None], ends, timesteps)
    votes = [np.sum(label == i, axis=(1, 2)) for i in range(len(classes))]
    return ActivityWindows(
        x=take_windows(np.concatenate(recordings), ends, timesteps),
        y=np.argmax(votes, axis=0),
        subject=np.asarray(subject)[number[ends]],
        classes=tuple(classes),
        channels=tuple(channels),
        rate=rate,
    )
