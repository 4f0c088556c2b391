"""Windows cut out of continuous, labelled recordings."""

import os
from collections.abc import Sequence

import numpy as np

from keras_seqattn.activity.data import ActivityWindows
from keras_seqattn.activity.data import check_keys
from keras_seqattn.argument_checks import check_positive_number
from keras_seqattn.argument_checks import check_rate
from keras_seqattn.windows import take_windows
from keras_seqattn.windows import window_ends


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
        check_keys(
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
