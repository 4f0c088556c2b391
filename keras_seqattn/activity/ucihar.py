"""UCI HAR: smartphones at the waist, in its original folder."""

import os
import pathlib

import numpy as np

from keras_seqattn.activity.data import ActivityWindows
from keras_seqattn.argument_checks import check_choice

FOLDER = "UCI HAR Dataset"
SIGNALS = ("body_acc", "body_gyro", "total_acc")
CHANNELS = tuple(f"{signal}_{axis}" for signal in SIGNALS for axis in "xyz")


def load_ucihar(
    path: str | os.PathLike[str], part: str = "train"
) -> ActivityWindows:
    """Read the raw windows of UCI HAR.

    2.56 s windows of 9 channels at 50 Hz (acceleration in g, angular velocity
    in rad/s), 30 subjects, 6 activities. Download and unpack it yourself.

    Reference: Anguita et al., ESANN 2013,
    [doi:10.24432/C54S4K](https://doi.org/10.24432/C54S4K).

    Args:
        path: The folder `UCI HAR Dataset`, or the one that holds it.
        part: `"train"` (21 subjects) or `"test"` (the other 9).

    Returns:
        An `ActivityWindows`.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: The files do not fit together.
    """
    check_choice("part", part, ("train", "test"))
    root = pathlib.Path(path)
    if (root / FOLDER).is_dir():
        root = root / FOLDER
    files = {
        name: root / part / "Inertial Signals" / f"{name}_{part}.txt"
        for name in CHANNELS
    }
    files["y"] = root / part / f"y_{part}.txt"
    files["subject"] = root / part / f"subject_{part}.txt"
    files["classes"] = root / "activity_labels.txt"
    missing = [
        str(file.relative_to(root))
        for file in files.values()
        if not file.is_file()
    ]
    if missing:
        raise FileNotFoundError(
            f"{str(root)!r} must be the unpacked folder {FOLDER!r}. It "
            f"lacks {missing}"
        )
    # Split at any blanks: numbers follow one or two of them.
    signals = [
        np.loadtxt(files[name], dtype="float32", ndmin=2) for name in CHANNELS
    ]
    shapes = {signal.shape for signal in signals}
    if len(shapes) > 1:
        raise ValueError(
            "The nine signals must have equally many windows of one length. "
            f"Received: shapes={sorted(shapes)}"
        )
    lines = files["classes"].read_text().split("\n")
    return ActivityWindows(
        x=np.stack(signals, axis=-1),
        y=np.loadtxt(files["y"], dtype="int64", ndmin=1) - 1,
        subject=np.loadtxt(files["subject"], dtype="int64", ndmin=1),
        classes=tuple(line.split()[1] for line in lines if line.strip()),
        channels=CHANNELS,
        rate=50,
    )
