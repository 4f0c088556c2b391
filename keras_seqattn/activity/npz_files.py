"""Recordings and windows of one's own in `.npz` files."""

import itertools
import os

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._files.array_file import LABELS
from keras_seqattn._files.array_file import REAL
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn.activity.streams import Stream
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.labels import class_codes
from keras_seqattn.windows.labels import class_names
from keras_seqattn.windows.labels import ids


def read_continuous(path: str | os.PathLike[str]) -> list[Stream]:
    """Read continuous recordings from an `.npz` file.

    The file holds `signal` of shape `(samples, channels)`, `label` of shape
    `(samples,)` (names in `classes`, or indices into them), `start` of shape
    `(recordings + 1,)`, the bounds of the recordings, `subject` of shape
    `(recordings,)` (integers or text), `classes`, `channels`, and
    `fs` (samples in a second) or `t_ms` of shape `(samples,)`, the time of a
    sample in its recording.

    Raises:
        ValueError: The file lacks a key, or holds arrays that do not fit
            together.
    """
    with ArrayFile(path) as file:
        _check_keys(
            file,
            ("signal", "label", "start", "subject", "classes", "channels"),
            () if "fs" in file else ("t_ms",),
        )
        signal = file.read("signal", rank=2)
        label, start = file.read("label", LABELS, 1), _bounds(file, "start")
        subject = file.read("subject", LABELS, 1)
        if (
            len(label) != len(signal)
            or not len(subject)
            or len(start) != len(subject) + 1
            or start[0] != 0
            or start[-1] != len(signal)
            or (np.diff(start) < 0).any()
        ):
            raise ValueError(
                "`label` must have one entry a sample, and `start` must rise "
                "from 0 to the number of samples, one bound more than "
                f"`subject` has entries. Received: {len(signal)} samples, "
                f"{len(label)} labels, {len(subject)} subjects, {len(start)} "
                f"bounds from {start[:1]} to {start[-1:]}"
            )
        stamps = _stamps(file, len(signal))
        codes, classes = class_codes(
            label,
            file.read("classes", LABELS, 1).tolist(),
            "drop",
            name=f"label of {file.path}",
        )
        names = np.array([*classes, ""], dtype=object)
        channels = tuple(map(str, file.read("channels", LABELS, 1).tolist()))
    if len(channels) != signal.shape[1] or not np.isfinite(signal).all():
        raise ValueError(
            f"`signal` in {file.path!r} must be finite, and `channels` name "
            f"its {signal.shape[1]} channels. Received: channels={channels}, "
            f"{(~np.isfinite(signal)).sum()} values that are not finite"
        )
    who = ids(subject, f"subject of {file.path}").tolist()
    return [
        Stream(
            stamps[a:b],
            signal[a:b],
            channels,
            np.arange(a, b),
            names[codes[a:b]],
            who[i],
            file.path,
        )
        for i, (a, b) in enumerate(itertools.pairwise(start.tolist()))
        if b > a
    ]


def read_classes(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of classes of continuous recordings, in order."""
    with ArrayFile(path) as file:
        return list(class_names(file.read("classes", LABELS, 1).tolist()))


def is_continuous(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds recordings, not windows."""
    with ArrayFile(path) as file:
        return "label" in file


def load_windows(path: str | os.PathLike[str]) -> ActivityWindows:
    """Read windows from an `.npz` file.

    The file holds `y` and `subject` of shape `(windows,)`, `classes`,
    `channels` and `fs` (samples in a second), and the windows as `x` of shape
    `(windows, timesteps, channels)`, or, if they overlap, as `signal` of
    shape `(samples, channels)`, `start` of shape `(windows,)` and `window`,
    their length. `y` are names in `classes`, or indices into them; subjects
    integers or text.

    Args:
        path: Path of the file.

    Returns:
        An `ActivityWindows`.

    Raises:
        ValueError: The file lacks a key, or holds arrays that do not fit
            together.
    """
    with ArrayFile(path) as file:
        _check_keys(
            file,
            ("y", "subject", "classes", "channels", "fs"),
            ("x",) if "x" in file else ("signal", "start", "window"),
        )
        if "x" in file:
            x = file.read("x", rank=3)
        else:
            signal, start = file.read("signal", rank=2), _bounds(file, "start")
            length = _window(file)
            if not len(start) or (
                start.min() < 0 or start.max() + length > len(signal)
            ):
                raise ValueError(
                    f"A window of {file.path!r} must end within its "
                    f"{len(signal)} samples. Received: {len(start)} windows, "
                    f"`start` in {start.min(initial=0)} .. "
                    f"{start.max(initial=0)}, window={length}"
                )
            x = signal[start[:, None] + np.arange(length)]
        return ActivityWindows(
            x=x,
            y=file.read("y", LABELS),
            subject=file.read("subject", LABELS),
            classes=tuple(file.read("classes", LABELS, 1).tolist()),
            channels=tuple(file.read("channels", LABELS, 1).tolist()),
            rate=file.number("fs"),
        )


def _stamps(file: ArrayFile, samples: int) -> np.ndarray:
    """Return the time of each sample in seconds."""
    if "fs" in file:
        return np.arange(samples) / check_positive_number(
            "fs", file.number("fs")
        )
    time = file.read("t_ms", REAL, 1).astype("float64")
    if len(time) != samples or not np.isfinite(time).all():
        raise ValueError(
            f"`t_ms` in {file.path!r} must hold a finite time a sample. "
            f"Received: {len(time)} times for {samples} samples"
        )
    return time / 1000


def _bounds(file: ArrayFile, name: str) -> np.ndarray:
    """Return whole numbers, such as MATLAB saves as floats."""
    values = file.read(name, REAL, 1)
    if not np.isfinite(values).all() or (values != np.floor(values)).any():
        raise ValueError(f"{name!r} in {file.path!r} must hold whole numbers.")
    return values.astype("int64")


def _window(file: ArrayFile) -> int:
    length = file.number("window")
    return check_positive_integer(
        "window", int(length) if length.is_integer() else length
    )


def _check_keys(file: ArrayFile, *needed: tuple[str, ...]) -> None:
    """Raise if a file lacks one of the needed keys."""
    file.check_names(
        [key for part in needed for key in part],
        "Expected: windows (`x`, or `signal`, `start`, `window`; `y`, "
        "`subject`, `classes`, `channels`, `fs`), or recordings (`signal`, "
        "`label`, `start`, `subject`, `classes`, `channels`, `fs` or `t_ms`).",
    )
