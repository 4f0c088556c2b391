"""Which kind of recordings a path is."""

import os
import zipfile

import numpy as np

from keras_seqattn.activity.continuous import load_continuous
from keras_seqattn.activity.data import ActivityWindows
from keras_seqattn.activity.data import load_windows
from keras_seqattn.activity.seglearn_watch import load_seglearn_watch
from keras_seqattn.activity.ucihar import load_ucihar


def load_activity(
    path: str | os.PathLike[str] | None = None, part: str = "train"
) -> ActivityWindows:
    """Read activity recordings of any known kind.

    Args:
        path: The folder of UCI HAR (`load_ucihar`); an `.npz` file with
            windows (`load_windows`) or with continuous, labelled recordings
            (`load_continuous`); or seglearn's `.npy` file. Default: the
            recordings that the package seglearn ships
            (`load_seglearn_watch`).
        part: `"train"` or `"test"`: which part of UCI HAR's folder.

    Returns:
        An `ActivityWindows`.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: It is none of the above.
    """
    if path is None:
        return load_seglearn_watch()
    path = os.fspath(path)
    if os.path.isdir(path):
        return load_ucihar(path, part)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There are no recordings at {path!r}.")
    if path.endswith(".npy"):
        return load_seglearn_watch(path)
    if not zipfile.is_zipfile(path) or not path.endswith(".npz"):
        raise ValueError(
            "Recordings must be an `.npz` file, as written by `numpy.savez`, "
            "or UCI HAR's unpacked folder. "
            f"Received: path={path!r}"
        )
    with np.load(path, allow_pickle=False) as file:
        continuous = "label" in file
    return load_continuous(path) if continuous else load_windows(path)
