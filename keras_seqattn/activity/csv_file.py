"""Labelled recordings of one's own, in a CSV file."""

import os

import numpy as np

from keras_seqattn._files.tables import column_numbers
from keras_seqattn._files.tables import read_columns
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings
from keras_seqattn.windows.labels import class_codes
from keras_seqattn.windows.labels import ids_of_text

NEEDED = ("time", "subject", "label")
# Of this many median steps, samples are missing.
GAP = 5
# The median of fewer steps tells little of a rate.
FEWEST_STEPS = 5


def load_csv(
    path: str | os.PathLike[str],
    seconds: float = 1.0,
    overlap: float = 0.5,
    *,
    unlabelled: str = "refuse",
) -> ActivityWindows:
    r"""Read labelled recordings from a CSV file and cut windows.

    The first row names the columns: `time` in seconds, `subject` (an
    integer or a name), `label` (the name of an activity), and a column a
    channel. A row is a sample, in the order of time. A new recording begins
    where `subject` changes and where `time` goes back or leaps ahead by more
    than five median steps; no window crosses such a seam. The median step
    gives the rate, which all recordings must share.

    Args:
        path: Path of the file.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).
        unlabelled: `"refuse"` rows whose label is empty or -1, or `"drop"`
            the windows that hold mostly such.

    Returns:
        An `ActivityWindows`. A window's label is its most frequent one.

    Raises:
        ValueError: A column is missing, or holds what it should not, rates
            differ by more than a fifth, or no recording is long enough.

    Example:
    ```python
    import pathlib
    from keras_seqattn.activity import load_csv

    rows = [f"{i / 10},1,{'AB'[i // 20]},{i}" for i in range(40)]
    lines = ["time,subject,label,x_acc", *rows]
    pathlib.Path("walk.csv").write_text("\n".join(lines))
    windows = load_csv("walk.csv", seconds=2.0)
    print(windows.x.shape, windows.classes)  # (3, 20, 1) ('A', 'B')
    ```
    """
    place = os.fspath(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        columns = read_columns(file, place)
    missing = [name for name in NEEDED if name not in columns]
    channels = [name for name in columns if name not in NEEDED]
    if missing or not channels:
        raise ValueError(
            f"{place!r} lacks {missing or 'channels'}. Expected: the columns "
            f"{NEEDED}, and one a channel. Received: {list(columns)}"
        )
    numbers = {
        name: column_numbers(columns[name], name, place)
        for name in ("time", *channels)
    }
    subject = ids_of_text(columns["subject"], f"subject of {place}")
    steps = np.diff(numbers["time"])
    ahead = steps[(steps > 0) & (subject[1:] == subject[:-1])]
    if not len(ahead):
        raise ValueError(
            f"The column 'time' of {place!r} must rise from sample to sample."
        )
    step = float(np.median(ahead))
    if seconds < 2 * step:
        raise ValueError(
            f"A window of {seconds} s must hold two samples of {place!r}. Is "
            f"`time` in seconds? Received: a median step of {step:g} s"
        )
    begins = (subject[1:] != subject[:-1]) | (steps < 0)
    seams = 1 + np.flatnonzero(begins | (steps > GAP * step))
    # Before seams at leaps are looked for: to a fast recording's steps, all
    # those of a slow one are leaps.
    for bounds in (1 + np.flatnonzero(begins), seams):
        _check_rates(numbers["time"], subject, bounds, step, place)
    label, classes = class_codes(
        columns["label"], unlabelled=unlabelled, name=f"label of {place}"
    )
    signal = np.stack([numbers[name] for name in channels], axis=-1)
    return cut_recordings(
        np.split(signal.astype("float32"), seams),
        np.split(label, seams),
        subject[np.concatenate([[0], seams]).astype("int64")],
        classes=classes,
        channels=channels,
        rate=1 / step,
        seconds=seconds,
        overlap=overlap,
        unlabelled=unlabelled,
    )


def _check_rates(
    time: np.ndarray,
    subject: np.ndarray,
    seams: np.ndarray,
    step: float,
    place: str,
) -> None:
    """Raise if a recording's median step is not about `step`."""
    for row, part in zip([0, *seams], np.split(time, seams), strict=True):
        steps = np.diff(part)
        steps = steps[steps > 0]
        own = float(np.median(steps)) if len(steps) >= FEWEST_STEPS else step
        if not 0.8 < own / step < 1.25:
            raise ValueError(
                f"All recordings of {place!r} must have one rate: resample "
                "them, or give each rate a file of its own. Received: about "
                f"{1 / own:.4g} Hz from row {row + 2} on (subject "
                f"{subject[row]}), {1 / step:.4g} Hz by the median step"
            )
