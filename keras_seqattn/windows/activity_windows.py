"""Labelled windows of several subjects, and folds that share no subject."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._checks import check_names
from keras_seqattn._checks import check_non_negative_integer
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn._checks import to_float32
from keras_seqattn.windows.cutting import take_windows
from keras_seqattn.windows.cutting import window_ends
from keras_seqattn.windows.labels import class_codes
from keras_seqattn.windows.labels import class_names
from keras_seqattn.windows.labels import ids
from keras_seqattn.windows.signal_options import SignalOptions


@dataclasses.dataclass(frozen=True)
class ActivityWindows:
    """Windows of a recorded signal, each with an activity and a subject.

    Args:
        x: Array of shape `(windows, timesteps, channels)`, the signal in its
            own units, oldest sample first.
        y: Array of shape `(windows,)`, the activity: an index into
            `classes`, or a name in it. Kept as an index.
        subject: Array of shape `(windows,)`, who was recorded: integers or
            text.
        classes: Names of the activities.
        channels: Names of the channels.
        rate: Samples in a second.
        signal_options: What was done to the signal before, for whoever does
            it to the next one. Default: nothing.

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
    signal_options: SignalOptions | None = None

    def __repr__(self) -> str:
        count, timesteps, channels = self.x.shape
        return (
            f"ActivityWindows({count} windows of {timesteps} samples at "
            f"{self.rate:g} Hz, {channels} channels, "
            f"{len(np.unique(self.subject))} subjects, "
            f"{len(self.classes)} activities)"
        )

    def __post_init__(self) -> None:
        x = check_array("x", self.x)
        if x.ndim != 3 or 0 in x.shape or x.dtype.kind not in "uif":
            raise ValueError(
                "`x` must hold numbers in the shape (windows, timesteps, "
                "channels), none of them 0. "
                f"Received: x.shape={x.shape}, x.dtype={x.dtype}"
            )
        x = to_float32(x)
        bad = ~np.isfinite(x).all(axis=(1, 2))
        if bad.any():
            raise ValueError(
                "`x` must be finite. Received: NaN or infinity in "
                f"{bad.sum()} of {len(x)} windows, the first is window "
                f"{np.flatnonzero(bad)[0]}"
            )
        classes = class_names(self.classes)
        if len(classes) < 2:
            raise ValueError(
                "`classes` must name at least two activities. "
                f"Received: classes={classes}"
            )
        channels = check_names("channels", self.channels, x.shape[2])
        y, _ = class_codes(self.y, classes, name="y")
        subject = ids(self.subject)
        for name, values in (("y", y), ("subject", subject)):
            if len(values) != len(x):
                raise ValueError(
                    f"`{name}` must hold one entry a window, {len(x)} of "
                    f"them. Received: {len(values)}"
                )
        fields = {
            "x": x,
            "y": y,
            "subject": subject,
            "classes": classes,
            "channels": channels,
            "rate": check_positive_number("rate", self.rate),
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
        subject: Array of shape `(windows,)`, who was recorded: integers or
            text.
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
    subject = ids(subject)
    seed = check_non_negative_integer("seed", seed)
    shuffled = np.unique(subject)
    if not 2 <= folds <= len(shuffled):
        raise ValueError(
            f"`folds` must be in 2 .. {len(shuffled)}, the number of "
            f"subjects. Received: folds={folds}"
        )
    np.random.default_rng(seed).shuffle(shuffled)
    own = [np.isin(subject, shuffled[i::folds]) for i in range(folds)]
    return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in own]


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
    unlabelled: str = "refuse",
) -> ActivityWindows:
    """Cut windows that lie inside one recording each.

    Args:
        recordings: Arrays of shape `(samples, channels)`.
        labels: For each recording an array of shape `(samples,)`: indices
            into `classes`, or names in it. A window's label is the most
            frequent one, of equals the first.
        subject: Integers or text of shape `(recordings,)`.
        classes: Names of the activities.
        channels: Names of the channels.
        rate: Samples in a second.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).
        unlabelled: `"refuse"` samples without a label (-1, NaN, `""`), or
            `"drop"` the windows in which they are the most frequent.

    Returns:
        An `ActivityWindows`.

    Raises:
        ValueError: Labels that are not classes, or no window.
    """
    rate = check_positive_number("rate", rate)
    overlap = check_rate("overlap", overlap)
    timesteps = round(check_positive_number("seconds", seconds) * rate)
    number = np.repeat(np.arange(len(recordings)), [*map(len, recordings)])
    ends = window_ends(
        number, max(timesteps, 1), max(round(timesteps * (1 - overlap)), 1)
    )
    codes, names = class_codes(np.concatenate(labels), classes, unlabelled)
    label = take_windows(codes[:, None], ends, timesteps)
    # The unlabelled first: of equals the first is taken.
    votes = [np.sum(label == i, axis=(1, 2)) for i in range(-1, len(names))]
    y = np.argmax(votes, axis=0) - 1
    ends, y = ends[y >= 0], y[y >= 0]
    if not len(ends):
        raise ValueError(
            "Every window is unlabelled: there is nothing to train on. "
            f"Received: {len(label)} windows of {timesteps} samples"
        )
    return ActivityWindows(
        x=take_windows(np.concatenate(recordings), ends, timesteps),
        y=y,
        subject=ids(subject)[number[ends]],
        classes=names,
        channels=tuple(channels),
        rate=rate,
    )
