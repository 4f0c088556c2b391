"""Labelled windows of several subjects, and folds that share no subject."""

import dataclasses
import os
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np

from keras_seqattn.argument_checks import check_positive_integer
from keras_seqattn.argument_checks import check_positive_number


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


def load_windows(path: str | os.PathLike[str]) -> ActivityWindows:
    """Read windows from an `.npz` file.

    The file holds `y` and `subject` of shape `(windows,)`, `classes`,
    `channels` and `fs` (samples in a second), and the windows as `x` of shape
    `(windows, timesteps, channels)`, or, if they overlap, as `signal` of
    shape `(samples, channels)`, `start` of shape `(windows,)` and `window`,
    their length. Files with pickled objects are refused.

    Args:
        path: Path of the file.

    Returns:
        An `ActivityWindows`.

    Raises:
        ValueError: The file lacks a key, or holds arrays that do not fit
            together.
    """
    with np.load(path, allow_pickle=False) as file:
        check_keys(
            path,
            file.keys(),
            ("y", "subject", "classes", "channels", "fs"),
            ("x",) if "x" in file else ("signal", "start", "window"),
        )
        if "x" in file:
            x = file["x"]
        else:
            signal, start = file["signal"], file["start"].astype("int64")
            length = check_positive_integer("window", file["window"].item())
            if start.min() < 0 or start.max() + length > len(signal):
                raise ValueError(
                    f"A window of {os.fspath(path)!r} must end within its "
                    f"{len(signal)} samples. Received: `start` in "
                    f"{start.min()} .. {start.max()}, window={length}"
                )
            x = signal[start[:, None] + np.arange(length)]
        return ActivityWindows(
            x=x,
            y=file["y"],
            subject=file["subject"],
            classes=tuple(file["classes"]),
            channels=tuple(file["channels"]),
            rate=file["fs"].item(),
        )


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
    from keras_seqattn.activity import subject_folds

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


def check_keys(
    path: str | os.PathLike[str],
    keys: Iterable[str],
    *needed: tuple[str, ...],
) -> None:
    """Raise if the file at `path` lacks one of the needed keys."""
    found = list(keys)
    missing = [key for part in needed for key in part if key not in found]
    if missing:
        raise ValueError(
            f"{os.fspath(path)!r} lacks {missing}. Expected: windows (`x`, or "
            "`signal`, `start`, `window`; `y`, `subject`, `classes`, "
            "`channels`, `fs`), or recordings (`signal`, `label`, `start`, "
            "`subject`, `classes`, `channels`, `fs` or `t_ms`). "
            f"Received: keys={found[:20]}"
        )


def _integers(name: str, value: object, length: int) -> np.ndarray:
    array = np.asarray(value)
    if array.shape != (length,) or array.dtype.kind not in "ui":
        raise ValueError(
            f"`{name}` must hold one integer a window, {length} of them. "
            f"Received: {name}.shape={array.shape}, {name}.dtype={array.dtype}"
        )
    return array.astype("int64")
