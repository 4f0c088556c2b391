"""UCI HAR in its original text files.

2.56 s windows at 50 Hz, half overlapping, 30 subjects, 6 activities: 7352
windows of 21 subjects for training, 2947 of the other 9 for the test.

Reference: Anguita et al., ESANN 2013,
[doi:10.24432/C54S4K](https://doi.org/10.24432/C54S4K).
"""

import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_seqattn._checks import check_choice
from keras_seqattn._files.file_tree import FileTree
from keras_seqattn._files.tables import read_numbers
from keras_seqattn.windows.activity_windows import ActivityWindows

CONFIGS: dict[str, dict[str, Any]] = {"raw": {}}
SPLITS = ("train", "test")
SUPERVISED = ("signal", "label")
LICENCE = (
    "UCI lists CC BY 4.0, but the README in the archive forbids any "
    "commercial use. The two conflict: take the set as for non-commercial "
    "use alone."
)

SIGNALS = ("body_acc", "body_gyro", "total_acc")
CHANNELS = tuple(f"{signal}_{axis}" for signal in SIGNALS for axis in "xyz")
CLASSES = (
    "WALKING",
    "WALKING_UPSTAIRS",
    "WALKING_DOWNSTAIRS",
    "SITTING",
    "STANDING",
    "LAYING",
)
RATE = 50
TIMESTEPS = 128
WINDOWS = {"train": 7352, "test": 2947}  # as published


def read_windows(tree: FileTree, split: str = "train") -> ActivityWindows:
    """Read the raw windows of UCI HAR.

    Args:
        tree: The published archive, the folder `UCI HAR Dataset` unpacked
            from it, or a folder that holds either.
        split: `"train"` (21 subjects) or `"test"` (the other 9).

    Returns:
        An `ActivityWindows`: acceleration in g, without and with gravity,
        angular velocity in rad/s.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is damaged, or the files do not fit together.
    """
    check_choice("split", split, SPLITS)
    classes = _read_classes(tree)
    y = read_numbers(tree, f"{split}/y_{split}.txt", "int64")
    subject = read_numbers(tree, f"{split}/subject_{split}.txt", "int64")
    signals = [
        read_numbers(tree, f"{split}/Inertial Signals/{name}_{split}.txt")
        for name in CHANNELS
    ]
    shapes = {signal.shape for signal in signals}
    if len(shapes) > 1:
        raise ValueError(
            "The nine signals must have equally many windows of one length. "
            f"Received: shapes={sorted(shapes)}"
        )
    if len(y) != WINDOWS[split]:
        logging.getLogger(__name__).warning(
            "%s: the published %s part has %d windows, this one %d. Is it "
            "cut short?",
            tree.path,
            split,
            WINDOWS[split],
            len(y),
        )
    return ActivityWindows(
        x=np.stack(signals, axis=-1),
        y=y[:, 0] - 1,
        subject=subject[:, 0],
        classes=classes,
        channels=CHANNELS,
        rate=RATE,
    )


def read_examples(
    path: str | os.PathLike[str], split: str
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Read the windows one by one: see `keras_seqattn.datasets.loading`."""
    with FileTree(path) as tree:
        windows = read_windows(tree, split)
    if windows.x.shape[1] != TIMESTEPS or windows.classes != CLASSES:
        raise ValueError(
            f"UCI HAR has windows of {TIMESTEPS} samples and the classes "
            f"{CLASSES}. Received: {windows.x.shape[1]} samples, "
            f"{windows.classes}"
        )
    return windows.examples()


def _read_classes(tree: FileTree) -> tuple[str, ...]:
    """Return the names of the activities 1, 2 and so on."""
    lines = [*tree.lines("activity_labels.txt")]
    rows = [line.split() for line in lines if line.strip()]
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    if any(len(row) != 2 for row in rows) or {*numbers} != {r[0] for r in rows}:
        raise ValueError(
            f"{tree.place('activity_labels.txt')!r} must have a row for each "
            "activity, its number, counted from 1, and its name. "
            f"Received: {rows}"
        )
    names = dict(rows)
    return tuple(names[number] for number in numbers)
