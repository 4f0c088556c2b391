"""The smartwatch recordings of Matey-Sanz et al. in their original CSV files.

23 subjects, 223 executions of one sequence of 5 activities, at about 100 Hz.
The published set also holds a smartphone's recordings, which are not read.

Reference: Matey-Sanz et al., Data in Brief 51, 109809, 2023,
[doi:10.1016/j.dib.2023.109809](https://doi.org/10.1016/j.dib.2023.109809).
"""

import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn._files.tables import column_numbers
from keras_seqattn._files.tables import read_columns
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings

SPLITS = ("train",)
SUPERVISED = ("signal", "label")
LICENCE = "CC BY 4.0"

FILES = "s??/s??_??_sw.csv"
CHANNELS = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
CLASSES = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")
RATE = 100
RECORDINGS = 223  # as published
CONFIGS: dict[str, dict[str, Any]] = {
    "one_second": {"seconds": 1.0, "overlap": 0.5}
}


def read_windows(
    tree: FileTree,
    seconds: float = 1.0,
    overlap: float = 0.5,
    *,
    complete: bool = False,
) -> ActivityWindows:
    """Read the recordings of the watch and cut them into windows.

    Args:
        tree: The published archive, the folder unpacked from it, or a folder
            that holds either.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).
        complete: If true, a missing recording is an error. Default: a warning.

    Returns:
        An `ActivityWindows`: acceleration with gravity in m/s^2, angular
        velocity in rad/s. No window crosses two executions. A window's label
        is its most frequent one.

    Raises:
        FileNotFoundError: There is no such recording, or not all of them.
        ValueError: A file is damaged, not sampled at 100 Hz, or holds
            anything but the published columns and activities.
    """
    names = tree.matching(FILES)
    found = [pathlib.PurePosixPath(name).name for name in names]
    if not names:
        raise FileNotFoundError(
            f"{tree.path!r} lacks recordings of the watch, "
            "'DATA/s01/s01_01_sw.csv' and so on. It must be the published "
            "archive, or the folder unpacked from it"
        )
    if len(set(found)) != len(found):
        raise ValueError(
            f"{tree.path!r} holds recordings more than once; give the "
            "folder or archive that holds them once. Received: "
            f"{names[0]!r} and {len(names) - 1} others"
        )
    if len(found) != RECORDINGS:
        message = (
            f"{tree.path!r} is not the whole published set. Expected: "
            f"{RECORDINGS} recordings of the watch. Received: {len(found)}"
        )
        if complete:
            raise FileNotFoundError(f"{message}. Fetch or unpack it anew.")
        logging.getLogger(__name__).warning(message)
    recordings = [_read_recording(tree, name) for name in names]
    return cut_recordings(
        [signal for signal, _ in recordings],
        [label for _, label in recordings],
        np.array([int(name[1:3]) for name in found]),
        classes=CLASSES,
        channels=CHANNELS,
        rate=RATE,
        seconds=seconds,
        overlap=overlap,
    )


def read_examples(
    path: str | os.PathLike[str],
    split: str,
    *,
    seconds: float = 1.0,
    overlap: float = 0.5,
    complete: bool = False,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Read the windows one by one: see `keras_seqattn.datasets.loading`."""
    check_choice("split", split, SPLITS)
    with FileTree(path) as tree:
        windows = read_windows(tree, seconds, overlap, complete=complete)
    return windows.examples()


def _read_recording(tree: FileTree, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal (samples, channels) and the labels of a file."""
    place = tree.place(name)
    columns = read_columns(tree.lines(name), place)
    if set(columns) != {*CHANNELS, "timestamp", "label"}:
        raise ValueError(
            f"{place!r} must have the columns {CHANNELS}, 'timestamp' and "
            f"'label'. Received: {list(columns)}"
        )
    unknown = set(columns["label"]) - set(CLASSES)
    if unknown:
        raise ValueError(
            f"The labels of {place!r} must be among {CLASSES}. "
            f"Received: {sorted(unknown)}"
        )
    time = column_numbers(columns["timestamp"], "timestamp", place)
    # Some samples come late and together; the middle of the steps does not.
    step = np.median(np.diff(time)) if len(time) > 1 else 0.0
    if not 0.8 < step * RATE / 1000 < 1.25:
        raise ValueError(
            f"{place!r} must be sampled at about {RATE} Hz, its `timestamp` "
            f"in milliseconds. Received: a median step of {step} ms"
        )
    signal = np.stack(
        [column_numbers(columns[c], c, place) for c in CHANNELS], axis=-1
    )
    index = {label: number for number, label in enumerate(CLASSES)}
    label = np.array([index[label] for label in columns["label"]])
    return signal.astype("float32"), label
