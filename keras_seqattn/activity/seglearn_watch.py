"""The smartwatch recordings inside the package seglearn, safely read."""

import importlib.util
import os
import pathlib

import numpy as np

from keras_seqattn.activity.array_pickle import read_dictionary
from keras_seqattn.activity.npz_files import check_keys
from keras_seqattn.windows.activity_windows import ActivityWindows
from keras_seqattn.windows.activity_windows import cut_recordings

RATE = 50
NAMES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}


def load_seglearn_watch(
    path: str | os.PathLike[str] | None = None,
    seconds: float = 2.0,
    overlap: float = 0.5,
) -> ActivityWindows:
    """Read the smartwatch recordings that the package seglearn ships.

    Seven shoulder exercises, ten subjects, both arms: 140 recordings of 6
    channels (acceleration, angular velocity) at 50 Hz. seglearn must be
    installed (`pip install keras_seqattn[activity]`) but is not imported. Its
    file is a pickle; it is read without calling what it names: nothing but
    arrays, lists, dictionaries, numbers and strings is admitted.

    Reference: Burns et al., Physiological Measurement 39, 075007, 2018,
    [doi:10.1088/1361-6579/aacfd9](https://doi.org/10.1088/1361-6579/aacfd9).

    Args:
        path: The file `watch_dataset.npy`. Default: seglearn's own.
        seconds: Length of a window.
        overlap: Share of a window that the next one holds too, in [0, 1).

    Returns:
        An `ActivityWindows`. No window crosses two recordings.

    Raises:
        ImportError: seglearn is not installed.
        ValueError: The file is another one, or holds what is not admitted.
    """
    if path is None:
        spec = importlib.util.find_spec("seglearn")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(
                "The smartwatch recordings come with the package seglearn: "
                "pip install keras_seqattn[activity]"
            )
        folder = pathlib.Path(spec.submodule_search_locations[0])
        path = folder / "data" / "watch_dataset.npy"
    data = read_dictionary(path)
    check_keys(path, data, ("X", "y", "subject", "X_labels", "y_labels"))
    recordings = [np.asarray(signal, "float32") for signal in data["X"]]
    labels = np.asarray(data["y"], "int64")
    return cut_recordings(
        recordings,
        [
            np.full(len(signal), label)
            for signal, label in zip(recordings, labels, strict=True)
        ],
        np.asarray(data["subject"], "int64"),
        classes=[NAMES.get(name, name) for name in data["y_labels"]],
        channels=data["X_labels"],
        rate=RATE,
        seconds=seconds,
        overlap=overlap,
    )
