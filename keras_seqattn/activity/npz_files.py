"""Windows cut out of continuous, labelled recordings."""

import os
from collections.abc import Iterable

import numpy as np

from keras_seqattn._checks import check_positive_integer
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings


def load_continuous(
    path: str | os.PathLike[str], seconds: float = 1.0, overlap: float = 0.5
) -> ActivityWindows:
    """Read continuous recordings from an `.npz` file and cut windows.

    The file holds `signal` of shape `(samples, channels)`, `label` of shape
    `(samples,)`, `start` of shape `(recordings + 1,)`, the bounds of the
    recordings, `subject` of shape `(recordings,)`, `classes`, `channels`, and
    `fs` (samples in a second) or `t_ms` of shape `(samples,)`, the time of a
    sample in its recording, whose median step gives the rate. Files with
    pickled objects are refused.

    Args:
        path: Path of the file.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).

    Returns:
        An `ActivityWindows`. A window's label is its most frequent one.

    Raises:
        ValueError: The file lacks a key, holds arrays that do not fit
            together, or no recording is long enough.
    """
    with np.load(path, allow_pickle=False) as file:
        _check_keys(
            path,
            file.keys(),
            ("signal", "label", "start", "subject", "classes", "channels"),
            () if "fs" in file else ("t_ms",),
        )
        signal, label = file["signal"], file["label"]
        start, subject = file["start"].astype("int64"), file["subject"]
        if (
            len(label) != len(signal)
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
                f"bounds from {start[0]} to {start[-1]}"
            )
        if "fs" in file:
            rate = float(file["fs"].item())
        else:
            steps = np.concatenate(
                [np.diff(t) for t in np.split(file["t_ms"], start[1:-1])]
            )
            rate = 1000 / float(np.median(steps))
        return cut_recordings(
            np.split(signal, start[1:-1]),
            np.split(label, start[1:-1]),
            subject,
            classes=tuple(file["classes"]),
            channels=tuple(file["channels"]),
            rate=rate,
            seconds=seconds,
            overlap=overlap,
        )


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
        _check_keys(
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


def _check_keys(
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
